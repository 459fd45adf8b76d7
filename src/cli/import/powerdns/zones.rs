//! A zone of PowerDNS: its LUA records, and the file with pools in their places.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::declared::{self, Includes};
use super::lua;
use super::pick::Value;
use super::pools::{self, Declared, Named};
use crate::cli::import::Work;
use crate::cli::import::zone::{self, Change, Line};
use crate::diagnostic::{Diagnostics, Span};
use crate::zone::Name;
use crate::zone::file::Word;

/// A LUA record.
struct Script {
    owner: Name,
    written: String,
    ttl: String,
    /// The type that it answers, in capitals.
    kind: String,
    text: String,
    /// The whole record.
    span: Span,
}

/// What the zone's plain records say, before any is changed.
#[derive(Default)]
struct Seen {
    scripts: Vec<Script>,
    /// A and AAAA records by owner, in the order in which they stand.
    addresses: Vec<(Name, IpAddr, Span)>,
}

/// PowerDNS has no names of its own.
fn special(_: &[u8], _: &Name, _: &Name) -> Option<String> {
    None
}

/// Reads a zone and adds it to the system.
pub(super) fn read(path: &Path, name: &Name, work: &mut Work) {
    let pieces = zone::gather(path, name, special, &mut work.sources, &mut work.found);
    if pieces.is_empty() {
        return;
    }
    let mut seen = Seen::default();
    for piece in &pieces {
        let text = work.sources.text(piece.file).to_vec();
        zone::walk(&text, piece, special, &mut Diagnostics::default(), |line| {
            seen.line(line);
            Change::Keep
        });
    }
    let changes = changes(&seen, name, work);
    let mut done: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for (number, piece) in pieces.iter().enumerate().rev() {
        let text = work.sources.text(piece.file).to_vec();
        let mut found = std::mem::take(&mut work.found);
        let new = zone::walk(&text, piece, special, &mut found, |line| {
            let include = line.data.first().filter(|_| line.kind == "$INCLUDE");
            if let Some(file) = include
                && let Some(path) = piece.includes.get(&file.span).and_then(|n| done.get(n))
                && let Ok(path) = path.strip_prefix("zones")
            {
                return Change::Words(vec![(file.span, path.display().to_string())]);
            }
            changes
                .get(&line.entry.span)
                .cloned()
                .unwrap_or(Change::Keep)
        });
        work.found = found;
        let path = match number {
            0 => {
                Path::new("zones").join(format!("{}.zone", name.to_string().trim_end_matches('.')))
            }
            _ => Path::new("zones").join(&piece.path),
        };
        done.insert(number, work.system.file(&path, new));
    }
    work.system.zones += 1;
}

impl Seen {
    fn line(&mut self, line: &Line<'_, '_>) {
        let Some(owner) = &line.owner else {
            return;
        };
        if line.kind == "LUA" {
            let Some((kind, text)) = line.data.split_first() else {
                return;
            };
            self.scripts.push(Script {
                owner: owner.to_lower(),
                written: line.written.clone(),
                ttl: line
                    .ttl
                    .map(|w| format!("{} ", String::from_utf8_lossy(w.text)))
                    .unwrap_or_default(),
                kind: String::from_utf8_lossy(kind.text).to_ascii_uppercase(),
                text: text.iter().map(unescaped).collect(),
                span: line.entry.span,
            });
        } else if (line.kind == "A" || line.kind == "AAAA")
            && let Some(word) = line.data.first()
            && let Ok(ip) = String::from_utf8_lossy(word.text).parse()
        {
            self.addresses.push((owner.to_lower(), ip, line.entry.span));
        }
    }
}

/// The text of a string of a zone file, without its escapes.
fn unescaped(word: &Word<'_>) -> String {
    let mut out = Vec::new();
    let mut rest = word.text;
    while let Some((&octet, after)) = rest.split_first() {
        if octet != b'\\' {
            out.push(octet);
            rest = after;
            continue;
        }
        let number = after.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit));
        let number = number.and_then(|d| std::str::from_utf8(d).ok()?.parse::<u8>().ok());
        match (number, after.split_first()) {
            (Some(octet), _) => {
                out.push(octet);
                rest = &after[3..];
            }
            (None, Some((&octet, after))) => {
                out.push(octet);
                rest = after;
            }
            (None, None) => break,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What becomes of each record that does not stay, by its place.
fn changes(seen: &Seen, zone: &Name, work: &mut Work) -> HashMap<Span, Change> {
    let mut out = HashMap::new();
    let includes = includes(seen, zone);
    let called = called(seen, zone);
    let mut owners: Vec<&Name> = Vec::new();
    for script in &seen.scripts {
        if !owners.contains(&&script.owner) {
            owners.push(&script.owner);
        }
    }
    for owner in owners {
        let scripts: Vec<&Script> = seen.scripts.iter().filter(|s| s.owner == *owner).collect();
        for script in &scripts {
            out.insert(script.span, Change::Gone(String::new()));
        }
        let (declared, addresses) = sorted(&scripts, &includes, work);
        let answers = |s: &&&Script| ["A", "AAAA", "CNAME"].contains(&s.kind.as_str());
        let Some(first) = scripts.iter().find(answers) else {
            continue;
        };
        if let Some(lines) = fixed(&declared).filter(|_| addresses.is_empty()) {
            for ((script, _), lines) in declared.iter().zip(lines) {
                out.insert(script.span, Change::Gone(lines));
            }
            continue;
        }
        let beside = seen.addresses.iter().filter(|(name, ..)| name == owner);
        let beside: Vec<(IpAddr, Span)> = beside.map(|(_, ip, span)| (*ip, *span)).collect();
        let mut named = Named {
            label: label(owner, zone),
            owner: owner.to_string(),
            called: &called,
            beside: beside.iter().map(|(ip, _)| *ip).collect(),
        };
        let whats: Vec<Declared> = declared.iter().map(|(_, what)| what.clone()).collect();
        let pool = if !whats.is_empty() {
            named.beside.extend(&addresses);
            pools::pool(&named, &whats, work)
        } else if !addresses.is_empty() {
            Some(pools::plain(&named, &addresses, first.span, work))
        } else {
            None
        };
        let Some(pool) = pool else {
            continue;
        };
        for (ip, span) in beside {
            let what = format!(
                "{ip} of {owner}, which stands beside a LUA record: a name of a pool has no other addresses"
            );
            work.report
                .lost(span, what, "it is a node of the pool, after all others");
            out.insert(span, Change::Gone(String::new()));
        }
        let line = format!("{} {}POOL {pool}\n", first.written, first.ttl);
        out.insert(first.span, Change::Gone(line));
        work.report.records += 1;
    }
    out
}

/// What the scripts of a name declare; and the addresses that stand in those which declare nothing and are told of.
fn sorted<'s>(
    scripts: &[&'s Script],
    includes: &Includes,
    work: &mut Work,
) -> (Vec<(&'s Script, Declared)>, Vec<IpAddr>) {
    let (mut declared, mut addresses) = (Vec::new(), Vec::new());
    for script in scripts {
        match meaning(script, includes) {
            Meaning::Included => {}
            Meaning::Declared(what) => declared.push((*script, what)),
            Meaning::Lost(why) => {
                let found = literal_addresses(script);
                let instead = match &found[..] {
                    [] => {
                        "its text is a comment in the zone's file: give the name plain records, or a pool"
                    }
                    _ => {
                        "its addresses are a pool, of which one is drawn; its text is a comment in the zone's file"
                    }
                };
                let (kind, owner) = (&script.kind, &script.owner);
                let what = format!("LUA {kind} of {owner}, {why}: {}", shortened(&script.text));
                work.report.lost(script.span, what, instead);
                addresses.extend(found);
            }
        }
    }
    (declared, addresses)
}

enum Meaning {
    /// A record that others include.
    Included,
    Declared(Declared),
    /// Why it is no declaration.
    Lost(String),
}

fn meaning(script: &Script, includes: &Includes) -> Meaning {
    if script.kind == "LUA" {
        return Meaning::Included;
    }
    if !["A", "AAAA", "CNAME"].contains(&script.kind.as_str()) {
        return Meaning::Lost("only addresses and aliases come from pools".to_owned());
    }
    let program = "a program of its own".to_owned();
    let branches = lua::read(&script.text).and_then(|p| declared::branches(&p, includes));
    let Some(branches) = branches else {
        return Meaning::Lost(program);
    };
    match Declared::of(branches, script.span) {
        Ok(declared) => match wrong_kind(&declared, &script.kind) {
            true => Meaning::Lost(format!("not all of its values are of type {}", script.kind)),
            false => Meaning::Declared(declared),
        },
        Err(why) => Meaning::Lost(why),
    }
}

fn wrong_kind(declared: &Declared, kind: &str) -> bool {
    let members = declared
        .parts
        .iter()
        .flat_map(|(_, pick)| pick.sets.iter().flatten());
    let fits = |value: &Value| match value {
        Value::Ip(IpAddr::V4(_)) => kind == "A",
        Value::Ip(IpAddr::V6(_)) => kind == "AAAA",
        Value::Name(name) => kind == "CNAME" && Name::absolute(name).is_ok(),
    };
    members.into_iter().any(|m| !fits(&m.value))
}

/// Records in the place of declarations that are all simply values.
fn fixed(declared: &[(&Script, Declared)]) -> Option<Vec<String>> {
    let records = |(script, what): &(&Script, Declared)| {
        let line = |value: &Value| match value {
            Value::Ip(ip) => format!("{} {}{} {ip}\n", script.written, script.ttl, script.kind),
            Value::Name(name) => format!(
                "{} {}CNAME {}.\n",
                script.written,
                script.ttl,
                name.trim_end_matches('.')
            ),
        };
        Some(what.fixed()?.iter().map(line).collect::<String>())
    };
    let lines: Vec<String> = declared.iter().map(records).collect::<Option<_>>()?;
    (!lines.is_empty()).then_some(lines)
}

/// The programs of LUA records of type LUA, by their names in the zone.
fn includes(seen: &Seen, zone: &Name) -> Includes {
    let mut out = Includes::new();
    for script in seen.scripts.iter().filter(|s| s.kind == "LUA") {
        if let Some(program) = lua::read_program(&script.text) {
            out.insert(relative(&script.owner, zone), program);
        }
    }
    out
}

/// A name within the zone, as one writes it there.
fn relative(name: &Name, zone: &Name) -> String {
    let (name, zone) = (name.to_lower().to_string(), zone.to_lower().to_string());
    match name.strip_suffix(&zone) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.trim_end_matches('.').to_owned(),
        None => name,
    }
}

/// A name as a word for pools and nodes.
fn label(owner: &Name, zone: &Name) -> String {
    match relative(owner, zone).as_str() {
        "@" => zone
            .to_string()
            .split('.')
            .next()
            .unwrap_or("zone")
            .to_owned(),
        rest => rest.replace('*', "any"),
    }
}

/// What plain records call addresses: of several names the first.
fn called(seen: &Seen, zone: &Name) -> HashMap<IpAddr, String> {
    let mut out = HashMap::new();
    for (name, ip, _) in &seen.addresses {
        let mine = seen.scripts.iter().any(|s| s.owner == *name);
        if !mine && *name != *zone && !name.is_wildcard() {
            out.entry(*ip).or_insert_with(|| label(name, zone));
        }
    }
    out
}

/// Addresses that stand in the text of a program, of the type that it answers.
fn literal_addresses(script: &Script) -> Vec<IpAddr> {
    let mut out = Vec::new();
    let words = script
        .text
        .split(|c: char| !(c.is_ascii_hexdigit() || ".:/".contains(c)));
    for ip in words.filter_map(|word| word.parse::<IpAddr>().ok()) {
        let fits = match script.kind.as_str() {
            "A" => ip.is_ipv4(),
            "AAAA" => ip.is_ipv6(),
            _ => false,
        };
        // What no node may have. A network, which a condition names, has a slash and is no address.
        let usable = !ip.is_unspecified() && !ip.is_multicast();
        if fits && usable && !out.contains(&ip) {
            out.push(ip);
        }
    }
    out
}

/// A record's text for one line of the report.
fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
