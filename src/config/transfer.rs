//! `query`, `transfer`, `notify` and `primary` of a zone: who may ask it, and other name servers, by address and key.

use std::net::{IpAddr, SocketAddr};

use super::keys::Key;
use super::server::socket_address;
use super::table::{Keys, Table, Value};
use crate::diagnostic::{Diagnostics, Span};
use crate::prefix::Prefix;
use crate::snapshot::{Allow, Peer};
use crate::zone::Name;

static FROM: Keys = Keys {
    known: &["from", "key"],
    later: &[],
};

static SERVER: Keys = Keys {
    known: &["at", "key", "source"],
    later: &[],
};

/// The port of the DNS.
const PORT: u16 = 53;

/// Who is let in: lines of addresses, networks, keys, and tables of both. None: nothing is said of it.
pub(super) fn lets_in(
    table: &Table<'_>,
    key: &'static str,
    keys: &[Key],
    found: &mut Diagnostics,
) -> Option<Vec<Allow>> {
    let items = table.get(key)?.items(found)?;
    let mut out: Vec<(Allow, Span)> = Vec::new();
    for item in items {
        let allow = match item.as_text() {
            Some(text) => match text.strip_prefix("key:") {
                Some(name) => named(name, &item, keys, found).map(|key| (None, Some(key))),
                None => network(text, &item, found).map(|net| (Some(net), None)),
            },
            None => line(&item, keys, found),
        };
        let Some((from, key)) = allow else { continue };
        let allow = Allow { from, key };
        once(allow, item.span(), &mut out, found);
    }
    Some(out.into_iter().map(|(allow, _)| allow).collect())
}

fn once<T: PartialEq>(what: T, span: Span, out: &mut Vec<(T, Span)>, found: &mut Diagnostics) {
    match out.iter().find(|(known, _)| *known == what) {
        Some((_, first)) => {
            let first = *first;
            found
                .error(span, "this is listed twice")
                .note_at(first, "first here");
        }
        None => out.push((what, span)),
    }
}

/// `{ from = "192.0.2.0/24", key = "NAME" }`.
fn line(
    item: &Value<'_>,
    keys: &[Key],
    found: &mut Diagnostics,
) -> Option<(Option<Prefix>, Option<usize>)> {
    let table = item.table(item.span(), &FROM, found)?;
    let from = match table.get("from") {
        Some(value) => Some(network(value.text(found)?, &value, found)?),
        None => None,
    };
    let key = match table.get("key") {
        Some(value) => Some(named(value.text(found)?, &value, keys, found)?),
        None => None,
    };
    if from.is_none() && key.is_none() {
        item.error(
            "this lets everybody in: give \"from\", \"key\", or both",
            found,
        );
        return None;
    }
    Some((from, key))
}

/// An address, or a network.
fn network(text: &str, at: &Value<'_>, found: &mut Diagnostics) -> Option<Prefix> {
    let (addr, len) = text
        .split_once('/')
        .map_or((text, None), |(a, l)| (a, Some(l)));
    let parsed = addr.parse::<IpAddr>().ok().and_then(|addr| {
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let len = len.map_or(Some(bits), |l| l.parse().ok().filter(|l| *l <= bits))?;
        Some((addr, Prefix::holding(addr, len)))
    });
    let Some((addr, prefix)) = parsed else {
        at.error(format!("\"{text}\" is no address, no network and no key"), found)
            .note("write \"192.0.2.1\", \"2001:db8::/32\", \"key:NAME\", or { from = \"192.0.2.1\", key = \"NAME\" }");
        return None;
    };
    if prefix.addr != addr {
        at.error(
            format!("{addr} is not the first address of its network"),
            found,
        )
        .note(format!("did you mean \"{prefix}\"?"));
        return None;
    }
    Some(prefix)
}

/// A key, by its name.
fn named(name: &str, at: &Value<'_>, keys: &[Key], found: &mut Diagnostics) -> Option<usize> {
    let wanted = Name::absolute(name).ok();
    let number = keys
        .iter()
        .position(|key| Some(&key.name) == wanted.as_ref());
    if number.is_none() {
        let names: Vec<String> = keys.iter().map(|key| shown(&key.name)).collect();
        at.error(format!("there is no key \"{name}\""), found)
            .suggest(name, names.iter().map(String::as_str));
    }
    number
}

/// A name without its final dot.
pub(super) fn shown(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

/// Other servers: addresses, or tables of an address, a key and the address that they know us by.
pub(super) fn peers(
    table: &Table<'_>,
    key: &'static str,
    keys: &[Key],
    found: &mut Diagnostics,
) -> Vec<Peer> {
    let Some(value) = table.get(key) else {
        return Vec::new();
    };
    let items = value.items(found).unwrap_or_default();
    if value.is_list() && items.is_empty() {
        value.error(format!("the list of \"{key}\" is empty"), found);
    }
    let mut out: Vec<(Peer, Span)> = Vec::new();
    for item in items {
        let peer = match item.as_text() {
            Some(text) => address(text, &item, found).map(|at| Peer {
                at,
                key: None,
                source: None,
            }),
            None => server(&item, keys, found),
        };
        if let Some(peer) = peer {
            once(peer, item.span(), &mut out, found);
        }
    }
    out.into_iter().map(|(peer, _)| peer).collect()
}

/// `{ at = "192.0.2.53", key = "NAME" }`.
fn server(item: &Value<'_>, keys: &[Key], found: &mut Diagnostics) -> Option<Peer> {
    let table = item.table(item.span(), &SERVER, found)?;
    let Some(at) = table.get("at") else {
        table.missing("a name server needs \"at\", its address".to_owned(), found);
        return None;
    };
    let at = address(at.text(found)?, &at, found)?;
    let key = match table.get("key") {
        Some(value) => Some(named(value.text(found)?, &value, keys, found)?),
        None => None,
    };
    let source = match table.get("source") {
        Some(value) => Some(source(value.text(found)?, &value, at.ip(), found)?),
        None => None,
    };
    Some(Peer { at, key, source })
}

/// An address of ours, from which `to` can be reached.
fn source(text: &str, at: &Value<'_>, to: IpAddr, found: &mut Diagnostics) -> Option<IpAddr> {
    let address: Option<IpAddr> = text.parse().ok();
    let fine = address.filter(|a| !a.is_unspecified() && a.is_ipv4() == to.is_ipv4());
    if fine.is_none() {
        let family = if to.is_ipv4() { "IPv4" } else { "IPv6" };
        at.error(
            format!("\"{text}\" is no {family} address of this name server"),
            found,
        );
    }
    fine
}

fn address(text: &str, at: &Value<'_>, found: &mut Diagnostics) -> Option<SocketAddr> {
    let address = socket_address(text, PORT).filter(|a| a.port() != 0 && !a.ip().is_unspecified());
    if address.is_none() {
        at.error(format!("\"{text}\" is no address of a name server"), found)
            .note("write \"192.0.2.53\", \"192.0.2.53:5353\", \"[2001:db8::53]:5353\", or { at = \"192.0.2.53\", key = \"NAME\" }");
    }
    address
}
