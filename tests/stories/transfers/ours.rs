//! We as a secondary of primaries that fall behind, come apart, change, or answer in odd ways; and what is kept that is broken.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::given::{AXFR, IXFR, Ixfr, Primary};
use super::peers::serial;
use crate::program::{Folder, PATIENCE, Server, eventually};
use crate::question::Question;

const ZONE: &str = "theirs.example";
/// Refresh, retry and expire that nobody waits for; and those that one does.
const SLOW: [u32; 3] = [3600, 600, 86_400];
const FAST: [u32; 3] = [5, 5, 86_400];

fn config(primaries: &[&Primary]) -> String {
    let peers: Vec<String> = primaries
        .iter()
        .map(|p| format!("\"{}\"", p.address))
        .collect();
    let peers = peers.join(", ");
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate = \"state\"\n[zone.\"{ZONE}\"]\nprimary = [{peers}]\n"
    )
}

fn folder(primaries: &[&Primary]) -> Arc<Folder> {
    let folder = Folder::with(&config(primaries));
    fs::create_dir(folder.path("state")).unwrap();
    Arc::new(folder)
}

fn has(server: &Server, wanted: u32) {
    eventually(&format!("serial {wanted} is there"), || {
        serial(server.address, ZONE).filter(|s| *s == wanted)
    });
}

fn line(server: &Server) -> serde_json::Value {
    server.json(&["status"])["received"][0].clone()
}

/// Where the newest version is kept, once it is there.
fn kept(server: &Server) -> std::path::PathBuf {
    let path = server.folder.path(&format!("state/received/{ZONE}.zone"));
    eventually("it is kept", || path.exists().then_some(()));
    path
}

#[test]
fn whoever_tells_of_another_version_is_asked_for_it() {
    let (stuck, ahead) = (Primary::start(2, 10, SLOW), Primary::start(3, 10, SLOW));
    let server = Server::start_in(&folder(&[&stuck, &ahead]));
    has(&server, 10);
    ahead.with(|given| given.serial = 11);
    ahead.notify(ZONE, server.address);
    has(&server, 11);
    server.log.wait(&["serial 11", &ahead.address.to_string()]);
    // The first was not asked before it.
    assert_eq!(stuck.with(|given| given.asked.clone()), [AXFR]);
}

#[test]
fn a_primary_that_is_stuck_does_not_keep_others_from_being_asked() {
    let (stuck, ahead) = (Primary::start(2, 10, FAST), Primary::start(3, 10, FAST));
    let server = Server::start_in(&folder(&[&stuck, &ahead]));
    has(&server, 10);
    ahead.with(|given| given.serial = 11);
    has(&server, 11);
    assert_eq!(line(&server)["error"], serde_json::Value::Null);
    // Now the first one is behind: that is told of, and does no harm.
    server
        .log
        .wait(&["WARN", "its serial 10 is older than ours, 11"]);
    eventually("it is shown", || {
        let error = line(&server)["error"].as_str().map(str::to_owned);
        error.filter(|why| why.contains("its serial 10 is older than ours, 11"))
    });
    assert_eq!(serial(server.address, ZONE), Some(11));
}

#[test]
fn a_primary_with_an_older_serial_renews_nothing() {
    let primary = Primary::start(2, 2_026_112_901, [5, 5, 9]);
    let server = Server::start_in(&folder(&[&primary]));
    has(&server, 2_026_112_901);
    // It was made anew.
    primary.with(|given| given.serial = 1);
    server
        .log
        .wait(&["WARN", "its serial 1 is older than ours"]);
    server.log.wait(&["has expired"]);
    has(&server, 1);
}

#[test]
fn another_primary_is_believed_whatever_its_serial() {
    let (before, after) = (
        Primary::start(2, 2_026_112_901, SLOW),
        Primary::start(3, 1, SLOW),
    );
    let folder = folder(&[&before]);
    let server = Server::start_in(&folder);
    has(&server, 2_026_112_901);
    kept(&server);
    drop(server);
    folder.write("nearmost.toml", &config(&[&after]));
    let server = Server::start_in(&folder);
    has(&server, 1);
    assert_eq!(after.with(|given| given.asked.clone()), [AXFR]);
    // And back, by a reload.
    server
        .log
        .wait(&["serial 1 ", &after.address.to_string(), "all of it"]);
    folder.write("nearmost.toml", &config(&[&before]));
    assert_eq!(server.run(&["reload"]).code, 0);
    has(&server, 2_026_112_901);
}

#[test]
fn where_differences_lead_nowhere_all_is_asked_for() {
    let primary = Primary::start(2, 1, FAST);
    let server = Server::start_in(&folder(&[&primary]));
    has(&server, 1);
    for (next, ixfr) in [(2, Ixfr::Code(2)), (3, Ixfr::Misfit), (4, Ixfr::Code(4))] {
        primary.with(|given| (given.serial, given.ixfr) = (next, ixfr));
        has(&server, next);
    }
    // Nor is one that has nothing newer, and knows no IXFR, one that fails.
    primary.with(|given| given.asked.clear());
    eventually("it was asked again", || {
        primary.with(|given| given.asked.starts_with(&[IXFR, AXFR]).then_some(()))
    });
    eventually("it has answered", || {
        (!line(&server)["error"].is_string()).then_some(())
    });
    assert!(!server.log.text().contains("not newer"));
    assert!(!server.log.text().contains("is not refreshed"));
}

#[test]
fn zones_of_others_have_a_bound_together() {
    let primary = Primary::start(2, 10, FAST);
    // 70 names of a hundred labels take 0.9 MiB.
    primary.with(|given| given.deep = 70);
    let text = |size: &str| {
        let more = format!("[limits]\nreceived_memory = \"{size}\"\n[zone.\"other.example\"]\n");
        let more = format!("{more}primary = [\"{}\"]\n", primary.address);
        config(&[&primary]) + &more
    };
    let folder = Folder::with(&text("1MiB"));
    fs::create_dir(folder.path("state")).unwrap();
    let folder = Arc::new(folder);
    let server = Server::start_in(&folder);
    let zones = || {
        let zones = [ZONE, "other.example"];
        zones.map(|zone| serial(server.address, zone))
    };
    let why = "with it the zones of others would take 2 MiB, more than `received_memory` of [limits], 1 MiB";
    server.log.wait(&["is not refreshed", why]);
    eventually("one is there", || zones().contains(&Some(10)).then_some(()));
    // What is there may become smaller, and not larger.
    assert_eq!(zones().iter().flatten().count(), 1, "{:?}", zones());
    primary.with(|given| (given.serial, given.deep) = (11, 69));
    eventually("it goes on", || zones().contains(&Some(11)).then_some(()));
    folder.write("nearmost.toml", &text("2MiB"));
    assert_eq!(server.run(&["reload"]).code, 0);
    eventually("both are there", || {
        (zones() == [Some(11); 2]).then_some(())
    });
    eventually("nothing is wrong any more", || {
        let lines = server.json(&["status"])["received"].clone();
        let fine = |line: &serde_json::Value| line["error"].is_null();
        lines.as_array().unwrap().iter().all(fine).then_some(())
    });
}

#[test]
fn an_operator_has_a_zone_fetched() {
    let primary = Primary::start(2, 10, SLOW);
    let server = Server::start_in(&folder(&[&primary]));
    has(&server, 10);
    primary.with(|given| given.serial = 11);
    let ran = server.run(&["fetch", "Theirs.example"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out
            .contains("the primaries of Theirs.example. are asked"),
        "{ran:?}"
    );
    has(&server, 11);
    // An older one only when it is asked for.
    primary.with(|given| given.serial = 5);
    assert_eq!(server.run(&["fetch", ZONE]).code, 0);
    server.log.wait(&["its serial 5 is older than ours, 11"]);
    assert_eq!(serial(server.address, ZONE), Some(11));
    let done = server.json(&["fetch", ZONE, "--whole"]);
    assert_eq!(
        (&done["zone"], &done["whole"]),
        (&"theirs.example.".into(), &true.into())
    );
    has(&server, 5);
    let ran = server.run(&["fetch", "other.example"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err
            .contains("other.example. is no zone that comes from others"),
        "{ran:?}"
    );
}

#[test]
fn messages_come_from_the_address_that_is_named() {
    let primary = Primary::start(2, 10, SLOW);
    let told = UdpSocket::bind("127.0.0.3:0").unwrap();
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    let ours = config(&[]).replace(
        "primary = []",
        &format!(
            "primary = [{{ at = \"{}\", source = \"127.0.0.8\" }}]\nnotify = [{{ at = \"{}\", source = \"127.0.0.9\" }}]",
            primary.address,
            told.local_addr().unwrap()
        ),
    );
    let folder = Folder::with(&ours);
    fs::create_dir(folder.path("state")).unwrap();
    let server = Server::start_in(&Arc::new(folder));
    has(&server, 10);
    let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    assert_eq!(primary.with(|given| given.came), ip("127.0.0.8"));
    let (_, from) = told.recv_from(&mut [0; 512]).unwrap();
    assert_eq!(Some(from.ip()), ip("127.0.0.9"));
}

#[test]
fn what_the_disk_does_not_take_is_shown() {
    let primary = Primary::start(2, 10, FAST);
    let folder = folder(&[&primary]);
    let text = config(&[&primary]) + "transfer = [\"127.0.0.1\"]\n";
    folder.write("nearmost.toml", &text);
    // Where folders are to be made there are files.
    for name in ["state/received", "state/served"] {
        folder.write(name, "");
    }
    let server = Server::start_in(&folder);
    has(&server, 10);
    let warnings = || server.json(&["status"])["warnings"].to_string();
    let line =
        |name| format!("zone {ZONE}.: its newest version is not in `{name}` of the state folder");
    eventually("it is shown", || {
        let both = [line("received"), line("served")];
        both.iter().all(|l| warnings().contains(l)).then_some(())
    });
    fs::remove_file(folder.path("state/received")).unwrap();
    eventually("it is kept", || {
        (!warnings().contains(&line("received"))).then_some(())
    });
    kept(&server);
}

#[test]
fn what_is_kept_and_spoiled_comes_again() {
    let primary = Primary::start(2, 7, SLOW);
    let folder = folder(&[&primary]);
    let address = |server: &Server| {
        let reply = server.ask(&Question::new(&format!("a.{ZONE}"), RecordType::A));
        let code = reply.0.metadata.response_code;
        (code == ResponseCode::NoError).then(|| reply.one())
    };
    let server = Server::start_in(&folder);
    has(&server, 7);
    let path = kept(&server);
    drop(server);
    // An octet of an address: whoever reads it does not see that.
    let mut octets = fs::read(&path).unwrap();
    let at = octets.windows(4).position(|w| w == [192, 0, 2, 1]).unwrap();
    octets[at + 3] = 66;
    fs::write(&path, &octets).unwrap();
    let server = Server::start_in(&folder);
    server.log.wait(&["is broken; set aside"]);
    eventually("it has come again", || {
        address(&server).filter(|a| a == "192.0.2.1")
    });
    kept(&server);
    drop(server);
    // Records that are no zone, as another release may have taken them: the NS record is a PTR record.
    let mut octets = fs::read(&path).unwrap();
    let ns = [super::given::wire(ZONE), vec![0, 2, 0, 0, 0, 60]].concat();
    let at = octets.windows(ns.len()).position(|w| w == ns).unwrap();
    octets[at + ns.len() - 5] = 12;
    let (head, rest) = octets.split_at_mut(24);
    head[16..].copy_from_slice(&sum(rest).to_be_bytes());
    fs::write(&path, &octets).unwrap();
    primary.with(|given| given.asked.clear());
    let server = Server::start_in(&folder);
    server.log.wait(&["what is kept of it is wrong", "no NS"]);
    eventually("it has come again", || address(&server));
    assert_eq!(primary.with(|given| given.asked.clone()), [AXFR]);
}

/// FNV-1a.
fn sum(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
