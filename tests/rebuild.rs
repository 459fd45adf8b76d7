//! One generation after another: the world stays, and so do the maps of pools that still mean the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what goes wrong"
)]

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nearmost::control::{Parts, build, load_text, rebuild, rebuild_aside};
use nearmost::health::Time;
use nearmost::policy::Map;
use nearmost::prefix::Client;
use nearmost::snapshot::{Pool, Snapshot};

/// In a world where the shipped database knows where everybody is.
fn parts(pools: &str, nodes: &[(&str, f64, f64)]) -> Parts {
    let mut text =
        "[zone.\"example.org\"]\nns = [\"ns1.example.org\"]\n[[geo.override]]\nnet = \"192.0.2.0/24\"\nat = \"FRA\"\n".to_owned()
            + pools;
    for (i, (name, lat, lon)) in nodes.iter().enumerate() {
        let ip = format!("[\"198.51.100.{i}\", \"2001:db8::{i:x}\"]");
        text += &format!(
            "[node.{name}]\nat = [{lat}, {lon}]\ntags = [\"{}\"]\nip = {ip}\n",
            &name[..1]
        );
    }
    let loaded = load_text(Path::new("rebuild.toml"), &text);
    let told = loaded.found.render(&loaded.sources, false);
    loaded.parts.unwrap_or_else(|| panic!("{told}"))
}

fn map(pool: &Pool) -> &Arc<Map> {
    &pool.v4.as_ref().unwrap().steering.map
}

/// Where each range begins and who is given there, in order.
fn told(map: &Map) -> Vec<(IpAddr, Vec<u16>)> {
    let mut out = Vec::new();
    for start in [Client::V4 { addr: 0, offset: 0 }, Client::V6(0)] {
        let mut next = Some(start);
        while let Some(client) = next {
            let (first, last) = map.range(client);
            let list = map.find(client).0;
            out.push((
                first,
                list.entries()
                    .map(nearmost::policy::Entry::member)
                    .collect(),
            ));
            next = match last {
                IpAddr::V4(a) => a
                    .to_bits()
                    .checked_add(1)
                    .map(|addr| Client::V4 { addr, offset: 0 }),
                IpAddr::V6(a) => {
                    let upper = u64::try_from(a.to_bits() >> 64).unwrap();
                    upper.checked_add(1).map(Client::V6)
                }
            };
        }
    }
    out
}

const NODES: [(&str, f64, f64); 5] = [
    ("alon", 51.5, -0.1),
    ("anyc", 40.7, -74.0),
    ("atyo", 35.7, 139.7),
    ("bfra", 50.1, 8.7),
    ("bsin", 1.4, 103.8),
];
const NOW: Time = Time::from_secs(1_000_000);

#[test]
fn a_build_aside_is_the_same() {
    let parts = Arc::new(parts("[pool.site]\n", &NODES));
    let first = Arc::new(build(&parts, 1, NOW).unwrap().snapshot);
    let aside = rebuild_aside(Arc::clone(&parts), Arc::clone(&first), NOW).unwrap();
    let second = aside.join().unwrap().unwrap().snapshot;
    assert_eq!(second.generation, 2);
    assert!(Arc::ptr_eq(map(&first.pools[0]), map(&second.pools[0])));
}

#[test]
fn a_rebuilt_generation_is_as_one_built_anew() {
    let pools = "[pool.a]\nnodes = [\"tag:a\"]\n[pool.b]\nnodes = [\"tag:b\"]\n";
    let first = build(&parts(pools, &NODES), 1, NOW).unwrap().snapshot;
    let more: Vec<_> = NODES.into_iter().chain([("bsyd", -33.9, 151.2)]).collect();
    let parts = parts(pools, &more);
    let anew = build(&parts, 2, NOW).unwrap().snapshot;
    let second = rebuild(&parts, &first, NOW).unwrap().snapshot;
    assert_eq!(second.generation, 2);
    assert!(Arc::ptr_eq(&first.world, &second.world));
    assert!(
        Arc::ptr_eq(map(&first.pools[0]), map(&second.pools[0])),
        "its nodes are the same"
    );
    assert!(!Arc::ptr_eq(map(&first.pools[1]), map(&second.pools[1])));
    for (a, b) in anew.pools.iter().zip(&second.pools) {
        let ranges = told(map(a));
        assert!(ranges.len() > 1000, "{}", ranges.len());
        assert!(ranges == told(map(b)), "pool {}", a.name);
    }
}

#[test]
fn many_pools_of_few_sets_share_what_is_large() {
    let mut pools = String::new();
    for i in 0..60 {
        let (tag, answer) = (["a", "b"][i % 2], i % 3 + 1);
        pools += &format!("[pool.p{i}]\nnodes = [\"tag:{tag}\"]\nanswer = {answer}\n");
    }
    let snapshot = build(&parts(&pools, &NODES), 1, NOW).unwrap().snapshot;
    assert_eq!(snapshot.pools.len(), 60);
    let families = |s: &Snapshot| {
        s.pools
            .iter()
            .flat_map(|p| [p.v4.clone(), p.v6.clone()])
            .flatten()
            .collect::<Vec<_>>()
    };
    let families = families(&snapshot);
    let maps: HashSet<_> = families
        .iter()
        .map(|f| Arc::as_ptr(&f.steering.map))
        .collect();
    assert_eq!(
        maps.len(),
        6,
        "two sets, three lengths of answers, both families alike"
    );
    let members: HashSet<_> = families
        .iter()
        .map(|f| f.steering.members.as_ptr())
        .collect();
    assert_eq!(members.len(), 2);
    let addresses: HashSet<_> = families
        .iter()
        .map(|f| f.steering.addresses.as_ptr())
        .collect();
    assert_eq!(addresses.len(), 4, "two sets, two families");
    let nodes: HashSet<_> = snapshot.pools.iter().map(|p| p.nodes.as_ptr()).collect();
    assert_eq!(nodes.len(), 2);
}

/// How often each probe checks the one address that two pools under three names share.
#[test]
fn what_does_not_ask_by_name_is_checked_once() {
    let probe = |name: &str, keys: &str| format!("[probe.{name}]\n{keys}\n");
    let probes = [
        ("tcp", "kind = \"tcp\"\nport = 80", 1),
        ("rsync", "kind = \"rsync\"", 1),
        ("ping", "kind = \"icmp\"", 1),
        ("told", "kind = \"file\"\nfile = \"/states\"", 1),
        ("zone", "kind = \"dns\"\nquestion = \"example.org SOA\"", 1),
        (
            "own",
            "kind = \"exec\"\ncommand = [\"/bin/true\", \"{address}\"]",
            1,
        ),
        (
            "named",
            "kind = \"exec\"\ncommand = [\"/bin/true\", \"{host}\"]",
            2,
        ),
        ("web", "kind = \"http\"", 2),
        ("fixed", "kind = \"http\"\nhost = \"x.example\"", 1),
    ];
    let names = probes.map(|(name, _, _)| format!("\"{name}\"")).join(", ");
    let tables = probes.map(|(name, keys, _)| probe(name, keys)).concat();
    let pools = format!(
        "pools = {{ a = \"one\", b = \"two\", \"*.w\" = \"wild\" }}\n{tables}\
         [pool.one]\nprobes = [{names}]\n[pool.two]\nprobes = [{names}]\n[pool.wild]\nprobes = [\"tcp\", \"ping\", \"fixed\"]\n"
    );
    let text = format!(
        "[zone.\"example.org\"]\nns = [\"ns1.example.org\"]\n{pools}[node.lon]\nat = \"LHR\"\nip = [\"192.0.2.1\"]\n"
    );
    let loaded = load_text(Path::new("once.toml"), &text);
    let told = loaded.found.render(&loaded.sources, false);
    let parts = loaded.parts.unwrap_or_else(|| panic!("{told}"));
    let generation = build(&parts, 1, Time::ZERO).unwrap();
    let checks = generation.board.checks();
    for (name, _, times) in probes {
        let of = checks.iter().filter(|check| check.probe.name == name);
        assert_eq!(of.count(), times, "{name}");
    }
    // The three pools are judged by them alike.
    let slots: HashSet<u32> = generation.snapshot.pools[..3]
        .iter()
        .map(|pool| pool.v4.as_ref().unwrap().steering.addresses[0].slot)
        .collect();
    assert_eq!(slots.len(), 3);
}
