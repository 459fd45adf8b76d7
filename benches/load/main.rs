//! The whole server under full load, on loopback.
//!
//! `cargo bench --bench load [-- servers | swap | memory]`, all of them without a word; `-- against PROGRAM` is for another build of
//! nearmost. The server and an echo server that does no DNS are on one CPU, the generator is on another; short rounds take turns. CPU
//! per query depends on the machine and on what else runs on it, the ratio to the echo server less so.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a benchmark prints, and has nobody to tell of a broken set-up"
)]
#![allow(unreachable_pub, reason = "modules of a benchmark")]

mod against;
mod cpu;
mod echo;
mod generator;
mod live;
mod report;
#[path = "../setup/mod.rs"]
mod setup;
mod swap;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use generator::{Count, Generator, Question};
use live::{Live, THIS};
use nearmost::health::Table;
use nearmost::snapshot::Snapshot;
use report::{median, quartiles};
use setup::questions::Kind;
use setup::{Asker, Folder, SMALL, Size};

/// Questions that are asked over and over.
const QUESTIONS: usize = 8_192;
/// Rounds of which medians are taken.
const ROUNDS: usize = 11;
/// A round that is measured, and before it one that is not.
const TIME: Duration = Duration::from_millis(500);
const WARM: Duration = Duration::from_millis(50);

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == live::ECHO) {
        echo::serve(words[at + 1].parse().expect("an address"));
    }
    let parts = ["servers", "swap", "memory"];
    let chosen = parts
        .iter()
        .any(|part| words.iter().any(|word| word == part));
    let told = |part: &str| !chosen || words.iter().any(|word| word == part);
    let Some(cpus) = cpu::two() else {
        println!("skipped: a CPU for the server and one for the generator are needed");
        return;
    };
    let city = setup::city();
    println!(
        "database: {}\n",
        city.as_ref().map_or(
            "the small one that ships with nearmost",
            |_| "GeoLite2 City"
        )
    );
    let size = Size { city, ..SMALL };
    if let Some(at) = words.iter().position(|word| word == "against") {
        let other = words.get(at + 1).expect("another build of nearmost");
        return against::against(Path::new(other), &size, cpus);
    }
    if told("servers") {
        servers(&size, cpus);
    }
    if told("swap") {
        swap::tables(&size, cpus, TIME);
        swap::generations(&size, cpus);
    }
    if told("memory") {
        memory();
    }
}

/// The replies to questions are what the library says to them, with one of these.
fn questions(packets: &[Vec<u8>], sources: &[(&Snapshot, &Table)]) -> Vec<Question> {
    let mut asker = Asker::new();
    let question = |packet: &Vec<u8>| Question {
        packet: packet.clone(),
        replies: sources
            .iter()
            .map(|(snapshot, table)| {
                let outcome = asker.ask(snapshot, table, packet);
                asker.reply(outcome).to_vec()
            })
            .collect(),
    };
    packets.iter().map(question).collect()
}

fn turned_round(packet: &[u8]) -> Vec<u8> {
    let mut reply = packet.to_vec();
    reply[2] |= 0x80;
    reply
}

/// A server and what is asked of it.
struct Row<'r> {
    title: &'r str,
    generator: Generator<'r>,
    process: u32,
    /// CPU microseconds of a question, by round; and the part of the CPU that the server had.
    each: Vec<f64>,
    busy: Vec<f64>,
    rate: Vec<f64>,
    count: Count,
}

impl<'r> Row<'r> {
    fn new(title: &'r str, generator: Generator<'r>, server: &Live) -> Self {
        Self {
            title,
            generator,
            process: server.process(),
            each: Vec::new(),
            busy: Vec::new(),
            rate: Vec::new(),
            count: Count::default(),
        }
    }

    fn round(&mut self) {
        self.generator.run(WARM);
        let before = cpu::used(self.process, None);
        let count = self.generator.run(TIME);
        let used = cpu::used(self.process, None) - before;
        self.each.push(count.each(used));
        self.busy.push(used.as_secs_f64() / TIME.as_secs_f64());
        self.rate
            .push((count.right + count.wrong) as f64 / TIME.as_secs_f64());
        self.count.add(count);
    }
}

fn servers(size: &Size, cpus: [usize; 2]) {
    let snapshot = size.snapshot();
    let table = snapshot.table.load();
    let [pool, fixed] = [Kind::Pool, Kind::Static]
        .map(|kind| questions(&kind.questions(size, QUESTIONS), &[(&snapshot, &table)]));
    let echoed: Vec<Question> = pool
        .iter()
        .map(|q| Question {
            replies: vec![turned_round(&q.packet)],
            ..q.clone()
        })
        .collect();
    drop(table);
    let folder = Folder::new("load");
    cpu::bind(&cpus[..1]);
    let right = |reply: &[u8]| pool[0].replies[0] == reply;
    let this = Path::new(THIS);
    let ours = Live::ours(this, size, folder.path(), &pool[0].packet, right);
    let echo = Live::echo();
    cpu::bind(&cpus[1..]);
    let row = |title, server: &Live, questions| {
        Row::new(title, Generator::new(server.address, questions), server)
    };
    let mut rows = [
        row("echo", &echo, &echoed),
        row("static", &ours, &fixed),
        row("geo", &ours, &pool),
    ];
    for _ in 0..ROUNDS {
        rows.iter_mut().for_each(Row::round);
    }
    println!(
        "{:8} {:>12} {:>24} {:>6} {:>10}",
        "", "CPU us/query", "to echo (quartiles)", "busy", "queries/s"
    );
    for row in &rows {
        let ratios: Vec<f64> = row
            .each
            .iter()
            .zip(&rows[0].each)
            .map(|(a, b)| a / b)
            .collect();
        let (low, high) = quartiles(&ratios);
        println!(
            "{:8} {:>12.3} {:>7.3} ({low:.3} .. {high:.3}) {:>5.0}% {:>10.0}  {}",
            row.title,
            median(&row.each),
            median(&ratios),
            median(&row.busy) * 100.0,
            median(&row.rate),
            row.count
        );
    }
    println!(
        "first right answer after {:.2} s, resident {:.1} MiB after all this\n",
        ours.start.as_secs_f64(),
        cpu::resident(ours.process())
    );
}

/// Whether memory grows with the sets of nodes that pools have, and not with the pools.
fn memory() {
    println!(
        "{:>8} {:>10} {:>14} {:>10}",
        "pools", "node sets", "resident, MiB", "start, s"
    );
    for (pools, sets) in [(25, 25), (50, 50), (1_000, 50)] {
        let size = Size {
            nodes: 100,
            pools,
            sets,
            ..SMALL
        };
        let folder = Folder::new("load");
        let packet = &Kind::PoolOne.questions(&size, 1)[0];
        let right = |reply: &[u8]| reply[3] & 0xf == 0 && reply[7] == 1;
        let server = Live::ours(Path::new(THIS), &size, folder.path(), packet, right);
        println!(
            "{pools:>8} {sets:>10} {:>14.1} {:>10.2}",
            cpu::resident(server.process()),
            server.start.as_secs_f64()
        );
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.lost += other.lost;
    }

    /// Microseconds of a question.
    fn each(&self, used: Duration) -> f64 {
        used.as_secs_f64() * 1e6 / (self.right + self.wrong) as f64
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} right, {} wrong, {} lost",
            self.right, self.wrong, self.lost
        )
    }
}
