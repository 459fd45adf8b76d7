//! A key of BIND is taken over with the part that it had there.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::super::Stop;
use super::{Folder, now};
use crate::clock::utc;
use crate::control::{KeyEntry, KeyState};
use crate::dnssec::{BindKey, Role, bind_role};
use crate::zone::Name;

impl Folder {
    pub(super) fn import(
        &self,
        zone: &Name,
        file: &Path,
        wanted: Option<Role>,
    ) -> Result<ExitCode, Stop> {
        let wrong = |why: String| Stop::no(format!("{}: {why}", file.display()));
        let private = fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
        let beside = file.with_extension("key");
        let public = fs::read_to_string(&beside);
        let public =
            public.map_err(|e| wrong(format!("the file {} beside it: {e}", beside.display())))?;
        let key = BindKey::read(&private, &public).map_err(|e| wrong(e.to_string()))?;
        if Name::absolute(&key.zone).ok().as_ref() != Some(zone) {
            return Err(wrong(format!("it is a key of {}, not of {zone}", key.zone)));
        }
        let state = fs::read_to_string(file.with_extension("state")).ok();
        let told = wanted.or_else(|| bind_role(state.as_deref()?));
        let others = has_others(file);
        let taken = self.ring.change(zone, |keys| {
            let known = &keys.list.keys;
            let alone = known.is_empty() && !others;
            let role = role(key.flags, told, alone)?;
            let state = state_of(&key, role, known, now())?;
            keys.add((key.algorithm, role, state), &key.pkcs8, now())
        });
        let added = taken.map_err(wrong)?;
        let hint = match &*added.role {
            "csk" => "it signs everything; `--role ksk` where another key signs the records",
            "ksk" => "it signs only the keys: take the one that signs the records too",
            _ => "it signs the records: take the one that signs the keys too",
        };
        let KeyEntry {
            tag,
            role,
            algorithm,
            ..
        } = &added;
        Ok(self.done(
            &added,
            &format!("took key {tag} ({role}, {algorithm})\n{hint}\n"),
        ))
    }
}

/// Whether other keys of the same zone lie beside a file: `Kexample.org.+013+12345.private`.
fn has_others(file: &Path) -> bool {
    let Some((zone, _)) = file
        .file_name()
        .and_then(|name| name.to_str()?.split_once('+'))
    else {
        return false;
    };
    let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return false;
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.any(|name| {
        let is_of_zone = name.to_str().and_then(|name| name.strip_prefix(zone));
        let is_key =
            is_of_zone.is_some_and(|rest| rest.starts_with('+') && rest.ends_with(".private"));
        is_key && Some(&*name) != file.file_name()
    })
}

/// What a key of these flags signs. Its number is made of them too, so they stay what they are.
fn role(flags: u16, told: Option<Role>, alone: bool) -> Result<Role, String> {
    if ![Role::Csk.flags(), Role::Zsk.flags()].contains(&flags) {
        return Err(format!(
            "its DNSKEY has the flags {flags}: only 256 and 257 are in use"
        ));
    }
    let points = flags == Role::Csk.flags();
    let usual = match (points, alone) {
        (true, true) => Role::Csk,
        (true, false) => Role::Ksk,
        (false, _) => Role::Zsk,
    };
    let role = told.unwrap_or(usual);
    if role.flags() == flags {
        return Ok(role);
    }
    Err(format!(
        "its DNSKEY has the flags {flags}: it cannot be a {} without becoming another key",
        role.word()
    ))
}

/// Where a key is on its way, as BIND has it and as far as others leave it something to do.
fn state_of(
    key: &BindKey,
    role: Role,
    known: &[KeyEntry],
    now: Duration,
) -> Result<KeyState, String> {
    let is_past = |at: &u64| *at <= now.as_secs();
    for (at, what) in [(key.delete, "left the zone"), (key.revoke, "was revoked")] {
        if let Some(at) = at.filter(is_past) {
            let at = utc(Duration::from_secs(at));
            return Err(format!("it {what} at {at} UTC"));
        }
    }
    if key.inactive.as_ref().is_some_and(is_past) {
        return Ok(KeyState::Retired);
    }
    let does = |other: &KeyEntry| {
        let other = Role::named(&other.role).filter(|_| other.state == KeyState::Active);
        other.is_some_and(|other| {
            other.signs_keys() >= role.signs_keys() && other.signs_data() >= role.signs_data()
        })
    };
    let comes = key.activate.is_some_and(|at| at > now.as_secs());
    Ok(match comes || known.iter().any(does) {
        true => KeyState::Published,
        false => KeyState::Active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::Algorithm;

    #[test]
    fn roles() {
        assert_eq!(role(257, None, true), Ok(Role::Csk));
        assert_eq!(role(257, None, false), Ok(Role::Ksk));
        assert_eq!(role(256, None, true), Ok(Role::Zsk));
        assert_eq!(role(257, Some(Role::Ksk), true), Ok(Role::Ksk));
        role(256, Some(Role::Csk), true).unwrap_err();
        role(257, Some(Role::Zsk), true).unwrap_err();
        role(385, None, true).unwrap_err();
    }

    #[test]
    fn times_of_bind() {
        let key = BindKey {
            algorithm: Algorithm::Ed25519,
            zone: "example.org.".into(),
            flags: 256,
            pkcs8: Vec::new(),
            activate: Some(10),
            inactive: Some(20),
            revoke: None,
            delete: Some(30),
        };
        let at = |now: u64| state_of(&key, Role::Zsk, &[], Duration::from_secs(now));
        assert_eq!(at(9), Ok(KeyState::Published));
        assert_eq!(at(10), Ok(KeyState::Active));
        assert_eq!(at(20), Ok(KeyState::Retired));
        at(30).unwrap_err();
        let revoked = BindKey {
            revoke: Some(5),
            ..key
        };
        state_of(&revoked, Role::Zsk, &[], Duration::from_secs(10)).unwrap_err();
    }
}
