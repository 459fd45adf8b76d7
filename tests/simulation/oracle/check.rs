//! What a check's results say (SPEC 4).

use super::{Key, Seconds};
use crate::model::{Model, Probe};

/// A check and what it found.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) key: Key,
    /// Of what is known to be good.
    pub(super) canary: bool,
    pub(crate) probe: Probe,
    pub(super) counter: Counter,
    /// Whether its newest result was a success.
    pub(super) newest: Option<bool>,
    /// The node and the family that it tells of.
    pub(super) sight: Option<usize>,
}

impl Check {
    pub(super) fn new(model: &Model, key: Key, canary: bool, now: Seconds) -> Self {
        Self {
            probe: model.probe(&key.probe).clone(),
            key,
            canary,
            counter: Counter::new(now),
            newest: None,
            sight: None,
        }
    }
}

/// What is known of it (SPEC 4).
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) up: Option<bool>,
    pub(super) failures: u32,
    pub(super) successes: u32,
    pub(super) since: Seconds,
    pub(super) last_up: Seconds,
}

impl Counter {
    /// The same state, and nothing counted on the way to another.
    pub(super) fn without_counts(&self) -> Self {
        Self {
            failures: 0,
            successes: 0,
            ..self.clone()
        }
    }

    pub(super) fn new(now: Seconds) -> Self {
        Self {
            up: None,
            failures: 0,
            successes: 0,
            since: now,
            last_up: 0,
        }
    }

    /// Each failure adds one, successes in between do not lower it, `ok` in a row clear it, `down` of them take it out, `up`
    /// successes in a row bring it back.
    pub(crate) fn observe(&mut self, good: bool, probe: &Probe, now: Seconds) -> bool {
        let before = self.up;
        if good {
            self.successes += 1;
        } else {
            self.successes = 0;
            self.failures += 1;
        }
        match self.up {
            None => self.up = Some(good),
            Some(true) if self.failures >= probe.down => self.up = Some(false),
            Some(true) if self.successes >= probe.ok => self.failures = 0,
            Some(false) if self.successes >= probe.up => self.up = Some(true),
            _ => {}
        }
        if before == Some(true) || self.up == Some(true) {
            self.last_up = now;
        }
        if self.up != before {
            (self.failures, self.successes, self.since) = (0, 0, now);
        }
        self.up != before
    }

    /// How long an answer may be kept that depends on it; none: as long as its name says.
    pub(super) fn cap(&self, probe: &Probe, started: Seconds, now: Seconds) -> Option<u64> {
        if now < self.since.max(started) + 60 {
            return Some(0);
        }
        match self.up {
            Some(true) if self.failures > 0 => {
                Some(probe.every * u64::from(probe.down - self.failures))
            }
            Some(true) => None,
            Some(false) if self.successes == 0 => None,
            _ => Some(0),
        }
    }
}
