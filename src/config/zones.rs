//! `[zone."NAME"]`: a zone file, or a zone that is made of name servers and pools.

use std::path::{Path, PathBuf};

use super::files::{Files, absolute};
use super::keys::Key;
use super::table::{Keys, Table, Value};
use super::{Zone, ZoneSource, catalog, transfer, unit};
use crate::diagnostic::{Diagnostics, Span};
use crate::policy::Pool;
use crate::zone::Name;

static KEYS: Keys = Keys {
    known: &[
        "ns", "pools", "ttl", "file", "query", "transfer", "notify", "primary", "signed",
        "catalog", "members", "group",
    ],
    later: &["keys", "hostmaster"],
};

/// Seconds: the TTL of a pool's name while all is steady, and its least.
const TTL: (u32, u32) = (300, 30);
/// RFC 8767 4: longer ones are cut by resolvers.
const LONGEST_TTL: u32 = 604_800;

/// Reads the tables of `nearmost.toml`, then the files of the folder.
pub(super) fn read(
    files: &Files<'_>,
    top: &Table<'_>,
    (pools, keys): (&[Pool], &[Key]),
    found: &mut Diagnostics,
) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for (value, span) in top
        .get("zone")
        .and_then(|v| v.entries(found))
        .unwrap_or_default()
    {
        let Some(zone) = one(&value, span, (pools, keys), files, found) else {
            continue;
        };
        match zones
            .iter()
            .find(|z| z.name == zone.name)
            .and_then(|z| z.span)
        {
            Some(first) => {
                found
                    .error(span, format!("zone \"{}\" is defined twice", value.key))
                    .note_at(first, "first here");
            }
            None => zones.push(zone),
        }
    }
    for (path, stem) in files.zones {
        if let Some(zone) = of_file(path, stem, &zones, found) {
            zones.push(zone);
        }
    }
    zones
}

/// A zone file that was found in the folder; none if a table already names it.
fn of_file(path: &Path, stem: &str, zones: &[Zone], found: &mut Diagnostics) -> Option<Zone> {
    let file = absolute(path);
    let named = |z: &Zone| matches!(&z.source, ZoneSource::File(other) if *other == file);
    if zones.iter().any(named) {
        return None;
    }
    let name = match Name::absolute(stem) {
        Ok(name) => name,
        Err(e) => {
            found.error(
                None,
                format!("the name of {} is no zone's: {e}", path.display()),
            );
            return None;
        }
    };
    if let Some(other) = zones.iter().find(|z| z.name == name) {
        let error = found.error(other.span, format!("zone \"{stem}\" is defined twice"));
        error.note(format!("also by the file {}", path.display()));
        return None;
    }
    Some(Zone {
        name,
        span: None,
        source: ZoneSource::File(file),
        query: None,
        transfer: Vec::new(),
        notify: Vec::new(),
        signed: None,
        catalog: None,
        member: None,
    })
}

fn one(
    value: &Value<'_>,
    span: Span,
    (pools, keys): (&[Pool], &[Key]),
    files: &Files<'_>,
    found: &mut Diagnostics,
) -> Option<Zone> {
    if let Some(name) = unquoted(value) {
        found
            .error(span, "a zone's name must be quoted")
            .note(format!("write [zone.\"{name}\"]"));
        return None;
    }
    let name = match Name::absolute(value.key) {
        Ok(name) => name,
        Err(e) => {
            found.error(span, format!("\"{}\" is no zone's name: {e}", value.key));
            return None;
        }
    };
    let table = value.table(span, &KEYS, found)?;
    let needless = |why: &str, keys: &[&str], found: &mut Diagnostics| {
        for key in keys {
            if let Some(at) = table.key_span(key) {
                found.error(at, format!("\"{key}\" {why}"));
            }
        }
    };
    const MADE: [&str; 3] = ["ns", "pools", "ttl"];
    let source = match (table.get("file"), table.get("primary")) {
        (_, Some(_)) => {
            let why = "does not belong here: a zone with a \"primary\" comes from there";
            needless(why, &["file", "ns", "pools", "ttl"], found);
            ZoneSource::Primary(transfer::peers(&table, "primary", keys, found))
        }
        (Some(file), None) => {
            let why = "belongs into the zone file, as there is a \"file\"";
            needless(why, &MADE, found);
            ZoneSource::File(file.path(found)?)
        }
        (None, None) => match beside(&name, files) {
            Some(file) if MADE.iter().all(|key| table.key_span(key).is_none()) => {
                ZoneSource::File(file)
            }
            _ => made(value.key, &name, &table, (pools, files.whole()), found),
        },
    };
    let signed = table.get("signed").filter(|v| v.truth(found) == Some(true));
    let signed = signed.and_then(|_| table.key_span("signed"));
    if let Some(at) = signed
        && table.get("primary").is_some()
    {
        found.error(at, "a zone of others (\"primary\") is not signed here");
    }
    Some(Zone {
        name,
        span: Some(span),
        catalog: catalog::read(&table, &source, keys, found),
        member: None,
        source,
        query: transfer::lets_in(&table, "query", keys, found),
        transfer: transfer::lets_in(&table, "transfer", keys, found).unwrap_or_default(),
        notify: transfer::peers(&table, "notify", keys, found),
        signed,
    })
}

/// The file of the folder that has the zone's name: a table may say only how it is handed on.
fn beside(name: &Name, files: &Files<'_>) -> Option<PathBuf> {
    let named = |stem: &str| Name::absolute(stem).is_ok_and(|stem| stem == *name);
    let file = files.zones.iter().find(|(_, stem)| named(stem));
    file.map(|(path, _)| absolute(path))
}

/// `[zone.get.example.org]` makes tables within tables: the name that was meant.
fn unquoted(value: &Value<'_>) -> Option<String> {
    let mut name = value.key.to_owned();
    let mut at = *value;
    let mut deeper = false;
    while let Some([(inner, _)]) = at.entries(&mut Diagnostics::default()).as_deref() {
        if !inner.is_table() || KEYS.known.contains(&inner.key) {
            break;
        }
        name = format!("{name}.{}", inner.key);
        at = *inner;
        deeper = true;
    }
    deeper.then_some(name)
}

fn made(
    zone: &str,
    name: &Name,
    table: &Table<'_>,
    pools: (&[Pool], bool),
    found: &mut Diagnostics,
) -> ZoneSource {
    let ns = match table.get("ns") {
        Some(value) => name_servers(&value, name, found),
        None => {
            if let Some(error) =
                table.missing(format!("zone \"{zone}\" has no name servers"), found)
            {
                error.note("add a line such as ns = [\"ns1.example.org\"], or name a zone file with \"file\"");
            }
            Vec::new()
        }
    };
    let entries = table
        .get("pools")
        .and_then(|v| v.entries(found))
        .unwrap_or_default();
    let mut owners: Vec<(Name, usize, Span)> = Vec::new();
    let mut keys: Vec<(Name, Span)> = Vec::new();
    for (value, span) in entries {
        let Some(owner) = owner(value.key, span, name, found) else {
            continue;
        };
        if let Some((_, first)) = keys.iter().find(|k| k.0 == owner) {
            found
                .error(span, format!("{owner} is given twice"))
                .note_at(*first, "first here");
            continue;
        }
        if let Some(pool) = pool_named(&value, pools, found) {
            owners.push((owner.clone(), pool, value.span()));
        }
        keys.push((owner, span));
    }
    let ttl = table.get("ttl").and_then(|v| ttl(&v, found)).unwrap_or(TTL);
    ZoneSource::Made {
        ns,
        pools: owners,
        ttl,
    }
}

fn name_servers(value: &Value<'_>, zone: &Name, found: &mut Diagnostics) -> Vec<Name> {
    let Some(texts) = value.texts(found) else {
        return Vec::new();
    };
    if value.items(found).is_some_and(|i| i.is_empty()) {
        value.error("the list of name servers is empty", found);
    }
    let mut out = Vec::new();
    for (text, span) in texts {
        match Name::absolute(text) {
            Ok(name) if out.contains(&name) => {
                found.error(span, format!("\"{text}\" is listed twice"));
            }
            Ok(name) => {
                if name.is_within(zone) {
                    found
                        .warning(
                            span,
                            format!("{name} is inside of the zone, which holds no address for it"),
                        )
                        .note("use a zone file, or name servers that lie elsewhere");
                }
                out.push(name);
            }
            Err(e) => {
                found.error(span, format!("\"{text}\" is no name: {e}"));
            }
        }
    }
    out
}

/// A key of `pools`: a name within the zone, `@` for the zone's own.
fn owner(text: &str, span: Span, zone: &Name, found: &mut Diagnostics) -> Option<Name> {
    match Name::parse(text.as_bytes(), Some(zone)) {
        Ok(name) if name.is_within(zone) => Some(name),
        Ok(name) => {
            found.error(span, format!("{name} is not in the zone {zone}"));
            None
        }
        Err(e) => {
            found.error(span, format!("\"{text}\" is no name: {e}"));
            None
        }
    }
}

fn pool_named(
    value: &Value<'_>,
    (pools, whole): (&[Pool], bool),
    found: &mut Diagnostics,
) -> Option<usize> {
    let text = value.text(found)?;
    let index = pools.iter().position(|p| p.name == text);
    if index.is_none() && whole {
        let error = value.error(format!("there is no pool \"{text}\""), found);
        error.suggest(text, pools.iter().map(|p| p.name.as_str()));
    }
    index
}

/// `MAX/MIN` or `MAX`, in seconds as in zone files, or with units.
fn ttl(value: &Value<'_>, found: &mut Diagnostics) -> Option<(u32, u32)> {
    let text = match value.as_integer() {
        Some(seconds) => seconds.to_string(),
        None => value.text(found)?.to_owned(),
    };
    let (most, least) = text
        .split_once('/')
        .map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let most = seconds(most);
    let least = least.map_or_else(|| most.map(|m| m.min(TTL.1)), seconds);
    match (most, least) {
        (Some(most), Some(least)) if least > most => {
            value.error(
                format!("the least TTL, {least} s, is above the steady one, {most} s"),
                found,
            );
            None
        }
        (Some(most), Some(least)) => Some((most, least)),
        _ => {
            value.error(
                "\"ttl\" must be like \"300/30\": seconds when steady and at least, 1 to 604800",
                found,
            );
            None
        }
    }
}

fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => unit::duration(text)
            .filter(|d| d.subsec_millis() == 0)?
            .as_secs(),
    };
    u32::try_from(seconds)
        .ok()
        .filter(|s| (1..=LONGEST_TTL).contains(s))
}
