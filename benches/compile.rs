//! How long the full GeoLite2 City database takes to compile, for 12, 50, 200 and 1,000 nodes, and how large the maps are.
//!
//! `cargo bench --bench compile`. The database is fetched by `geoip/make/fetch-city`; without it this says so and ends.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to tell of a broken set-up"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nearmost::clock::Clock;
use nearmost::control::{build, load_text};

fn main() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/make/fetch-city");
    let fetched = Command::new(script).output().expect("the script runs");
    let city = PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim());
    if !fetched.status.success() || !city.exists() {
        println!(
            "skipped: {}",
            String::from_utf8_lossy(&fetched.stderr).trim()
        );
        return;
    }
    println!(
        "{:>6} {:>14} {:>10} {:>10} {:>10} {:>7}",
        "nodes", "open+verify, s", "compile, s", "IPv4", "IPv6", "lists"
    );
    for nodes in [12, 50, 200, 1000] {
        let config = config(&city, nodes);
        let mut rounds: Vec<(f64, f64, (usize, usize, usize))> =
            (0..3).map(|_| once(&config)).collect();
        rounds.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (open, compile, (v4, v6, lists)) = rounds[1];
        println!("{nodes:>6} {open:>14.2} {compile:>10.2} {v4:>10} {v6:>10} {lists:>7}");
    }
}

/// Seconds to open, seconds to compile, and the map's size.
fn once(config: &str) -> (f64, f64, (usize, usize, usize)) {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let now = Instant::now;
    let start = now();
    let loaded = load_text(Path::new("bench.toml"), config);
    let parts = loaded
        .parts
        .unwrap_or_else(|| panic!("{}", loaded.found.render(&loaded.sources, false)));
    let opened = start.elapsed();
    let start = now();
    let generation = build(&parts, 1, Clock::start().now()).expect("it builds");
    let built = start.elapsed();
    let family = generation.snapshot.pools[0]
        .v4
        .as_ref()
        .expect("IPv4 nodes");
    (
        opened.as_secs_f64(),
        built.as_secs_f64(),
        family.steering.map.size(),
    )
}

fn config(city: &Path, nodes: usize) -> String {
    let mut out = format!(
        "[geo]\ndatabases = [{:?}]\n[zone.\"example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"p\" }}\n[pool.p]\n",
        city.display().to_string()
    );
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
