//! Versions that are to be on the disk and are not: those that are new, and those that could not be written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::health::Time;

/// What could not be written is tried again after so long: a disk may have room again.
const AGAIN: Duration = Duration::from_secs(60);

/// A zone's name in lower case.
pub(super) type Key = Box<[u8]>;

/// Zones whose newest version could not be written.
#[derive(Debug, Default)]
pub(in crate::control) struct Unkept {
    zones: BTreeSet<Key>,
    tried: Time,
}

impl Unkept {
    /// The zones to be written now, where these have changed; whether each is on the disk already.
    pub(super) fn due(&mut self, changed: &BTreeMap<Key, bool>, now: Time) -> BTreeSet<Key> {
        self.zones.retain(|zone| !changed.contains_key(zone));
        let new = changed.iter().filter(|(_, kept)| !**kept);
        let mut due: BTreeSet<Key> = new.map(|(zone, _)| zone.clone()).collect();
        if self.tried + AGAIN <= now {
            self.tried = now;
            due.append(&mut self.zones);
        }
        due
    }

    /// Those that are still to be written.
    pub(super) fn zones(&self) -> impl Iterator<Item = &Key> {
        self.zones.iter()
    }

    /// These could not be written.
    pub(super) fn add(&mut self, zones: BTreeSet<Key>) {
        self.zones.extend(zones);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_tried_again() {
        let mut unkept = Unkept::default();
        let key = |name: &str| -> Key { name.as_bytes().into() };
        let mut due = |at: u64, changed: &[(&str, bool)], full: bool| {
            let changed = changed.iter().map(|(name, kept)| (key(name), *kept));
            let due = unkept.due(&changed.collect(), Time::from_secs(at));
            let names = due.iter().map(|name| String::from_utf8_lossy(name));
            let names = names.collect::<Vec<_>>().join(" ");
            if full {
                unkept.add(due);
            }
            names
        };
        assert_eq!(
            due(100, &[("a", false), ("b", true), ("c", false)], true),
            "a c"
        );
        assert_eq!(due(101, &[], true), "");
        assert_eq!(due(159, &[], true), "");
        assert_eq!(due(160, &[], true), "a c");
        // One that is written with its next version is done, another waits on.
        assert_eq!(due(170, &[("a", true), ("d", false)], true), "d");
        assert_eq!(due(220, &[], false), "c d");
        assert_eq!(due(500, &[], false), "");
    }
}
