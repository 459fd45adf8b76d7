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
use nearmost::health::{Board, Forced, Order, Outcome, Seen, State, Time};
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
    let mut parts = parts(pools, &more);
    let anew = build(&parts, 2, NOW).unwrap().snapshot;
    parts.atlas.world = Arc::clone(&first.world);
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
fn counts_go_on_by_name() {
    let first = "[pool.a]\nnodes = [\"tag:a\"]\n[pool.b]\nnodes = [\"tag:b\"]\n";
    let mut first = build(&parts(first, &NODES), 1, NOW).unwrap().snapshot;
    first.count_given(2);
    first.given[1].zones[0].add(5);
    first.given[1].pools[1].in_service.add(7);
    // `b` has another number now, and `c` is new.
    let pools = "[pool.b]\nnodes = [\"tag:b\"]\n[pool.c]\nnodes = [\"tag:a\"]\n";
    let mut second = rebuild(&parts(pools, &NODES), &first, NOW)
        .unwrap()
        .snapshot;
    second.count_on(&first, &second.addresses_in(&first));
    // What a thread still counts for the generation before.
    first.given[1].pools[1].in_service.add(1);
    assert_eq!(second.given[1].zones[0].get(), 5);
    let of = |worker: usize| {
        let pools = second.given[worker].pools.iter();
        pools.map(|p| p.in_service.get()).collect::<Vec<_>>()
    };
    assert_eq!((of(0), of(1)), (vec![0, 0], vec![8, 0]));
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

/// A check goes on if it is the same in all: an equal probe, of the same address, under the same name.
#[test]
fn checks_that_both_have_go_on() {
    let pool = |more: &str| {
        format!("[pool.site]\nprobes = [\"web\"]\n[probe.web]\nkind = \"tcp\"\nport = 80\n{more}")
    };
    let build = |pools: &str, nodes: &[(&str, f64, f64)]| {
        let parts = parts_with_zone(pools, nodes);
        build(&parts, 1, NOW).unwrap().board
    };
    let mut first = build(&pool(""), &NODES[..3]);
    let checks = first.checks().len();
    assert_eq!(checks, 6);
    let later = NOW + Time::from_secs(5);
    for check in 0..checks {
        let result = if check % 2 == 0 {
            Ok(())
        } else {
            Err("refused".into())
        };
        let latency = Time::from_millis(7);
        first.observe(
            check,
            Outcome {
                result,
                latency,
                seen: Seen::default(),
            },
            later,
        );
    }
    let order = Order {
        forced: Forced::Drained,
        why: String::new(),
        who: "ola".into(),
        since: NOW,
        until: None,
        at_once: false,
    };
    first.order("alon", Some(order));

    let mut more = build(&pool(""), &NODES[..4]);
    let known = more.go_on(&first);
    assert_eq!(known.iter().flatten().count(), checks);
    assert!(more.orders().contains_key("alon"));
    for (check, known) in known.iter().enumerate() {
        let (own, status) = (&more.checks()[check], &more.statuses()[check]);
        match known {
            Some(number) => {
                let (was, before) = (&first.checks()[*number], &first.statuses()[*number]);
                assert_eq!((own.address, &own.host), (was.address, &was.host));
                assert_eq!(status.counter, before.counter);
                assert_eq!((status.since, &status.last), (before.since, &before.last));
            }
            None => {
                assert_eq!(own.node, "bfra");
                assert_eq!(status.counter.state(), State::Unknown);
            }
        }
    }
    // Another probe of the same name is another check, but it goes on from the state.
    let mut other = build(&pool("down = 9\n"), &NODES[..3]);
    assert_eq!(other.go_on(&first).iter().flatten().count(), 0);
    for (own, before) in other.statuses().iter().zip(first.statuses()) {
        assert_eq!(own.counter.state(), before.counter.state());
        assert!(own.last.is_none());
    }
}

/// Freezes, penalties and all that goes with them outlive a change of addresses, under other numbers.
#[test]
fn doubts_and_penalties_go_on() {
    let pools = "[pool.site]\nprobes = [\"web\"]\n[probe.web]\nkind = \"tcp\"\nport = 80\nevery = \"10s\"\n";
    let build = |nodes: &[(&str, f64, f64)]| {
        let parts = parts_with_zone(pools, nodes);
        build(&parts, 1, NOW).unwrap().board
    };
    let mut first = build(&NODES);
    let checks = first.checks().len();
    let mut now = NOW;
    let mut round = |board: &mut Board, ok: bool| {
        now += Time::from_secs(10);
        for check in 0..board.checks().len() {
            let result = if ok { Ok(()) } else { Err("refused".into()) };
            let outcome = Outcome {
                result,
                latency: Time::ZERO,
                seen: Seen::default(),
            };
            board.observe(check, outcome, now);
        }
        board.look(now);
        now
    };
    round(&mut first, true);
    let at = round(&mut first, false);
    let at = round(&mut first, false).max(at);
    let at = round(&mut first, false).max(at);
    assert!(first.frozen().iter().all(Option::is_some));
    let up = |board: &Board| {
        let table = board.table(at);
        let slots = u32::try_from(table.len()).unwrap();
        (0..slots).filter(|s| table.word(*s).in_service()).count()
    };
    assert_eq!(up(&first), checks, "what was up goes on to count");
    // One went, so that numbers mean others; then it is back, and new.
    let mut second = build(&NODES[..4]);
    let known = second.go_on(&first);
    assert!(known.iter().all(Option::is_some));
    assert!(
        known
            .iter()
            .enumerate()
            .any(|(n, before)| *before != Some(n))
    );
    assert_eq!(second.frozen(), first.frozen());
    assert_eq!(second.freezes(), first.freezes());
    second.look(at);
    assert_eq!(up(&second), checks - 2);
    let mut third = build(&NODES);
    third.go_on(&second);
    third.look(at);
    assert_eq!(up(&third), checks - 2, "nothing is known of who is new");
    round(&mut third, true);
    assert!(third.frozen().iter().all(Option::is_none), "it sees again");
    assert_eq!(up(&third), checks);
}

fn parts_with_zone(pools: &str, nodes: &[(&str, f64, f64)]) -> Parts {
    parts(
        &format!(
            "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"site\" }}\n{pools}"
        ),
        nodes,
    )
}
