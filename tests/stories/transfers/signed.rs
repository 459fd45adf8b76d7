//! Secondaries of a signed zone: they answer with our signatures, and other people's programs find the whole of it right.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use super::peers::{free_port, knot_secondary, nsd_secondary, serial};
use super::{SECRET, large, records};
use crate::common::nodes::Does;
use crate::program::{Folder, Ran, Server, eventually, other};
use crate::world::{World, server};

/// The folder of a signed zone with pools, whose secondaries are told at these ports.
fn folder(world: &World, ports: [u16; 2]) -> Arc<Folder> {
    let server = server().replace("workers = 2", "workers = 2\nstate = \"state\"");
    let (nodes, probe) = (world.node_tables(), world.probe("http", "path = \"/\""));
    let notify =
        ports.map(|port| format!("{{ at = \"127.0.0.1:{port}\", key = \"transfer.key\" }}"));
    let folder = Folder::with(&format!(
        "{server}\n[limits]\nserial_every = \"1s\"\n[key.\"transfer.key\"]\nsecret = \"{SECRET}\"\n\
         [zone.\"large.example\"]\nsigned = true\ntransfer = [\"127.0.0.1\"]\nnotify = [{}]\n[pool.site]\nprobes = [\"web\"]\n{probe}\n{nodes}",
        notify.join(", ")
    ));
    let more = "deb 300/5 POOL site\n*.all 300/5 POOL site\na.b.ent TXT x\nsafe NS ns.elsewhere.example.\nsafe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000\ndn DNAME wild\n";
    folder.write("zones/large.example.zone", &(large(1, 300) + more));
    let made = folder.run(&["keys", "new", "large.example"]);
    assert_eq!(made.code, 0, "{made:?}");
    Arc::new(folder)
}

/// Other people's judgement of the whole zone that a server hands out.
fn is_whole(folder: &Folder, from: SocketAddr) {
    let Some(program) = other("ldns-verify-zone") else {
        return;
    };
    let zone = records(from, "large.example", "").join("\n") + "\n";
    folder.write("transferred", &zone);
    let ran = Ran::of(Command::new(program).arg(folder.path("transferred")));
    assert!(
        ran.code == 0 && ran.out.contains("verified and complete"),
        "{ran:?}"
    );
}

/// What delv finds of a name at a server, when it trusts the zone's key.
fn validated(folder: &Folder, at: SocketAddr, name: &str, rtype: &str) {
    let Some(delv) = other("delv") else { return };
    let key = crate::program::dig(at, &["+short", "large.example", "DNSKEY"]);
    let key: String = key.out.split_whitespace().skip(3).collect();
    folder.write(
        "anchor",
        &format!("trust-anchors {{ large.example. static-key 257 3 13 \"{key}\"; }};"),
    );
    let mut delv = Command::new(delv);
    delv.arg("-a")
        .arg(folder.path("anchor"))
        .arg("+root=large.example");
    delv.arg(format!("@{}", at.ip()))
        .args(["-p", &at.port().to_string(), name, rtype]);
    let ran = Ran::of(&mut delv);
    assert!(
        format!("{}{}", ran.out, ran.err).contains("fully validated"),
        "{name} {rtype}: {ran:?}"
    );
}

#[test]
fn secondaries_answer_with_our_signatures() {
    let ports = [free_port(), free_port()];
    let world = World::of(75, 3);
    let folder = folder(&world, ports);
    let ours = Server::start_in(&folder);
    let (Some(knot), Some(nsd)) = (
        knot_secondary(ours.address, ports[0]),
        nsd_secondary(ours.address, ports[1]),
    ) else {
        return;
    };
    let all = |of: &Server| -> BTreeSet<String> {
        records(of.address, "large.example", "")
            .into_iter()
            .collect()
    };
    let same = |of: &Server| {
        let now = serial(of.address, "large.example").unwrap();
        for peer in [&knot, &nsd] {
            let what = format!("serial {now} is there");
            eventually(&what, || {
                serial(peer.address, "large.example").filter(|s| *s == now)
            });
        }
        now
    };
    let first = same(&ours);
    is_whole(&folder, ours.address);
    is_whole(&folder, knot.address);
    for at in [ours.address, knot.address, nsd.address] {
        for (name, rtype) in [
            ("large.example", "SOA"),
            ("large.example", "MX"),
            ("n7.large.example", "TXT"),
            ("deb.large.example", "A"),
            ("deb.large.example", "MX"),
            ("x.all.large.example", "A"),
            ("x.wild.large.example", "TXT"),
            ("x.dn.large.example", "TXT"),
            ("nope.large.example", "A"),
            ("b.ent.large.example", "A"),
            ("sub.large.example", "DS"),
            ("safe.large.example", "DS"),
        ] {
            validated(&folder, at, name, rtype);
        }
    }

    // A node fails: another address, two signatures, and the SOA's.
    let before = all(&ours);
    world.now(0, Does::Refuse);
    eventually("the serial goes up", || {
        serial(ours.address, "large.example").filter(|now| *now > first)
    });
    let second = same(&ours);
    let after = all(&ours);
    let new: Vec<&String> = after.difference(&before).collect();
    assert!((5..=12).contains(&new.len()), "{new:#?}");
    is_whole(&folder, ours.address);
    validated(&folder, knot.address, "deb.large.example", "A");

    // A restart signs nothing anew that is the same.
    drop(ours);
    world.now(0, Does::ok());
    let ours = Server::start_in(&folder);
    eventually("the serial goes on", || {
        serial(ours.address, "large.example").filter(|now| *now > second)
    });
    let new = all(&ours).difference(&after).count();
    assert!((5..=12).contains(&new), "{new}");
    validated(&folder, ours.address, "deb.large.example", "A");
}
