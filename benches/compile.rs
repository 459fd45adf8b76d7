//! How long the full GeoLite2 City database takes to open and to compile, for 12, 50, 200 and 1,000 nodes, and how large it all is;
//! with GeoLite2 ASN beside it also pools that look at autonomous systems.
//!
//! `cargo bench --bench compile`. The database is fetched by `geoip/make/fetch-city`; without it this says so and ends.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to tell of a broken set-up"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use nearmost::clock::Clock;
use nearmost::control::{Parts, build, load_text, rebuild};
use nearmost::geo::{Database, World};
use nearmost::snapshot::Snapshot;

/// Rounds of which the median is taken.
const ROUNDS: usize = 3;

fn main() {
    let Some(city) = fetch("city") else { return };
    let (open, parts) = median(|| load(&(config(&[&city], 1) + "[pool.p]\n")));
    let (place, world) = median(|| {
        let city = Database::open(&city).expect("it was loaded");
        World::build(&[city], &[])
    });
    println!("open, verify and walk   {open:>8.3} s");
    println!("open it alone           {place:>8.3} s");
    println!(
        "places {}, their ranges {} of IPv4 and {} of IPv6, in {:.1} MB",
        world.places().len(),
        world.v4().len(),
        world.v6().len(),
        megabytes(world.octets())
    );
    println!(
        "{:>6} {:>12} {:>10} {:>10} {:>7} {:>8}",
        "nodes", "rank all, s", "IPv4", "IPv6", "lists", "map, MB"
    );
    let now = Clock::start().now();
    let before = build(&parts, 1, now).expect("it builds").snapshot;
    for (nodes, share) in [
        (12, false),
        (50, false),
        (200, false),
        (1000, false),
        (12, true),
        (50, true),
    ] {
        let pool = if share {
            println!("with max_share = \"12%\":");
            "[pool.p]\nmax_share = \"12%\"\n"
        } else {
            "[pool.p]\n"
        };
        let mut more = load(&(config(&[], nodes) + pool));
        more.atlas = parts.atlas.clone();
        row(&more, &before, nodes, "");
    }
    let Some(asn) = fetch("asn") else { return };
    let (open, parts) = median(|| load(&(config(&[&city, &asn], 1) + "[pool.p]\n")));
    let before = build(&parts, 1, now).expect("it builds").snapshot;
    println!(
        "with systems, open      {open:>8.3} s, {:.1} MB",
        megabytes(before.world.octets())
    );
    for (nodes, systems) in [(12, 1), (50, 10), (200, 100)] {
        let mut more = load(&(config(&[], nodes) + &rules(systems)));
        more.atlas = parts.atlas.clone();
        row(&more, &before, nodes, &format!("  {systems} systems"));
    }
}

/// Ranks a pool of so many nodes anew, and says what that took and what came out.
fn row(parts: &Parts, before: &Snapshot, nodes: usize, note: &str) {
    let now = Clock::start().now();
    let (seconds, generation) = median(|| rebuild(parts, before, now).expect("it builds"));
    let family = generation.snapshot.pools[0].v4.as_ref();
    let map = &family.expect("IPv4 nodes").steering.map;
    let (v4, v6, lists) = map.size();
    println!(
        "{nodes:>6} {seconds:>12.3} {v4:>10} {v6:>10} {lists:>7} {:>8.1}{note}",
        megabytes(map.octets())
    );
}

/// Systems with many addresses, each with a node of its own.
const LARGE: [u32; 10] = [7018, 3320, 4134, 7922, 2914, 3215, 5089, 17676, 15169, 1221];

/// Rules for so many systems.
fn rules(systems: u32) -> String {
    let mut out = String::from("[pool.p]\nrules = [\n");
    for n in 0..systems {
        // Behind the large ones any others.
        let asn = LARGE.get(n as usize).copied().unwrap_or(20_000 + 97 * n);
        out += &format!("    {{ from = [\"AS{asn}\"], use = [\"n{n}\", \"*\"] }},\n");
    }
    out + "]\n"
}

/// A full database; none, and a line that says so, where it cannot be had.
fn fetch(which: &str) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/make/fetch-city");
    let fetched = Command::new(script)
        .arg(which)
        .output()
        .expect("the script runs");
    let path = PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim());
    if fetched.status.success() && path.exists() {
        return Some(path);
    }
    println!(
        "skipped: {}",
        String::from_utf8_lossy(&fetched.stderr).trim()
    );
    None
}

fn load(config: &str) -> Parts {
    let loaded = load_text(Path::new("bench.toml"), config);
    let told = || loaded.found.render(&loaded.sources, false);
    loaded.parts.unwrap_or_else(|| panic!("{}", told()))
}

/// Seconds of processor time that something takes, and what comes of it.
fn median<T>(mut work: impl FnMut() -> T) -> (f64, T) {
    let mut once = || {
        let start = processor();
        let done = work();
        (processor() - start, done)
    };
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| once()).collect();
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds.swap_remove(ROUNDS / 2)
}

/// Seconds that this process has had a processor for: others on the machine matter less to it than to the clock.
fn processor() -> f64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.expect("Linux tells") / 1e9
}

fn megabytes(octets: usize) -> f64 {
    octets as f64 / 1e6
}

/// Nodes of one pool; in the world of some databases, or in that which ships.
fn config(databases: &[&Path], nodes: usize) -> String {
    let mut out = String::new();
    if !databases.is_empty() {
        out += &format!("[geo]\ndatabases = {databases:?}\n");
    }
    out += "[zone.\"example.org\"]\nns = [\"ns1.example.org\"]\npools = { \"@\" = \"p\" }\n";
    for i in 0..nodes {
        // Where people live, on a spiral.
        let (lat, lon) = (
            -40.0 + 100.0 * i as f64 / nodes as f64,
            (i as f64 * 137.508) % 360.0 - 180.0,
        );
        let (a, b) = (i / 250, i % 250 + 1);
        out += &format!(
            "[node.n{i}]\nat = [{lat:.3}, {lon:.3}]\nip = [\"192.0.{a}.{b}\", \"2001:db8::{i:x}\"]\n"
        );
    }
    out
}
