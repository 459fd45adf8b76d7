//! The failover drill: the real server, ten mirrors in processes of their own, 2,000 questions a second, and one kind of fault after the
//! other. Prints how long each took to be noticed, and who was still sent to the dead mirror.
//!
//! ```sh
//! cargo build --release && cargo run --release --example drill
//! ```
//! Takes two and a half minutes; `quick` as an argument leaves out the first of them, in which TTLs are at their least. Exits with 1 where
//! a bound does not hold. Only addresses of this machine are used. docs/drill.md shows what it printed and says what that means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a drill that cannot set up its world ends, and it measures time"
)]

mod load;
mod mirror;
mod server;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Load, Seen};
use mirror::Mirror;
use server::{Server, nearmost};

/// As the probe of `server::config` says.
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(400);
const DOWN: u32 = 3;
const UP: u32 = 6;
/// Results are published together, and an answer may be under way.
const SLACK: Duration = Duration::from_secs(1);
/// After an address has left the table no answer can have it but those under way.
const UNDER_WAY: Duration = Duration::from_millis(100);

const MIRRORS: u8 = 10;

fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 53, number)
}

/// What goes wrong with a mirror.
struct Fault {
    title: &'static str,
    /// Of so many probes in a row one fails.
    one_of: u32,
    begin: fn(&mut Mirror),
    end: fn(&mut Mirror),
}

const FAULTS: [Fault; 7] = [
    Fault {
        title: "process killed",
        one_of: 1,
        begin: Mirror::kill,
        end: Mirror::start,
    },
    Fault {
        title: "process stopped (hangs)",
        one_of: 1,
        begin: |mirror| mirror.signal("STOP"),
        end: |mirror| mirror.signal("CONT"),
    },
    Fault {
        title: "status 500",
        one_of: 1,
        begin: |mirror| mirror.order("broken"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "wrong content",
        one_of: 1,
        begin: |mirror| mirror.order("wrong"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "slower than the timeout",
        one_of: 1,
        begin: |mirror| mirror.order("slow"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "certificate expired",
        one_of: 1,
        begin: |mirror| mirror.order("expired"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "every third probe fails",
        one_of: 3,
        begin: |mirror| mirror.order("flap"),
        end: |mirror| mirror.order("good"),
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, address, folder] = &words[..]
        && word == mirror::WORD
    {
        mirror::serve(address, folder.as_ref());
        return ExitCode::SUCCESS;
    }
    let folder = server::Folder::new();
    mirror::certificates(folder.path());
    let mut mirrors: Vec<Mirror> = Vec::new();
    for number in 1..=MIRRORS {
        let port = mirrors.first().map_or(0, |first| first.address.port());
        mirrors.push(Mirror::new((ip(number), port).into(), folder.path()));
    }
    let port = mirrors[0].address.port();
    let server = Server::start(&nearmost(), folder.path(), &server::config(port));
    let load = Load::start(server.address);
    println!(
        "every {EVERY:?}, timeout {TIMEOUT:?}, down {DOWN}, ok {UP}, up {UP}; TTL {}; {} questions a second",
        server::TTL,
        load::RATE
    );
    println!("\n{}", Row::HEAD);
    // The first minute of a state has the least TTL: the drill is about steady mirrors.
    let quiet = if words.iter().any(|w| w == "quick") {
        3
    } else {
        62
    };
    std::thread::sleep(Duration::from_secs(quiet));
    let seen = load.take();
    println!(
        "| none, {quiet} s | - | - | - | - | - | - | {} | {} | {} |",
        seen.sent, seen.answered, seen.lost
    );
    let mut good = seen.lost == 0;
    for (fault, mirror) in FAULTS.iter().zip(&mut mirrors) {
        let row = drill(fault, mirror, &server, &load);
        println!("{}", row.text);
        good &= row.good;
    }
    println!(
        "\n{}",
        if good {
            "every bound holds"
        } else {
            "NOT every bound holds"
        }
    );
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Row {
    text: String,
    good: bool,
}

impl Row {
    const HEAD: &str = "| fault | probe's words | bound | out after | last answer | last held | back after | sent | answered | lost |\n\
                        |---|---|---|---|---|---|---|---|---|---|";
}

fn drill(fault: &Fault, mirror: &mut Mirror, server: &Server, load: &Load) -> Row {
    let ip = mirror.address.ip().to_string();
    load.watch(mirror.address.ip());
    load.take();
    let begun = Instant::now();
    (fault.begin)(mirror);
    let bound = EVERY * DOWN * fault.one_of + TIMEOUT + SLACK;
    let (out, line) = server.wait(begun, &[&ip, "up -> down"], bound * 2).unzip();
    // Whoever fails every third probe has to stay out for as long as it does: for three rounds of it, and every other for a while.
    let stays = if fault.one_of > 1 {
        EVERY * UP * 2
    } else {
        EVERY * 2
    };
    let returned = server.wait(begun, &[&ip, "down -> up"], stays);
    let healed = Instant::now();
    let down = load.take();
    (fault.end)(mirror);
    let back = server
        .wait(healed, &[&ip, "down -> up"], EVERY * UP * 2)
        .map(|b| b.0);
    // Only then it is asked for again; whatever is under way is waited for.
    let again = load.first_again(healed, EVERY * 2);
    let after = load.take();
    let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(begun));
    let last = since(down.last_given);
    let held = since(down.last_held);
    let (out_after, back_after) = (since(out), again.map(|at| at - healed));
    let back_bound = EVERY * UP + EVERY + TIMEOUT + SLACK;
    let good = out_after.is_some_and(|out| out <= bound)
        && last
            .zip(out_after)
            .is_some_and(|(last, out)| last <= out + UNDER_WAY)
        && returned.is_none()
        && back.is_some()
        && back_after.is_some_and(|back| back <= back_bound)
        && down.lost + after.lost == 0;
    let words = line.and_then(|l: String| l.split_once("web: ").map(|(_, words)| words.to_owned()));
    let sum = |of: fn(&Seen) -> u64| of(&down) + of(&after);
    let text = format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        fault.title,
        words.unwrap_or_default(),
        shown(Some(bound)),
        shown(out_after),
        shown(last),
        shown(held),
        shown(back_after),
        sum(|s| s.sent),
        sum(|s| s.answered),
        sum(|s| s.lost)
    );
    Row { text, good }
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("never".into(), |time| {
        format!("{:.2} s", time.as_secs_f64())
    })
}
