//! What the benchmarks share: configurations of any size, and questions to them.

#![allow(dead_code, reason = "each benchmark uses its part")]
#![allow(unreachable_pub, reason = "a module of each benchmark")]
#![allow(
    clippy::panic,
    reason = "a benchmark has nobody to tell of a broken set-up"
)]

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use nearmost::answer::{Outcome, Request, Scratch, Transport, answer};
use nearmost::clock::Clock;
use nearmost::control::{Parts, build, load_text};
use nearmost::health::Table;
use nearmost::policy::Steering;
use nearmost::prefix::Client;
use nearmost::snapshot::Snapshot;
use nearmost::wire::Query;
use nearmost::zone::Name;

/// A configuration of one zone, `example.org`.
#[derive(Clone, Debug)]
pub struct Size {
    /// Nodes, from south to north.
    pub nodes: usize,
    /// Pools of all nodes; the names `p0`, `p1` ... lead to them, at least [`POOL_NAMES`].
    pub pools: usize,
    /// Static names, `h0`, `h1` ...
    pub names: usize,
    /// Whether nodes have a probe: a slot each in the health table. Nothing is ever probed here.
    pub probes: bool,
    /// A GeoIP database; none: that which ships with the program.
    pub city: Option<PathBuf>,
}

/// Octets of an empty OPT record.
pub const OPT: usize = 11;
/// Names that lead to pools, if there are not more pools.
pub const POOL_NAMES: usize = 21;

/// What most operators have.
pub const SMALL: Size = Size {
    nodes: 12,
    pools: 1,
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
            text += &format!("[pool.p{i}]\n{probe}");
        }
        text + &spiral(self.nodes)
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

/// Nodes on a spiral from south to north: no two at one place.
fn spiral(nodes: usize) -> String {
    let mut text = String::new();
    for i in 0..nodes {
        let lat = -70.0 + 140.0 * i as f64 / nodes as f64;
        let lon = (i as f64 * 137.508) % 360.0 - 180.0;
        let (a, b) = (i / 250, i % 250 + 1);
        let _ = writeln!(
            text,
            "[node.n{i}]\nat = [{lat:.3}, {lon:.3}]\nip = [\"192.0.{a}.{b}\", \"2001:db8::{i:x}\"]"
        );
    }
    text
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

/// A generator of Knuth's: the same questions each time.
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number, of 40 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 24
    }
}

/// Kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A random static name.
    Static,
    /// A random one of the first thousand static names.
    StaticFew,
    /// A random pool for a random client.
    Pool,
    /// The same pool for the same client.
    PoolOne,
    /// A random name that does not exist.
    Missing,
    /// A random name that a wildcard answers.
    Wildcard,
    /// An alias of an alias of an alias of an alias.
    Chain,
}

impl Kind {
    /// So many questions to a configuration of this size, the same each time.
    pub fn questions(self, size: &Size, count: usize) -> Vec<Vec<u8>> {
        let mut random = Random(1);
        let packets = (0..count).map(|_| self.question(size, &mut random));
        packets.collect()
    }

    fn question(self, size: &Size, random: &mut Random) -> Vec<u8> {
        let r = random.next();
        let below = |n: usize| r % n as u64;
        let name = match self {
            Self::Static => format!("h{}", below(size.names)),
            Self::StaticFew => format!("h{}", below(size.names.min(1_000))),
            Self::Pool => format!("p{}", below(size.pools.max(POOL_NAMES))),
            Self::PoolOne => "p0".into(),
            Self::Missing => format!("x{r}"),
            Self::Wildcard => format!("x{r}.wild"),
            Self::Chain => "c1".into(),
        };
        let client = match self {
            Self::Pool => Some(random.next()),
            Self::PoolOne => Some(0x5480_0000),
            _ => None,
        };
        packet(&format!("{name}.example.org"), client)
    }
}

/// A question for addresses with EDNS; of a client, if there is one: its /24 counts, moved to where addresses are routable.
fn packet(name: &str, client: Option<u64>) -> Vec<u8> {
    let mut out = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    out.extend_from_slice(Name::absolute(name).expect("a name").wire());
    out.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0]);
    match client {
        Some(client) => {
            let [.., a, b, c, _] = client.to_be_bytes();
            out.extend_from_slice(&[0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a % 223 + 1, b, c]);
        }
        None => out.extend_from_slice(&[0, 0]),
    }
    out
}

/// A question as it is read.
pub fn query(packet: &[u8]) -> Query<'_> {
    Query::parse(packet).expect("a good question")
}

/// The clients that the questions state.
pub fn clients(packets: &[Vec<u8>]) -> Vec<Client> {
    let stated = packets
        .iter()
        .filter_map(|packet| query(packet).edns?.ecs?.client());
    stated.map(Client::of).collect()
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
