//! The keys of signed zones, in a folder: for each zone a list of its keys, and for each key a file that only its owner can read.
//!
//! ```text
//!   keys/NAME.json      the list: tag, algorithm, role, state, since
//!   keys/NAME+TAG.der   PKCS#8
//!
//!   published ---(its DNSKEY is known everywhere)---> ready ---(its DS is seen)---> active ---(another is)---> retired ---> gone
//!             a ZSK becomes active at once where another becomes ready
//! ```
//! A key that a DS points at signs the keys from the beginning to the end; of those that sign the rest one is active.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::keep;
use crate::diagnostic::Span;
use crate::dnssec::{Algorithm, Key, Role};
use crate::health::Time;
use crate::zone::{Data, Name, Record, rtype};

/// The TTL of DNSKEY, CDS and CDNSKEY, seconds.
const TTL: u32 = 3600;
/// Seconds on top of each TTL: caches and secondary servers are not exact.
const MARGIN: u64 = 3600;
/// Seconds that a DS may be in caches, whatever the parent gives it.
const DS_TTL: u64 = 86_400;

/// Where a key is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Its DNSKEY is given; who has asked before does not know it yet.
    Published,
    /// Its DNSKEY is known everywhere: its DS may be put into the parent.
    Ready,
    /// It is what signatures are checked by.
    Active,
    /// It makes no new signatures; its old ones are in caches.
    Retired,
}

/// A key in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its number in records.
    pub tag: u16,
    /// The mnemonic of its algorithm, in lower case.
    pub algorithm: String,
    /// `csk`, `ksk` or `zsk`.
    pub role: String,
    /// Where it is on its way.
    pub state: KeyState,
    /// Since when, in seconds of Unix time.
    pub since: u64,
}

impl KeyEntry {
    fn role(&self) -> Option<Role> {
        Role::named(&self.role)
    }

    fn signs_keys(&self) -> bool {
        self.role().is_some_and(Role::signs_keys)
    }

    fn signs_data(&self) -> bool {
        self.role().is_some_and(Role::signs_data)
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Keyring(PathBuf);

/// The keys of a zone, ready to sign.
#[derive(Debug)]
pub struct ZoneKeys {
    /// Each with its state; the first that is active and signs data signs them.
    all: Vec<(Arc<Key>, KeyState)>,
}

impl ZoneKeys {
    /// Those that sign the keys.
    pub(super) fn ksks(&self) -> Vec<Arc<Key>> {
        let ksks = self.all.iter().filter(|(key, _)| key.role.signs_keys());
        ksks.map(|(key, _)| Arc::clone(key)).collect()
    }

    /// The one that signs the rest.
    pub(super) fn zsk(&self) -> Option<Arc<Key>> {
        let signs = |key: &Key| key.role.signs_data();
        let active =
            |(key, state): &&(Arc<Key>, KeyState)| *state == KeyState::Active && signs(key);
        self.all.iter().find(active).map(|(key, _)| Arc::clone(key))
    }

    /// Whose DS belongs into the parent: that of a key that waits for it, else those that have it.
    #[must_use]
    pub fn wanted_ds(&self) -> Vec<&Key> {
        let of = |wanted: KeyState| {
            let own = self.all.iter().filter(move |(_, state)| *state == wanted);
            let keys = own.map(|(key, _)| &**key);
            keys.filter(|key| key.role.signs_keys()).collect::<Vec<_>>()
        };
        let ready = of(KeyState::Ready);
        if ready.is_empty() {
            of(KeyState::Active)
        } else {
            ready
        }
    }

    /// Their records at the top of a zone: DNSKEY, and CDS and CDNSKEY for a parent that looks at these (RFC 7344).
    pub(super) fn records(&self, apex: &Name, span: Span) -> Vec<Record> {
        let record = |rtype: u16, rdata: &[u8]| Record {
            owner: apex.clone(),
            ttl: TTL,
            data: Data::Plain {
                rtype,
                rdata: rdata.into(),
            },
            span,
        };
        let lower = apex.to_lower();
        let keys = self.all.iter();
        let mut records: Vec<Record> = keys
            .map(|(key, _)| record(rtype::DNSKEY, &key.public.rdata))
            .collect();
        for key in self.wanted_ds() {
            records.push(record(rtype::CDS, &key.public.ds(lower.wire())));
            records.push(record(rtype::CDNSKEY, &key.public.rdata));
        }
        records
    }
}

impl Keyring {
    /// That of a configuration.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.into())
    }

    /// The file that lists the keys of a zone.
    #[must_use]
    pub fn list_file(&self, zone: &Name) -> PathBuf {
        self.0.join(format!("{}.json", file_name(zone)))
    }

    fn key_file(&self, zone: &Name, tag: u16) -> PathBuf {
        self.0.join(format!("{}+{tag:05}.der", file_name(zone)))
    }

    /// The files of a zone's keys, the list first.
    pub(super) fn files(&self, zone: &Name) -> Vec<PathBuf> {
        let list = self.list(zone).unwrap_or_default();
        let keys = list.iter().map(|entry| self.key_file(zone, entry.tag));
        std::iter::once(self.list_file(zone)).chain(keys).collect()
    }

    /// The list of a zone's keys; empty where there is none.
    ///
    /// # Errors
    /// In words.
    pub fn list(&self, zone: &Name) -> Result<Vec<KeyEntry>, String> {
        let path = self.list_file(zone);
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        match fs::read(&path) {
            Ok(octets) => serde_json::from_slice(&octets).map_err(|e| wrong(&e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(wrong(&error)),
        }
    }

    /// The keys of a zone, ready to sign.
    ///
    /// # Errors
    /// In words: no keys, none that signs, a file that is not there, is no such key, or can be read by others.
    pub fn keys(&self, zone: &Name) -> Result<ZoneKeys, String> {
        let mut all = Vec::new();
        for entry in self.list(zone)? {
            let path = self.key_file(zone, entry.tag);
            let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
            let (Some(algorithm), Some(role)) = (Algorithm::named(&entry.algorithm), entry.role())
            else {
                let (algorithm, role) = (&entry.algorithm, &entry.role);
                return Err(wrong(&format!(
                    "nothing is known of \"{algorithm}\" and \"{role}\""
                )));
            };
            let mode = fs::metadata(&path).map_err(|e| wrong(&e))?.permissions();
            if mode.mode() & 0o077 != 0 {
                let mode = mode.mode() & 0o777;
                return Err(wrong(&format!(
                    "others may read it (mode {mode:o}): chmod 600"
                )));
            }
            let octets = fs::read(&path).map_err(|e| wrong(&e))?;
            let key = Key::read(algorithm, role, &octets).map_err(|e| wrong(&e))?;
            if key.public.tag != entry.tag {
                return Err(wrong(&format!("this is the key {}", key.public.tag)));
            }
            all.push((Arc::new(key), entry.state));
        }
        let keys = ZoneKeys { all };
        if keys.all.is_empty() {
            return Err(format!("there are no keys in {}", self.0.display()));
        }
        if keys.zsk().is_none() || keys.ksks().is_empty() {
            let list = self.list_file(zone);
            return Err(format!("{}: no active key signs the zone", list.display()));
        }
        Ok(keys)
    }

    /// Adds a key, given as PKCS#8.
    ///
    /// # Errors
    /// In words, and nothing is added.
    pub fn add(
        &self,
        zone: &Name,
        kind: (Algorithm, Role, KeyState),
        pkcs8: &[u8],
        now: Time,
    ) -> Result<KeyEntry, String> {
        self.change(zone, |keys| keys.add(kind, pkcs8, now))
    }

    /// Changes the list of a zone's keys, while nobody else does; the files of keys that are taken from it go with them.
    ///
    /// # Errors
    /// In words: those of `change`, after which the list is what it was, or those of writing.
    pub fn change<T>(
        &self,
        zone: &Name,
        change: impl FnOnce(&mut Changing<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let path = self.list_file(zone);
        let in_folder = |e: io::Error| format!("{}: {e}", self.0.display());
        let folder = keep::Folder::make(&self.0).map_err(in_folder)?;
        folder.lock().map_err(in_folder)?;
        let before = self.list(zone)?;
        let mut keys = Changing {
            list: before.clone(),
            folder: &folder,
            ring: self,
            zone,
        };
        let done = change(&mut keys)?;
        let list = keys.list;
        if list == before {
            return Ok(done);
        }
        let text = serde_json::to_vec_pretty(&list).map_err(|e| e.to_string())?;
        put(&folder, &path, 0o666, &text)?;
        let stays = |entry: &&KeyEntry| list.iter().all(|other| other.tag != entry.tag);
        for gone in before.iter().filter(stays) {
            let path = self.key_file(zone, gone.tag);
            let name = path.file_name().unwrap_or_default();
            let removed = folder.remove(name);
            removed.map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(done)
    }
}

/// The list of a zone's keys while it is changed.
#[derive(Debug)]
pub struct Changing<'f> {
    /// As it was; what it is in the end is written.
    pub list: Vec<KeyEntry>,
    folder: &'f keep::Folder,
    ring: &'f Keyring,
    zone: &'f Name,
}

impl Changing<'_> {
    /// Adds a key, given as PKCS#8.
    ///
    /// # Errors
    /// In words.
    pub fn add(
        &mut self,
        (algorithm, role, state): (Algorithm, Role, KeyState),
        pkcs8: &[u8],
        now: Time,
    ) -> Result<KeyEntry, String> {
        let key = Key::read(algorithm, role, pkcs8).map_err(|e| e.to_string())?;
        let tag = key.public.tag;
        if self.list.iter().any(|entry| entry.tag == tag) {
            return Err(format!("there is a key {tag} already"));
        }
        let path = self.ring.key_file(self.zone, tag);
        put(self.folder, &path, 0o600, pkcs8)?;
        let entry = KeyEntry {
            tag,
            algorithm: algorithm.word().into(),
            role: role.word().into(),
            state,
            since: now.as_secs(),
        };
        self.list.push(entry.clone());
        Ok(entry)
    }
}

fn put(folder: &keep::Folder, path: &Path, mode: u32, octets: &[u8]) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default();
    let put = folder.put(name, mode, octets);
    put.map_err(|e| format!("{}: {e}", path.display()))
}

/// The zone's name as a file has it: without the final dot, and what separates folders written as in addresses of pages.
fn file_name(zone: &Name) -> String {
    let name = zone.to_lower().to_string();
    let name = name.strip_suffix('.').filter(|n| !n.is_empty());
    name.unwrap_or("@").replace('%', "%25").replace('/', "%2F")
}

/// Moves keys on as far as time has; what was done, in words. `longest` is the longest TTL of the zone, seconds.
pub(super) fn advance(list: &mut Vec<KeyEntry>, now: Time, longest: u32) -> Vec<String> {
    let now = now.as_secs();
    let mut done = Vec::new();
    let past = |entry: &KeyEntry, after: u64| now >= entry.since + after + MARGIN;
    for entry in list.iter_mut() {
        if entry.state == KeyState::Published && past(entry, TTL.into()) {
            (entry.state, entry.since) = (KeyState::Ready, now);
            done.push(format!("key {} is known everywhere", entry.tag));
        }
    }
    // What no DS points at need not wait for one.
    let next = |e: &KeyEntry| e.state == KeyState::Ready && !e.signs_keys();
    if let Some(tag) = list.iter().find(|e| next(e)).map(|e| e.tag) {
        activate(list, tag, now);
        done.push(format!("key {tag} signs from now on"));
    }
    list.retain(|entry| {
        let after = if entry.signs_keys() { DS_TTL } else { 0 }.max(longest.into());
        let stays = entry.state != KeyState::Retired || !past(entry, after);
        if !stays {
            done.push(format!("key {} is gone", entry.tag));
        }
        stays
    });
    done
}

/// Makes a key the active one of its kind; those before it retire.
pub fn activate(list: &mut [KeyEntry], tag: u16, now: u64) {
    let new = list.iter().find(|entry| entry.tag == tag).cloned();
    let Some(new) = new else { return };
    let replaced = |entry: &KeyEntry| {
        entry.tag != tag
            && (!entry.signs_keys() || new.signs_keys())
            && (!entry.signs_data() || new.signs_data())
    };
    for entry in list {
        if entry.tag == tag {
            (entry.state, entry.since) = (KeyState::Active, now);
        } else if entry.state == KeyState::Active && replaced(entry) {
            (entry.state, entry.since) = (KeyState::Retired, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(tag: u16, role: &str, state: KeyState, since: u64) -> KeyEntry {
        KeyEntry {
            tag,
            algorithm: "ed25519".into(),
            role: role.into(),
            state,
            since,
        }
    }

    fn states(list: &[KeyEntry]) -> Vec<(u16, KeyState)> {
        list.iter().map(|e| (e.tag, e.state)).collect()
    }

    #[test]
    fn a_zsk_rolls_by_itself_and_never_leaves_the_zone_without_one() {
        let (active, published) = (KeyState::Active, KeyState::Published);
        let mut list = vec![
            entry(1, "ksk", active, 0),
            entry(2, "zsk", active, 0),
            entry(3, "zsk", published, 1000),
        ];
        let mut seen = vec![states(&list)];
        for minute in 0..60 * 24 {
            let now = Duration::from_secs(1000 + 60 * minute);
            advance(&mut list, now, 7200);
            let signs = |e: &&KeyEntry| e.state == active && e.signs_data();
            assert_eq!(list.iter().filter(signs).count(), 1, "{list:?}");
            if seen.last() != Some(&states(&list)) {
                seen.push(states(&list));
                println!("{minute} {list:?}");
            }
        }
        assert_eq!(
            seen,
            [
                vec![(1, active), (2, active), (3, published)],
                vec![(1, active), (2, KeyState::Retired), (3, active)],
                vec![(1, active), (3, active)],
            ]
        );
    }

    #[test]
    fn a_csk_waits_for_its_ds() {
        let mut list = vec![
            entry(1, "csk", KeyState::Active, 0),
            entry(2, "csk", KeyState::Published, 0),
        ];
        let year = Duration::from_secs(365 * 86_400);
        advance(&mut list, year, 300);
        assert_eq!(states(&list), [(1, KeyState::Active), (2, KeyState::Ready)]);
        activate(&mut list, 2, year.as_secs());
        let day = Duration::from_secs(86_400);
        advance(&mut list, year + day, 300);
        assert_eq!(
            states(&list),
            [(1, KeyState::Retired), (2, KeyState::Active)]
        );
        advance(&mut list, year + day + Duration::from_secs(MARGIN), 300);
        assert_eq!(states(&list), [(2, KeyState::Active)]);
    }

    #[test]
    fn no_key_is_lost_where_many_add_some_at_once() {
        let folder = format!("nearmost-keyring-{}", std::process::id());
        let ring = Keyring::at(&std::env::temp_dir().join(folder).join("keys"));
        let zone = Name::absolute("example.org").unwrap();
        let kind = (Algorithm::Ed25519, Role::Zsk, KeyState::Published);
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..8 {
                        let key = Key::make(Algorithm::Ed25519).unwrap();
                        // Two keys of one tag are rare, and the second is refused.
                        let _ = ring.add(&zone, kind, &key, Duration::ZERO);
                    }
                });
            }
        });
        let (list, files) = (ring.list(&zone).unwrap(), fs::read_dir(&ring.0).unwrap());
        assert!(list.len() > 60, "{} keys", list.len());
        assert_eq!(files.count(), list.len() + 1);
        fs::remove_dir_all(ring.0.parent().unwrap()).unwrap();
    }
}
