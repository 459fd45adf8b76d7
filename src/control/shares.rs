//! How the answers of the last minutes are shared among addresses: the counters, looked at from time to time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::snapshot::Snapshot;

/// Time between looks.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// Looks that are kept: five minutes.
const KEPT: usize = 30;

/// What was looked at, of one generation: its numbers mean nothing in another.
#[derive(Debug, Default)]
pub(super) struct Shares {
    generation: u64,
    looks: VecDeque<Vec<u64>>,
}

impl Shares {
    /// Looks at the counters.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        if self.generation != snapshot.generation {
            self.generation = snapshot.generation;
            self.looks.clear();
        }
        if self.looks.len() == KEPT {
            self.looks.pop_front();
        }
        self.looks.push_back(sums(snapshot));
    }

    /// Goes on with another generation, whose addresses had these numbers in the one before.
    pub(super) fn go_on(&mut self, generation: u64, addresses: &[Option<usize>]) {
        self.generation = generation;
        for look in &mut self.looks {
            let then = |n: &Option<usize>| n.and_then(|n| look.get(n)).copied().unwrap_or(0);
            *look = addresses.iter().map(then).collect();
        }
    }

    /// For each address its share of all that were given in the last minutes; none where none was.
    pub(super) fn of(&self, snapshot: &Snapshot) -> Option<Vec<f64>> {
        let then = self
            .looks
            .front()
            .filter(|_| self.generation == snapshot.generation);
        let now = sums(snapshot);
        let before = |i: usize| then.and_then(|sums| sums.get(i)).copied().unwrap_or(0);
        let given: Vec<u64> = (0..)
            .zip(now)
            .map(|(i, n)| n.saturating_sub(before(i)))
            .collect();
        let all: u64 = given.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = |n: &u64| *n as f64 / all as f64;
        (all > 0).then(|| given.iter().map(share).collect())
    }
}

fn sums(snapshot: &Snapshot) -> Vec<u64> {
    let sum = |i: usize| snapshot.given.iter().map(|own| own.of[i].count.get()).sum();
    let counted = snapshot.given.first().map_or(0, |own| own.of.len());
    (0..counted).map(sum).collect()
}
