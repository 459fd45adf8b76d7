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

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
        (algorithm, role, state): (Algorithm, Role, KeyState),
        pkcs8: &[u8],
        now: Time,
    ) -> Result<KeyEntry, String> {
        let mut list = self.list(zone)?;
        let key = Key::read(algorithm, role, pkcs8).map_err(|e| e.to_string())?;
        let tag = key.public.tag;
        if list.iter().any(|entry| entry.tag == tag) {
            return Err(format!("there is a key {tag} already"));
        }
        let path = self.key_file(zone, tag);
        let wrong = |e: io::Error| format!("{}: {e}", path.display());
        self.make_folder()
            .map_err(|e| format!("{}: {e}", self.0.display()))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).map_err(wrong)?;
        file.write_all(pkcs8)
            .and_then(|()| file.sync_all())
            .and_then(|()| self.hand_over(&path))
            .map_err(wrong)?;
        let entry = KeyEntry {
            tag,
            algorithm: algorithm.word().into(),
            role: role.word().into(),
            state,
            since: now.as_secs(),
        };
        list.push(entry.clone());
        self.write(zone, &list)?;
        Ok(entry)
    }

    /// Replaces the list of a zone's keys.
    ///
    /// # Errors
    /// In words.
    pub fn write(&self, zone: &Name, list: &[KeyEntry]) -> Result<(), String> {
        let path = self.list_file(zone);
        let written = keep::write(&path, &list).and_then(|()| self.hand_over(&path));
        written.map_err(|e| format!("{}: {e}", path.display()))
    }

    fn make_folder(&self) -> io::Result<()> {
        if self.0.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        // The server may be another user than who makes keys for it: it owns the folder above.
        match self
            .0
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
        {
            Some(above) => give_to_owner_of(above, &self.0),
            None => Ok(()),
        }
    }

    /// Files that root makes belong to whom the folder does: the server.
    fn hand_over(&self, path: &Path) -> io::Result<()> {
        give_to_owner_of(&self.0, path)
    }

    /// Moves the keys of a zone on as far as time has; what was done, in words. `longest` is the longest TTL of the zone, seconds.
    ///
    /// # Errors
    /// In words.
    pub(super) fn advance(
        &self,
        zone: &Name,
        now: Time,
        longest: u32,
    ) -> Result<Vec<String>, String> {
        let mut list = self.list(zone)?;
        let (done, gone) = advance(&mut list, now, longest);
        if !done.is_empty() {
            self.write(zone, &list)?;
        }
        for tag in gone {
            let path = self.key_file(zone, tag);
            fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(done)
    }
}

/// Only root can give files away, and only root needs to.
fn give_to_owner_of(folder: &Path, path: &Path) -> io::Result<()> {
    let (owner, own) = (fs::metadata(folder)?, fs::metadata(path)?);
    if own.uid() != 0 || owner.uid() == own.uid() {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}

/// The zone's name as a file has it: without the final dot, and what separates folders written as in addresses of pages.
fn file_name(zone: &Name) -> String {
    let name = zone.to_lower().to_string();
    let name = name.strip_suffix('.').filter(|n| !n.is_empty());
    name.unwrap_or("@").replace('%', "%25").replace('/', "%2F")
}

/// Moves keys on; what was done, in words, and the tags of those that are gone.
fn advance(list: &mut Vec<KeyEntry>, now: Time, longest: u32) -> (Vec<String>, Vec<u16>) {
    let now = now.as_secs();
    let (mut done, mut gone) = (Vec::new(), Vec::new());
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
            gone.push(entry.tag);
        }
        stays
    });
    (done, gone)
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
        let (done, gone) = advance(&mut list, year + day + Duration::from_secs(MARGIN), 300);
        assert_eq!((done.len(), gone), (1, vec![1]));
    }
}
