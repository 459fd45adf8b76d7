//! Since when this server answers with each key of its zones in the state that it has: what the steps of a roll count from.
//!
//! It is of this server alone, so it is not in the list of keys, which is copied to others; it outlives a restart in the state folder, where
//! it stands for how long, as what is not answered while the server is down counts for nothing. Without one, time counts anew from each start.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handle::Handle;
use super::keep;
use super::keyring::ZoneKeys;
use super::load::AllKeys;
use super::rollover::{KeyEntry, KeyState};
use super::sign::{longest_ttl, spread};
use crate::clock;
use crate::health::Time;
use crate::zone::{Name, Zone};

const FILE: &str = "keys_answered.json";

/// By zone and tag: the state, and since when by the clock of the process, which is never set.
type Since = HashMap<(Name, u16), (KeyState, Time)>;

/// The keys that are answered with.
#[derive(Debug, Default)]
pub(super) struct Answered {
    since: Since,
    keys: AllKeys,
}

/// A key of a zone, as it is answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyLine {
    /// The zone.
    pub zone: String,
    /// The key's number.
    pub key: u16,
    /// `csk`, `ksk` or `zsk`.
    pub role: String,
    /// Where it is on its way.
    pub state: KeyState,
    /// Seconds until it moves on by itself; none: it waits for somebody, or for nothing.
    pub left: Option<u64>,
    /// Its DS is to be put into the parent.
    pub waits_for_ds: bool,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    zone: String,
    key: u16,
    state: KeyState,
    /// Seconds that it was answered with in this state; files of before have none.
    #[serde(default)]
    answered: u64,
}

impl Answered {
    /// What a folder holds.
    pub(super) fn restore(folder: Option<&Path>, now: Time) -> Self {
        let lines: Option<Vec<Line>> = folder.and_then(|folder| keep::read(&folder.join(FILE)));
        let known = lines.unwrap_or_default().into_iter().filter_map(|line| {
            let zone = Name::absolute(&line.zone).ok()?;
            let age = Duration::from_secs(line.answered);
            Some(((zone, line.key), (line.state, now.saturating_sub(age))))
        });
        Self {
            since: known.collect(),
            keys: AllKeys::new(),
        }
    }

    /// Takes down what is answered with from now on; whether there is anything to write: it is new, or time counts for a key.
    pub(super) fn note(&mut self, keys: &AllKeys, now: Time) -> bool {
        let of_zone = |(zone, keys): (&Name, &Arc<ZoneKeys>)| {
            let of_key = |entry: &KeyEntry| {
                let at = (zone.clone(), entry.tag);
                let known = self
                    .since
                    .get(&at)
                    .filter(|(state, _)| *state == entry.state);
                let since = known.map_or(now, |(_, since)| *since);
                (at, (entry.state, since))
            };
            keys.entries().map(of_key).collect::<Vec<_>>()
        };
        let since: Since = keys.iter().flat_map(of_zone).collect();
        let counts = since.values().any(|(state, _)| *state != KeyState::Active);
        let is_new = self.since != since;
        self.since = since;
        self.keys.clone_from(keys);
        is_new || counts
    }

    /// Seconds that a key is answered with in its state; none: it is not.
    pub(super) fn seconds(&self, zone: &Name, entry: &KeyEntry, now: Time) -> Option<u64> {
        let (state, since) = self.since.get(&(zone.clone(), entry.tag))?;
        (*state == entry.state).then(|| now.saturating_sub(*since).as_secs())
    }

    /// Writes it into a folder.
    pub(super) fn write(&self, folder: &Path, now: Time) -> io::Result<()> {
        let line = |((zone, key), (state, since)): (&(Name, u16), &(KeyState, Time))| Line {
            zone: zone.to_string(),
            key: *key,
            state: *state,
            answered: now.saturating_sub(*since).as_secs(),
        };
        let mut lines: Vec<Line> = self.since.iter().map(line).collect();
        lines.sort_by(|a, b| (&a.zone, a.key).cmp(&(&b.zone, b.key)));
        keep::write(&folder.join(FILE), &lines)
    }
}

impl Handle {
    fn lock_answered(&self) -> MutexGuard<'_, Answered> {
        let answered = self.0.answered.lock();
        answered.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the process before has known of its keys.
    pub(super) fn restore_keys(&self) {
        *self.lock_answered() = Answered::restore(self.state(), self.now());
        let keys = self.basis().parts.keys.clone();
        self.note_keys(&keys);
    }

    /// The keys of the zones that are signed.
    #[must_use]
    pub fn key_lines(&self) -> Vec<KeyLine> {
        let (snapshot, now, wall) = (self.current().get(), self.now(), clock::wall());
        let zones = snapshot.zones.list().iter().enumerate();
        let answered = self.lock_answered();
        let of_zone = |(number, zone): (usize, &Zone)| {
            let keys = answered.keys.get(zone.apex())?;
            let of_key = |entry: &KeyEntry| {
                // All of the zone is looked at only where it matters.
                let longest = match entry.state {
                    KeyState::Retired => longest_ttl(zone),
                    KeyState::Published | KeyState::Ready | KeyState::Active => 0,
                };
                let past = answered.seconds(zone.apex(), entry, now).unwrap_or(0);
                let past = past.min(wall.saturating_sub(entry.since));
                let stay = entry.stay(longest, spread(&snapshot, number));
                KeyLine {
                    zone: zone.apex().to_string(),
                    key: entry.tag,
                    role: entry.role.clone(),
                    state: entry.state,
                    left: stay.map(|stay| stay.saturating_sub(past)),
                    waits_for_ds: entry.state == KeyState::Ready && entry.signs_keys(),
                }
            };
            Some(keys.entries().map(of_key).collect::<Vec<_>>())
        };
        zones.filter_map(of_zone).flatten().collect()
    }

    /// Takes down that it answers with these keys.
    pub(super) fn note_keys(&self, keys: &AllKeys) {
        let (mut answered, now) = (self.lock_answered(), self.now());
        let is_to_write = answered.note(keys, now);
        let Some(folder) = self.state().filter(|_| is_to_write) else {
            return;
        };
        if let Err(error) = answered.write(folder, now) {
            tracing::warn!("ages of keys are not kept in {}: {error}", folder.display());
        }
    }

    /// Seconds that it answers with a key in its state; none: it does not.
    pub(super) fn answered(&self, zone: &Name, key: &KeyEntry, now: Time) -> Option<u64> {
        self.lock_answered().seconds(zone, key, now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::keyring::Keyring;
    use super::super::rollover::advance;
    use super::*;
    use crate::dnssec::{Algorithm, Key, Role};

    const HOUR: u64 = 3600;
    /// When all of this begins, seconds of Unix time; the clock of the process is another.
    const BEGIN: u64 = 1_800_000_000;

    struct Server {
        ring: Keyring,
        zone: Name,
        loaded: AllKeys,
        answered: Answered,
    }

    impl Server {
        fn add(&self, role: Role, state: KeyState, hour: u64) -> u16 {
            let key = Key::make(Algorithm::Ed25519).unwrap();
            let kind = (Algorithm::Ed25519, role, state);
            let now = Duration::from_secs(BEGIN + hour * HOUR);
            self.ring.add(&self.zone, kind, &key, now).unwrap().tag
        }

        fn load(&mut self) {
            let keys = Arc::new(self.ring.keys(&self.zone).unwrap());
            self.loaded = AllKeys::from([(self.zone.clone(), keys)]);
        }

        /// What is done at a minute.
        fn look(&mut self, minute: u64) -> Vec<String> {
            let now = Duration::from_secs(minute * 60);
            self.answered.note(&self.loaded, now);
            let answered = |entry: &KeyEntry| self.answered.seconds(&self.zone, entry, now);
            let wall = BEGIN + minute * 60;
            let moved = self.ring.change(&self.zone, |keys| {
                Ok(advance(&mut keys.list.keys, wall, (300, 0), answered))
            });
            moved.unwrap()
        }
    }

    #[test]
    fn a_roll_counts_from_the_reload_that_has_its_key_and_over_restarts() {
        let folder = format!("nearmost-answered-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let mut server = Server {
            ring: Keyring::at(&folder.join("keys")),
            zone: Name::absolute("example.org").unwrap(),
            loaded: AllKeys::new(),
            answered: Answered::default(),
        };
        server.add(Role::Ksk, KeyState::Active, 0);
        let old = server.add(Role::Zsk, KeyState::Active, 0);
        server.load();
        let new = server.add(Role::Zsk, KeyState::Published, 0);
        let mut done = Vec::new();
        for minute in 0..24 * 60 {
            // Reloads fail for five hours.
            if minute == 5 * 60 {
                server.load();
            }
            // The server is down for three hours: nothing is answered.
            let (now, down) = (Duration::from_secs(minute * 60), 6 * 60..9 * 60);
            if minute == down.start {
                server.answered.write(&folder, now).unwrap();
            }
            if minute == down.end {
                server.answered = Answered::restore(Some(&folder), now);
            }
            if down.contains(&minute) {
                continue;
            }
            let moved = server.look(minute);
            done.extend(moved.into_iter().map(|what| (minute, what)));
            // The step that follows is read only hours later.
            if minute == 12 * 60 {
                server.load();
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        let expected = [
            (10 * 60, format!("key {new} signs from now on")),
            (13 * 60 + 6, format!("key {old} is gone")),
        ];
        assert_eq!(done, expected);
    }
}
