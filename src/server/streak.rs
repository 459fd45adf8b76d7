//! Questions of the same zone and the same pool that come after one another are counted together: most of a batch are alike, and a
//! counter that others read is touched once for all of them.

use crate::answer::{Outcome, Scratch};
use crate::snapshot::{Given, Snapshot};

/// What is counted together. It is of one generation, as the numbers are.
pub(super) struct Streak<'s> {
    given: Option<&'s Given>,
    like: Like,
    count: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Like {
    zone: Option<u32>,
    pool: Option<u32>,
    none_left: bool,
    fail_open: bool,
    gave: bool,
}

impl<'s> Streak<'s> {
    /// For the threads with this number.
    pub(super) fn of(snapshot: &'s Snapshot, number: usize) -> Self {
        Self {
            given: snapshot.given.get(number),
            like: Like::default(),
            count: 0,
        }
    }

    /// Counts what became of a question; `scratch` is that of the answer.
    #[inline]
    pub(super) fn count(&mut self, outcome: &Outcome, scratch: &Scratch) {
        let like = Like {
            zone: outcome.zone,
            pool: outcome.pool.map(|used| used.pool),
            none_left: outcome.none_left,
            fail_open: outcome.fail_open,
            gave: outcome.truncated || !scratch.given().is_empty(),
        };
        if like != self.like {
            self.end();
            self.like = like;
        }
        self.count += 1;
    }

    /// Adds what was counted.
    pub(super) fn end(&mut self) {
        let count = std::mem::take(&mut self.count);
        let Some(given) = self.given else { return };
        let at = |number: Option<u32>| number.map_or(usize::MAX, |n| n as usize);
        if let Some(zone) = given.zones.get(at(self.like.zone)) {
            zone.add(count);
        }
        if let Some(pool) = given.pools.get(at(self.like.pool)) {
            let counter = match self.like {
                Like {
                    fail_open: true, ..
                } => &pool.fail_open,
                Like {
                    none_left: true, ..
                } => &pool.none_left,
                Like { gave: true, .. } => &pool.in_service,
                Like { .. } => &pool.no_addresses,
            };
            counter.add(count);
        }
    }
}
