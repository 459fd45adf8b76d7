//! Requests without a valid token: counted, and told of in the log seldom enough that nobody fills it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::health::Time;

/// Time between two lines of the log.
const SELDOM: Duration = Duration::from_secs(60);

/// Those who were sent away.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    in_all: u64,
    /// Since the last line of the log.
    untold: u64,
    told: Option<Time>,
}

impl Strangers {
    /// Counts one; how many are to be told of now, if any.
    fn count(&self, now: Time) -> Option<u64> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.in_all += 1;
        count.untold += 1;
        if count.told.is_some_and(|told| now < told + SELDOM) {
            return None;
        }
        count.told = Some(now);
        Some(std::mem::take(&mut count.untold))
    }

    /// Counts one from `address`, and tells.
    pub(super) fn turned_away(&self, address: SocketAddr, now: Time) {
        if let Some(count) = self.count(now) {
            tracing::warn!(
                "admin: {count} requests without a valid token, the last from {address}"
            );
        }
    }

    /// How many there were.
    pub(super) fn in_all(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_a_line_a_minute() {
        let strangers = Strangers::default();
        let at = |seconds| strangers.count(Duration::from_secs(seconds));
        assert_eq!(at(100), Some(1));
        assert_eq!((at(101), at(159)), (None, None));
        assert_eq!(at(160), Some(3));
        assert_eq!(strangers.in_all(), 4);
    }
}
