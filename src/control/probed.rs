//! What the probers found since the start, by the kind of the probe: counted over all generations.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::health::{Outcome, Probe};

/// Upper ends of the classes that durations are counted in; what took longer is in none.
pub const UP_TO: [Duration; 10] = {
    let ms = Duration::from_millis;
    [
        ms(5),
        ms(10),
        ms(25),
        ms(50),
        ms(100),
        ms(250),
        ms(500),
        ms(1000),
        ms(2500),
        ms(5000),
    ]
};

/// By the word for the kind.
pub type Probed = BTreeMap<&'static str, Runs>;

/// What the runs of one kind found.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// Those that succeeded.
    pub ok: u64,
    /// Those that failed.
    pub failed: u64,
    /// How long all of them took together.
    pub took: Duration,
    /// How many took no longer than each of [`UP_TO`], and longer than the one before.
    pub classes: [u64; UP_TO.len()],
}

/// Counts a run.
pub(super) fn count(probed: &mut Probed, probe: &Probe, outcome: &Outcome) {
    let runs = probed.entry(probe.kind.word()).or_default();
    match outcome.result {
        Ok(()) => runs.ok += 1,
        Err(_) => runs.failed += 1,
    }
    runs.took += outcome.latency;
    if let Some(class) = UP_TO.iter().position(|end| outcome.latency <= *end) {
        runs.classes[class] += 1;
    }
}
