//! `[geo]`: databases, and networks that are elsewhere than those say.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Geo;
use super::location;
use super::table::{Keys, Table, Value};
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::{Override, Subject, asn_named};
use crate::prefix::{CARRIERS, Prefix};

static GEO: Keys = Keys {
    known: &["databases", "latency", "override"],
    later: &["reload"],
};

static OVERRIDE: Keys = Keys {
    known: &["net", "asn", "at", "country"],
    later: &[],
};

/// Maps are compiled at this grain for IPv6.
const NARROWEST_V6: u8 = 64;

/// Reads the table.
pub(super) fn read(top: &Table<'_>, found: &mut Diagnostics) -> Geo {
    let table = top
        .get("geo")
        .and_then(|v| v.table(top.key_span("geo")?, &GEO, found));
    let Some(table) = table else {
        return Geo::default();
    };
    let mut geo = Geo {
        databases: paths(table.get("databases"), "database", found),
        latency: paths(table.get("latency"), "table", found),
        overrides: Vec::new(),
    };
    let mut seen = HashMap::new();
    for value in table
        .get("override")
        .and_then(|v| v.items(found))
        .unwrap_or_default()
    {
        geo.overrides.extend(override_of(&value, &mut seen, found));
    }
    geo
}

/// Paths, each once.
fn paths(list: Option<Value<'_>>, word: &str, found: &mut Diagnostics) -> Vec<(PathBuf, Span)> {
    let mut out: Vec<(PathBuf, Span)> = Vec::new();
    for value in list.and_then(|v| v.items(found)).unwrap_or_default() {
        let Some(path) = value.path(found) else {
            continue;
        };
        match out.iter().find(|d| d.0 == path) {
            Some((_, first)) => {
                let first = *first;
                value
                    .error(format!("this {word} is listed twice"), found)
                    .note_at(first, "first here");
            }
            None => out.push((path, value.span())),
        }
    }
    out
}

fn override_of(
    value: &Value<'_>,
    seen: &mut HashMap<Subject, Span>,
    found: &mut Diagnostics,
) -> Option<Override> {
    let table = value.table(value.span(), &OVERRIDE, found)?;
    let (at, country) = location::read(&table, found);
    if table.get("at").is_none() && table.get("country").is_none() {
        table.missing("an override needs \"at\" or \"country\"".to_owned(), found);
    }
    let (value, subject) = match (table.get("net"), table.get("asn")) {
        (Some(net), None) => (
            net,
            prefix(net.text(found)?, net.span(), found).map(Subject::Net),
        ),
        (None, Some(asn)) => (asn, system(asn.text(found)?, asn.span(), found)),
        (Some(_), Some(asn)) => {
            asn.error("an override has \"net\" or \"asn\", not both", found);
            return None;
        }
        (None, None) => {
            table.missing("an override needs \"net\" or \"asn\"".to_owned(), found);
            return None;
        }
    };
    let subject = subject?;
    if let Some(first) = seen.insert(subject, value.span()) {
        value
            .error(format!("{subject} is overridden twice"), found)
            .note_at(first, "first here");
    }
    (at.is_some() || country.is_some()).then_some(Override {
        subject,
        at,
        country,
    })
}

/// `AS64500`, or `AS64500/DE`.
pub(super) fn system(text: &str, span: Span, found: &mut Diagnostics) -> Option<Subject> {
    let (asn, country) = match text.split_once('/') {
        Some((asn, country)) => (asn, Some(country)),
        None => (text, None),
    };
    let Some(asn) = asn_named(asn) else {
        found
            .error(span, format!("\"{text}\" is no autonomous system"))
            .note("write \"AS64500\", or \"AS64500/DE\" for its addresses in a country");
        return None;
    };
    match country {
        Some(code) => {
            let country = location::country(code, span, found)?;
            Some(Subject::Asn(asn, Some(country)))
        }
        None => Some(Subject::Asn(asn, None)),
    }
}

/// `ADDRESS/LENGTH`; an IPv4 address alone is a network of its own.
pub(super) fn prefix(text: &str, span: Span, found: &mut Diagnostics) -> Option<Prefix> {
    let (addr, len) = text
        .split_once('/')
        .map_or((text, None), |(a, l)| (a, Some(l)));
    let Ok(addr) = addr.parse::<std::net::IpAddr>() else {
        found
            .error(span, format!("\"{text}\" is no network"))
            .note("write \"203.0.113.0/24\" or \"2001:db8::/32\"");
        return None;
    };
    let bits = if addr.is_ipv4() { 32 } else { 128 };
    let len = len.map_or(Some(bits), |l| l.parse().ok().filter(|l| *l <= bits));
    let Some(len) = len else {
        found.error(span, format!("the length of a prefix is from 0 to {bits}"));
        return None;
    };
    let prefix = Prefix::holding(addr, len);
    let (problem, note) = if addr.is_ipv6() && len > NARROWEST_V6 {
        let wide = Prefix::holding(addr, NARROWEST_V6);
        (
            "IPv6 networks are told apart down to /64".to_owned(),
            format!("did you mean \"{wide}\"?"),
        )
    } else if prefix.addr != addr {
        (
            format!("{addr} is not the first address of its network"),
            format!("did you mean \"{prefix}\"?"),
        )
    } else if CARRIERS.iter().any(|c| c.contains(addr) && len >= c.len) {
        (
            "such addresses are looked up as the IPv4 address inside".to_owned(),
            "name that network".to_owned(),
        )
    } else {
        return Some(prefix);
    };
    found.error(span, problem).note(note);
    None
}
