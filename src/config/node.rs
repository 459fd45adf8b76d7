//! `[node.NAME]`: one mirror machine or site.

use std::net::IpAddr;

use super::files::{Definition, name_problem};
use super::location;
use super::selector;
use super::table::{Keys, Table, Value};
use super::unit;
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::asn_named;
use crate::policy::{Bias, Node, Route};
use crate::zone::Name;

/// The keys of a node.
pub(super) static KEYS: Keys = Keys {
    known: &[
        "at", "country", "admin", "tags", "asn", "weight", "capacity", "tier", "bias", "ip",
        "host", "cname", "address", "limit",
    ],
    later: &["shadow"],
};

static ADDRESS: Keys = Keys {
    known: &["ip", "for", "private"],
    later: &[],
};

/// A node's weight unless it says otherwise.
const WEIGHT: u32 = 100;
/// The largest weight: room for a capacity in Mbit/s.
const HEAVIEST: u32 = 1_000_000;

/// The highest tier.
const TIERS: u8 = 99;

/// Reads a node.
pub(super) fn read(definition: &Definition<'_>, found: &mut Diagnostics) -> Node {
    let Definition { name, table, .. } = definition;
    let (at, country) = location::read(table, found);
    let (addresses, host) = reached(name, table, found);
    let cname = by_name(name, table, found);
    Node {
        name: (*name).to_owned(),
        at,
        country,
        admin: table
            .get("admin")
            .and_then(|v| v.text(found))
            .map(str::to_owned),
        tags: table
            .get("tags")
            .map(|v| tags(&v, found))
            .unwrap_or_default(),
        asn: table.get("asn").and_then(|v| asn(&v, found)),
        weight: table
            .get("weight")
            .and_then(|v| v.whole(0..=HEAVIEST, found))
            .unwrap_or(WEIGHT),
        capacity: table.get("capacity").and_then(|v| capacity(&v, found)),
        tier: table
            .get("tier")
            .and_then(|v| v.whole(1..=TIERS, found))
            .unwrap_or(1),
        bias: table
            .get("bias")
            .and_then(|v| v.whole(-99..=99, found))
            .map(Bias)
            .unwrap_or_default(),
        limit: selector::limit(table, found),
        addresses,
        routes: table
            .get("address")
            .map(|v| routes(&v, found))
            .unwrap_or_default(),
        host,
        cname,
    }
}

fn asn(value: &Value<'_>, found: &mut Diagnostics) -> Option<u32> {
    let text = value.text(found)?;
    let asn = asn_named(text);
    if asn.is_none() {
        value
            .error(format!("\"{text}\" is no autonomous system"), found)
            .note("write \"AS786\"");
    }
    asn
}

/// `[[address]]`: addresses for some clients.
fn routes(value: &Value<'_>, found: &mut Diagnostics) -> Vec<Route> {
    let items = value.items(found).unwrap_or_default();
    let mut route = |item: &Value<'_>| {
        let table = item.table(item.span(), &ADDRESS, found)?;
        for key in ["ip", "for"] {
            if table.get(key).is_none() {
                table.missing(format!("an address needs \"{key}\""), found);
            }
        }
        Some(Route {
            addresses: addresses(&table.get("ip")?, found),
            clients: selector::read(&table.get("for")?, found),
            private: table
                .get("private")
                .and_then(|v| v.truth(found))
                .unwrap_or(false),
        })
    };
    items.iter().filter_map(&mut route).collect()
}

/// Where the node is reached: addresses or the name that has them, one of the two.
fn reached(name: &str, table: &Table<'_>, found: &mut Diagnostics) -> (Vec<IpAddr>, Option<Name>) {
    let addresses = table.get("ip").map(|v| addresses(&v, found));
    let host = table.get("host").map(|v| (host(&v, found), v));
    match (&addresses, &host) {
        (None, None) if table.key_span("address").is_none() => {
            if let Some(error) = table.missing(format!("node \"{name}\" has no address"), found) {
                error.note(
                    "add a line such as ip = [\"192.0.2.1\"] or host = \"mirror.example.org\"",
                );
            }
        }
        (Some(_), Some((_, value))) => {
            let message = format!("node \"{name}\" has both `ip` and `host`");
            value
                .error(message, found)
                .note("keep one: addresses as they stand, or a name that is resolved");
        }
        _ => {}
    }
    (
        addresses.unwrap_or_default(),
        host.and_then(|(host, _)| host),
    )
}

/// Whether clients are given the name of the node and not its addresses.
fn by_name(name: &str, table: &Table<'_>, found: &mut Diagnostics) -> bool {
    let Some(value) = table.get("cname") else {
        return false;
    };
    let cname = value.truth(found).unwrap_or(false);
    if cname && table.get("host").is_none() {
        value
            .error(format!("node \"{name}\" has `cname` but no `host`"), found)
            .note("the name in `host` is what is given");
    }
    cname
}

/// A name that is resolved.
fn host(value: &Value<'_>, found: &mut Diagnostics) -> Option<Name> {
    let text = value.text(found)?;
    if text.parse::<IpAddr>().is_ok() {
        value
            .error(format!("\"{text}\" is an address, not a name"), found)
            .note("addresses are listed in `ip`");
        return None;
    }
    let strange = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_');
    let host = Name::absolute(text).ok();
    let host = host.filter(|name| name.parent().is_some() && !text.contains(strange));
    if host.is_none() {
        value.error(format!("\"{text}\" is no host name"), found);
    }
    host
}

fn capacity(value: &Value<'_>, found: &mut Diagnostics) -> Option<u32> {
    let text = value.text(found)?;
    let capacity = unit::megabits(text);
    if capacity.is_none() {
        value
            .error(format!("\"{text}\" is no capacity"), found)
            .note("write \"500Mbit\" or \"10Gbit\", up to 4000Tbit");
    }
    capacity
}

fn tags(value: &Value<'_>, found: &mut Diagnostics) -> Vec<String> {
    let mut out = Vec::new();
    for (tag, span) in value.texts(found).unwrap_or_default() {
        if let Some(problem) = name_problem(tag) {
            found.error(span, format!("a tag {problem}"));
        }
        if !out.iter().any(|t| t == tag) {
            out.push(tag.to_owned());
        }
    }
    out
}

fn addresses(value: &Value<'_>, found: &mut Diagnostics) -> Vec<IpAddr> {
    let Some(texts) = value.texts(found) else {
        return Vec::new();
    };
    if value.is_list() && value.items(found).is_some_and(|i| i.is_empty()) {
        value.error("the list of addresses is empty", found);
    }
    let mut out: Vec<(IpAddr, Span)> = Vec::new();
    for (text, span) in texts {
        let Some(ip) = address(text, span, found) else {
            continue;
        };
        match out.iter().find(|(known, _)| *known == ip) {
            Some((_, first)) => {
                let first = *first;
                found
                    .error(span, format!("{ip} is listed twice"))
                    .note_at(first, "first here");
            }
            None => out.push((ip, span)),
        }
    }
    out.into_iter().map(|(ip, _)| ip).collect()
}

/// An address that clients can be sent to.
fn address(text: &str, span: Span, found: &mut Diagnostics) -> Option<IpAddr> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        let error = found.error(span, format!("\"{text}\" is no IP address"));
        if text.contains('/') {
            error.note("a node has single addresses, not networks");
        } else if text.parse::<std::net::SocketAddr>().is_ok() {
            error.note("a port belongs to the probe, not to the address");
        } else if text.ends_with(|c: char| c.is_ascii_alphabetic()) && text.contains('.') {
            error.note("a name that is resolved stands in `host` instead");
        }
        return None;
    };
    if let Some(problem) = unusable(ip) {
        found.error(span, format!("{ip} {problem}"));
        return None;
    }
    Some(ip)
}

/// Why nobody can be sent to an address, as the rest of a sentence.
pub(crate) fn unusable(ip: IpAddr) -> Option<String> {
    let text = match ip {
        _ if ip.is_unspecified() => "means no address at all",
        _ if ip.is_multicast() => "is a multicast address",
        IpAddr::V4(a) if a.is_broadcast() => "is the broadcast address",
        IpAddr::V4(a) if a.octets()[0] == 0 => "is in 0.0.0.0/8, which is no host's",
        IpAddr::V4(a) if a.is_link_local() => "is link-local: no client reaches it",
        IpAddr::V6(a) if a.is_unicast_link_local() => "is link-local: no client reaches it",
        IpAddr::V6(a) => {
            return a
                .to_ipv4_mapped()
                .map(|v4| format!("is an IPv4 address: write \"{v4}\""));
        }
        IpAddr::V4(_) => return None,
    };
    Some(text.to_owned())
}
