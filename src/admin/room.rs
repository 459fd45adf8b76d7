//! How many connections the admin API has over TCP: in all, and from one place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::prefix::Prefix;

/// Connections at one time of all of TCP. More wait.
const IN_ALL: usize = 64;
/// Of one client. More are closed at once: nobody alone keeps all others waiting.
const FROM_ONE: u32 = 32;

/// Room for the connections of all listeners.
#[derive(Clone, Debug)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    from: Arc<Mutex<HashMap<Prefix, u32>>>,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    whose: Prefix,
    room: Room,
    _free: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(IN_ALL)),
            from: Arc::default(),
        }
    }

    /// Waits for a place that is free for the next connection, whoever it is of.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// The place for a connection from `ip`; none: there are enough from there.
    pub(super) fn seat(&self, ip: IpAddr, free: OwnedSemaphorePermit) -> Option<Seat> {
        let whose = Prefix::of_one(ip);
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let count = from.entry(whose).or_default();
        if *count >= FROM_ONE {
            return None;
        }
        *count += 1;
        Some(Seat {
            whose,
            room: self.clone(),
            _free: free,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let from = self.room.from.lock();
        let mut from = from.unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = from.entry(self.whose) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_alone_takes_all() {
        let room = Room::new();
        let sit = async |ip: &str| {
            let free = room.free().await.unwrap();
            room.seat(ip.parse().unwrap(), free)
        };
        let mut seats = Vec::new();
        for n in 0..FROM_ONE {
            let seat = sit(&format!("2001:db8::{n:x}")).await;
            seats.push(seat.expect("there is room"));
        }
        assert!(sit("2001:db8::ffff").await.is_none());
        assert!(sit("2001:db8:0:1::1").await.is_some());
        assert!(sit("192.0.2.1").await.is_some());
        seats.pop();
        assert!(sit("2001:db8::ffff").await.is_some());
        seats.clear();
        assert_eq!(room.all.available_permits(), IN_ALL);
        assert!(room.from.lock().unwrap().is_empty());
    }
}
