//! Days in random worlds: nodes fail, flap and heal, operators drain, force and reload, clients ask; an oracle that was written from
//! SPEC 3 and 4 alone, with linear scans and a counter of its own, says what each answer has to be.
//!
//! In process, on a clock of its own: a day takes less than a second. `NEARMOST_SIMULATE="DAYS SEED..SEED"` lives longer and in other
//! worlds: `NEARMOST_SIMULATE="7 100..120" cargo test --test simulation`. A failure prints its seed and what happened last.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a simulation that cannot go on fails"
)]
#![allow(clippy::cast_precision_loss, reason = "statistics")]

#[path = "../scenarios/dns.rs"]
#[allow(dead_code, reason = "scenarios use more of it")]
mod dns;
mod life;
mod model;
mod oracle;
mod random;
mod shares;
#[path = "../scenarios/world.rs"]
#[allow(dead_code, reason = "scenarios use more of it")]
mod world;

use std::ops::Range;

use life::Tally;

/// Days and seeds of every run.
const ALWAYS: (u64, Range<u64>) = (2, 1..9);

/// `DAYS SEED..SEED`
fn told(text: &str) -> Option<(u64, Range<u64>)> {
    let (days, seeds) = text.split_once(' ')?;
    let (first, end) = seeds.split_once("..")?;
    Some((days.parse().ok()?, first.parse().ok()?..end.parse().ok()?))
}

#[test]
fn every_answer_is_what_the_oracle_says() {
    let (days, seeds) = match std::env::var("NEARMOST_SIMULATE") {
        Ok(text) => told(&text).expect("NEARMOST_SIMULATE is \"DAYS SEED..SEED\""),
        Err(_) => ALWAYS,
    };
    let mut all = Tally::default();
    let mut problems = Vec::new();
    for seed in seeds {
        match life::live(seed, days) {
            Ok(tally) => all.add(tally),
            Err(problem) => problems.push(problem),
        }
    }
    println!("{all:?}");
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    // A simulation in which nothing happens proves nothing.
    let least = [all.exact, all.nobody, all.twins, all.changes, all.stayed];
    assert!(
        least.iter().all(|n| *n > 500)
            && all.loose > 100
            && all.moved > 100
            && all.reloads > 10
            && all.sees.min(all.over) > 10
            && all.real > 0
            && all.damped > 50
            && all.exact > 3 * all.loose,
        "{all:?}"
    );
}
