//! Files to a checked configuration: everything that can be wrong with them is told in one go.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::atlas::Atlas;
use super::audience::Audience;
use super::exposed;
use super::keyring::{Keyring, ZoneKeys};
use super::reach::Reach;
use super::tls;
use super::watch::Files;
use crate::config::{self, Config, Extra, ZoneSource};
use crate::diagnostic::{Diagnostics, Sources, Span};
use crate::geo::{About, Subject};
use crate::policy::{LatencyRow, NoneLeft, Pool, Resolver, Selector};
use crate::server::tls::Identity;
use crate::zone::version::numbers;
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
    /// What was read, folders too, as it was then.
    pub files: Files,
    /// The folders that the configuration speaks of, if it could be read.
    pub reach: Option<Reach>,
}

/// The keys of each zone that is signed.
pub(super) type AllKeys = HashMap<Name, Arc<ZoneKeys>>;

/// What a generation is built of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The zones' names and records, in the configuration's order.
    pub zones: Vec<(Name, Vec<Record>)>,
    /// The keys of the zones that are signed.
    pub(super) keys: AllKeys,
    /// Where addresses are.
    pub atlas: Atlas,
    /// What was measured between clients and nodes.
    pub latency: Vec<LatencyRow>,
    /// Where the clients of pools are, as far as some were seen.
    pub audience: Audience,
    /// What all this was read from.
    pub files: Files,
    /// Who the admin API is over TLS.
    pub identity: Option<Identity>,
    /// Who we are where questions come encrypted.
    pub shown: Option<Identity>,
}

impl Parts {
    /// Lets the zones' records go, which are larger than all that is kept of them, if no other generation will be built of these parts:
    /// that is so where no node is known by a `name` and no zone comes from another server.
    pub(super) fn let_go(&mut self, nameless: bool) {
        let theirs = |zone: &config::Zone| matches!(zone.source, ZoneSource::Primary(_));
        if nameless && !self.config.zones.iter().any(theirs) {
            self.zones = Vec::new();
        }
    }
}

/// Reads `nearmost.toml`, all that it names, and the folders beside it.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    load_after(path, &[], None)
}

/// As [`load`] with some more files, where the databases that `last` was made of are not opened again.
#[must_use]
pub fn load_after(path: &Path, extras: &[Extra], last: Option<&Atlas>) -> Loaded {
    let mut loaded = Loaded::default();
    let Loaded { sources, found, .. } = &mut loaded;
    let config = config::read_with(path, extras, sources, found);
    if let Some(config) = config {
        finish(&mut loaded, config, last);
    }
    if let Some(parts) = &loaded.parts {
        exposed::look(path, &parts.config, &mut loaded.found);
    }
    loaded.files.add(&loaded.sources);
    if let Some(parts) = &mut loaded.parts {
        parts.files = loaded.files.clone();
    }
    loaded
}

/// As [`load`], of a configuration that stands in memory.
#[must_use]
pub fn load_text(path: &Path, text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    let config = config::read_text(path, text, &mut loaded.sources, &mut loaded.found);
    finish(&mut loaded, config, None);
    loaded
}

fn finish(loaded: &mut Loaded, config: Config, last: Option<&Atlas>) {
    let Loaded {
        sources,
        found,
        files,
        reach,
        ..
    } = loaded;
    *reach = Some(Reach::named_in(&config));
    // Before they are read.
    *files = Files::named_in(&config);
    let (zones, keys) = zones(&config, sources, found);
    let Some(atlas) = Atlas::of(&config, last, found) else {
        return;
    };
    let latency = super::latency::read(&config, &atlas.world, sources, found);
    let identity = tls::read(config.admin.tls.as_ref(), found);
    let shown = tls::read(config.tls.files.as_ref(), found);
    if found.errors() == 0 {
        unanswerable(&config, &atlas.databases, found);
    }
    if found.errors() == 0 {
        loaded.parts = Some(Parts {
            config,
            zones,
            keys,
            atlas,
            latency,
            audience: Audience::default(),
            files: Files::default(),
            identity,
            shown,
        });
    }
}

fn zones(
    config: &Config,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> (Vec<(Name, Vec<Record>)>, AllKeys) {
    let keyring = Keyring::at(&config.dnssec.keys);
    let mut keys = HashMap::new();
    let pools: Vec<&str> = config.pools.iter().map(|p| p.name.as_str()).collect();
    let mut zones: Vec<(Name, Vec<Record>)> = Vec::new();
    for zone in &config.zones {
        let (name, records) = match &zone.source {
            ZoneSource::Made { ns, pools, ttl } => {
                (zone.name.clone(), made(config, zone, ns, pools, *ttl))
            }
            // What its primary has given is not of the files.
            ZoneSource::Primary(_) => (zone.name.clone(), Vec::new()),
            ZoneSource::File(path) => {
                let contents = file::read(path, &zone.name, sources, found);
                (contents.origin, contents.records)
            }
        };
        if zones.iter().any(|(other, _)| *other == name) {
            found.error(zone.span, format!("zone \"{name}\" is defined twice"));
            continue;
        }
        if matches!(zone.source, ZoneSource::Primary(_)) {
            zones.push((name, records));
            continue;
        }
        // What a made zone lacks after an error in its table follows from that error.
        let followup = found.errors() > 0 && matches!(zone.source, ZoneSource::Made { .. });
        let mut records = if followup {
            records
        } else {
            file::check(&name, records, &pools, found)
        };
        lone_aliases(config, &name, &records, found);
        own_aliases(config, &records, found);
        if let Some(span) = zone.signed {
            match keyring.keys(&name) {
                Ok(own) => {
                    signed_already(&name, &records, found);
                    own.join(&name, span, &mut records, found);
                    keys.insert(name.clone(), Arc::new(own));
                }
                Err(why) => {
                    let error =
                        found.error(span, format!("zone \"{name}\" cannot be signed: {why}"));
                    if keyring.list(&name).is_ok_and(|list| list.keys.is_empty()) {
                        error.note(format!("make a key for it: nearmost keys new {name}"));
                    }
                }
            }
        }
        if zone.signed.is_none() {
            super::presigned::check(&name, &records, found);
        }
        forgetful(config, zone, &records, found);
        outlives(config, zone, &records, found);
        zones.push((name, records));
    }
    super::nested::check(config, &zones, found);
    (zones, keys)
}

/// Whether nobody else answers for a zone.
fn is_alone(zone: &config::Zone) -> bool {
    zone.transfer.is_empty() && zone.notify.is_empty()
}

/// Where nothing is kept, the serial of a zone with pools or signatures begins anew at each start, behind the one that its secondaries have.
fn forgetful(config: &Config, zone: &config::Zone, records: &[Record], found: &mut Diagnostics) {
    let pools = || records.iter().any(|r| matches!(r.data, Data::Pool { .. }));
    let moves = zone.signed.is_some() || pools();
    if config.server.state.is_none() && !is_alone(zone) && moves {
        let what = match zone.signed {
            Some(_) => "is signed",
            None => "has pools",
        };
        let message = format!(
            "zone \"{}\" {what} and has secondaries, but its serials are not kept: after a start they wait for one that is higher",
            zone.name
        );
        found
            .warning(zone.span, message)
            .note("name a folder with \"state\" in [server]");
    }
}

/// Who hears nothing of us any more answers until the SOA's expire time is over, with signatures that may hold for half of their time only.
fn outlives(config: &Config, zone: &config::Zone, records: &[Record], found: &mut Diagnostics) {
    if zone.signed.is_none() || is_alone(zone) {
        return;
    }
    let soa = records.iter().find_map(|record| match &record.data {
        Data::Plain { rtype, rdata } if *rtype == rtype::SOA => Some((record.span, rdata)),
        _ => None,
    });
    let Some((span, rdata)) = soa else { return };
    let expire = numbers(rdata).map_or(0, |[_, _, _, expire, _]| expire);
    let holds = config.dnssec.settings.validity / 2;
    if expire >= holds {
        let message = format!(
            "zone \"{}\" expires at its secondaries after {expire} s, when signatures that they have may have ended: these hold for {holds} s at least",
            zone.name
        );
        found
            .warning(span, message)
            .note("lower the expire time in the SOA, or raise \"validity\" in [dnssec]");
    }
}

/// A zone that is signed here has no signatures of others.
fn signed_already(zone: &Name, records: &[Record], found: &mut Diagnostics) {
    let signs = |record: &&Record| match &record.data {
        Data::Plain { rtype, .. } => {
            let denial = [rtype::NSEC, rtype::NSEC3, rtype::NSEC3PARAM];
            *rtype == rtype::RRSIG || denial.contains(rtype)
        }
        Data::Pool { .. } => false,
    };
    if let Some(record) = records.iter().find(signs) {
        let message = format!("zone \"{zone}\" is signed here, but this file is signed already");
        let error = found.error(record.span, message);
        error.note("give the zone without its signatures, or take away `signed = true`");
    }
}

/// A name that can become an alias has nothing else (RFC 1034 3.6.2).
fn lone_aliases(config: &Config, zone: &Name, records: &[Record], found: &mut Diagnostics) {
    let aliases = config.pools.iter();
    let aliases = aliases.filter_map(|p| Some((p.name.as_str(), alias(config, p)?)));
    let aliases: HashMap<&str, String> = aliases.collect();
    if aliases.is_empty() {
        return;
    }
    let mut others: HashMap<&Name, Span> = HashMap::new();
    for record in records {
        if matches!(record.data, Data::Plain { .. }) {
            others.entry(&record.owner).or_insert(record.span);
        }
    }
    for record in records {
        let Data::Pool { pool, .. } = &record.data else {
            continue;
        };
        let other = others.get(&record.owner);
        let Some(why) = aliases.get(&**pool) else {
            continue;
        };
        if other.is_none() && record.owner != *zone {
            continue;
        }
        let message = format!(
            "pool \"{pool}\" may answer with a CNAME, but {} has other records",
            record.owner
        );
        let error = found.error(record.span, message);
        error.note(why);
        if let Some(other) = other {
            error.note_at(*other, "here");
        }
    }
}

/// A name that is an alias of itself leads nowhere.
fn own_aliases(config: &Config, records: &[Record], found: &mut Diagnostics) {
    for record in records {
        let Data::Pool { pool, .. } = &record.data else {
            continue;
        };
        let Some(pool) = config.pools.iter().find(|p| p.name == **pool) else {
            continue;
        };
        let nodes = pool.nodes.iter().filter_map(|n| config.nodes.get(*n));
        let mut given = nodes.filter(|n| n.cname);
        let own = given.find(|n| n.host.as_ref() == Some(&record.owner));
        if let Some(node) = own {
            let message = format!(
                "node \"{}\" is given as a CNAME to {}, which is this very name",
                node.name, record.owner
            );
            let note = format!("it is a node of pool \"{}\"", pool.name);
            found.error(record.span, message).note(note);
        }
    }
}

/// What makes the answer of a pool, or of one that answers in its place, a CNAME.
fn alias(config: &Config, pool: &Pool) -> Option<String> {
    let own = |pool: &Pool| {
        let mut nodes = pool.nodes.iter().filter_map(|n| config.nodes.get(*n));
        if let Some(node) = nodes.find(|n| n.cname) {
            return Some(format!("node \"{}\" is given as a CNAME", node.name));
        }
        let by_name = matches!(pool.none, NoneLeft::Cname(_));
        by_name.then(|| format!("pool \"{}\" has none = \"{}\"", pool.name, pool.none))
    };
    // A circle is an error of its own.
    let mut all = std::iter::once(pool).chain(pool.stand_ins(&config.pools));
    all.find_map(own)
}

/// Seconds for the SOA and NS of a zone that has no file.
const MADE_TTL: u32 = 3600;
/// Two weeks.
const MADE_EXPIRE: u32 = 1_209_600;

/// The records of a zone without a file.
fn made(
    config: &Config,
    zone: &config::Zone,
    ns: &[Name],
    pools: &[(Name, usize, Span)],
    (max, min): (u32, u32),
) -> Vec<Record> {
    let span = zone.span.unwrap_or(Span::new(0, 0, 0));
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
    // That of a signed zone is below what `outlives` warns of.
    let expire = match zone.signed {
        Some(_) => MADE_EXPIRE.min(config.dnssec.settings.validity / 3),
        None => MADE_EXPIRE,
    };
    // Serial, refresh, retry, expire, minimum: negative answers are to be short.
    [1, 7200, 1800, expire, 300]
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

const LIST_ONE: &str = "list one in \"databases\" of [geo]";

/// Warns of what is asked for that no database knows.
fn unanswerable(config: &Config, databases: &[About], found: &mut Diagnostics) {
    let limits = config.nodes.iter().flat_map(|node| {
        let selectors = node.limit.selectors();
        selectors.map(move |s| (s, format!("the limit of node \"{}\"", node.name)))
    });
    let rules = config.pools.iter().flat_map(|pool| {
        let selectors = pool.rules.iter().flat_map(|rule| &rule.from);
        selectors.map(move |s| (s, format!("the rules of pool \"{}\"", pool.name)))
    });
    let mut systems = config.geo.overrides.iter().map(|o| o.subject);
    let system = systems.find(|s| matches!(s, Subject::Asn(..)));
    let asns = databases.iter().any(|d| !d.knows_places);
    let parts = databases.iter().any(|d| d.knows_subdivisions);
    let mut told = [asns, parts];
    if let Some(system) = system.filter(|_| !asns) {
        found
            .warning(
                None,
                format!("the override of {system} holds for nobody, as there is no ASN database"),
            )
            .note(LIST_ONE);
    }
    for (selector, place) in limits.chain(rules) {
        let (kind, lacking) = match selector {
            Selector::Asn(_) | Selector::Resolver(Resolver::Asn(_), _) => (0, "ASN database"),
            Selector::Subdivision(..) => (1, "database that knows parts of countries"),
            Selector::Country(_)
            | Selector::Continent(_)
            | Selector::Net(_)
            | Selector::Resolver(..) => continue,
        };
        if !std::mem::replace(&mut told[kind], true) {
            found
                .warning(
                    None,
                    format!("{place}: \"{selector}\" means nobody, as there is no {lacking}"),
                )
                .note(LIST_ONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with aliases where the pool `p` is at the zone's own name and at another.
    fn aliases(pool: &str, more: &str) -> Vec<String> {
        let text = format!(
            "[zone.x]\nns = ['ns.example']\npools = {{ '@' = 'p', 'a' = 'p' }}\n[pool.p]\nnodes = ['ip']\n{pool}\n\
             [node.ip]\nip = ['192.0.2.1']\n{more}\n[node.cdn]\nhost = 'cdn.example'\ncname = true"
        );
        let found = load_text(Path::new("/etc/nearmost/nearmost.toml"), &text).found;
        let aliases = found.list.iter().filter(|d| d.message.contains("CNAME"));
        let words = |d: &crate::diagnostic::Diagnostic| {
            let why = d.notes.first().map_or("", |(_, why)| why);
            format!("{}: {why}", d.message)
        };
        aliases.map(words).collect()
    }

    #[test]
    fn an_alias_stands_alone_wherever_it_comes_from() {
        let error = "pool \"p\" may answer with a CNAME, but x. has other records";
        let other = "[pool.q]\nnodes = ['cdn']";
        assert_eq!(aliases("", ""), [""; 0]);
        assert_eq!(aliases("", other), [""; 0]);
        assert_eq!(
            aliases("none = 'cname:y.example'", ""),
            [format!(
                "{error}: pool \"p\" has none = \"cname:y.example\""
            )]
        );
        assert_eq!(
            aliases("none = 'pool:q'", other),
            [format!("{error}: node \"cdn\" is given as a CNAME")]
        );
        let own = aliases(
            "",
            "[pool.q]\nnodes = ['cdn']\n[zone.'cdn.example']\nns = ['ns.example']\npools = { 'x' = 'q' }",
        );
        assert_eq!(own, [""; 0], "another name of the zone");
        let own = aliases(
            "",
            "[pool.q]\nnodes = ['cdn']\n[zone.'example']\nns = ['ns.x']\npools = { 'cdn' = 'q' }",
        );
        assert_eq!(
            own,
            [
                "node \"cdn\" is given as a CNAME to cdn.example., which is this very name: it is a node of pool \"q\""
            ]
        );
        // A circle is told of by others.
        let circle = "[pool.q]\nnodes = ['ip']\nnone = 'pool:p'";
        assert_eq!(aliases("none = 'pool:q'", circle), [""; 0]);
    }
}
