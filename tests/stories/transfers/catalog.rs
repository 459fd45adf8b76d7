//! Catalogs of zones: Knot lists its zones, and we serve them.

use std::fs;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::peers::{Peer, free_port, knot_of, serial};
use super::slow::Primary;
use super::{SECRET, signed, transferred};
use crate::program::{Folder, Server, eventually, other};
use crate::question::Question;

const CATALOG: &str = "catalog.example";

fn config(port: u16, primary: u16, more: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nstate = \"state\"\n[key.\"transfer.key\"]\nsecret = \"{SECRET}\"\n\
         [zone.\"{CATALOG}\"]\nprimary = [{{ at = \"127.0.0.1:{primary}\", key = \"transfer.key\" }}]\ncatalog = true\n\
         transfer = [\"key:transfer.key\"]\nmembers = {{ transfer = [\"127.0.0.1\"] }}\n{more}"
    )
}

fn member(serial: u32) -> String {
    format!("$TTL 300\n@ SOA ns1 host {serial} 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\n")
}

/// A catalog that somebody wrote.
fn catalog(serial: u32, version: &str, members: &str) -> String {
    format!(
        "$TTL 0\n@ SOA invalid. invalid. {serial} 5 5 86400 0\n@ NS invalid.\nversion TXT \"{version}\"\n{members}"
    )
}

fn code(server: &Server, name: &str) -> ResponseCode {
    let reply = server.ask(&Question::new(name, RecordType::SOA));
    reply.0.metadata.response_code
}

fn comes(server: &Server, zone: &str, wanted: u32) {
    eventually(&format!("{zone} is there"), || {
        serial(server.address, zone).filter(|s| *s == wanted)
    });
}

fn goes(server: &Server, zone: &str) {
    eventually(&format!("{zone} is gone"), || {
        (code(server, zone) == ResponseCode::Refused).then_some(())
    });
}

/// What `status` says of a zone of others.
fn line(server: &Server, zone: &str) -> serde_json::Value {
    let status = server.json(&["status"]);
    let lines = status["received"].as_array().unwrap();
    let own = lines.iter().find(|line| line["zone"] == format!("{zone}."));
    own.cloned().unwrap_or_default()
}

fn is_kept(server: &Server, zone: &str) -> bool {
    server
        .folder
        .path(&format!("state/received/{zone}.zone"))
        .exists()
}

fn start(folder: &Arc<Folder>) -> Server {
    let _ = fs::create_dir(folder.path("state"));
    Server::start_in(folder)
}

#[test]
fn we_serve_what_knot_lists_and_outlive_it() {
    if other("knotd").is_none() || other("dig").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let (a, b, c) = (member(1), member(2), member(3));
    let [a, b, c] = [("a.example", &*a), ("b.example", &*b), ("c.example", &*c)];
    let knot = Peer::of(&knot_of(&[a, b], Some(CATALOG), theirs, port));
    let folder = Arc::new(Folder::with(&config(port, theirs, "")));
    let ours = start(&folder);
    comes(&ours, "a.example", 1);
    comes(&ours, "b.example", 2);
    assert_eq!(line(&ours, CATALOG)["members"], 2);
    assert_eq!(line(&ours, "a.example")["catalog"], "catalog.example.");
    assert!(ours.run(&["status"]).out.contains("catalog of 2 zones"));
    // Members are handed on as the configuration says, the catalog itself to those who may have it.
    let zone = transferred(knot.address, "a.example", &signed());
    assert_eq!(zone, transferred(ours.address, "a.example", ""));
    assert_eq!(zone.len(), 3);
    assert_eq!(code(&ours, CATALOG), ResponseCode::Refused);
    assert_eq!(
        code(&ours, &format!("version.{CATALOG}")),
        ResponseCode::Refused
    );
    let listed = transferred(ours.address, CATALOG, &signed());
    assert_eq!(listed, transferred(knot.address, CATALOG, &signed()));
    let asked = crate::program::dig(
        ours.address,
        &[
            "+short",
            "-y",
            &signed(),
            &format!("version.{CATALOG}"),
            "TXT",
        ],
    );
    assert_eq!(asked.out, "\"2\"\n");
    // Another zone, and one less; Knot tells us.
    assert!(is_kept(&ours, "b.example"));
    knot.list(&knot_of(&[a, c], Some(CATALOG), theirs, port));
    comes(&ours, "c.example", 3);
    goes(&ours, "b.example");
    eventually("nothing is kept of it", || {
        (!is_kept(&ours, "b.example")).then_some(())
    });
    assert_eq!(line(&ours, CATALOG)["members"], 2);
    eventually("it is kept", || is_kept(&ours, "c.example").then_some(()));
    drop(ours);
    drop(knot);
    // Nobody is there to ask: what is kept is served, though nobody knows any more whose the members were.
    fs::remove_file(folder.path("state/members.json")).unwrap();
    let ours = start(&folder);
    ours.log.wait(&["is not refreshed"]);
    comes(&ours, "a.example", 1);
    comes(&ours, "c.example", 3);
    assert_eq!(code(&ours, "b.example"), ResponseCode::Refused);
    // Without the catalog its members are not ours any more.
    let without =
        config(port, theirs, "").replace(&format!("[zone.\"{CATALOG}\"]"), "[zone.\"z.example\"]");
    folder.write(
        "nearmost.toml",
        &without
            .replace("catalog = true\n", "")
            .replace("members", "#"),
    );
    assert_eq!(ours.run(&["reload"]).code, 0);
    goes(&ours, "a.example");
    assert!(!is_kept(&ours, "a.example"));
}

#[test]
fn a_broken_catalog_changes_nothing() {
    if other("knotd").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let zone = member(1);
    let lists = |serial, version, members| {
        let catalog = catalog(serial, version, members);
        knot_of(
            &[
                (CATALOG, &catalog),
                ("a.example", &zone),
                ("b.example", &zone),
            ],
            None,
            theirs,
            port,
        )
    };
    let good = "1.zones PTR a.example.\n2.zones PTR own.example.\n";
    let knot = Peer::of(&lists(1, "2", good));
    let own = "[zone.\"own.example\"]\nns = [\"ns1.example.net\"]\n";
    let folder = Arc::new(Folder::with(&config(port, theirs, own)));
    let ours = start(&folder);
    comes(&ours, "a.example", 1);
    // What stands in the files is ours.
    ours.log
        .wait(&["catalog.example.: own.example. is a zone of the configuration: not taken"]);
    assert_eq!(
        line(&ours, CATALOG)["problems"][0],
        "own.example. is a zone of the configuration"
    );
    assert!(
        ours.run(&["status"])
            .out
            .contains("not taken      catalog catalog.example.: own.example.")
    );
    assert_eq!(serial(ours.address, "own.example"), Some(1));
    // Another version of catalogs, and another zone.
    knot.list(&lists(2, "3", "3.zones PTR b.example.\n"));
    ours.log
        .wait(&["the catalog is broken: its version is \"3\""]);
    let catalog = line(&ours, CATALOG);
    assert!(
        catalog["error"]
            .as_str()
            .unwrap()
            .contains("the catalog is broken"),
        "{catalog}"
    );
    assert_eq!(
        (&catalog["serial"], &catalog["members"]),
        (&1.into(), &1.into())
    );
    assert_eq!(serial(ours.address, "a.example"), Some(1));
    assert_eq!(code(&ours, "b.example"), ResponseCode::Refused);
    drop(ours);
    let ours = start(&folder);
    comes(&ours, "a.example", 1);
    ours.log.wait(&["the catalog is broken"]);
    assert_eq!(serial(ours.address, "a.example"), Some(1));
    // It is mended, with a new label: the zone comes anew.
    knot.list(&lists(
        3,
        "2",
        "7.zones PTR a.example.\n3.zones PTR b.example.\n",
    ));
    ours.log
        .wait(&["zone a.example. is a member of a catalog now"]);
    ours.log.wait(&["zone a.example.: serial 1", "all of it"]);
    comes(&ours, "a.example", 1);
    comes(&ours, "b.example", 1);
    assert_eq!(line(&ours, CATALOG)["problems"], serde_json::json!([]));
}

#[test]
fn a_member_of_another_group_comes_from_its_primary_at_once() {
    if other("knotd").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let zone = member(9);
    let lists = |serial, members| {
        let catalog = catalog(serial, "2", members);
        let zones = [(CATALOG, &*catalog), ("a.example", &*zone)];
        knot_of(&zones, None, theirs, port)
    };
    let knot = Peer::of(&lists(1, "1.zones PTR a.example.\n"));
    let elsewhere = Primary::of(5, false);
    let at = elsewhere.address;
    let group = format!("group = {{ elsewhere = {{ primary = [{{ at = \"{at}\" }}] }} }}\n");
    let folder = Arc::new(Folder::with(&config(port, theirs, &group)));
    let ours = start(&folder);
    comes(&ours, "a.example", 9);
    knot.list(&lists(
        2,
        "1.zones PTR a.example.\ngroup.1.zones TXT elsewhere\n",
    ));
    comes(&ours, "a.example", 5);
}

#[test]
fn a_member_goes_over_to_another_catalog() {
    if other("knotd").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let zone = member(1);
    let lists = |serial, first, second| {
        let [first, second] = [first, second].map(|members| catalog(serial, "2", members));
        let zones = [
            (CATALOG, &*first),
            ("new.example", &*second),
            ("a.example", &*zone),
        ];
        knot_of(&zones, None, theirs, port)
    };
    let knot = Peer::of(&lists(1, "1.zones PTR a.example.\n", ""));
    let new = format!(
        "[zone.\"new.example\"]\nprimary = [{{ at = \"127.0.0.1:{theirs}\", key = \"transfer.key\" }}]\ncatalog = true\n\
         group = {{ open = {{ transfer = [\"127.0.0.1\"] }} }}\n"
    );
    let folder = Arc::new(Folder::with(&config(port, theirs, &new)));
    let ours = start(&folder);
    comes(&ours, "a.example", 1);
    let fetched = eventually("it is told when it came", || {
        let fetched = line(&ours, "a.example")["fetched"].clone();
        fetched.is_u64().then_some(fetched)
    });
    // It is not given away: it stays.
    knot.list(&lists(
        2,
        "1.zones PTR a.example.\n",
        "1.zones PTR a.example.\n",
    ));
    ours.log
        .wait(&["new.example.: a.example. is a member of catalog.example. already"]);
    assert_eq!(line(&ours, "a.example")["catalog"], "catalog.example.");
    // It is.
    let away = "1.zones PTR a.example.\ncoo.1.zones PTR new.example.\n";
    knot.list(&lists(
        3,
        away,
        "1.zones PTR a.example.\ngroup.1.zones TXT closed\ngroup.1.zones TXT open\n",
    ));
    eventually("it has gone over", || {
        (line(&ours, "a.example")["catalog"] == "new.example.").then_some(())
    });
    let after = line(&ours, "a.example");
    assert_eq!(
        (&after["fetched"], &after["serial"]),
        (&fetched, &1.into()),
        "with all that is known of it"
    );
    assert_eq!(line(&ours, "new.example")["members"], 1);
    knot.list(&lists(4, "", "1.zones PTR a.example.\n"));
    eventually("both are read", || {
        (line(&ours, CATALOG)["serial"] == 4 && line(&ours, "new.example")["serial"] == 4)
            .then_some(())
    });
    assert_eq!(serial(ours.address, "a.example"), Some(1));
}
