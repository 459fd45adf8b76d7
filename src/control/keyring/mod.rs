//! The keys of signed zones, in a folder: for each zone a list of its keys, and for each key a file that only its owner can read.
//!
//! ```text
//!   keys/NAME.json      the list: tag, algorithm, role, state, since
//!   keys/NAME+TAG.der   PKCS#8
//! ```
//! How they move on is told in `rollover`.

mod change;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use change::Changing;

use super::rollover::{KeyEntry, KeyList, KeyState, TTL};
use crate::diagnostic::{Diagnostics, Span};
use crate::dnssec::{Algorithm, Digest, Key};
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
    use crate::dnssec::Role;

    pub(super) fn folder(test: &str) -> PathBuf {
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
}
