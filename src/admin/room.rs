//! Which connections the admin API has over TCP, and which one makes room for the next.
//!
//! Where there is no room for one more, in all or for its client, the longest open one goes of those where nobody has shown a token yet, of
//! the client that has the most of them. So strangers push out each other, and no operator.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::prefix::Prefix;

/// Connections at one time of all of TCP.
const IN_ALL: usize = 64;
/// Of one client.
const FROM_ONE: usize = 32;

/// Room for the connections of all listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct Room(Arc<Mutex<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    /// Those that are taken, by their number: the least is the oldest.
    taken: BTreeMap<u64, Taken>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Taken {
    whose: Prefix,
    known: Known,
    goes: Arc<Notify>,
}

/// Whether somebody has shown at a connection that they may ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<AtomicBool>);

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    /// Whether another connection was closed for it.
    pub(super) pushed: bool,
    taken: Taken,
    room: Room,
}

impl Known {
    pub(super) fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stranger(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl Room {
    /// The place for a connection from `ip`; none: all that could make room are of those who may ask.
    pub(super) fn seat(&self, ip: IpAddr) -> Option<Seat> {
        let whose = Prefix::of_one(ip);
        let mut seats = self.lock();
        let own = seats.taken.values().filter(|t| t.whose == whose).count();
        let pushed = if own >= FROM_ONE {
            seats.push_out(|taken| taken.whose == whose)?;
            true
        } else if seats.taken.len() >= IN_ALL {
            seats.push_out(|_| true)?;
            true
        } else {
            false
        };
        let number = seats.next;
        seats.next += 1;
        let taken = Taken {
            whose,
            known: Known::default(),
            goes: Arc::default(),
        };
        seats.taken.insert(number, taken.clone());
        Some(Seat {
            number,
            pushed,
            taken,
            room: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Closes a stranger's connection; none: there is none of these.
    fn push_out(&mut self, of: impl Fn(&Taken) -> bool) -> Option<()> {
        let strangers = || self.taken.iter().filter(|(_, t)| t.known.is_stranger());
        let count = |whose| strangers().filter(|(_, t)| t.whose == whose).count();
        let (number, _) = strangers()
            .filter(|(_, taken)| of(taken))
            .min_by_key(|(number, taken)| (Reverse(count(taken.whose)), **number))?;
        let number = *number;
        self.taken.remove(&number)?.goes.notify_one();
        Some(())
    }
}

impl Seat {
    /// Whether the one who has it may ask.
    pub(super) fn known(&self) -> &Known {
        &self.taken.known
    }

    /// Waits until it is another's.
    pub(super) async fn is_lost(&self) {
        self.taken.goes.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Room {
        fn sit(&self, ip: &str) -> Option<Seat> {
            self.seat(ip.parse().unwrap())
        }

        fn has(&self, seat: &Seat) -> bool {
            self.lock().taken.contains_key(&seat.number)
        }
    }

    #[tokio::test]
    async fn strangers_push_out_each_other() {
        let room = Room::default();
        let first = room.sit("192.0.2.9").unwrap();
        let mut seats = Vec::new();
        for n in 0..FROM_ONE {
            seats.push(room.sit(&format!("2001:db8::{n:x}")).unwrap());
        }
        for _ in 1..FROM_ONE {
            seats.push(room.sit("192.0.2.1").unwrap());
        }
        assert!(seats.iter().all(|seat| !seat.pushed && room.has(seat)));
        // The oldest of those who have the most, not the oldest of all; and of a client that has its share its own.
        for (ip, goes) in [("192.0.2.2", 0), ("192.0.2.1", 1), ("192.0.2.1", 32)] {
            let seat = room.sit(ip).unwrap();
            assert!(seat.pushed && room.has(&seat));
            seats[goes].is_lost().await;
            assert!(!room.has(&seats[goes]) && room.has(&first), "{goes}");
            seats.push(seat);
        }
        assert_eq!(room.lock().taken.len(), IN_ALL);
        drop((first, seats));
        assert!(room.lock().taken.is_empty());
    }

    #[test]
    fn who_may_ask_is_not_pushed_out() {
        let room = Room::default();
        let mut seats = Vec::new();
        for ip in ["192.0.2.1", "192.0.2.2"] {
            for _ in 0..FROM_ONE {
                let seat = room.sit(ip).unwrap();
                seat.known().admit();
                seats.push(seat);
            }
            assert!(room.sit(ip).is_none());
        }
        assert!(room.sit("192.0.2.3").is_none());
        seats.pop();
        let stranger = room.sit("192.0.2.3").unwrap();
        seats.push(room.sit("192.0.2.4").unwrap());
        assert!(!room.has(&stranger));
        assert!(seats.iter().all(|seat| room.has(seat)));
    }
}
