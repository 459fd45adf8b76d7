//! Knot and NSD as our secondaries: all of the zone, what differs after a reload, and what pools give.

use super::peers::{Peer, free_port, knot_secondary, nsd_secondary, serial};
use super::{SECRET, large, server_of, signed, transferred};
use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, other};
use crate::world::{World, server};
use std::sync::Arc;

fn tells(port: u16) -> String {
    format!(
        "transfer = [{{ from = \"127.0.0.1\", key = \"transfer.key\" }}, \"127.0.0.1\"]\nnotify = [{{ at = \"127.0.0.1:{port}\", key = \"transfer.key\" }}]"
    )
}

/// Waits until the peer has this serial.
fn has(peer: &Peer, wanted: u32) {
    let what = format!("serial {wanted} is there");
    eventually(&what, || {
        serial(peer.address, "large.example").filter(|s| *s == wanted)
    });
}

#[test]
fn knot_follows_by_notices_and_differences() {
    if other("knotd").is_none() || other("kdig").is_none() {
        return;
    }
    let port = free_port();
    let ours = server_of(&large(1, 3000), &tells(port), "");
    let Some(peer) = knot_secondary(ours.address, port) else {
        return;
    };
    follows(&ours, &peer, "said");
}

#[test]
fn nsd_follows_by_notices_and_differences() {
    if other("nsd").is_none() {
        return;
    }
    let port = free_port();
    let ours = server_of(&large(1, 3000), &tells(port), "");
    let Some(peer) = nsd_secondary(ours.address, port) else {
        return;
    };
    follows(&ours, &peer, "log");
}

/// The zone as it is, then changed twice and reloaded.
fn follows(ours: &Server, peer: &Peer, log: &str) {
    let said = || std::fs::read_to_string(peer.folder.path(log)).unwrap_or_default();
    has(peer, 1);
    let count = |zone: &str| zone.lines().filter(|l| !l.starts_with('$')).count();
    for (step, serial, names) in [(1, 2, 3010), (2, 9, 2990)] {
        let zone = large(serial, names);
        ours.folder.write("zones/large.example.zone", &zone);
        let ran = ours.run(&["reload"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        has(peer, serial);
        let all = transferred(ours.address, "large.example", &signed());
        assert_eq!(all.len(), count(&zone));
        let theirs = transferred(peer.address, "large.example", "");
        assert_eq!(theirs, all, "record by record\n{}", said());
        // By the way it came: all once, then what differs.
        eventually("it was counted", || {
            (differences(ours) == step).then_some(())
        });
        // Each name and type that we have is the same there.
        for name in [
            "n0",
            "n2999",
            "n3009",
            "n2989",
            "x.wild",
            "odd",
            "srv",
            "lower.upper",
        ] {
            for rtype in ["A", "TXT", "SRV", "TYPE65280"] {
                let ask = |at| answers(at, &format!("{name}.large.example"), rtype);
                assert_eq!(
                    ask(ours.address),
                    ask(peer.address),
                    "{name} {rtype}\n{}",
                    said()
                );
            }
        }
    }
}

/// How often what differs was sent.
fn differences(server: &Server) -> u32 {
    let text = crate::metrics::scrape_at(&server.folder.path("state/control.sock"), "*/*").1;
    let line = text
        .lines()
        .find(|l| l.starts_with("nearmost_transfers_total{") && l.contains("\"ixfr\""));
    line.and_then(|l| l.rsplit(' ').next()?.parse().ok())
        .unwrap()
}

/// What a server answers, in order.
fn answers(at: std::net::SocketAddr, name: &str, rtype: &str) -> Vec<String> {
    let ran = crate::program::dig(at, &[name, rtype, "+noall", "+answer"]);
    let mut lines: Vec<String> = ran
        .out
        .lines()
        .map(|l| {
            l.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_pool_leaves_as_its_best_set_and_the_serial_follows_it() {
    if other("nsd").is_none() {
        return;
    }
    let port = free_port();
    let world = World::of(71, 3);
    let zone = "$TTL 300\n@ SOA ns1 host 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\ndeb 300/5 POOL site\n*.all 300/5 POOL site\n";
    let (nodes, probe) = (world.node_tables(), world.probe("http", "path = \"/\""));
    let server = server().replace("workers = 2", "workers = 2\nstate = \"state\"");
    let config = format!(
        "{server}\n[limits]\nserial_every = \"1s\"\n[key.\"transfer.key\"]\nsecret = \"{SECRET}\"\n[zone.\"large.example\"]\n{}\n[pool.site]\nprobes = [\"web\"]\n{probe}\n{nodes}",
        tells(port)
    );
    let folder = Folder::with(&config);
    folder.write("zones/large.example.zone", zone);
    let folder = Arc::new(folder);
    let ours = Server::start_in(&folder);
    let Some(peer) = nsd_secondary(ours.address, port) else {
        return;
    };
    let given = |mirror: u8| vec![format!("deb.large.example. 5 in a {}", world.ip(mirror))];
    // The server stands in Frankfurt, where the first mirror is.
    eventually("Frankfurt is there", || {
        (answers(peer.address, "deb.large.example", "A") == given(0)).then_some(())
    });
    assert_eq!(
        answers(peer.address, "x.all.large.example", "A"),
        [format!("x.all.large.example. 5 in a {}", world.ip(0))]
    );
    assert_eq!(serial(ours.address, "large.example"), Some(7));
    world.now(0, Does::Refuse);
    eventually("New York is there", || {
        (answers(peer.address, "deb.large.example", "A") == given(1)).then_some(())
    });
    let moved = serial(ours.address, "large.example").unwrap();
    assert!(moved > 7);
    assert_eq!(serial(peer.address, "large.example"), Some(moved));
    // A restart goes on from there, though the file says 7.
    drop(ours);
    world.now(0, Does::ok());
    let ours = Server::start_in(&folder);
    eventually("the serial goes on", || {
        serial(ours.address, "large.example").filter(|now| *now > moved)
    });
}

#[test]
fn a_reload_does_not_let_the_serial_go_up_sooner() {
    if other("dig").is_none() {
        return;
    }
    let world = World::of(74, 3);
    let zone = |serial: u32, more: &str| {
        format!(
            "$TTL 300\n@ SOA ns1 host {serial} 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\ndeb 300/5 POOL site\n{more}"
        )
    };
    let (nodes, probe) = (world.node_tables(), world.probe("http", "path = \"/\""));
    let server = server().replace("workers = 2", "workers = 2\nstate = \"state\"");
    let config = format!(
        "{server}\n[limits]\nserial_every = \"1h\"\n[zone.\"large.example\"]\ntransfer = [\"127.0.0.1\"]\n[pool.site]\nprobes = [\"web\"]\n{probe}\n{nodes}"
    );
    let folder = Folder::with(&config);
    folder.write("zones/large.example.zone", &zone(7, ""));
    let ours = Server::start_in(&Arc::new(folder));
    let given = |mirror: u8| {
        let address = world.ip(mirror).to_string();
        eventually("another is given", || {
            let line = answers(ours.address, "deb.large.example", "A").pop()?;
            line.ends_with(&address).then_some(())
        });
    };
    given(0);
    world.now(0, Does::Refuse);
    given(1);
    eventually("the serial has gone up", || {
        serial(ours.address, "large.example").filter(|now| *now == 8)
    });
    world.now(0, Does::ok());
    given(0);
    let reload = |zone: &str| {
        ours.folder.write("zones/large.example.zone", zone);
        assert_eq!(ours.run(&["reload"]).code, 0);
    };
    reload(&zone(7, "new TXT x\n"));
    assert!(!answers(ours.address, "new.large.example", "TXT").is_empty());
    assert_eq!(serial(ours.address, "large.example"), Some(8), "not yet");
    // Whoever writes one that is ahead means it.
    reload(&zone(100, "new TXT x\n"));
    assert_eq!(serial(ours.address, "large.example"), Some(100));
}
