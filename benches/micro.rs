//! What an answer costs on one thread without sockets, and its parts; and how much more with a large configuration.
//!
//! `cargo bench --bench micro`. Nanoseconds are medians of many rounds, small and large in turn; on a busy machine believe the ratios.

#![expect(clippy::print_stdout, reason = "a benchmark says what it has measured")]

mod setup;

use std::hint::black_box;
use std::time::Duration;

use nearmost::prefix::Client;
use nearmost::snapshot::Snapshot;
use nearmost::wire::{HEADER, Place, Query, Section, Suffixes, Writer, rcode};
use nearmost::zone::{Lookup, NameKey, rtype};
use nix::time::{ClockId, clock_gettime};
use setup::questions::{self, Kind, OPT, query};
use setup::{Asker, SMALL, Size};

/// Rounds of which the median is taken.
const ROUNDS: usize = 31;
/// Questions in a round.
const QUESTIONS: usize = 20_000;

/// A million names, a thousand pools of a thousand nodes.
const LARGE: Size = Size {
    nodes: 1_000,
    pools: 1_000,
    sets: 1,
    names: 1_000_000,
    probes: false,
    city: None,
};

/// Something that is done once for each of [`QUESTIONS`].
type Work<'s> = Box<dyn FnMut() + 's>;
type Case = for<'s> fn(&'s Snapshot, &Size) -> Work<'s>;

const CASES: [(&str, Case); 13] = [
    ("read a question with ECS", read),
    ("look a static name up", |s, size| {
        look_up(s, size, Kind::Static)
    }),
    ("look a missing name up", |s, size| {
        look_up(s, size, Kind::Missing)
    }),
    ("find a client's range", find),
    ("find it and walk its list", walk),
    ("write a reply of one address", write),
    ("answer: pool, ECS, random clients", |s, size| {
        answer(s, size, Kind::Pool)
    }),
    ("answer: pool, ECS, one client", |s, size| {
        answer(s, size, Kind::PoolOne)
    }),
    ("answer: static, random names", |s, size| {
        answer(s, size, Kind::Static)
    }),
    ("answer: static, 1,000 names asked", |s, size| {
        answer(s, size, Kind::StaticFew)
    }),
    ("answer: NXDOMAIN, random names", |s, size| {
        answer(s, size, Kind::Missing)
    }),
    ("answer: wildcard", |s, size| {
        answer(s, size, Kind::Wildcard)
    }),
    ("answer: CNAME chain of 4", |s, size| {
        answer(s, size, Kind::Chain)
    }),
];

fn main() {
    let (small, large) = (SMALL.snapshot(), LARGE.snapshot());
    println!(
        "{:34} {:>10} {:>10} {:>7}",
        "", "small, ns", "large, ns", "ratio"
    );
    for (title, case) in CASES {
        let (mut a, mut b) = (case(&small, &SMALL), case(&large, &LARGE));
        let (mut small_ns, mut large_ns) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            small_ns.push(nanoseconds(&mut a));
            large_ns.push(nanoseconds(&mut b));
        }
        let (a, b) = (median(small_ns), median(large_ns));
        println!("{title:34} {a:>10.0} {b:>10.0} {:>7.2}", b / a);
    }
}

fn nanoseconds(work: &mut Work<'_>) -> f64 {
    // The thread's own time: what others take of the CPU does not count.
    let now = || {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of Linux");
        Duration::from(time)
    };
    let start = now();
    work();
    (now() - start).as_nanos() as f64 / QUESTIONS as f64
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn read<'s>(_: &'s Snapshot, size: &Size) -> Work<'s> {
    let packets = Kind::Pool.questions(size, QUESTIONS);
    Box::new(move || {
        for packet in &packets {
            let _ = black_box(Query::parse(black_box(packet)));
        }
    })
}

fn look_up<'s>(snapshot: &'s Snapshot, size: &Size, kind: Kind) -> Work<'s> {
    let packets = kind.questions(size, QUESTIONS);
    let names: Vec<_> = packets.iter().map(|p| query(p).qname.to_vec()).collect();
    let mut key = NameKey::new(&[0]);
    Box::new(move || {
        for name in &names {
            key.set(black_box(name));
            let (_, zone) = snapshot.zones.find(&key, false).expect("our zone");
            black_box(zone.lookup(&key));
        }
    })
}

fn find<'s>(snapshot: &'s Snapshot, size: &Size) -> Work<'s> {
    let (steering, clients) = (setup::steering(snapshot), clients(size));
    Box::new(move || {
        for client in &clients {
            black_box(steering.map.find(black_box(*client)));
        }
    })
}

fn walk<'s>(snapshot: &'s Snapshot, size: &Size) -> Work<'s> {
    let (steering, clients) = (setup::steering(snapshot), clients(size));
    let table = snapshot.table.load();
    Box::new(move || {
        for client in &clients {
            black_box(steering.walk(black_box(*client), &table, 1, &mut ()));
        }
    })
}

/// Question and answer, without OPT.
fn write<'s>(snapshot: &'s Snapshot, size: &Size) -> Work<'s> {
    let packets = Kind::StaticFew.questions(size, QUESTIONS);
    let key = NameKey::new(query(&packets[0]).qname);
    let (_, zone) = snapshot.zones.find(&key, false).expect("our zone");
    let set = match zone.lookup(&key) {
        Lookup::Exact(at) => zone.rrset(at, rtype::A),
        Lookup::Below(_) => None,
    };
    let set = set.expect("an address");
    let (mut out, mut suffixes) = (vec![0; 4096], Suffixes::default());
    Box::new(move || {
        for packet in &packets {
            let mut writer = Writer::new(black_box(&mut out), &mut suffixes, 1232, 0);
            let _ = writer.question(&packet[HEADER..packet.len() - OPT]);
            let _ = black_box(writer.rrset(Section::Answer, Place::Question, &set, 300));
            black_box(writer.finish(1, 0, rcode::NOERROR));
        }
    })
}

fn answer<'s>(snapshot: &'s Snapshot, size: &Size, kind: Kind) -> Work<'s> {
    let packets = kind.questions(size, QUESTIONS);
    let (table, mut asker) = (snapshot.table.load(), Asker::new());
    Box::new(move || {
        for packet in &packets {
            black_box(asker.ask(snapshot, &table, black_box(packet)));
        }
    })
}

fn clients(size: &Size) -> Vec<Client> {
    questions::clients(&Kind::Pool.questions(size, QUESTIONS))
}
