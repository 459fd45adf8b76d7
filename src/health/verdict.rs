//! What follows from all results up to now: the words of the table, and what is told when more than one check decides.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{Board, Event, Status, Time};
use super::counter::State;
use super::damping::Damped;
use super::doubt::{Frozen, Known, Thaw};
use super::order::{Forced, Order};
use super::slot::{Slot, together};
use super::table::{STEADY, Table, Word};

/// A state so young is not called steady.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

/// What a look at all results changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// States of a family are frozen; whether it is IPv6.
    Frozen(bool, Frozen),
    /// They are not any more.
    Thawed(bool, Frozen, Thaw),
    /// The state of a check changed without a result.
    State(Event),
    /// A slot is damped.
    Damped(usize, Damped),
    /// A slot is not damped any more, as it has been quiet for long enough or as others are missing.
    Undamped(usize),
}

impl Board {
    /// Looks at all results together; to be done from time to time, and before [`Board::table`].
    pub fn look(&mut self, now: Time) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.pending);
        for v6 in [false, true] {
            let known = Known {
                checks: &self.checks,
                statuses: &self.statuses,
                slots: &self.slots,
            };
            if let Some(frozen) = self.doubt.frozen()[usize::from(v6)]
                && let Some((thaw, restored)) = self.doubt.end(v6, now, known)
            {
                notices.push(Notice::Thawed(v6, frozen, thaw));
                let restored = restored.into_iter();
                notices.extend(restored.filter_map(|(c, held)| self.restore(c, &held, now)));
            } else if let Some(frozen) = self.doubt.begin(v6, now, known) {
                self.freezes += 1;
                notices.push(Notice::Frozen(v6, frozen));
            }
        }
        notices.extend(self.damp(now));
        notices
    }

    fn damp(&mut self, now: Time) -> Vec<Notice> {
        let mut damper = std::mem::take(&mut self.damper);
        let measured = |slot: usize| self.measured(&self.slots[slot], now).in_service();
        let counts = |slot: usize| match self.orders.get(&self.slots[slot].node) {
            Some(order) => order.forced == Forced::Up,
            None => measured(slot),
        };
        let changed = damper.look(now, measured, counts);
        self.damper = damper;
        let notice = |slot: usize| match self.damper.of(slot) {
            Some(damped) => Notice::Damped(slot, damped),
            None => Notice::Undamped(slot),
        };
        changed.into_iter().map(notice).collect()
    }

    /// Whether a slot is damped.
    #[must_use]
    pub fn damped(&self, slot: usize) -> Option<Damped> {
        self.damper.of(slot)
    }

    /// The checks that judge a slot which is damped.
    #[must_use]
    pub fn damped_checks(&self) -> BTreeMap<usize, Damped> {
        let damped = |(number, slot): (usize, _)| Some((slot, self.damper.of(number)?));
        let slots = self.slots.iter().enumerate();
        let slots = slots.filter(|(_, slot)| slot.damping).filter_map(damped);
        let mut checks = BTreeMap::new();
        for (slot, damped) in slots {
            for check in &slot.checks {
                checks.entry(*check).or_insert(damped);
            }
        }
        checks
    }

    /// Goes on from what was known of a check before; its newest result stays.
    pub(super) fn restore(&mut self, check: usize, held: &Status, now: Time) -> Option<Notice> {
        let status = &mut self.statuses[check];
        let (from, to) = (status.counter.state(), held.counter.state());
        status.counter = held.counter;
        status.since = held.since;
        if to == State::Up {
            status.last_up = Some(now);
        }
        let why = "what failed while states were frozen does not count".into();
        (from != to).then_some(Notice::State(Event {
            at: now,
            check,
            from,
            to,
            why,
        }))
    }

    /// What counts of a check: what is measured, or what was before its state was frozen.
    #[must_use]
    pub fn counted(&self, check: usize) -> &Status {
        self.held(check).unwrap_or(&self.statuses[check])
    }

    /// What counts of a check instead of what is measured, if its state is frozen.
    #[must_use]
    pub fn held(&self, check: usize) -> Option<&Status> {
        let v6 = self.checks[check].address.is_ipv6();
        self.doubt.held(check, v6)
    }

    /// The freezes there are now, of IPv4 and of IPv6.
    #[must_use]
    pub fn frozen(&self) -> [Option<Frozen>; 2] {
        self.doubt.frozen()
    }

    /// How many freezes there were.
    #[must_use]
    pub fn freezes(&self) -> u64 {
        self.freezes
    }

    /// The words that follow from all results up to now.
    #[must_use]
    pub fn table(&self, now: Time) -> Table {
        let words = self.slots.iter().enumerate();
        Table::new(words.map(|(n, slot)| self.word(n, slot, now)).collect())
    }

    fn word(&self, number: usize, slot: &Slot, now: Time) -> Word {
        if let Some(order) = self.orders.get(&slot.node) {
            let ends = order.takes_hold(slot.slow);
            if now < ends {
                let word = self.measured(slot, now);
                return Word::new(word.in_service(), 0, word.last_in_service());
            }
            return ordered(order, ends, now);
        }
        let word = self.measured(slot, now);
        match self.damper.of(number) {
            Some(damped) => {
                let left = seconds(damped.until.saturating_sub(now));
                let fresh = now < damped.since + FIRST_MINUTE;
                let cap = if fresh { 0 } else { left };
                Word::new(false, cap, word.last_in_service())
            }
            None => word,
        }
    }

    fn measured(&self, slot: &Slot, now: Time) -> Word {
        let words = slot
            .checks
            .iter()
            .map(|&check| self.check_word(check, slot.strict, now));
        together(words, slot.need)
    }

    fn check_word(&self, check: usize, strict: bool, now: Time) -> Word {
        let (held, probe) = (self.held(check), &self.checks[check].probe);
        let status = held.unwrap_or(&self.statuses[check]);
        let state = status.counter.state();
        let cap = match (state, status.counter.moving(probe.thresholds())) {
            // Frozen, new in its state or recovering: anything may come, so the least.
            _ if held.is_some() => 0,
            (State::Up | State::Down, _) if strict => {
                seconds(probe.every * status.counter.needed(probe.thresholds()))
            }
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
fn ordered(order: &Order, since: Time, now: Time) -> Word {
    let fresh = now < since + FIRST_MINUTE;
    let left = order.until.map(|until| seconds(until.saturating_sub(now)));
    let cap = if fresh { 0 } else { left.unwrap_or(STEADY) };
    match order.forced {
        Forced::Up => Word::new(true, cap, u32::MAX),
        Forced::Drained | Forced::Down => Word::new(false, cap, 0),
    }
}

/// Whole seconds, at most the highest cap below [`STEADY`].
fn seconds(time: Duration) -> u16 {
    u16::try_from(time.as_secs())
        .unwrap_or(u16::MAX)
        .min(STEADY - 1)
}
