//! Requests without a valid token, and connections that are closed for others: counted, and told of in the log seldom enough that nobody
//! fills it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::health::Time;

/// Time between two lines of the log.
const SELDOM: Duration = Duration::from_secs(60);

/// Those who were sent away.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    requests: Counted,
    connections: Counted,
}

#[derive(Clone, Debug, Default)]
struct Counted(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    in_all: u64,
    /// Since the last line of the log.
    untold: u64,
    told: Option<Time>,
}

impl Counted {
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

    fn in_all(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

impl Strangers {
    /// Counts a request from `address` without a valid token, and tells.
    pub(super) fn turned_away(&self, address: SocketAddr, now: Time) {
        if let Some(count) = self.requests.count(now) {
            tracing::warn!(
                "admin: {count} requests without a valid token, the last from {address}"
            );
        }
    }

    /// Counts a connection that was closed as `address` connected, another or that one, and tells.
    pub(super) fn crowded(&self, address: SocketAddr, now: Time) {
        if let Some(count) = self.connections.count(now) {
            tracing::warn!(
                "admin: {count} connections closed, as there are too many; the last to connect was {address}"
            );
        }
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> u64 {
        self.requests.in_all()
    }

    /// How many connections were closed.
    pub(super) fn connections(&self) -> u64 {
        self.connections.in_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_a_line_a_minute() {
        let counted = Counted::default();
        let at = |seconds| counted.count(Duration::from_secs(seconds));
        assert_eq!(at(100), Some(1));
        assert_eq!((at(101), at(159)), (None, None));
        assert_eq!(at(160), Some(3));
        assert_eq!(counted.in_all(), 4);
    }
}
