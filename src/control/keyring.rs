//! The keys of signed zones, in a folder: for each zone a list of its keys, and for each key a file that only its owner can read.
//!
//! ```text
//!   keys/NAME.json      the list: tag, algorithm, role, state, since
//!   keys/NAME+TAG.der   PKCS#8
//! ```
//! How they move on is told in `rollover`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keep;
use super::rollover::{KeyEntry, KeyList, KeyState, TTL};
use crate::diagnostic::{Diagnostics, Span};
use crate::dnssec::{Algorithm, Digest, Key, Role};
use crate::health::Time;
use crate::zone::{Data, Name, Record, RecordType, rtype};

/// The folder.
#[derive(Clone, Debug)]
pub struct Keyring(PathBuf);

/// The keys of a zone, ready to sign.
#[derive(Debug)]
pub struct ZoneKeys {
    /// Each with its entry; the first that is active and signs data signs them.
    all: Vec<(Arc<Key>, KeyEntry)>,
    /// The parent is asked to take the DS away.
    unsigning: bool,
}

/// What asks a parent to take the DS away, as CDS and as CDNSKEY (RFC 8078 4).
const DELETE: [(u16, &[u8]); 2] = [
    (rtype::CDS, &[0, 0, 0, 0, 0]),
    (rtype::CDNSKEY, &[0, 0, 3, 0, 0]),
];

impl ZoneKeys {
    /// Those that sign the keys.
    pub(super) fn ksks(&self) -> Vec<Arc<Key>> {
        let ksks = self.all.iter().filter(|(key, _)| key.role.signs_keys());
        ksks.map(|(key, _)| Arc::clone(key)).collect()
    }

    /// The one that signs the rest.
    pub(super) fn zsk(&self) -> Option<Arc<Key>> {
        let mut signers = self.all.iter().filter(|(key, _)| key.role.signs_data());
        let active = signers.find(|(_, entry)| entry.state == KeyState::Active);
        active.map(|(key, _)| Arc::clone(key))
    }

    /// The list that they are of.
    pub(super) fn entries(&self) -> impl Iterator<Item = &KeyEntry> {
        self.all.iter().map(|(_, entry)| entry)
    }

    /// Whose DS belongs into the parent: that of a key that waits for it, else those that have it.
    #[must_use]
    pub fn wanted_ds(&self) -> Vec<&Key> {
        let of = |wanted: KeyState| {
            let own = self.all.iter();
            let own = own.filter(move |(_, entry)| entry.state == wanted);
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

    /// Puts their records at the top of a zone, beside what its file has there.
    pub(super) fn join(
        &self,
        apex: &Name,
        span: Span,
        records: &mut Vec<Record>,
        found: &mut Diagnostics,
    ) {
        let own = self.records(apex, span);
        let of = |record: &Record| match &record.data {
            Data::Plain { rtype, rdata } if record.owner == *apex => Some((*rtype, rdata.clone())),
            Data::Plain { .. } | Data::Pool { .. } => None,
        };
        let known: Vec<_> = own.iter().map(of).collect();
        records.retain(|record| {
            let of = of(record);
            of.is_none() || !known.contains(&of)
        });
        for record in records.iter_mut() {
            match of(record) {
                // A set has one TTL (RFC 2181 5.2), and the steps of keys count on this one.
                Some((rtype::DNSKEY, _)) => record.ttl = TTL,
                Some((rtype @ (rtype::CDS | rtype::CDNSKEY), _)) => {
                    let message = format!(
                        "zone \"{apex}\" is signed here, and its {} records are made of its keys",
                        RecordType(rtype)
                    );
                    let error = found.error(record.span, message);
                    error.note("take it out of the file: see `nearmost keys`");
                }
                _ => {}
            }
        }
        records.extend(own);
    }

    /// Their records: DNSKEY, and CDS and CDNSKEY for a parent that looks at these (RFC 7344).
    fn records(&self, apex: &Name, span: Span) -> Vec<Record> {
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
        if self.unsigning {
            records.extend(DELETE.map(|(rtype, rdata)| record(rtype, rdata)));
            return records;
        }
        for key in self.wanted_ds() {
            let ds = key.public.ds(lower.wire(), Digest::Sha256);
            records.push(record(rtype::CDS, &ds));
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

    /// The zones that have a list, in canonical order.
    ///
    /// # Errors
    /// In words.
    pub fn zones(&self) -> Result<Vec<Name>, String> {
        let wrong = |e: io::Error| format!("{}: {e}", self.0.display());
        let files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(wrong)?,
        };
        let mut zones = Vec::new();
        for file in files {
            let name = file.map_err(wrong)?.file_name();
            zones.extend(name.to_str().and_then(zone_of));
        }
        zones.sort_unstable();
        Ok(zones)
    }

    /// The file of a key.
    #[must_use]
    pub fn key_file(&self, zone: &Name, tag: u16) -> PathBuf {
        self.0.join(format!("{}+{tag:05}.der", file_name(zone)))
    }

    /// The files of a zone's keys, the list first.
    pub(super) fn files(&self, zone: &Name) -> Vec<PathBuf> {
        let list = self.list(zone).unwrap_or_default();
        let keys = list.keys.iter();
        let keys = keys.map(|entry| self.key_file(zone, entry.tag));
        std::iter::once(self.list_file(zone)).chain(keys).collect()
    }

    /// The list of a zone's keys; empty where there is none.
    ///
    /// # Errors
    /// In words.
    pub fn list(&self, zone: &Name) -> Result<KeyList, String> {
        let path = self.list_file(zone);
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        match fs::read(&path) {
            Ok(octets) => serde_json::from_slice(&octets).map_err(|e| wrong(&e)),
            // Without it nobody knows which of them the parent points at, and another key would be a wrong one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.stray(zone) {
                Some(key) => Err(wrong(&format!(
                    "it is not there, but {0} is: it belongs with the keys, take it from a backup; if nothing was ever signed with that key, remove {0}",
                    key.display()
                ))),
                None => Ok(KeyList::default()),
            },
            Err(error) => Err(wrong(&error)),
        }
    }

    /// A file of one of the zone's keys, whichever.
    fn stray(&self, zone: &Name) -> Option<PathBuf> {
        let start = format!("{}+", file_name(zone));
        let files = fs::read_dir(&self.0).ok()?.filter_map(Result::ok);
        let mut files = files.map(|entry| entry.path());
        files.find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let tag = name.and_then(|name| name.strip_prefix(&start)?.strip_suffix(".der"));
            tag.is_some_and(|tag| tag.bytes().all(|o| o.is_ascii_digit()))
        })
    }

    /// The keys of a zone, ready to sign.
    ///
    /// # Errors
    /// In words: no keys, none that signs, a file that is not there, is no such key, or can be read by others.
    pub fn keys(&self, zone: &Name) -> Result<ZoneKeys, String> {
        let KeyList { keys, unsigning } = self.list(zone)?;
        let mut all = Vec::new();
        for entry in keys {
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
            all.push((Arc::new(key), entry));
        }
        let unsigning = unsigning.is_some();
        let keys = ZoneKeys { all, unsigning };
        if keys.all.is_empty() {
            return Err(format!("there are no keys of it in {}", self.0.display()));
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
        let wrong = |e: io::Error| format!("{}: {e}", self.0.display());
        let folder = keep::Folder::make(&self.0).map_err(wrong)?;
        folder.lock().map_err(wrong)?;
        self.change_in(&folder, zone, change)
    }

    /// As [`Self::change`], which it does not wait for: none where somebody else changes keys.
    pub(super) fn try_change<T>(
        &self,
        zone: &Name,
        change: impl FnOnce(&mut Changing<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let wrong = |e: io::Error| format!("{}: {e}", self.0.display());
        let folder = keep::Folder::make(&self.0).map_err(wrong)?;
        match folder.try_lock().map_err(wrong)? {
            true => self.change_in(&folder, zone, change).map(Some),
            false => Ok(None),
        }
    }

    /// In the folder, which is held.
    fn change_in<T>(
        &self,
        folder: &keep::Folder,
        zone: &Name,
        change: impl FnOnce(&mut Changing<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let path = self.list_file(zone);
        let before = self.list(zone)?;
        let mut keys = Changing {
            list: before.clone(),
            folder,
            ring: self,
            zone,
            added: Vec::new(),
        };
        let done = change(&mut keys).and_then(|done| {
            if keys.list != before {
                let text = serde_json::to_vec_pretty(&keys.list).map_err(|e| e.to_string())?;
                put(folder, &path, 0o666, &text)?;
            }
            Ok(done)
        });
        let Changing { list, added, .. } = keys;
        if done.is_err() {
            // The list may be in place even so: what it names stays.
            let listed = self.list(zone).unwrap_or_default().keys;
            let is_stray = |tag: &u16| listed.iter().all(|entry| entry.tag != *tag);
            for tag in added.into_iter().filter(is_stray) {
                let _ = remove(folder, &self.key_file(zone, tag));
            }
            return done;
        }
        let is_gone = |entry: &&KeyEntry| list.keys.iter().all(|other| other.tag != entry.tag);
        for gone in before.keys.iter().filter(is_gone) {
            let path = self.key_file(zone, gone.tag);
            remove(folder, &path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        done
    }
}

/// The list of a zone's keys while it is changed.
#[derive(Debug)]
pub struct Changing<'f> {
    /// As it was; what it is in the end is written.
    pub list: KeyList,
    folder: &'f keep::Folder,
    ring: &'f Keyring,
    zone: &'f Name,
    /// The keys whose files came by the change.
    added: Vec<u16>,
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
        let known = &mut self.list.keys;
        if known.iter().any(|entry| entry.tag == tag) {
            return Err(format!("there is a key {tag} already"));
        }
        // RFC 6840 5.11: all data would have to be signed by both.
        if let Some(other) = known.iter().find(|e| e.algorithm != algorithm.word()) {
            return Err(format!(
                "key {} of the zone is {}, and this one is {}: keys of two algorithms at once are not supported",
                other.tag,
                other.algorithm,
                algorithm.word()
            ));
        }
        self.added.push(tag);
        let path = self.ring.key_file(self.zone, tag);
        put(self.folder, &path, 0o600, pkcs8)?;
        let entry = KeyEntry {
            tag,
            algorithm: algorithm.word().into(),
            role: role.word().into(),
            state,
            since: now.as_secs(),
            ds_ttl: None,
        };
        known.push(entry.clone());
        Ok(entry)
    }
}

fn put(folder: &keep::Folder, path: &Path, mode: u32, octets: &[u8]) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default();
    let put = folder.put(name, mode, octets);
    put.map_err(|e| format!("{}: {e}", path.display()))
}

/// One that somebody has taken away already is gone too.
fn remove(folder: &keep::Folder, path: &Path) -> io::Result<()> {
    match folder.remove(path.file_name().unwrap_or_default()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The zone's name as a file has it: without the final dot, and what separates folders written as in addresses of pages.
fn file_name(zone: &Name) -> String {
    let name = zone.to_lower().to_string();
    let name = name.strip_suffix('.').filter(|n| !n.is_empty());
    name.unwrap_or("@").replace('%', "%25").replace('/', "%2F")
}

/// The zone whose keys a file lists.
fn zone_of(file: &str) -> Option<Name> {
    let name = file.strip_suffix(".json")?;
    let name = match name {
        "@" => ".".into(),
        _ => name.replace("%2F", "/").replace("%25", "%"),
    };
    let zone = Name::absolute(&name).ok()?;
    (format!("{}.json", file_name(&zone)) == file).then_some(zone)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn folder(test: &str) -> PathBuf {
        let name = format!("nearmost-keyring-{}-{test}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn keys_without_their_list_are_not_taken_for_none() {
        let folder = folder("stray");
        let ring = Keyring::at(&folder);
        let [zone, other] =
            ["example.org", "other.example.org"].map(|z| Name::absolute(z).unwrap());
        let kind = (Algorithm::Ed25519, Role::Csk, KeyState::Active);
        let add = |zone| {
            let key = Key::make(Algorithm::Ed25519).unwrap();
            ring.add(zone, kind, &key, Duration::ZERO)
        };
        add(&zone).unwrap();
        fs::remove_file(ring.list_file(&zone)).unwrap();
        for why in [ring.keys(&zone).unwrap_err(), add(&zone).unwrap_err()] {
            assert!(why.contains("take it from a backup"), "{why}");
        }
        add(&other).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn who_may_not_wait_is_told_that_others_change_keys() {
        let folder = folder("held");
        let ring = Keyring::at(&folder);
        let zone = Name::absolute("example.org").unwrap();
        let leave = |keys: &mut Changing<'_>| {
            keys.list.unsigning = Some(1);
            Ok(())
        };
        let other = keep::Folder::make(&folder).unwrap();
        other.lock().unwrap();
        assert_eq!(ring.try_change(&zone, leave), Ok(None));
        assert_eq!(ring.list(&zone).unwrap().unsigning, None);
        drop(other);
        assert_eq!(ring.try_change(&zone, leave), Ok(Some(())));
        assert_eq!(ring.list(&zone).unwrap().unsigning, Some(1));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_change_that_fails_leaves_no_keys() {
        let folder = folder("failed");
        let ring = Keyring::at(&folder);
        let zone = Name::absolute("example.org").unwrap();
        let kind = (Algorithm::Ed25519, Role::Ksk, KeyState::Active);
        let key = Key::make(Algorithm::Ed25519).unwrap();
        let split = |keys: &mut Changing<'_>| {
            keys.add(kind, &key, Duration::ZERO)?;
            // The second of two is the same, or does not fit on the disk.
            keys.add(kind, &key, Duration::ZERO)
        };
        ring.change(&zone, split).unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let tag = ring.add(&zone, kind, &key, Duration::ZERO).unwrap().tag;
        ring.change(&zone, split).unwrap_err();
        assert!(ring.key_file(&zone, tag).exists(), "it was there before");
        // What is to go may have gone.
        fs::remove_file(ring.key_file(&zone, tag)).unwrap();
        let clear = |keys: &mut Changing<'_>| {
            keys.list.keys.clear();
            Ok(())
        };
        ring.change(&zone, clear).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn zones_are_known_by_the_files_of_their_keys() {
        for zone in [
            ".",
            "example.org",
            "0/25.2.0.192.in-addr.arpa",
            "a%2fb.example",
        ] {
            let zone = Name::absolute(zone).unwrap();
            assert_eq!(zone_of(&format!("{}.json", file_name(&zone))), Some(zone));
        }
        for other in ["example.org+00001.der", "Example.org.json", "a..b.json"] {
            assert_eq!(zone_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_set_of_keys_has_one_ttl_and_each_key_once() {
        let folder = folder("join");
        let ring = Keyring::at(&folder);
        let zone = Name::absolute("example.org").unwrap();
        let kind = (Algorithm::Ed25519, Role::Csk, KeyState::Active);
        let key = Key::make(Algorithm::Ed25519).unwrap();
        ring.add(&zone, kind, &key, Duration::ZERO).unwrap();
        let keys = ring.keys(&zone).unwrap();
        let span = Span::new(0, 0, 0);
        let record = |owner: &str, rtype: u16, rdata: &[u8]| Record {
            owner: Name::absolute(owner).unwrap(),
            ttl: 86_400,
            data: Data::Plain {
                rtype,
                rdata: rdata.into(),
            },
            span,
        };
        let own = keys.all[0].0.public.rdata.clone();
        let mut records = vec![
            record("example.org", rtype::DNSKEY, &own),
            record("example.org", rtype::DNSKEY, &[1, 1, 3, 13, 9]),
            record("x.example.org", rtype::DNSKEY, &own),
            record("example.org", rtype::CDS, &[0, 1, 13, 2, 9]),
        ];
        let mut found = Diagnostics::default();
        keys.join(&zone, span, &mut records, &mut found);
        assert_eq!(found.errors(), 1, "the CDS");
        let of = |owner: &str, wanted: u16| {
            let owner = Name::absolute(owner).unwrap();
            let at = records.iter().filter(|r| r.owner == owner);
            let of = |r: &&Record| matches!(&r.data, Data::Plain { rtype, .. } if *rtype == wanted);
            at.filter(of).map(|r| r.ttl).collect::<Vec<_>>()
        };
        assert_eq!(of("example.org", rtype::DNSKEY), [TTL, TTL]);
        assert_eq!(of("x.example.org", rtype::DNSKEY), [86_400]);
        assert_eq!(of("example.org", rtype::CDNSKEY), [TTL]);
        // On its way to be unsigned.
        let leave = |keys: &mut Changing<'_>| {
            keys.list.unsigning = Some(1);
            Ok(())
        };
        ring.change(&zone, leave).unwrap();
        let records = ring.keys(&zone).unwrap().records(&zone, span);
        let rdata = |record: &Record| match &record.data {
            Data::Plain { rtype, rdata } => (*rtype, rdata.to_vec()),
            Data::Pool { .. } => panic!("a pool"),
        };
        let all: Vec<(u16, Vec<u8>)> = records.iter().map(rdata).collect();
        let gone = DELETE.map(|(rtype, rdata)| (rtype, rdata.to_vec()));
        assert_eq!(all[0].0, rtype::DNSKEY);
        assert_eq!(all[1..], gone);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_key_is_lost_where_many_add_some_at_once() {
        let ring = Keyring::at(&folder("lost").join("keys"));
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
        let list = list.keys;
        assert!(list.len() > 60, "{} keys", list.len());
        assert_eq!(files.count(), list.len() + 1);
        fs::remove_dir_all(ring.0.parent().unwrap()).unwrap();
    }
}
