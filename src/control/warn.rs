//! What will become a failure if nothing is done: told once in the log.

use std::collections::HashSet;

use crate::health::{Board, Time};

/// The checks, by number, that were warned of.
#[derive(Debug, Default)]
pub(super) struct Warned(HashSet<usize>);

impl Warned {
    /// Goes on with the board of another generation, which has for each check its number on the one before.
    pub(super) fn go_on(&mut self, known: &[Option<usize>]) {
        let before = std::mem::take(&mut self.0);
        let warned = |number: &Option<usize>| number.is_some_and(|n| before.contains(&n));
        let all = known.iter().enumerate();
        self.0 = all.filter(|(_, n)| warned(n)).map(|(n, _)| n).collect();
    }

    /// Looks at the newest result of a check.
    pub(super) fn look(&mut self, board: &Board, number: usize, now: Time) {
        let (Some(check), Some(status)) =
            (board.checks().get(number), board.statuses().get(number))
        else {
            return;
        };
        let Some((_, outcome)) = &status.last else {
            return;
        };
        match outcome.seen.warning(&check.probe, now) {
            Some(warning) if self.0.insert(number) => tracing::warn!(
                "{} {} {}: {warning}",
                check.node,
                check.address,
                check.probe.name
            ),
            // A run that saw no certificate says nothing of it.
            None if outcome.seen.certificate_ends.is_some() => _ = self.0.remove(&number),
            _ => {}
        }
    }
}
