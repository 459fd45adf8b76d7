//! All checks of a generation and what they found. Time is told to it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Probe;
use super::counter::{Counter, State, Thresholds};
use super::damping::{Damper, Damping};
use super::doubt::{Doubt, Known};
use super::order::Order;
use super::seen::Seen;
use super::slot::Slot;
use super::verdict::Notice;

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
    /// What else it saw.
    pub seen: Seen,
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
#[derive(Clone, Debug)]
pub struct Board {
    pub(super) checks: Vec<Check>,
    pub(super) statuses: Vec<Status>,
    pub(super) slots: Vec<Slot>,
    /// What is ordered, by the node's name.
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) started: Time,
    pub(super) doubt: Doubt,
    pub(super) damper: Damper,
    /// How often states were frozen.
    pub(super) freezes: u64,
    /// What the next look tells.
    pub(super) pending: Vec<Notice>,
}

/// What a board is of.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The checks, by their numbers.
    pub checks: Vec<Check>,
    /// The slots, by their numbers.
    pub slots: Vec<Slot>,
    /// Checks of what is known to be good: they tell whether the prober sees anything.
    pub canaries: Vec<usize>,
    /// How long states are frozen at most while the prober doubts itself; zero: never.
    pub freeze: Duration,
    /// The pools that damp flaps.
    pub damping: Vec<Damping>,
}

impl Board {
    /// A board on which nothing is known yet.
    #[must_use]
    pub fn new(setup: Setup, now: Time) -> Self {
        let Setup {
            checks,
            slots,
            canaries,
            freeze,
            damping,
        } = setup;
        let fresh = Status {
            counter: Counter::default(),
            since: now,
            last_up: None,
            last: None,
            last_error: None,
        };
        Self {
            damper: Damper::new(damping, slots.len()),
            doubt: Doubt::new(&checks, &slots, &canaries, freeze),
            statuses: vec![fresh; checks.len()],
            checks,
            slots,
            orders: BTreeMap::new(),
            started: now,
            freezes: 0,
            pending: Vec::new(),
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

    /// The node of a slot, and the address, if it is probed.
    #[must_use]
    pub fn whose(&self, slot: usize) -> (&str, Option<IpAddr>) {
        let Slot { node, checks, .. } = &self.slots[slot];
        let first = checks.first();
        (node, first.map(|check| self.checks[*check].address))
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
        let limits = self.checks.get(check)?.probe.thresholds();
        let known = Known {
            checks: &self.checks,
            statuses: &self.statuses,
            slots: &self.slots,
        };
        let ok = outcome.result.is_ok();
        for (other, held) in self.doubt.note(check, ok, now, known) {
            let restored = self.restore(other, &held, now);
            self.pending.extend(restored);
        }
        let status = self.statuses.get_mut(check)?;
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
