//! All checks of a generation, what they found, and the table that follows from it. Time is told to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Probe;
use super::counter::{Counter, State, Thresholds};
use super::table::{STEADY, Table, Word};

/// Time since 1970. It does not go back while the program runs.
pub type Time = Duration;

/// One thing that is done over and over: a probe of an address under a name.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is done.
    pub probe: Arc<Probe>,
    /// To whom.
    pub address: IpAddr,
    /// The name asked for.
    pub host: String,
    /// The node the address belongs to, for messages.
    pub node: String,
}

/// What one run of a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Success, or what went wrong in the probe's own words.
    pub result: Result<(), String>,
    /// How long it took.
    pub latency: Duration,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Time,
    /// The check, by its number.
    pub check: usize,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why: the error, or how many successes in a row.
    pub why: String,
}

/// What is known of a check.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its counter.
    pub counter: Counter,
    /// When the state was entered.
    pub since: Time,
    /// When it was last in service; none if never.
    pub last_up: Option<Time>,
    /// The newest result and when it came.
    pub last: Option<(Time, Outcome)>,
    /// The newest error and when it came; kept over successes.
    pub last_error: Option<(Time, String)>,
}

/// All checks, and the slots that are judged by them.
#[derive(Debug)]
pub struct Board {
    checks: Vec<Check>,
    statuses: Vec<Status>,
    /// For each slot the checks that must all be up.
    slots: Vec<Vec<usize>>,
}

/// A state so young is not called steady.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

impl Board {
    /// A board on which nothing is known yet. `slots` gives for each slot the checks that must all be up.
    #[must_use]
    pub fn new(checks: Vec<Check>, slots: Vec<Vec<usize>>, now: Time) -> Self {
        let fresh = Status {
            counter: Counter::default(),
            since: now,
            last_up: None,
            last: None,
            last_error: None,
        };
        Self {
            statuses: vec![fresh; checks.len()],
            checks,
            slots,
        }
    }

    /// The checks.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What is known of each check.
    #[must_use]
    pub fn statuses(&self) -> &[Status] {
        &self.statuses
    }

    /// The checks that judge a slot.
    #[must_use]
    pub fn slot(&self, slot: u32) -> &[usize] {
        self.slots.get(slot as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether every check has a result: only then questions are answered.
    #[must_use]
    pub fn all_checked(&self) -> bool {
        self.statuses.iter().all(|s| s.last.is_some())
    }

    /// Takes a result; the event if it changed the state. Numbers of other generations are ignored.
    pub fn observe(&mut self, check: usize, outcome: Outcome, now: Time) -> Option<Event> {
        let (status, probe) = (
            self.statuses.get_mut(check)?,
            &self.checks.get(check)?.probe,
        );
        let limits = probe.thresholds();
        let from = status.counter.state();
        let why = match &outcome.result {
            Ok(()) if from == State::Down => format!("{} successes in a row", limits.up),
            Ok(()) => "first check succeeded".into(),
            Err(error) => error.clone(),
        };
        let changed = status.counter.observe(outcome.result.is_ok(), limits);
        if let Err(error) = &outcome.result {
            status.last_error = Some((now, error.clone()));
        }
        if from == State::Up || status.counter.state() == State::Up {
            status.last_up = Some(now);
        }
        status.last = Some((now, outcome));
        if !changed {
            return None;
        }
        status.since = now;
        Some(Event {
            at: now,
            check,
            from,
            to: status.counter.state(),
            why,
        })
    }

    /// The words that follow from all results up to now.
    #[must_use]
    pub fn table(&self, now: Time) -> Table {
        Table::new(
            self.slots
                .iter()
                .map(|checks| self.word(checks, now))
                .collect(),
        )
    }

    fn word(&self, checks: &[usize], now: Time) -> Word {
        checks
            .iter()
            .map(|&check| self.check_word(check, now))
            .fold(Word::UNPROBED, |a, b| {
                Word::new(
                    a.in_service() && b.in_service(),
                    a.ttl_cap().min(b.ttl_cap()),
                    a.last_in_service().min(b.last_in_service()),
                )
            })
    }

    fn check_word(&self, check: usize, now: Time) -> Word {
        let (status, probe) = (&self.statuses[check], &self.checks[check].probe);
        let state = status.counter.state();
        let cap = match (state, status.counter.moving(probe.thresholds())) {
            // New in its state or recovering: anything may come, so the least.
            _ if now < status.since + FIRST_MINUTE => 0,
            (State::Unknown | State::Down, Some(_)) => 0,
            (State::Up, Some(needed)) => seconds(probe.every * needed),
            _ => STEADY,
        };
        // What is up now was in service last: only those that are out are told apart by when.
        let last = match state {
            State::Up => u32::MAX,
            _ => status
                .last_up
                .map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX - 1)),
        };
        Word::new(state == State::Up, cap, last)
    }
}

impl Probe {
    /// The numbers that the counter needs.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            down: self.down,
            ok: self.ok,
            up: self.up,
        }
    }
}

/// Whole seconds, at most the highest cap below [`STEADY`].
fn seconds(time: Duration) -> u16 {
    u16::try_from(time.as_secs())
        .unwrap_or(u16::MAX)
        .min(STEADY - 1)
}
