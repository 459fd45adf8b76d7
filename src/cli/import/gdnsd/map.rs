//! A map of gdnsd's geoip: which clients get which datacenters, in which order.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use super::vscf::{Value, read_file};
use crate::cli::import::Work;
use crate::diagnostic::Span;
use crate::policy::CONTINENTS;
use crate::prefix::{CARRIERS, Prefix, is_routable};

/// Datacenters for some clients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Selectors of clients; empty: everybody.
    pub(super) from: Vec<String>,
    pub(super) list: List,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    /// By distance.
    Auto,
    Datacenters(Vec<String>),
}

/// The rows of a map, the first that means a client holds; the last is for everybody.
pub(super) fn rows(map: &Value, folder: &Path, work: &mut Work) -> Vec<Row> {
    let mut out = nets(map, folder, work);
    let mut tree = Tree {
        out: Vec::new(),
        old: map.get("geoip_db").is_some(),
        cities: map.get("city_no_region").is_some_and(Value::is_true),
    };
    let default = match map.get("map") {
        Some(top) => {
            tree.level(top, &Level::top(top), work);
            top.get("default").cloned()
        }
        None => None,
    };
    out.append(&mut tree.out);
    let all = map.get("datacenters").map(Value::texts).unwrap_or_default();
    let all = List::Datacenters(all.into_iter().map(str::to_owned).collect());
    let span = default.as_ref().map_or(map.span, |d| d.span);
    let list = match default {
        Some(default) => list(&default),
        None if map.get("auto_dc_coords").is_some() => List::Auto,
        None => all,
    };
    out.push(Row {
        from: Vec::new(),
        list,
        span,
    });
    out
}

fn list(value: &Value) -> List {
    match value.text() {
        Some("auto") => List::Auto,
        _ => List::Datacenters(value.texts().into_iter().map(str::to_owned).collect()),
    }
}

/// What the keys of a table of the map are.
#[derive(Clone, Debug)]
enum Level {
    Continents,
    Countries,
    /// Parts of a country.
    Parts(String),
    /// Towns, or parts of parts.
    Deeper,
}

impl Level {
    fn top(table: &Value) -> Self {
        match skips(table) {
            true => Self::Countries,
            false => Self::Continents,
        }
    }
}

/// `skip_level`, which is a truth, and in gdnsd's manual also 1.
fn skips(table: &Value) -> bool {
    let value = table.get("skip_level");
    value.is_some_and(|v| v.is_true() || v.text() == Some("1"))
}

struct Tree {
    out: Vec<Row>,
    /// Of a database in MaxMind's first format: parts of countries have other codes.
    old: bool,
    /// Towns stand directly below countries.
    cities: bool,
}

impl Tree {
    /// The rows below a table, the narrowest first, so that the first that means a client is the right one.
    fn level(&mut self, table: &Value, level: &Level, work: &mut Work) {
        for (key, value) in table.entries() {
            if key.text == "default" || key.text == "skip_level" {
                continue;
            }
            let (from, below) = match level {
                Level::Continents if CONTINENTS.contains(&key.text.as_str()) => {
                    let below = match skips(value) {
                        true => Level::Deeper,
                        false => Level::Countries,
                    };
                    (format!("continent:{}", key.text), below)
                }
                Level::Countries if is_country(&key.text) => {
                    let below = match skips(value) || self.cities {
                        true => Level::Deeper,
                        false => Level::Parts(key.text.clone()),
                    };
                    (format!("country:{}", key.text), below)
                }
                Level::Parts(country) if self.is_part(country, &key.text) => {
                    (format!("subdivision:{country}-{}", key.text), Level::Deeper)
                }
                Level::Continents | Level::Countries => {
                    let what = format!(
                        "clients of \"{}\", which is no continent or country",
                        key.text
                    );
                    work.report.lost(key.span, what, "they get what everybody gets; `unknown_client` of the pool is for clients of whom nothing is known");
                    continue;
                }
                Level::Parts(_) | Level::Deeper => {
                    let what = format!(
                        "clients of {}: rules know continents, countries, their parts (ISO 3166-2), networks and autonomous systems",
                        key.text
                    );
                    work.report.lost(
                        key.span,
                        what,
                        "name their networks in `from` of a rule, or let distance decide",
                    );
                    continue;
                }
            };
            let own = if value.is_table() {
                self.level(value, &below, work);
                value.get("default").cloned()
            } else {
                Some(value.clone())
            };
            if let Some(own) = own {
                self.out.push(Row {
                    from: vec![from],
                    list: list(&own),
                    span: key.span,
                });
            }
        }
    }

    fn is_part(&self, country: &str, code: &str) -> bool {
        let known = !self.old || ["US", "CA"].contains(&country);
        known
            && (1..=3).contains(&code.len())
            && code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// `nets`, the narrowest first. Networks of one length cannot lie in each other, so those with one list are one row.
fn nets(map: &Value, folder: &Path, work: &mut Work) -> Vec<Row> {
    let Some(value) = map.get("nets") else {
        return Vec::new();
    };
    let file;
    let table = match value.text() {
        None => value,
        Some(name) => {
            let path = folder.join("geoip").join(name);
            let root = path.parent().unwrap_or(folder).to_owned();
            file = read_file(&path, &root, &mut work.sources, &mut work.found);
            match &file {
                Some(table) => table,
                None => return Vec::new(),
            }
        }
    };
    // By length, the longest first, and by list; in the order in which they stand.
    let mut rows: BTreeMap<(u8, List), Row> = BTreeMap::new();
    for (key, value) in table.entries() {
        let Some(prefix) = network(&key.text) else {
            let what = format!(
                "clients of \"{}\": nearmost tells IPv6 networks apart down to /64, and looks up IPv4 inside IPv6 as IPv4",
                key.text
            );
            work.report
                .lost(key.span, what, "name a wider network, or the IPv4 network");
            continue;
        };
        if !is_routable(prefix.addr) {
            let what = format!(
                "clients of {prefix} that are named in a client subnet option, which is not looked at there"
            );
            work.report.lost(key.span, what, "tell where they are with a [[geo.override]] of this `net`; who asks from there is known as ever");
        }
        let list = list(value);
        let row = rows.entry((128 - prefix.len, list.clone())).or_insert(Row {
            from: Vec::new(),
            list,
            span: key.span,
        });
        let text = prefix.to_string();
        if !row.from.contains(&text) {
            row.from.push(text);
        }
    }
    rows.into_values().collect()
}

/// A network, if it is one that clients can be told apart by. `::a.b.c.d` is gdnsd's other way to write an IPv4 network.
fn network(text: &str) -> Option<Prefix> {
    let (addr, len) = text.split_once('/')?;
    let (addr, len): (IpAddr, u8) = (addr.parse().ok()?, len.parse().ok()?);
    let (addr, len) = match addr {
        IpAddr::V6(ip) if len >= 96 && ip.octets()[..12] == [0; 12] => {
            let [.., a, b, c, d] = ip.octets();
            (IpAddr::from([a, b, c, d]), len - 96)
        }
        addr => (addr, len),
    };
    let fits = match addr {
        IpAddr::V4(_) => len <= 32,
        IpAddr::V6(_) => len <= 64,
    };
    let carried = CARRIERS.iter().any(|c| c.contains(addr) && len >= c.len);
    (fits && !carried).then(|| Prefix::holding(addr, len))
}
