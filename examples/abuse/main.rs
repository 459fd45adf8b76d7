//! Abuse, all kinds of it: the real server with a signed zone, pools, TLS and cookies, ordinary clients that ask all the time, and beside them one crowd
//! after the other, and then all at once. Prints what ordinary clients lost and what memory the server took.
//!
//! ```sh
//! cargo build && cargo run --example abuse
//! ```
//! A path as argument is the program that is the server, else it is that beside the example. Takes three and a half minutes; exits with 1 where a bound does not hold. All traffic is on loopback, each client with an address of its
//! own in 127/8. docs/abuse.md shows what it printed and says what that means.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a load that cannot set up its world ends, and it measures time"
)]

#[allow(unreachable_pub, reason = "shared with others")]
#[path = "../../tests/common/beside.rs"]
mod beside;
#[allow(dead_code, unreachable_pub, reason = "shared with tests")]
#[path = "../../tests/common/certificates.rs"]
mod certificates;
#[allow(unreachable_pub, reason = "shared with tests")]
#[path = "../../tests/common/crowd/mod.rs"]
mod crowd;
mod server;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crowd::mutated;
use crowd::steady::{Manner, Steady, Sum};
use crowd::strangers::{Crowd, Habit, Way};
use crowd::{spread, together};
use server::Server;

const MANNER: Manner = Manner {
    udp: 1000,
    tcp: 100,
    patience: Duration::from_secs(2),
};
/// Mutated packets, and of those by UDP how many in a second.
const MUTATED: usize = 200_000;
const RATE: u32 = 10_000;
/// Clients.
const SLOW: usize = 300;
const SILENT: usize = 300;
const DEAF: usize = 40;
/// How long each crowd stays.
const STAY: Duration = Duration::from_secs(20);
/// How long memory may take to come back, and how much of it.
const REST: Duration = Duration::from_secs(45);
const GROWTH: u64 = 64 << 10;
/// Per cent of questions by TCP that may be lost.
const LOST_BY_TCP: u64 = 2;

/// Who is there in a phase.
struct Phase {
    title: &'static str,
    mutated: bool,
    crowd: fn(&mut Adding<'_>),
}

const PHASES: [Phase; 7] = [
    Phase {
        title: "200,000 mutated packets",
        mutated: true,
        crowd: |_| {},
    },
    Phase {
        title: "300 slow over TCP",
        mutated: false,
        crowd: |adding| adding.slow_tcp(),
    },
    Phase {
        title: "300 slow over TLS",
        mutated: false,
        crowd: |adding| adding.slow_tls(),
    },
    Phase {
        title: "300 silent, of one network",
        mutated: false,
        crowd: |adding| adding.silent(),
    },
    Phase {
        title: "40 that never read",
        mutated: false,
        crowd: |adding| adding.deaf(),
    },
    Phase {
        title: "all of them at once",
        mutated: true,
        crowd: |adding| {
            adding.slow_tcp();
            adding.slow_tls();
            adding.silent();
            adding.deaf();
        },
    },
    Phase {
        title: "nobody again",
        mutated: false,
        crowd: |_| {},
    },
];

struct Adding<'c> {
    crowd: &'c mut Crowd,
    runtime: &'c tokio::runtime::Handle,
}

impl Adding<'_> {
    fn slow_tcp(&mut self) {
        for number in 0..SLOW {
            let from = spread(40, number);
            self.crowd.add(self.runtime, Habit::Slow, Way::Tcp, from);
        }
    }

    /// Half of them before the handshake is done, half after it.
    fn slow_tls(&mut self) {
        for number in 0..SLOW {
            let way = [Way::Dot, Way::Doh][number / 2 % 2];
            let habit = [Habit::SlowHello, Habit::Slow][number % 2];
            self.crowd.add(self.runtime, habit, way, spread(41, number));
        }
    }

    fn silent(&mut self) {
        for number in 0..SILENT {
            let way = [Way::Tcp, Way::Dot, Way::Doh][number % 3];
            let from = together(42, number);
            self.crowd.add(self.runtime, Habit::Silent, way, from);
        }
    }

    fn deaf(&mut self) {
        for number in 0..DEAF {
            let way = [Way::Tcp, Way::Dot, Way::Doh][number % 3];
            let from = spread(43, number);
            self.crowd.add(self.runtime, Habit::Deaf, way, from);
        }
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let given = std::env::args_os().nth(1);
    let program = given.map_or_else(beside::nearmost, |path| {
        std::fs::canonicalize(path).unwrap()
    });
    let server = Server::start(program);
    let steady = Steady::start(server.doors.plain, MANNER);
    println!(
        "{} questions a second by UDP, {} by TCP; lost after {:?}",
        MANNER.udp, MANNER.tcp, MANNER.patience
    );
    println!(
        "\n| phase | time | by UDP | lost | by TCP | lost | connections | closed | memory, MiB | most |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    // Whoever has answered nothing yet has not made what answering takes.
    thread::sleep(Duration::from_secs(5));
    let start = server.memory();
    let (mut good, mut most) = (true, start);
    for (seed, phase) in (1..).zip(PHASES) {
        let row = live(&phase, seed, &server, &steady, runtime.handle());
        println!("{}", row.text);
        good &= row.good;
        most = most.max(row.most);
    }
    let left = server.memory();
    drop(steady);
    let [start, most, left] = [start, most, left].map(|kb| kb as f64 / 1024.0);
    println!(
        "\nmemory: {start:.1} MiB at the start, {most:.1} at most, {left:.1} {REST:?} after the last has gone"
    );
    let panics = server.counter("panics");
    println!("panics: {panics}");
    let bound = GROWTH as f64 / 1024.0;
    good &= panics == 0 && most - start < bound && left - start < bound / 8.0;
    let words = if good {
        "every bound holds"
    } else {
        "NOT every bound holds"
    };
    println!("\n{words}");
    ExitCode::from(u8::from(!good))
}

struct Row {
    text: String,
    good: bool,
    most: u64,
}

fn live(
    phase: &Phase,
    seed: u64,
    server: &Server,
    steady: &Steady,
    runtime: &tokio::runtime::Handle,
) -> Row {
    let mut crowd = Crowd::new(server.doors, &server.authority);
    let seen = crowd.seen.clone();
    let before = steady.sums();
    let begun = Instant::now();
    let (done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(server.memory(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
        });
        (phase.crowd)(&mut Adding {
            crowd: &mut crowd,
            runtime,
        });
        if phase.mutated {
            mutated::send(server.doors.plain, MUTATED, RATE, seed);
        }
        let stay = if phase.title == "nobody again" {
            REST
        } else {
            STAY
        };
        thread::sleep(stay.saturating_sub(begun.elapsed()));
        drop(crowd);
        // What was asked meanwhile is answered or lost by then.
        thread::sleep(MANNER.patience + Duration::from_millis(500));
        done.store(true, Ordering::Relaxed);
    });
    let [udp, tcp] = difference(steady.sums(), before);
    let (now, most) = (server.memory(), most.into_inner());
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let share = 100.0 * tcp.lost as f64 / tcp.asked.max(1) as f64;
    let text = format!(
        "| {} | {:.0} s | {} | {} | {} | {} ({share:.1} %) | {} | {} | {:.1} | {:.1} |",
        phase.title,
        begun.elapsed().as_secs_f64(),
        udp.asked,
        udp.lost,
        tcp.asked,
        tcp.lost,
        of(&seen.opened),
        of(&seen.closed),
        now as f64 / 1024.0,
        most as f64 / 1024.0
    );
    let asked = udp.asked > 0 && tcp.asked > 0;
    let good = asked && udp.lost == 0 && tcp.lost * 100 < tcp.asked * LOST_BY_TCP;
    Row { text, good, most }
}

fn difference(now: [Sum; 2], before: [Sum; 2]) -> [Sum; 2] {
    [0, 1].map(|way| Sum {
        asked: now[way].asked - before[way].asked,
        lost: now[way].lost - before[way].lost,
    })
}
