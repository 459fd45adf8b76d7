//! What a board takes over from that of the generation before.

use std::collections::HashMap;

use super::board::{Board, Check};
use super::counter::State;
use super::slot::Slot;

impl Board {
    /// Goes on from the board of the generation before: orders stay, and so does all that is known of a check that this one has too,
    /// which is one of an equal probe, of the same address, under the same name. One whose probe is another of the same name goes on from
    /// its state, as after a restart: new numbers are no reason to take a node out. For each check the number that it had there.
    pub fn go_on(&mut self, last: &Self) -> Vec<Option<usize>> {
        self.orders = last.orders.clone();
        // Else every state would be called new, and every TTL be the least, after each change.
        self.started = last.started;
        self.freezes = last.freezes;
        let named = self.named_checks(last);
        let equal =
            |check: usize, number: usize| self.checks[check].probe == last.checks[number].probe;
        let known: Vec<Option<usize>> = (0..)
            .zip(&named)
            .map(|(check, number)| number.filter(|number| equal(check, *number)))
            .collect();
        for (check, number) in named.iter().enumerate() {
            let Some(number) = *number else { continue };
            let before = &last.statuses[number];
            if known[check].is_some() {
                self.statuses[check] = before.clone();
            } else if before.counter.state() != State::Unknown {
                self.resume(check, before.counter.state(), before.since);
                let status = &mut self.statuses[check];
                (status.since, status.last_up) = (before.since, before.last_up);
                status.last_error.clone_from(&before.last_error);
            }
        }
        self.doubt.go_on(&last.doubt, &known, &self.statuses);
        let slots = self.known_slots(last, &known);
        self.damper.go_on(&last.damper, &slots);
        known
    }

    fn named_checks(&self, last: &Self) -> Vec<Option<usize>> {
        let key = |check: &Check| (check.address, check.host.clone(), check.probe.name.clone());
        let numbers: HashMap<_, usize> = last.checks.iter().map(key).zip(0..).collect();
        let number = |check: &Check| numbers.get(&key(check)).copied();
        self.checks.iter().map(number).collect()
    }

    /// For each slot the number of the one before that is judged by the same checks in the same way.
    fn known_slots(&self, last: &Self, known: &[Option<usize>]) -> Vec<Option<usize>> {
        let numbers: HashMap<&Slot, usize> = last.slots.iter().zip(0..).collect();
        let before = |slot: &Slot| {
            let checks = slot.checks.iter().map(|check| known[*check]);
            let mut slot = slot.clone();
            slot.checks = checks.collect::<Option<_>>()?;
            numbers.get(&slot).copied()
        };
        self.slots.iter().map(before).collect()
    }
}
