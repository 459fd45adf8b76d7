//! What it costs the questions that health tables and generations are put in each other's place under full load.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nearmost::clock::Clock;
use nearmost::control::rebuild_aside;
use nearmost::health::{STEADY, Table, Word};
use nearmost::server::udp;
use nearmost::snapshot::{Current, Snapshot};

use crate::cpu;
use crate::generator::{Count, Generator};
use crate::report::{median, quartiles};
use crate::setup::questions::Kind;
use crate::setup::{Size, snapshot};
use crate::{QUESTIONS, ROUNDS, WARM, questions};

/// Every so often a table is published.
const EVERY: Duration = Duration::from_millis(1);
/// The slot of a node that has many clients.
const BUSY: usize = 9;
/// How long generations are published.
const REBUILDING: Duration = Duration::from_secs(5);

/// A worker of the real server, in this process.
struct Worker {
    address: SocketAddr,
    current: Arc<Current>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(snapshot: Snapshot, [server, generator]: [usize; 2]) -> Self {
        let socket = udp::bind((Ipv4Addr::LOCALHOST, 0).into(), false).expect("a socket");
        let address = socket.local_addr().expect("an address");
        let (current, stop) = (Arc::new(Current::new(snapshot)), Arc::default());
        cpu::bind(&[server]);
        let (shared, until) = (Arc::clone(&current), Arc::clone(&stop));
        let thread = udp::spawn(socket, shared, Arc::default(), Arc::default(), until, 0);
        cpu::bind(&[generator]);
        Self {
            address,
            current,
            stop,
            thread: Some(thread.expect("a thread")),
        }
    }

    /// A round: how many questions, and what each took of the worker's CPU, in microseconds.
    fn round(&self, generator: &mut Generator<'_>, time: Duration) -> (Count, f64) {
        generator.run(WARM);
        let used = || cpu::used(std::process::id(), Some("udp-0"));
        let before = used();
        let count = generator.run(time);
        (count, count.each(used() - before))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Runs `work` again and again beside `main`, from a thread on these CPUs; how often it ran.
fn beside<T>(
    cpus: &[usize],
    mut work: impl FnMut() + Send,
    main: impl FnOnce() -> T,
) -> (T, usize) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let times = scope.spawn(|| {
            cpu::bind(cpus);
            let mut times = 0;
            while !done.load(Ordering::Relaxed) {
                work();
                times += 1;
            }
            times
        });
        let result = main();
        done.store(true, Ordering::Relaxed);
        (result, times.join().expect("no panic"))
    })
}

/// Tables in which a node is out and in again, every millisecond.
pub fn tables(size: &Size, cpus: [usize; 2], time: Duration) {
    let size = Size {
        probes: true,
        ..size.clone()
    };
    let generation = size.snapshot();
    let slots = generation.table.load().len();
    // Nothing is probed here: what is published is all that is known.
    let table =
        |out: usize| Table::new((0..slots).map(|n| Word::new(n != out, STEADY, 0)).collect());
    let tables = [table(slots), table(BUSY)];
    let packets = Kind::Pool.questions(&size, QUESTIONS);
    let asked = questions(
        &packets,
        &[(&generation, &tables[0]), (&generation, &tables[1])],
    );
    generation.table.publish(tables[0].clone());
    let worker = Worker::start(generation, cpus);
    let mut generator = Generator::new(worker.address, &asked);
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut all, mut swaps) = (Count::default(), 0);
    for _ in 0..ROUNDS {
        let (count, quiet) = worker.round(&mut generator, time);
        all.add(count);
        let mut turn = 0;
        let publish = || {
            turn += 1;
            worker.current.get().table.publish(tables[turn % 2].clone());
            std::thread::sleep(EVERY);
        };
        let ((count, swapped), times) =
            beside(&cpus[1..], publish, || worker.round(&mut generator, time));
        all.add(count);
        swaps += times;
        without.push(quiet);
        with.push(swapped);
        ratios.push(swapped / quiet);
    }
    let (low, high) = quartiles(&ratios);
    println!(
        "health table of {slots} slots put in place {swaps} times, once in {:.2} ms, under full load:",
        (time + WARM).as_secs_f64() * 1e3 * ROUNDS as f64 / swaps as f64
    );
    println!(
        "  CPU us/query {:.3} without, {:.3} with; ratio {:.3} ({low:.3}..{high:.3}); {all}\n",
        median(&without),
        median(&with),
        median(&ratios)
    );
}

/// Generations with a node more, and one less, as fast as they are built, on both CPUs.
pub fn generations(size: &Size, cpus: [usize; 2]) {
    let sizes = [
        size.clone(),
        Size {
            nodes: size.nodes + 1,
            ..size.clone()
        },
    ];
    let parts = sizes.each_ref().map(|size| Arc::new(size.parts()));
    let both = parts.each_ref().map(|parts| snapshot(parts, 1));
    let tables = both.each_ref().map(|snapshot| snapshot.table.load());
    let packets = Kind::Pool.questions(size, QUESTIONS);
    let asked = questions(&packets, &[(&both[0], &tables[0]), (&both[1], &tables[1])]);
    drop(tables);
    let [first, _] = both;
    let worker = Worker::start(first, cpus);
    let mut generator = Generator::new(worker.address, &asked);
    let (_, quiet) = worker.round(&mut generator, REBUILDING / 5);
    let mut took = Vec::new();
    let publish = || {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        let number = took.len() + 1;
        let parts = Arc::clone(&parts[number % 2]);
        let building = rebuild_aside(parts, worker.current.get(), Clock::start().now());
        let built = building.expect("a thread").join().expect("no panic");
        worker
            .current
            .publish(built.expect("a generation").snapshot);
        took.push(start.elapsed().as_secs_f64());
    };
    let ((count, rebuilt), times) =
        beside(&cpus, publish, || worker.round(&mut generator, REBUILDING));
    println!(
        "{times} generations with a node more or less built and put in place under full load, {:.2} s each:",
        median(&took)
    );
    println!("  CPU us/query {quiet:.3} without, {rebuilt:.3} with; {count}\n");
}
