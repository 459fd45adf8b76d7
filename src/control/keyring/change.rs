//! A zone's list of keys and their files are changed by one at a time, all or nothing.

use std::io;
use std::path::Path;

use super::super::keep;
use super::super::rollover::{KeyEntry, KeyList, KeyState};
use super::Keyring;
use crate::dnssec::{Algorithm, Key, Role};
use crate::health::Time;
use crate::zone::Name;

impl Keyring {
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
    pub(in crate::control) fn try_change<T>(
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::tests::folder;
    use super::*;

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
