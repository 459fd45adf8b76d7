//! What the operator wrote, checked and turned into what the rest of the program works with.
//!
//! A file becomes tables with positions (`document`), those are read key by key (`table`), and each kind of table
//! has a file of its own here that says which keys it has, what they mean and what they are by default. All errors of
//! all files are told in one go.

mod abuse;
mod admin;
mod catalog;
mod differences;
mod dnssec;
mod document;
mod expect;
mod files;
mod health;
mod keep;
mod keys;
mod kind;
mod latency;
mod location;
mod log;
mod low;
mod network;
mod node;
mod none;
mod pool;
mod prefer;
mod probe;
mod querylog;
mod require;
mod rules;
mod selector;
mod server;
mod share;
mod shorthand;
mod show;
mod show_probe;
mod show_transfer;
mod table;
mod tls;
mod transfer;
mod unit;
mod warn;
mod zones;

/// Folders beside `nearmost.toml` that are read.
pub const FOLDERS: [&str; 4] = ["nodes", "pools", "probes", "zones"];

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostic::{Diagnostics, Sources, Span};
use crate::geo::Override;
use crate::health::Probe;
use crate::policy::{Node, Pool};
use crate::snapshot::{Allow, Peer, RateLimit};
use crate::zone::Name;

pub use abuse::Cookies;
pub use admin::{Admin, Role, Token};
pub use catalog::{Catalog, MemberOf, Members};
pub use differences::{Difference, Key, differences};
pub use dnssec::Dnssec;
pub use files::Extra;
pub(crate) use files::name_problem;
pub use health::{Canary, Health};
pub use keys::Key as SharedKey;
pub use latency::read_latency;
pub use log::{LogFormat, LogLevels};
pub(crate) use node::unusable;
pub use querylog::{LogTo, QueryLog};
pub use server::{Limits, Server};
pub use show::{quote, show};
pub use tls::{Tls, TlsFiles};
pub use unit::duration;

/// All that `nearmost.toml` and the folders beside it say. Pools, nodes and probes refer to each other by index.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where we listen and who we are.
    pub server: Server,
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// Where questions come encrypted.
    pub tls: Tls,
    /// Who may ask the running server, and how.
    pub admin: Admin,
    /// Where questions are written down.
    pub querylog: QueryLog,
    /// How zones are signed.
    pub dnssec: Dnssec,
    /// How many replies by UDP a network gets; none: any number.
    pub rrl: Option<RateLimit>,
    /// Cookies of clients.
    pub cookies: Cookies,
    /// Databases and corrections of them.
    pub geo: Geo,
    /// How far probes are believed.
    pub health: Health,
    /// Keys that are shared with other name servers.
    pub keys: Vec<SharedKey>,
    /// The zones: those of `nearmost.toml` in its order, then those of the folder by name.
    pub zones: Vec<Zone>,
    /// The pools: those of `nearmost.toml` in its order, then those of the folder by name.
    pub pools: Vec<Pool>,
    /// The nodes, in the same order.
    pub nodes: Vec<Node>,
    /// The probes, in the same order; after them those that pools define in shorthand, named as it is written.
    pub probes: Vec<Probe>,
}

/// What is known of where clients are.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    /// GeoIP databases and where they are named. None: the small one that ships with the program.
    pub databases: Vec<(PathBuf, Span)>,
    /// Latency tables and where they are named.
    pub latency: Vec<(PathBuf, Span)>,
    /// Corrections, each subject once.
    pub overrides: Vec<Override>,
}

/// A zone that we are authoritative for.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name. A zone file may say otherwise with its `$ORIGIN`.
    pub name: Name,
    /// Where it is defined; none for a file found in the folder.
    pub span: Option<Span>,
    /// Where its records come from.
    pub source: ZoneSource,
    /// Who may ask it. None: as [`Server::query`] says.
    pub query: Option<Vec<Allow>>,
    /// Who may have it whole. Default: nobody.
    pub transfer: Vec<Allow>,
    /// Who is told when it changes.
    pub notify: Vec<Peer>,
    /// Where it is said that it is signed; none: it is not.
    pub signed: Option<Span>,
    /// What becomes of its members, if it is a catalog of zones; none: it is an ordinary zone.
    pub catalog: Option<Catalog>,
    /// The catalog that lists it; none: it stands in the files.
    pub member: Option<MemberOf>,
}

/// Where a zone's records come from.
#[derive(Clone, Debug)]
pub enum ZoneSource {
    /// A master file.
    File(PathBuf),
    /// Made: an SOA and NS records at its top, and names that lead to pools.
    Made {
        /// Its name servers; the first is the SOA's MNAME. At least one.
        ns: Vec<Name>,
        /// Names and the pools behind them: owner, index of the pool, where the pool is named.
        pools: Vec<(Name, usize, Span)>,
        /// Seconds: the TTL while all is steady, and what it never falls below.
        ttl: (u32, u32),
    },
    /// Another name server, the first that has it; at least one.
    Primary(Vec<Peer>),
}

impl ZoneSource {
    /// The name servers that it comes from; none where it is ours.
    #[must_use]
    pub fn primaries(&self) -> &[Peer] {
        match self {
            Self::Primary(peers) => peers,
            Self::File(_) | Self::Made { .. } => &[],
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            udp_size: 1232,
            tcp_connections: 1000,
            tcp_per_client: 64,
            tcp_per_network: 256,
            tcp_idle: Duration::from_secs(10),
            tcp_total: Duration::from_secs(120),
            tcp_keepalive: true,
            resolve_least: Duration::from_secs(30),
            serial_every: Duration::from_secs(60),
            catalog_members: 10_000,
            received_memory: 4 << 30,
        }
    }
}

/// Reads `nearmost.toml` and the folders `zones`, `pools`, `nodes` and `probes` beside it.
///
/// What is wrong goes to `found`, sorted by place. With errors in it the value is only good for finding more of them: whatever
/// was wrong has its default there, or is left out. None if `path` itself cannot be read.
pub fn read(path: &Path, sources: &mut Sources, found: &mut Diagnostics) -> Option<Config> {
    read_with(path, &[], sources, found)
}

/// As [`read`], with some more files.
pub fn read_with(
    path: &Path,
    extras: &[Extra],
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Config> {
    let found_files = files::Found::with_folders(path, extras, sources, found)?;
    Some(assemble(&found_files, sources, found))
}

/// Reads where a running server is asked, and nothing else: that is so whatever is wrong with the rest. None if `path` cannot be read.
pub fn read_control(
    path: &Path,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<PathBuf> {
    let listed = files::Found::without_folders(path, sources, found)?;
    let files = files::Files::parse(&listed, sources, found);
    let top = files.top(&mut Diagnostics::default());
    Some(server::read_control(&top, found))
}

/// Reads one text as [`read`] would read it at `path`, without the folders.
pub fn read_text(
    path: &Path,
    text: &str,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Config {
    let found_files = files::Found::alone(path, text, sources);
    assemble(&found_files, sources, found)
}

/// Builds the domain's values, nodes and probes first because pools name them, then zones, which name pools.
fn assemble(listed: &files::Found, sources: &Sources, found: &mut Diagnostics) -> Config {
    let files = files::Files::parse(listed, sources, found);
    let from = found.list.len();
    let top = files.top(found);
    let node_tables = files.definitions(&top, files::Kind::Node, found);
    let probe_tables = files.definitions(&top, files::Kind::Probe, found);
    let pool_tables = files.definitions(&top, files::Kind::Pool, found);
    let nodes: Vec<Node> = node_tables.iter().map(|d| node::read(d, found)).collect();
    let probes: Vec<Probe> = probe_tables.iter().map(|d| probe::read(d, found)).collect();
    let mut known = pool::Known {
        nodes: &nodes,
        pools: pool_tables.iter().map(|d| d.name).collect(),
        probes,
        whole: files.whole(),
    };
    let pools: Vec<Pool> = pool_tables
        .iter()
        .map(|d| pool::read(d, &mut known, found))
        .collect();
    let health = health::read(&top, &mut known, found);
    let probes = known.probes;
    let spans: Vec<Span> = pool_tables.iter().map(|d| d.span).collect();
    none::circles(&pools, &spans, found);
    let keys = keys::read(&top, found);
    let zones = zones::read(&files, &top, (&pools, &keys), found);
    let (server, limits) = server::read(&top, &keys, found);
    let tls = tls::read(&top, &server, found);
    let admin = admin::read(&top, found);
    let querylog = querylog::read(&top, found);
    let rrl = abuse::rate_limit(&top, found);
    let cookies = abuse::cookies(&top, found);
    let dnssec = dnssec::read(&top, server.state.as_ref(), found);
    let geo = network::read(&top, found);
    let config = Config {
        server,
        limits,
        tls,
        admin,
        querylog,
        dnssec,
        rrl,
        cookies,
        geo,
        health,
        keys,
        zones,
        pools,
        nodes,
        probes,
    };
    files.drop_consequences(from, found);
    if found.errors() == 0 {
        // Half of a configuration would give wrong warnings.
        let spans =
            |definitions: &[files::Definition<'_>]| definitions.iter().map(|d| d.span).collect();
        let at = warn::Places {
            nodes: spans(&node_tables),
            pools: spans(&pool_tables),
            probes: spans(&probe_tables),
        };
        warn::look(&config, &at, found);
    }
    found
        .list
        .sort_by_key(|d| d.span.map_or((u32::MAX, 0), |s| (s.file, s.start)));
    config
}
