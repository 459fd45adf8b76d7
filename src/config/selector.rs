//! Selectors of clients: `country:XX`, `continent:EU`, `203.0.113.0/24`; and the `limit` made of them.

use super::table::{Keys, Table, Value, not_yet};
use super::{location, network};
use crate::diagnostic::{Diagnostics, Span};
use crate::policy::{CONTINENTS, Limit, Selector};

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
    let number = text.strip_prefix("AS").unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        found.error(span, not_yet(text));
        return None;
    }
    if text.contains('/') || text.parse::<std::net::IpAddr>().is_ok() {
        return network::prefix(text, span, found).map(Selector::Net);
    }
    found
        .error(span, format!("\"{text}\" means no clients"))
        .note("write \"country:XX\", \"continent:EU\" or \"203.0.113.0/24\"");
    None
}
