//! What will become a failure if nothing is done: told once in the log.

use std::collections::HashSet;

use crate::health::{Board, Time};

/// The checks, by number, that were warned of.
#[derive(Debug, Default)]
pub(super) struct Warned(HashSet<usize>);

impl Warned {
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
