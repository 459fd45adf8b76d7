//! What the benchmarks share: configurations of any size, and questions to them.

#![allow(dead_code, reason = "each benchmark uses its part")]
#![allow(unreachable_pub, reason = "a module of each benchmark")]
#![allow(
    clippy::panic,
    reason = "a benchmark has nobody to tell of a broken set-up"
)]

pub mod questions;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use nearmost::answer::{Outcome, Request, Scratch, Transport, answer};
use nearmost::clock::Clock;
use nearmost::control::{Parts, build, load_text};
use nearmost::health::Table;
use nearmost::policy::Steering;
use nearmost::snapshot::Snapshot;

/// A configuration of one zone, `example.org`.
#[derive(Clone, Debug)]
pub struct Size {
    /// Nodes, from south to north.
    pub nodes: usize,
    /// Pools; the names `p0`, `p1` ... lead to them, at least [`POOL_NAMES`].
    pub pools: usize,
    /// Sets of nodes that pools have: with 1 that of all, else each lacks one.
    pub sets: usize,
    /// Static names, `h0`, `h1` ...
    pub names: usize,
    /// Whether nodes have a probe: a slot each in the health table. Nothing is ever probed here.
    pub probes: bool,
    /// A GeoIP database; none: that which ships with the program.
    pub city: Option<PathBuf>,
}

/// Names that lead to pools, if there are not more pools.
pub const POOL_NAMES: usize = 21;

/// What most operators have.
pub const SMALL: Size = Size {
    nodes: 12,
    pools: 1,
    sets: 1,
    names: 1_000,
    probes: false,
    city: None,
};

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nearmost-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the configuration");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Size {
    /// Writes the zone's file and returns the configuration.
    pub fn write(&self, folder: &Path) -> String {
        let file = folder.join("example.org.zone");
        std::fs::write(&file, self.zone()).expect("the zone file is written");
        let mut text = String::new();
        if let Some(city) = &self.city {
            text += &format!("[geo]\ndatabases = [{city:?}]\n");
        }
        text += &format!("[zone.\"example.org\"]\nfile = {file:?}\n");
        for i in 0..self.pools {
            let probe = if self.probes {
                "probe = \"tcp:80\"\n"
            } else {
                ""
            };
            let nodes = match self.sets {
                1 => "[\"*\"]".into(),
                sets => format!("[\"tag:not{}\"]", i % sets),
            };
            let _ = writeln!(text, "[pool.p{i}]\nnodes = {nodes}\n{probe}");
        }
        text + &self.spiral()
    }

    fn zone(&self) -> String {
        let mut text = String::from(
            "$TTL 300\n@ SOA ns1 hostmaster 1 7200 1800 1209600 300\n NS ns1\nns1 A 192.0.2.53\n\
             *.wild A 192.0.2.1\nc1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME h0\n",
        );
        for i in 0..self.names {
            let _ = writeln!(text, "h{i} A 192.0.{}.{}", i / 250 % 250, i % 250);
        }
        for i in 0..self.pools.max(POOL_NAMES) {
            let _ = writeln!(text, "p{i} 300/30 POOL p{}", i % self.pools);
        }
        text
    }

    /// Nodes on a spiral from south to north: no two at one place. Each is in all sets but one.
    fn spiral(&self) -> String {
        let mut text = String::new();
        for i in 0..self.nodes {
            let lat = -70.0 + 140.0 * i as f64 / self.nodes as f64;
            let lon = (i as f64 * 137.508) % 360.0 - 180.0;
            let (a, b) = (i / 250, i % 250 + 1);
            let tags: Vec<_> = (0..self.sets)
                .filter(|set| *set != i)
                .map(|set| format!("not{set}"))
                .collect();
            let _ = writeln!(
                text,
                "[node.n{i}]\nat = [{lat:.3}, {lon:.3}]\nip = [\"192.0.{a}.{b}\", \"2001:db8::{i:x}\"]\ntags = {tags:?}"
            );
        }
        text
    }

    /// Reads it as a server does.
    pub fn parts(&self) -> Parts {
        let folder = Folder::new(&format!("bench-{}-{}", self.nodes, self.names));
        let loaded = load_text(
            &folder.path().join("nearmost.toml"),
            &self.write(folder.path()),
        );
        let parts = loaded.parts;
        parts.unwrap_or_else(|| panic!("{}", loaded.found.render(&loaded.sources, false)))
    }

    /// A generation of it.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.parts(), 1)
    }
}

/// A generation of what was read.
pub fn snapshot(parts: &Parts, number: u64) -> Snapshot {
    let built = build(parts, number, Clock::start().now());
    built.expect("a generation").snapshot
}

/// A full City database; none, and a line that says why, where it cannot be had.
pub fn city() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/make/fetch-city");
    let fetched = Command::new(script).output().expect("the script runs");
    let path = PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim());
    if fetched.status.success() && path.exists() {
        return Some(path);
    }
    eprintln!("{}", String::from_utf8_lossy(&fetched.stderr).trim());
    None
}

/// How the first pool is steered.
pub fn steering(snapshot: &Snapshot) -> &Steering {
    let family = snapshot.pools[0].v4.as_ref();
    &family.expect("a pool of IPv4 addresses").steering
}

/// Who asks where no client is stated.
pub const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Asks one thing after another, as a worker does.
#[derive(Debug)]
pub struct Asker {
    scratch: Scratch,
    out: Vec<u8>,
}

impl Asker {
    /// With room for the longest reply by UDP.
    pub fn new() -> Self {
        Self {
            scratch: Scratch::default(),
            out: vec![0; 4096],
        }
    }

    /// Asks.
    #[inline]
    pub fn ask(&mut self, snapshot: &Snapshot, table: &Table, packet: &[u8]) -> Outcome {
        let request = Request {
            packet,
            source: SOURCE,
            transport: Transport::Udp,
            draw: 1,
        };
        let out = std::hint::black_box(&mut self.out);
        answer(snapshot, table, request, &mut self.scratch, out)
    }

    /// The reply to what was asked last.
    pub fn reply(&self, outcome: Outcome) -> &[u8] {
        &self.out[..outcome.len]
    }
}
