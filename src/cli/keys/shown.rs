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
    pub(super) fn list(&self, zones: &[Name]) -> Result<ExitCode, Stop> {
        let now = now().as_secs();
        let mut all = Vec::new();
        for zone in zones {
            all.push((zone, self.list_of(zone)?));
        }
        if self.json {
            let one = |(zone, list): &(&Name, KeyList)| json!({ "zone": zone.to_string(), "keys": list.keys, "unsigning": list.unsigning });
            print_json(&all.iter().map(one).collect::<Vec<Value>>());
            return Ok(ExitCode::SUCCESS);
        }
        if all.is_empty() {
            print(
                "no zone is signed: make a key with `nearmost keys new ZONE`, and write `signed = true` into [zone.\"ZONE\"]\n",
            );
            return Ok(ExitCode::SUCCESS);
        }
        let rows = all.iter().flat_map(|(zone, list)| {
            list.keys.iter().map(move |key| {
                vec![
                    zone.to_string(),
                    key.tag.to_string(),
                    key.role.clone(),
                    key.algorithm.clone(),
                    state(key.state).into(),
                    ago(now.saturating_sub(key.since)),
                    next(key, list.unsigning.is_some()).into(),
                ]
            })
        });
        let heads = ["zone", "key", "role", "algorithm", "state", "since", "next"];
        print(&table(&heads, rows));
        let keyless = all.iter().any(|(_, list)| list.keys.is_empty());
        Ok(if keyless {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }

    pub(super) fn ds(&self, zone: &Name, digest: Digest) -> Result<ExitCode, Stop> {
        let lower = zone.to_lower();
        self.records(zone, "DS", |key| key.ds_text(lower.wire(), digest))
    }

    pub(super) fn dnskey(&self, zone: &Name) -> Result<ExitCode, Stop> {
        self.records(zone, "DNSKEY", DnsKey::text)
    }

    /// What the parent needs, in the form that it takes.
    fn records(
        &self,
        zone: &Name,
        rtype: &str,
        text: impl Fn(&DnsKey) -> String,
    ) -> Result<ExitCode, Stop> {
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
        if self.json {
            let word = rtype.to_lowercase();
            let one = |(tag, record): &(u16, String)| json!({ "key": tag, (&*word): record });
            let records: Vec<Value> = records.iter().map(one).collect();
            print_json(&json!({ "zone": zone.to_string(), "records": records }));
        } else {
            let line = |(_, record): &(u16, String)| format!("{zone} IN {rtype} {record}\n");
            print(&records.iter().map(line).collect::<String>());
        }
        Ok(ExitCode::SUCCESS)
    }
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
