//! What is told of keys: where each is on its way, and what the parent zone needs.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::table::table;
use super::super::{NO, Stop, ago, print, print_json};
use super::{Folder, now};
use crate::control::{KeyEntry, KeyList, KeyState};
use crate::dnssec::{Digest, DnsKey};
use crate::zone::Name;

impl Folder {
    /// The keys of the zones that are signed, and those that lie there for others.
    pub(super) fn list(&self, signed: &[Name]) -> Result<ExitCode, Stop> {
        let now = now().as_secs();
        let mut others = self.ring.zones().map_err(Stop::no)?;
        others.retain(|zone| !signed.contains(zone));
        let mut all = Vec::new();
        for (zone, is_signed) in signed
            .iter()
            .map(|zone| (zone, true))
            .chain(others.iter().map(|zone| (zone, false)))
        {
            all.push((zone, is_signed, self.list_of(zone)?));
        }
        if self.json {
            let one = |(zone, is_signed, list): &(&Name, bool, KeyList)| json!({ "zone": zone.to_string(), "signed": is_signed, "keys": list.keys, "unsigning": list.unsigning });
            print_json(&all.iter().map(one).collect::<Vec<Value>>());
            return Ok(ExitCode::SUCCESS);
        }
        if all.is_empty() {
            print(
                "no zone is signed: make a key with `nearmost keys new ZONE`, and write `signed = true` into [zone.\"ZONE\"]\n",
            );
            return Ok(ExitCode::SUCCESS);
        }
        let rows = all.iter().flat_map(|(zone, is_signed, list)| {
            let next = |key: &KeyEntry| match is_signed {
                true => next(key, list.unsigning.is_some()).into(),
                false => format!(
                    "the zone is not signed: that takes `signed = true` in {}",
                    table_of(zone)
                ),
            };
            list.keys.iter().map(move |key| {
                vec![
                    zone.to_string(),
                    key.tag.to_string(),
                    key.role.clone(),
                    key.algorithm.clone(),
                    state(key.state).into(),
                    ago(now.saturating_sub(key.since)),
                    next(key),
                ]
            })
        });
        let heads = ["zone", "key", "role", "algorithm", "state", "since", "next"];
        print(&table(&heads, rows));
        let is_keyless = |list: &KeyList| list.keys.is_empty();
        let keyless = all
            .iter()
            .any(|(_, signed, list)| *signed && is_keyless(list));
        Ok(if keyless {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }

    pub(super) fn ds(&self, zone: &Name, digest: Digest) -> Result<ExitCode, Stop> {
        let lower = zone.to_lower();
        let records = self.records(zone, "DS", |key| key.ds_text(lower.wire(), digest))?;
        Ok(self.show(&records))
    }

    pub(super) fn dnskey(&self, zone: &Name) -> Result<ExitCode, Stop> {
        let records = self.records(zone, "DNSKEY", DnsKey::text)?;
        Ok(self.show(&records))
    }

    pub(super) fn show(&self, (json, text): &(Value, String)) -> ExitCode {
        if self.json {
            print_json(json);
        } else {
            print(text);
        }
        ExitCode::SUCCESS
    }

    /// What the parent needs, as JSON and in the form that it takes.
    pub(super) fn records(
        &self,
        zone: &Name,
        rtype: &str,
        text: impl Fn(&DnsKey) -> String,
    ) -> Result<(Value, String), Stop> {
        if self.list_of(zone)?.unsigning.is_some() {
            return Err(Stop::no(format!(
                "zone {zone} is to be signed no longer, and its DS to leave the parent: see `nearmost keys unsign --cancel`"
            )));
        }
        let keys = self.ring.keys(zone).map_err(Stop::no)?;
        let wanted = keys.wanted_ds().into_iter();
        let records: Vec<(u16, String)> = wanted
            .map(|key| (key.public.tag, text(&key.public)))
            .collect();
        let word = rtype.to_lowercase();
        let one = |(tag, record): &(u16, String)| json!({ "key": tag, (&*word): record });
        let all: Vec<Value> = records.iter().map(one).collect();
        let line = |(_, record): &(u16, String)| format!("{zone} IN {rtype} {record}\n");
        Ok((
            json!({ "zone": zone.to_string(), "records": all }),
            records.iter().map(line).collect(),
        ))
    }
}

/// The table of a zone, as it is written.
pub(super) fn table_of(zone: &Name) -> String {
    let name = zone.to_string();
    let name = Some(name.trim_end_matches('.')).filter(|name| !name.is_empty());
    format!("[zone.\"{}\"]", name.unwrap_or("."))
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Published => "published",
        KeyState::Ready => "ready",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
    }
}

/// What comes after a key's state.
pub(super) fn next(key: &KeyEntry, unsigning: bool) -> &'static str {
    match (key.state, key.role.as_str()) {
        (KeyState::Published | KeyState::Ready, "zsk") => {
            "it signs when the server has answered with it for two hours, and all secondaries have it"
        }
        (KeyState::Active | KeyState::Ready, "csk" | "ksk") if unsigning => {
            "take its DS out of the parent, wait for the DS's TTL, then take `signed = true` away"
        }
        (KeyState::Published, _) => {
            "it is ready when the server has answered with it for two hours, and all secondaries have it"
        }
        (KeyState::Ready, _) => {
            "put its DS into the parent, then `keys ds-seen`, with --ttl where a DS lives longer than a day"
        }
        (KeyState::Active, _) => "-",
        (KeyState::Retired, _) => "it goes when its signatures, and its DS, are in no cache",
    }
}
