//! The keys, and what a zone has of other name servers, as they were understood. Secrets are not shown.

use super::keys::Key;
use super::show::{Text, key, list, name, path, quote};
use super::transfer::shown;
use super::{Members, Zone, ZoneSource};
use crate::snapshot::{Allow, Peer};

pub(super) fn keys(out: &mut Text, keys: &[Key]) {
    for key in keys {
        out.table(format!("[key.{}]", name(&key.name)));
        out.value("algorithm", quote(key.algorithm.word()));
        match &key.file {
            Some(file) => out.value("secret_file", path(file)),
            None => out.line(format!("# secret: {} octets, not shown", key.secret.len())),
        }
    }
}

pub(super) fn zone(out: &mut Text, zone: &Zone, keys: &[Key]) {
    if let ZoneSource::Primary(peers) = &zone.source {
        out.value("primary", list(peers.iter().map(|p| peer(p, keys))));
    }
    if let Some(lines) = &zone.query {
        out.value("query", lets_in(lines, keys));
    }
    if !zone.transfer.is_empty() {
        out.value("transfer", lets_in(&zone.transfer, keys));
    }
    if !zone.notify.is_empty() {
        out.value("notify", list(zone.notify.iter().map(|p| peer(p, keys))));
    }
    let Some(catalog) = &zone.catalog else { return };
    out.value("catalog", true);
    out.value("members", members(&catalog.members, keys));
    if !catalog.groups.is_empty() {
        let group =
            |(name, own): &(String, Members)| format!("{} = {}", key(name), members(own, keys));
        let groups: Vec<String> = catalog.groups.iter().map(group).collect();
        out.value("group", format!("{{ {} }}", groups.join(", ")));
    }
}

fn members(members: &Members, keys: &[Key]) -> String {
    let primary = list(members.primary.iter().map(|p| peer(p, keys)));
    let query = members.query.as_ref();
    let query = query.map_or_else(String::new, |q| format!("query = {}, ", lets_in(q, keys)));
    let transfer = lets_in(&members.transfer, keys);
    let notify = match members.notify.is_empty() {
        true => String::new(),
        false => format!(
            ", notify = {}",
            list(members.notify.iter().map(|p| peer(p, keys)))
        ),
    };
    format!("{{ primary = {primary}, {query}transfer = {transfer}{notify} }}")
}

fn key_name(number: usize, keys: &[Key]) -> String {
    keys.get(number)
        .map_or_else(String::new, |key| shown(&key.name))
}

/// Who is let in.
pub(super) fn lets_in(lines: &[Allow], keys: &[Key]) -> String {
    list(lines.iter().map(|line| allow(line, keys)))
}

fn allow(allow: &Allow, keys: &[Key]) -> String {
    match (allow.from, allow.key) {
        (Some(net), None) => quote(&net.to_string()),
        (None, Some(key)) => quote(&format!("key:{}", key_name(key, keys))),
        (from, key) => {
            let from = from.map_or_else(String::new, |net| net.to_string());
            let key = key.map_or_else(String::new, |key| key_name(key, keys));
            format!("{{ from = {}, key = {} }}", quote(&from), quote(&key))
        }
    }
}

fn peer(peer: &Peer, keys: &[Key]) -> String {
    let at = quote(&peer.at.to_string());
    let key = peer
        .key
        .map(|key| format!("key = {}", quote(&key_name(key, keys))));
    let source = peer
        .source
        .map(|source| format!("source = {}", quote(&source.to_string())));
    let more: Vec<String> = key.into_iter().chain(source).collect();
    match more.is_empty() {
        true => at,
        false => format!("{{ at = {at}, {} }}", more.join(", ")),
    }
}
