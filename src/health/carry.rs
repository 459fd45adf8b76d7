//! What a board takes over from that of the generation before.

use std::collections::HashMap;

use super::board::{Board, Check};
use super::slot::Slot;

impl Board {
    /// Goes on from the board of the generation before: orders stay, and so does all that is known of a check that this one has too,
    /// which is one of an equal probe, of the same address, under the same name. For each check the number that it had there.
    pub fn go_on(&mut self, last: &Self) -> Vec<Option<usize>> {
        self.orders = last.orders.clone();
        // Else every state would be called new, and every TTL be the least, after each change.
        self.started = last.started;
        self.freezes = last.freezes;
        let known = self.known_checks(last);
        for (status, number) in self.statuses.iter_mut().zip(&known) {
            if let Some(number) = number {
                *status = last.statuses[*number].clone();
            }
        }
        self.doubt.go_on(&last.doubt, &known, &self.statuses);
        let slots = self.known_slots(last, &known);
        self.damper.go_on(&last.damper, &slots);
        known
    }

    fn known_checks(&self, last: &Self) -> Vec<Option<usize>> {
        let key = |check: &Check| (check.address, check.host.clone(), check.probe.name.clone());
        let numbers: HashMap<_, usize> = last.checks.iter().map(key).zip(0..).collect();
        let known = |check: &Check| {
            let number = *numbers.get(&key(check))?;
            (last.checks[number].probe == check.probe).then_some(number)
        };
        self.checks.iter().map(known).collect()
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
