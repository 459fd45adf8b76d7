//! `[health]`: how far probes are believed.

use std::net::IpAddr;
use std::time::Duration;

use super::pool::{Known, probe_named};
use super::table::{Keys, Table, Value};
use crate::diagnostic::Diagnostics;
use crate::health::Kind;

static HEALTH: Keys = Keys {
    known: &["freeze", "canaries"],
    later: &[],
};

static CANARY: Keys = Keys {
    known: &["ip", "probe", "host"],
    later: &[],
};

const DAY: Duration = Duration::from_secs(86_400);

/// How far probes are believed.
#[derive(Clone, Debug)]
pub struct Health {
    /// How long states are frozen at most when most nodes fail at once. Default 10 minutes; zero: never.
    pub freeze: Duration,
    /// What is known to be good, and tells whether probes see anything.
    pub canaries: Vec<Canary>,
}

/// Something that is known to be good.
#[derive(Clone, Debug)]
pub struct Canary {
    /// Its address.
    pub ip: IpAddr,
    /// The index of its probe.
    pub probe: usize,
    /// The name asked for, for kinds that need one.
    pub host: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            freeze: Duration::from_secs(600),
            canaries: Vec::new(),
        }
    }
}

/// Reads the table.
pub(super) fn read(top: &Table<'_>, known: &mut Known<'_>, found: &mut Diagnostics) -> Health {
    let mut health = Health::default();
    let table = top
        .get("health")
        .and_then(|v| v.table(top.key_span("health")?, &HEALTH, found));
    let Some(table) = table else {
        return health;
    };
    let freeze = table.get("freeze");
    if let Some(freeze) = freeze.and_then(|v| v.duration(Duration::ZERO..=DAY, found)) {
        health.freeze = freeze;
    }
    let canaries = table.get("canaries").and_then(|v| v.items(found));
    let mut seen = Vec::new();
    for item in canaries.unwrap_or_default() {
        let Some(canary) = canary(&item, known, found) else {
            continue;
        };
        let same = (canary.ip, canary.probe, canary.host.clone());
        match seen.iter().find(|(other, _)| *other == same) {
            Some((_, first)) => {
                let first = *first;
                item.error("this canary is listed twice", found)
                    .note_at(first, "first here");
            }
            None => {
                seen.push((same, item.span()));
                health.canaries.push(canary);
            }
        }
    }
    health
}

fn canary(item: &Value<'_>, known: &mut Known<'_>, found: &mut Diagnostics) -> Option<Canary> {
    if !item.is_table() {
        item.error("a canary is a table", found)
            .note("write { ip = \"192.0.2.9\", probe = \"tcp:53\" }");
        return None;
    }
    let table = item.table(item.span(), &CANARY, found)?;
    let mut need = |key: &'static str| {
        let value = table.get(key);
        if value.is_none() {
            table.missing(format!("a canary needs \"{key}\""), found);
        }
        value
    };
    let (ip, probe) = (need("ip"), need("probe"));
    let ip = ip.and_then(|value| {
        let ip = value.text(found)?.parse();
        ip.map_err(|_| {
            value
                .error("\"ip\" must be one address", found)
                .note("write \"192.0.2.9\" or \"2001:db8::9\"");
        })
        .ok()
    });
    let probe = probe.and_then(|value| {
        Some((
            probe_named(value.text(found)?, value.span(), known, found)?,
            value,
        ))
    });
    let host = table
        .get("host")
        .and_then(|v| super::probe::host(&v, found));
    let (probe, at) = probe?;
    let needs = &known.probes[probe];
    let asks = matches!(needs.kind, Kind::Http { .. } | Kind::Exec { .. });
    if asks && needs.host.is_none() && table.get("host").is_none() {
        at.error(
            format!(
                "the probe \"{}\" needs a \"host\" to ask a canary for",
                needs.name
            ),
            found,
        );
    }
    Some(Canary {
        ip: ip?,
        probe,
        host,
    })
}
