//! What an answer costs on one thread, without sockets; and how much more with a large configuration.
//!
//! `cargo bench --bench answer`. Nanoseconds are medians of many rounds; on a busy machine believe the ratios.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to tell of a broken set-up"
)]

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use nearmost::answer::{Request, Scratch, Transport, answer};
use nearmost::clock::Clock;
use nearmost::control::{build, load_text};
use nearmost::snapshot::Snapshot;
use nearmost::zone::{Name, rtype};

/// Rounds of which the median is taken.
const ROUNDS: usize = 31;
/// Questions in a round.
const QUESTIONS: usize = 20_000;

fn main() {
    let small = snapshot(12, 1, 1_000);
    let large = snapshot(1_000, 1_000, 1_000_000);
    println!(
        "{:34} {:>10} {:>10} {:>7}",
        "", "small, ns", "large, ns", "ratio"
    );
    let mut random = 1;
    let row = |title: &str, small_packets: Vec<Vec<u8>>, large_packets: Vec<Vec<u8>>| {
        let (a, b) = (
            measure(&small, &small_packets),
            measure(&large, &large_packets),
        );
        println!("{title:34} {a:>10.0} {b:>10.0} {:>7.2}", b / a);
    };
    let pool = |random: &mut u64, pools: u64| {
        questions(random, |r| {
            (format!("p{}.example.org", r % pools), rtype::A, Some(r))
        })
    };
    row(
        "pool, ECS, random clients",
        pool(&mut random, 1),
        pool(&mut random, 1_000),
    );
    let one = |random: &mut u64| {
        questions(random, |_| {
            ("p0.example.org".into(), rtype::A, Some(0x5480_0000))
        })
    };
    row("pool, ECS, one client", one(&mut random), one(&mut random));
    let fixed = |random: &mut u64, names: u64| {
        questions(random, |r| {
            (format!("h{}.example.org", r % names), rtype::A, None)
        })
    };
    row(
        "static, random names",
        fixed(&mut random, 1_000),
        fixed(&mut random, 1_000_000),
    );
    row(
        "static, 1,000 names asked",
        fixed(&mut random, 1_000),
        fixed(&mut random, 1_000),
    );
    let missing =
        |random: &mut u64| questions(random, |r| (format!("x{r}.example.org"), rtype::A, None));
    row(
        "NXDOMAIN, random names",
        missing(&mut random),
        missing(&mut random),
    );
    let wild = |random: &mut u64| {
        questions(random, |r| {
            (format!("x{r}.wild.example.org"), rtype::A, None)
        })
    };
    row("wildcard", wild(&mut random), wild(&mut random));
    let chain = |random: &mut u64| questions(random, |_| ("c1.example.org".into(), rtype::A, None));
    row("CNAME chain of 4", chain(&mut random), chain(&mut random));
}

/// A configuration of `nodes` nodes, `pools` pools of all of them and `names` static names.
fn snapshot(nodes: usize, pools: usize, names: usize) -> Snapshot {
    let folder =
        std::env::temp_dir().join(format!("nearmost-bench-{}-{names}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the zone file");
    let zone = folder.join("example.org.zone");
    let mut text = String::from(
        "$TTL 300\n@ SOA ns1 hostmaster 1 7200 1800 1209600 300\n NS ns1\nns1 A 192.0.2.53\n",
    );
    for i in 0..names {
        text += &format!("h{i} A 192.0.{}.{}\n", i / 250 % 250, i % 250);
    }
    for i in 0..pools {
        text += &format!("p{i} 300/30 POOL p{i}\n");
    }
    text += "*.wild A 192.0.2.1\nc1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME h0\n";
    std::fs::write(&zone, text).expect("the zone file is written");
    let mut config = format!(
        "[zone.\"example.org\"]\nfile = {:?}\n",
        zone.display().to_string()
    );
    for i in 0..pools {
        config += &format!("[pool.p{i}]\n");
    }
    config += &spiral(nodes, (-70.0, 140.0));
    let loaded = load_text(Path::new("bench.toml"), &config);
    let parts = loaded
        .parts
        .unwrap_or_else(|| panic!("{}", loaded.found.render(&loaded.sources, false)));
    let generation = build(&parts, 1, Clock::start().now()).expect("it builds");
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
    generation.snapshot
}

/// Nodes on a spiral from south to north: no two at one place.
fn spiral(nodes: usize, (south, width): (f64, f64)) -> String {
    let node = |i: usize| {
        let lat = south + width * i as f64 / nodes as f64;
        let lon = (i as f64 * 137.508) % 360.0 - 180.0;
        let (a, b) = (i / 250, i % 250 + 1);
        format!(
            "[node.n{i}]\nat = [{lat:.3}, {lon:.3}]\nip = [\"192.0.{a}.{b}\", \"2001:db8::{i:x}\"]\n"
        )
    };
    (0..nodes).map(node).collect()
}

/// Packets of questions that `make` chooses by a random number.
fn questions(random: &mut u64, make: impl Fn(u64) -> (String, u16, Option<u64>)) -> Vec<Vec<u8>> {
    (0..QUESTIONS)
        .map(|_| {
            *random = random
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            let (name, qtype, client) = make(*random >> 24);
            packet(&name, qtype, client)
        })
        .collect()
}

fn packet(name: &str, qtype: u16, client: Option<u64>) -> Vec<u8> {
    let mut out = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    out.extend_from_slice(Name::absolute(name).expect("a name").wire());
    out.extend_from_slice(&qtype.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0]);
    match client {
        Some(client) => {
            let [.., a, b, c, _] = client.to_be_bytes();
            out.extend_from_slice(&[0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a % 224, b, c]);
        }
        None => out.extend_from_slice(&[0, 0]),
    }
    out
}

/// Median nanoseconds of a question.
fn measure(snapshot: &Snapshot, packets: &[Vec<u8>]) -> f64 {
    let mut out = vec![0; 4096];
    let mut scratch = Scratch::default();
    let table = snapshot.table.load();
    let source = IpAddr::from([192, 0, 2, 1]);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
            let start = Instant::now();
            for packet in packets {
                let request = Request {
                    packet,
                    source,
                    transport: Transport::Udp,
                    draw: 1,
                };
                let out = black_box(&mut out);
                black_box(answer(snapshot, &table, request, &mut scratch, out));
            }
            start.elapsed().as_nanos() as f64 / packets.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
