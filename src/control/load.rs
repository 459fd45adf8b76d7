//! Files to a checked configuration: everything that can be wrong with them is told in one go.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, ZoneSource};
use crate::diagnostic::{Diagnostics, Sources};
use crate::geo::Database;
use crate::zone::{Data, Name, Record, file, rtype};

/// All that the files say, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The files read.
    pub sources: Sources,
    /// Errors and warnings.
    pub found: Diagnostics,
    /// What can be built; none with errors in `found`.
    pub parts: Option<Parts>,
}

/// What a generation is built of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The zones' names and records, in the configuration's order.
    pub zones: Vec<(Name, Vec<Record>)>,
    /// The GeoIP databases.
    pub databases: Vec<Database>,
}

/// Reads `nearmost.toml`, all that it names, and the folders beside it.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    if let Some(config) = config::read(path, &mut loaded.sources, &mut loaded.found) {
        finish(&mut loaded, config);
    }
    loaded
}

/// As [`load`], of a configuration that stands in memory.
#[must_use]
pub fn load_text(path: &Path, text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    let config = config::read_text(path, text, &mut loaded.sources, &mut loaded.found);
    finish(&mut loaded, config);
    loaded
}

fn finish(loaded: &mut Loaded, config: Config) {
    let Loaded { sources, found, .. } = loaded;
    let zones = zones(&config, sources, found);
    let databases = databases(&config, found);
    if found.errors() == 0 {
        loaded.parts = Some(Parts {
            config,
            zones,
            databases,
        });
    }
}

fn zones(
    config: &Config,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Vec<(Name, Vec<Record>)> {
    let pools: Vec<&str> = config.pools.iter().map(|p| p.name.as_str()).collect();
    let mut zones: Vec<(Name, Vec<Record>)> = Vec::new();
    for zone in &config.zones {
        let (name, records) = match &zone.source {
            ZoneSource::Made { ns, pools, ttl } => {
                (zone.name.clone(), made(config, zone, ns, pools, *ttl))
            }
            ZoneSource::File(path) => {
                let contents = file::read(path, &zone.name, sources, found);
                (contents.origin, contents.records)
            }
        };
        if zones.iter().any(|(other, _)| *other == name) {
            found.error(zone.span, format!("zone \"{name}\" is defined twice"));
            continue;
        }
        // What a made zone lacks after an error in its table follows from that error.
        let followup = found.errors() > 0 && matches!(zone.source, ZoneSource::Made { .. });
        let records = if followup {
            records
        } else {
            file::check(&name, records, &pools, found)
        };
        zones.push((name, records));
    }
    zones
}

/// Seconds for the SOA and NS of a zone that has no file.
const MADE_TTL: u32 = 3600;
/// Serial, refresh, retry, expire, minimum: nobody transfers such a zone yet, and negative answers are to be short.
const MADE_SOA: [u32; 5] = [1, 7200, 1800, 1_209_600, 300];

/// The records of a zone without a file.
fn made(
    config: &Config,
    zone: &config::Zone,
    ns: &[Name],
    pools: &[(Name, usize, crate::diagnostic::Span)],
    (max, min): (u32, u32),
) -> Vec<Record> {
    let span = zone.span.unwrap_or(crate::diagnostic::Span::new(0, 0, 0));
    let plain = |rtype: u16, rdata: Vec<u8>| Record {
        owner: zone.name.clone(),
        ttl: MADE_TTL,
        data: Data::Plain {
            rtype,
            rdata: rdata.into(),
        },
        span,
    };
    let mut soa = ns.first().map_or(vec![0], |first| first.wire().to_vec());
    soa.extend_from_slice(b"\x0ahostmaster");
    soa.extend_from_slice(zone.name.wire());
    MADE_SOA
        .iter()
        .for_each(|number| soa.extend_from_slice(&number.to_be_bytes()));
    let servers = ns.iter().map(|name| plain(rtype::NS, name.wire().to_vec()));
    let names = pools.iter().map(|(owner, pool, span)| Record {
        owner: owner.clone(),
        ttl: max,
        data: Data::Pool {
            pool: config.pools[*pool].name.as_str().into(),
            min_ttl: min,
            span: *span,
        },
        span: *span,
    });
    std::iter::once(plain(rtype::SOA, soa))
        .chain(servers)
        .chain(names)
        .collect()
}

fn databases(config: &Config, found: &mut Diagnostics) -> Vec<Database> {
    if config.geo.databases.is_empty() {
        return match Database::shipped() {
            Ok(database) => vec![database],
            Err(error) => {
                found.error(None, error.to_string());
                Vec::new()
            }
        };
    }
    let mut open = |(path, span): &(PathBuf, crate::diagnostic::Span)| match Database::open(path) {
        Ok(database) => Some(database),
        Err(error) => {
            found.error(*span, error.message);
            None
        }
    };
    config.geo.databases.iter().filter_map(&mut open).collect()
}
