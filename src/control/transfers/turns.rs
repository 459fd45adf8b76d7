//! Whose turn it is: which zones are asked for next, and which primaries are not, as they gave no sign of life just now.
//!
//! One primary that is not there must not hold up the zones of others: each has a share of what is done at once, and once it was waited for
//! in vain it is passed over for a while.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::health::Time;

/// So many zones are asked for at once.
const AT_ONCE: usize = 16;
/// So many of one primary.
const OF_ONE: usize = 8;
/// A primary that does not answer is passed over for so long.
const SILENT: Duration = Duration::from_secs(30);

/// Zones that are being asked for, by the primaries that are asked first.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<SocketAddr, Arc<()>>);

/// Held while a zone is asked for.
pub(super) type Turn = Arc<()>;

impl Turns {
    /// Those of the zones in `due` whose turn it is; `first` says which primary of one is asked first.
    pub(super) fn give<Z>(
        &mut self,
        due: impl IntoIterator<Item = Z>,
        first: impl Fn(&Z) -> Option<SocketAddr>,
    ) -> Vec<(Z, Option<Turn>)> {
        self.0.retain(|_, turn| Arc::strong_count(turn) > 1);
        let mut busy: usize = self.0.values().map(|t| Arc::strong_count(t) - 1).sum();
        let mut given = Vec::new();
        for zone in due {
            if busy == AT_ONCE {
                break;
            }
            let turn = match first(&zone) {
                // That is found out without asking anybody.
                None => None,
                Some(primary) => {
                    let turn = self.0.entry(primary).or_default();
                    if Arc::strong_count(turn) > OF_ONE {
                        continue;
                    }
                    busy += 1;
                    Some(Arc::clone(turn))
                }
            };
            given.push((zone, turn));
        }
        given
    }
}

/// Primaries that gave no sign of life, until when they are passed over, and in what words.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<HashMap<SocketAddr, (Time, String)>>);

impl Silent {
    fn list(&self) -> MutexGuard<'_, HashMap<SocketAddr, (Time, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a primary is passed over now; none: it is not.
    pub(super) fn why(&self, primary: SocketAddr, now: Time) -> Option<String> {
        let mut list = self.list();
        list.retain(|_, (until, _)| *until > now);
        list.get(&primary).map(|(_, why)| why.clone())
    }

    /// It was waited for in vain.
    pub(super) fn add(&self, primary: SocketAddr, why: String, now: Time) {
        self.list().insert(primary, (now + SILENT, why));
    }

    /// It has answered.
    pub(super) fn remove(&self, primary: SocketAddr) {
        self.list().remove(&primary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(number: usize) -> SocketAddr {
        ([192, 0, 2, u8::try_from(number).unwrap()], 53).into()
    }

    #[test]
    fn one_primary_leaves_room_for_others() {
        let mut turns = Turns::default();
        let first = |zone: &usize| (*zone < 100).then(|| primary(zone / 50));
        // All the zones of the first primary come before the one of the second.
        let given = turns.give((0..51).chain([200]), first);
        let zones: Vec<usize> = given.iter().map(|(zone, _)| *zone).collect();
        assert_eq!(zones, [0, 1, 2, 3, 4, 5, 6, 7, 50, 200]);
        assert!(turns.give(8..50, first).is_empty(), "it has its share");
        let more = turns.give(51..100, first);
        assert_eq!(more.len(), 7);
        drop(given);
        assert_eq!(turns.give(8..50, first).len(), OF_ONE);
    }

    #[test]
    fn no_more_are_asked_for_at_once_than_so_many() {
        let mut turns = Turns::default();
        let given = turns.give(0..100, |zone| Some(primary(*zone)));
        assert_eq!(given.len(), AT_ONCE);
        assert!(turns.give(100..101, |zone| Some(primary(*zone))).is_empty());
    }

    #[test]
    fn who_was_waited_for_in_vain_is_passed_over_for_a_while() {
        let silent = Silent::default();
        let at = Time::from_secs;
        silent.add(primary(1), "silence".into(), at(100));
        assert_eq!(silent.why(primary(1), at(129)), Some("silence".into()));
        assert_eq!(silent.why(primary(2), at(129)), None);
        assert_eq!(silent.why(primary(1), at(130)), None);
        silent.add(primary(1), "silence".into(), at(200));
        silent.remove(primary(1));
        assert_eq!(silent.why(primary(1), at(201)), None);
    }
}
