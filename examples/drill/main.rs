//! The failover drill: the real server, ten mirrors of two addresses in processes of their own, 2,000 questions a second, and one kind of
//! fault after the other. Prints how long each took to be noticed, and who was still sent to the dead mirror.
//!
//! ```sh
//! cargo build --release && cargo run --release --example drill
//! ```
//! Takes three and a half minutes; `quick` as an argument leaves out the first of them, in which TTLs are at their least. Exits with 1
//! where a bound does not hold. It runs in a network namespace of its own; where none is permitted mirrors have IPv4 alone, on loopback,
//! and faults of the network are skipped. docs/drill.md shows what it printed and says what that means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a drill that cannot set up its world ends, and it measures time"
)]

#[allow(unreachable_pub, reason = "shared with others")]
#[path = "../../tests/common/beside.rs"]
mod beside;
mod load;
mod mirror;
#[allow(dead_code, unreachable_pub, reason = "shared with tests")]
#[path = "../../tests/common/namespace.rs"]
mod namespace;
mod net;
mod server;
#[allow(unreachable_pub, reason = "shared with tests")]
#[path = "../../tests/common/wire.rs"]
mod wire;

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use beside::nearmost;
use load::{Given, Load, Seen};
use mirror::Mirror;
use server::Server;

/// As the probe of `server::config` says.
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(400);
const DOWN: u32 = 3;
const UP: u32 = 6;
/// The TTL of an answer about a state that is steady.
const TTL_MOST: Duration = Duration::from_secs(20);
/// Results are published together, and an answer may be under way.
const SLACK: Duration = Duration::from_secs(1);
/// After an address has left the table no answer can have it but those under way.
const UNDER_WAY: Duration = Duration::from_millis(100);

const MIRRORS: u8 = 10;

/// What goes wrong with a mirror.
struct Fault {
    title: &'static str,
    /// Of so many probes in a row one fails.
    one_of: u32,
    /// It needs a network of the drill's own.
    network: bool,
    /// Which addresses of a mirror it is about; the others stay in service.
    hits: fn(&IpAddr) -> bool,
    begin: fn(&mut Mirror),
    end: fn(&mut Mirror),
}

const FAULTS: [Fault; 11] = [
    Fault {
        title: "process killed",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: Mirror::kill,
        end: Mirror::start,
    },
    Fault {
        title: "process stopped (hangs)",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.signal("STOP"),
        end: |mirror| mirror.signal("CONT"),
    },
    Fault {
        title: "status 500",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("broken"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "wrong content",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("wrong"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "slower than the timeout",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("slow"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "body slower than the timeout",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("drip"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "certificate expired",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("expired"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "certificate for another name",
        one_of: 1,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("misnamed"),
        end: |mirror| mirror.order("good"),
    },
    Fault {
        title: "packets vanish",
        one_of: 1,
        network: true,
        hits: |_| true,
        begin: |mirror| mirror.ips.iter().copied().for_each(wire::lose),
        end: |mirror| mirror.ips.iter().copied().for_each(wire::find),
    },
    Fault {
        title: "packets of IPv6 vanish",
        one_of: 1,
        network: true,
        hits: |ip| ip.is_ipv6(),
        begin: |mirror| mirror.ips6().for_each(wire::lose),
        end: |mirror| mirror.ips6().for_each(wire::find),
    },
    Fault {
        title: "every third probe fails",
        one_of: 3,
        network: false,
        hits: |_| true,
        begin: |mirror| mirror.order("flap"),
        end: |mirror| mirror.order("good"),
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder, port, ips @ ..] = &words[..]
        && word == mirror::WORD
    {
        mirror::serve(folder.as_ref(), port, ips);
        return ExitCode::SUCCESS;
    }
    let has = |word: &str| words.iter().any(|w| w == word);
    let inside = has(net::INSIDE);
    if !inside {
        net::enter(&words);
        println!("no network namespace is permitted: no IPv6, and no faults of the network");
    }
    let folder = server::Folder::new();
    mirror::certificates(folder.path());
    let mut mirrors: Vec<Mirror> = Vec::new();
    for number in 1..=MIRRORS {
        let port = mirrors.first().map_or(0, |first| first.port);
        mirrors.push(Mirror::new(net::ips(number, inside), port, folder.path()));
    }
    let server = Server::start(&nearmost(), folder.path(), &server::config(&mirrors));
    let load = Load::start(server.address, inside);
    println!(
        "every {EVERY:?}, timeout {TIMEOUT:?}, down {DOWN}, ok {UP}, up {UP}; TTL {}; {} questions a second",
        server::TTL,
        load::RATE
    );
    println!("\n{}", Row::HEAD);
    // The first minute of a state has the least TTL: the drill is about steady mirrors.
    let quiet = if has("quick") { 3 } else { 62 };
    std::thread::sleep(Duration::from_secs(quiet));
    let seen = load.take();
    println!(
        "| none, {quiet} s | - | - | - | - | - | - | {} | {} | {} |",
        seen.sent, seen.answered, seen.lost
    );
    let mut good = seen.lost == 0;
    let faults = FAULTS.iter().filter(|fault| inside || !fault.network);
    // Whose turn comes again has been steady for longer than a minute then.
    for (number, fault) in faults.enumerate() {
        let row = drill(
            fault,
            &mut mirrors[number % usize::from(MIRRORS)],
            &server,
            &load,
        );
        println!("{}", row.text);
        good &= row.good;
    }
    for skipped in FAULTS.iter().filter(|fault| fault.network && !inside) {
        println!("| {} | skipped |", skipped.title);
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
    let (hit, spared): (Vec<_>, Vec<_>) = mirror.ips.iter().copied().partition(fault.hits);
    let logged = |since, ip: &IpAddr, words, patience| {
        server.wait(since, &[&ip.to_string(), words], patience)
    };
    load.take();
    let begun = Instant::now();
    (fault.begin)(mirror);
    let bound = EVERY * DOWN * fault.one_of + TIMEOUT + SLACK;
    let outs: Vec<_> = hit
        .iter()
        .map(|ip| logged(begun, ip, "up -> down", bound * 2))
        .collect();
    // Whoever fails every third probe has to stay out for as long as it does: for three rounds of it, and every other for a while.
    let stays = EVERY * if fault.one_of > 1 { UP * 2 } else { 2 };
    std::thread::sleep(stays);
    let healed = Instant::now();
    let down = load.take();
    let any = |words| {
        let lines = mirror.ips.iter();
        lines.filter_map(move |ip| logged(begun, ip, words, Duration::ZERO))
    };
    let moved = any("up -> down").count() + any("down -> up").count();
    (fault.end)(mirror);
    let back: Vec<_> = hit
        .iter()
        .map(|ip| logged(healed, ip, "down -> up", EVERY * UP * 2))
        .collect();
    // Only then it is asked for again; whatever is under way is waited for.
    let again: Option<Vec<_>> = hit
        .iter()
        .map(|&ip| load.first_again(ip, healed, EVERY * 2))
        .collect();
    let after = load.take();
    // Of two addresses the later one counts.
    let since = |at: Instant| at.saturating_duration_since(begun);
    let given: Vec<_> = hit.iter().map(|ip| down.given.get(ip)).collect();
    let latest = |of: fn(&Given) -> Instant| given.iter().flatten().map(|g| since(of(g))).max();
    let (last, held) = (latest(|g| g.last), latest(|g| g.held));
    let out = outs.iter().flatten().map(|(at, _)| since(*at)).max();
    let back_after = again
        .and_then(|all| all.into_iter().max())
        .map(|at| at - healed);
    let back_bound = EVERY * UP + EVERY + TIMEOUT + SLACK;
    let good = outs
        .iter()
        .zip(&given)
        .all(|(out, given)| match (out, given) {
            (Some((out, _)), Some(given)) => {
                since(*out) <= bound && given.last <= *out + UNDER_WAY
            }
            _ => false,
        })
        && held.is_some_and(|held| held <= bound + TTL_MOST)
        // Each has gone once and none has come.
        && moved == hit.len()
        && spared.iter().all(|ip| is_given(&down, ip, healed))
        && back.iter().all(Option::is_some)
        && back_after.is_some_and(|back| back <= back_bound)
        && down.lost + after.lost == 0;
    let line = outs.into_iter().flatten().map(|(_, line)| line).next();
    let words = line.and_then(|l: String| l.split_once("web: ").map(|(_, words)| words.to_owned()));
    let sum = |of: fn(&Seen) -> u64| of(&down) + of(&after);
    let text = format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        fault.title,
        words.unwrap_or_default(),
        shown(Some(bound)),
        shown(out),
        shown(last),
        shown(held),
        shown(back_after),
        sum(|s| s.sent),
        sum(|s| s.answered),
        sum(|s| s.lost)
    );
    Row { text, good }
}

/// Whether an address was given up to a time.
fn is_given(seen: &Seen, ip: &IpAddr, until: Instant) -> bool {
    let given = seen.given.get(ip);
    given.is_some_and(|given| given.last + SLACK >= until)
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("never".into(), |time| {
        format!("{:.2} s", time.as_secs_f64())
    })
}
