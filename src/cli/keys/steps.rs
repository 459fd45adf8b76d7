//! The steps that an operator takes: keys made, replaced, taken away.

use std::process::ExitCode;

use serde_json::json;

use super::super::{Stop, print, print_json};
use super::shown::{next, table_of};
use super::{Folder, now};
use crate::control::{Changing, KeyEntry, KeyState, activate, remove};
use crate::dnssec::{Algorithm, Digest, DnsKey, Key, Role};
use crate::zone::Name;

impl Folder {
    pub(super) fn make(
        &self,
        zone: &Name,
        algorithm: Algorithm,
        split: bool,
    ) -> Result<ExitCode, Stop> {
        let roles: &[Role] = if split {
            &[Role::Ksk, Role::Zsk]
        } else {
            &[Role::Csk]
        };
        let made = self.ring.change(zone, |keys| {
            if !keys.list.keys.is_empty() {
                return Err(format!(
                    "zone {zone} has keys already: `nearmost keys roll {zone}` begins to replace one"
                ));
            }
            for &role in roles {
                let made = Key::make(algorithm).map_err(|e| e.to_string())?;
                keys.add((algorithm, role, KeyState::Active), &made, now())?;
            }
            Ok(keys.list.keys.clone())
        });
        let mut files = vec![self.ring.list_file(zone)];
        let mut text = String::new();
        for key in made.map_err(Stop::no)? {
            let file = self.ring.key_file(zone, key.tag);
            text += &format!(
                "made key {} ({}, {}): {}\n",
                key.tag,
                key.role,
                key.algorithm,
                file.display()
            );
            files.push(file);
        }
        text += &format!(
            "listed in {}: back up all of them, as a key that is lost cannot be made again\n\n\
             Write `signed = true` into {} and reload. When answers are signed, give the parent zone:\n\n",
            files[0].display(),
            table_of(zone)
        );
        let lower = zone.to_lower();
        let ds = |key: &DnsKey| key.ds_text(lower.wire(), Digest::Sha256);
        let (mut json, records) = self.records(zone, "DS", ds)?;
        json["files"] = json!(files);
        Ok(self.show(&(json, text + &records)))
    }

    pub(super) fn roll(&self, zone: &Name, role: Option<Role>) -> Result<ExitCode, Stop> {
        let rolled = self.ring.change(zone, |keys| begin(keys, zone, role));
        let (old, new) = rolled.map_err(Stop::no)?;
        let (tag, next) = (new.tag, next(&new, false));
        let text = format!("key {tag} is published beside key {old}\n{next}\n");
        Ok(self.done(&new, &text))
    }

    pub(super) fn ds_seen(&self, zone: &Name, ttl: u64) -> Result<ExitCode, Stop> {
        let seen = self.ring.change(zone, |keys| {
            is_staying(keys, zone)?;
            let list = &mut keys.list.keys;
            let ready = list.iter().find(|key| key.state == KeyState::Ready);
            let tag = ready.map(|key| key.tag);
            let tag = tag.ok_or_else(|| format!("no key of zone {zone} waits for its DS"))?;
            activate(list, tag, now().as_secs(), Some(ttl));
            let new = list.iter().find(|key| key.tag == tag);
            new.cloned().ok_or_else(|| "the key is gone".into())
        });
        let new = seen.map_err(Stop::no)?;
        let text = format!(
            "key {} signs from now on; the one before it stays published until its signatures and its DS are in no cache\n",
            new.tag
        );
        Ok(self.done(&new, &text))
    }

    pub(super) fn remove(&self, zone: &Name, key: u16, anyway: bool) -> Result<ExitCode, Stop> {
        let active = |keys: &Changing<'_>| {
            let all = keys.list.keys.iter();
            let active = all.filter(|key| key.state == KeyState::Active);
            active.cloned().collect::<Vec<KeyEntry>>()
        };
        let removed = self.ring.change(zone, |keys| {
            let before = active(keys);
            remove(&mut keys.list.keys, key, anyway, now().as_secs())?;
            let mut heirs = active(keys);
            heirs.retain(|key| !before.contains(key));
            Ok(heirs)
        });
        let heirs = removed.map_err(Stop::no)?;
        if self.json {
            print_json(&json!({ "removed": key, "active": heirs }));
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = format!("key {key} is gone\n");
        for heir in heirs {
            text += &format!("key {} signs in its place from now on\n", heir.tag);
            if heir.role != Role::Zsk.word() {
                text += &format!(
                    "Put its DS into the parent now, in the place of that of key {key}: `nearmost keys ds {zone}`\n"
                );
            }
        }
        print(&text);
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn unsign(&self, zone: &Name, cancel: bool) -> Result<ExitCode, Stop> {
        let changed = self.ring.change(zone, |keys| {
            let since = &mut keys.list.unsigning;
            match (cancel, since.is_some()) {
                _ if keys.list.keys.is_empty() => return Err(format!("zone {zone} has no keys")),
                (false, true) => {
                    return Err(format!("the DS of zone {zone} is on its way out already"));
                }
                (true, false) => return Err(format!("zone {zone} is to stay signed as it is")),
                (false, false) => *since = Some(now().as_secs()),
                (true, true) => *since = None,
            }
            Ok(keys.list.clone())
        });
        let list = changed.map_err(Stop::no)?;
        if self.json {
            print_json(&list);
        } else if cancel {
            print("the CDS and CDNSKEY records are those of the keys again\n");
        } else {
            print(
                "CDS and CDNSKEY ask the parent to take the DS away; where it does not look at them, take it out yourself.\n\
                 When it has gone, wait for its TTL (a day is common), then take `signed = true` away.\n",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An error where a zone is on its way to be unsigned: what needs a new DS is no good then.
fn is_staying(keys: &Changing<'_>, zone: &Name) -> Result<(), String> {
    match keys.list.unsigning {
        None => Ok(()),
        Some(_) => Err(format!(
            "the DS of zone {zone} is on its way out: `nearmost keys unsign {zone} --cancel` comes first"
        )),
    }
}

/// Publishes a key beside the one that it is to replace; the tag of that one, and the new key.
fn begin(
    keys: &mut Changing<'_>,
    zone: &Name,
    wanted: Option<Role>,
) -> Result<(u16, KeyEntry), String> {
    is_staying(keys, zone)?;
    let list = &keys.list.keys;
    let active = list.iter().filter(|key| key.state == KeyState::Active);
    let of_role = |key: &&KeyEntry| wanted.is_none_or(|role| key.role == role.word());
    let [old] = active.filter(of_role).collect::<Vec<_>>()[..] else {
        return Err(format!(
            "zone {zone} has not exactly one active key to replace: say which with --role, and see `nearmost keys`"
        ));
    };
    let coming = |key: &&KeyEntry| {
        key.role == old.role && matches!(key.state, KeyState::Published | KeyState::Ready)
    };
    if let Some(coming) = list.iter().find(coming) {
        return Err(format!(
            "key {} is about to replace key {} already",
            coming.tag, old.tag
        ));
    }
    let (algorithm, role) = (Algorithm::named(&old.algorithm), Role::named(&old.role));
    let (Some(algorithm), Some(role)) = (algorithm, role) else {
        return Err(format!("key {} is of no known kind", old.tag));
    };
    let old = old.tag;
    let made = Key::make(algorithm).map_err(|e| e.to_string())?;
    let new = keys.add((algorithm, role, KeyState::Published), &made, now())?;
    Ok((old, new))
}
