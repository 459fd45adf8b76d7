//! All checks of a generation, what they found, and the table that follows from it. Time is told to it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Probe;
use super::counter::{Counter, State, Thresholds};
use super::order::{Forced, Order};
use super::slot::{Slot, together};
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
    /// The name asked for; empty for a kind that does not ask by name.
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
    slots: Vec<Slot>,
    /// What is ordered, by the node's name.
    orders: BTreeMap<String, Order>,
    started: Time,
}

/// A state so young is not called steady.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

impl Board {
    /// A board on which nothing is known yet.
    #[must_use]
    pub fn new(checks: Vec<Check>, slots: Vec<Slot>, now: Time) -> Self {
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
            orders: BTreeMap::new(),
            started: now,
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
        self.slots.get(slot as usize).map_or(&[], |s| &s.checks)
    }

    /// What is ordered, by the node's name.
    #[must_use]
    pub fn orders(&self) -> &BTreeMap<String, Order> {
        &self.orders
    }

    /// Orders something for a node, or takes back what was; the order before.
    pub fn order(&mut self, node: &str, order: Option<Order>) -> Option<Order> {
        match order {
            Some(order) => self.orders.insert(node.into(), order),
            None => self.orders.remove(node),
        }
    }

    /// Ends the orders whose time is over.
    pub fn expire(&mut self, now: Time) -> Vec<(String, Order)> {
        let over = |order: &Order| order.until.is_some_and(|until| until <= now);
        let ended = self.orders.iter().filter(|(_, order)| over(order));
        let ended = ended.map(|(n, o)| (n.clone(), o.clone())).collect();
        self.orders.retain(|_, order| !over(order));
        ended
    }

    /// Goes on from a state that was known before the start. The check still has no result.
    pub fn resume(&mut self, check: usize, state: State, since: Time) {
        if let Some(status) = self.statuses.get_mut(check) {
            status.counter = Counter::resumed(state);
            status.since = since.min(self.started);
            status.last_up = (state == State::Up).then_some(self.started);
        }
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
        Table::new(self.slots.iter().map(|slot| self.word(slot, now)).collect())
    }

    fn word(&self, slot: &Slot, now: Time) -> Word {
        match self.orders.get(&slot.node) {
            Some(order) => ordered(order, now),
            None => self.measured(slot, now),
        }
    }

    fn measured(&self, slot: &Slot, now: Time) -> Word {
        let words = slot.checks.iter().map(|&check| self.check_word(check, now));
        together(words, slot.need)
    }

    fn check_word(&self, check: usize, now: Time) -> Word {
        let (status, probe) = (&self.statuses[check], &self.checks[check].probe);
        let state = status.counter.state();
        let cap = match (state, status.counter.moving(probe.thresholds())) {
            // New in its state or recovering: anything may come, so the least.
            _ if now < status.since.max(self.started) + FIRST_MINUTE => 0,
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

/// What an order makes of an address. An answer that it decides is kept short while it is new, and never beyond its end. Who is
/// taken out on purpose comes last where a pool falls open.
fn ordered(order: &Order, now: Time) -> Word {
    let fresh = now < order.since + FIRST_MINUTE;
    let left = order.until.map(|until| seconds(until.saturating_sub(now)));
    let cap = if fresh { 0 } else { left.unwrap_or(STEADY) };
    match order.forced {
        Forced::Up => Word::new(true, cap, u32::MAX),
        Forced::Drained | Forced::Down => Word::new(false, cap, 0),
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
