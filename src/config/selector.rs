//! Selectors of clients: `country:XX`, `continent:EU`, `subdivision:US-CA`, `AS64500`, `203.0.113.0/24`, `resolver:AS64500`; and the `limit` made of them.

use super::table::{Keys, Table, Value};
use super::{location, network};
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::{Subdivision, asn_named};
use crate::policy::{CONTINENTS, Limit, Resolver, Selector};

static LIMIT: Keys = Keys {
    known: &["only", "except"],
    later: &[],
};

/// The `limit` of a node.
pub(super) fn limit(table: &Table<'_>, found: &mut Diagnostics) -> Limit {
    let inner = table
        .get("limit")
        .and_then(|v| v.table(v.span(), &LIMIT, found));
    let mut selectors = |key| {
        let value = inner.and_then(|t| t.get(key));
        value.map(|v| read(&v, found)).unwrap_or_default()
    };
    Limit {
        only: selectors("only"),
        except: selectors("except"),
    }
}

/// A list of selectors, each once.
pub(super) fn read(value: &Value<'_>, found: &mut Diagnostics) -> Vec<Selector> {
    if value.is_list() && value.items(found).is_some_and(|i| i.is_empty()) {
        value
            .error(format!("the list \"{}\" is empty", value.key), found)
            .note("leave it out instead");
    }
    let mut out = Vec::new();
    for (text, span) in value.texts(found).unwrap_or_default() {
        match selector(text, span, found) {
            Some(selector) if !out.contains(&selector) => out.push(selector),
            _ => {}
        }
    }
    out
}

fn selector(text: &str, span: Span, found: &mut Diagnostics) -> Option<Selector> {
    if let Some(code) = text.strip_prefix("country:") {
        return location::country(code, span, found).map(Selector::Country);
    }
    if let Some(code) = text.strip_prefix("continent:") {
        let known = CONTINENTS.iter().find(|c| c.eq_ignore_ascii_case(code));
        if known.is_none() {
            found
                .error(span, format!("\"{code}\" is no continent"))
                .note(format!("it is one of {}", CONTINENTS.join(", ")));
        }
        return known.map(|code| Selector::Continent(code));
    }
    if let Some(code) = text.strip_prefix("subdivision:") {
        return subdivision(code, span, found);
    }
    if let Some(resolver) = text.strip_prefix("resolver:") {
        let resolver = match asn_named(resolver) {
            Some(asn) => Resolver::Asn(asn),
            None => Resolver::Net(network::prefix(resolver, span, found)?),
        };
        return Some(Selector::Resolver(resolver, false));
    }
    if let Some(asn) = asn_named(text) {
        return Some(Selector::Asn(asn));
    }
    if text.contains('/') || text.parse::<std::net::IpAddr>().is_ok() {
        return network::prefix(text, span, found).map(Selector::Net);
    }
    found
        .error(span, format!("\"{text}\" means no clients"))
        .note("write \"country:XX\", \"continent:EU\", \"subdivision:US-CA\", \"AS64500\" or \"203.0.113.0/24\"");
    None
}

/// `US-CA`: a country and the code of a part of it, which no table knows here.
fn subdivision(code: &str, span: Span, found: &mut Diagnostics) -> Option<Selector> {
    let (country, part) = code.split_once('-').unwrap_or((code, ""));
    let Some(part) = Subdivision::new(part) else {
        found
            .error(span, format!("\"{code}\" is no part of a country"))
            .note("write \"subdivision:US-CA\", as in ISO 3166-2");
        return None;
    };
    let country = location::country(country, span, found)?;
    Some(Selector::Subdivision(country, part))
}
