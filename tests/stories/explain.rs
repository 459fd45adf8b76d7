//! `explain` and `geo`: true, against a running server and against files alone.

use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually};
use crate::world::{FRA, SITES, World};

const NAME: &str = "get.example.org";

/// An address inside of a network of [`SITES`].
fn inside(net: &str) -> String {
    net.replace("0/24", "7")
}

#[test]
fn explain_says_what_dig_is_given() {
    let world = World::of(40, 4);
    let server = Server::start(&world.config("answer = 2\nnear = \"1x + 20000km\""));
    world.now(1, Does::Answer(503, "busy\n".into()));
    eventually("New York is out", || {
        let status = server.json(&["status"]);
        (status["pools"][0]["v4"]["in_service"] == 3).then_some(())
    });
    let unknown = "100.1.2.0/24";
    for net in SITES.map(|(_, _, net)| net).into_iter().chain([unknown]) {
        let why = server.json(&["explain", NAME, "--from", &inside(net)]);
        let said = why["answer"].as_array().unwrap().iter();
        let mut said: Vec<_> = said.map(|r| r.as_str().unwrap().to_owned()).collect();
        let dig = server.dig(&[
            NAME,
            "A",
            "+noall",
            "+answer",
            "+comments",
            &format!("+subnet={net}"),
        ]);
        let mut given = Vec::new();
        for line in dig.out.lines().filter(|l| l.starts_with("get.")) {
            given.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        said.sort();
        given.sort();
        assert_eq!(said, given, "{net}: {dig:?}");
        assert_eq!(said.len(), 2, "{net}");
        let scope = format!("CLIENT-SUBNET: {net}/{}", why["pool"]["scope"]);
        assert!(dig.out.contains(&scope), "{scope} in {dig:?}");
        let nodes = why["pool"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 4);
        let nyc = nodes.iter().find(|n| n["node"] == "nyc").unwrap();
        assert_eq!(nyc["given"], false);
        assert_eq!(nyc["reason"], "down: web status 503, expected 2xx");
    }
}

#[test]
fn explain_gives_place_distance_and_one_reason_for_each_node() {
    let world = World::of(41, 3);
    let server = Server::start(&world.config(""));
    let why = server.run(&["explain", NAME, "--from", &inside(FRA)]);
    assert_eq!(why.code, 0, "{why:?}");
    for words in [
        "question  get.example.org. A from 20.0.1.7",
        "[[geo.override]] number 1",
        "pool      site, states: live",
        "->  1  fra",
        "in service, but farther",
        "scope     /23  (the widest block around it within 0.0.0.0 - 20.0.1.255",
        "answer    NOERROR",
        &world.ip(0),
    ] {
        assert!(why.out.contains(words), "{words} in {}", why.out);
    }
    let local = server.run(&["explain", NAME, "--from", "127.0.0.1"]);
    assert!(
        local.out.contains("scope     /32  (not routable"),
        "{local:?}"
    );
    // Nothing is broken, and still there is no address: each in words, and exit code 1.
    for (name, rtype, status, words) in [
        (NAME, "AAAA", "NOERROR", "no record of this type"),
        ("no.get.example.org", "A", "NXDOMAIN", "no such name"),
        ("www.example.org", "A", "REFUSED", "no zone"),
    ] {
        let why = server.run(&["explain", name, rtype, "--from", "20.0.1.7"]);
        assert_eq!(why.code, 1, "{why:?}");
        let line = why.out.lines().find(|l| l.starts_with("answer")).unwrap();
        assert!(line.contains(status) && line.contains(words), "{why:?}");
    }
    let odd = server.run(&["explain", NAME, "AAAAA", "--from", "20.0.1.7"]);
    assert_eq!(odd.code, 2, "{odd:?}");
    let odd = server.run(&["explain", "a..b", "--from", "20.0.1.7"]);
    assert_eq!(odd.code, 2, "{odd:?}");
    let odd = server.run(&["explain", NAME]);
    assert_eq!(odd.code, 2, "{odd:?}");
}

#[test]
fn files_alone_explain_too() {
    let world = World::of(42, 3);
    let folder = Folder::with(&world.config(""));
    for node in 0..3 {
        world.now(node, Does::Refuse);
    }
    let live = folder.run(&["explain", NAME, "--from", &inside(FRA)]);
    assert_eq!(live.code, 1);
    assert!(live.err.contains("no server answers on"), "{live:?}");
    let why = folder.run(&["explain", NAME, "--from", &inside(FRA), "--offline"]);
    assert_eq!(why.code, 0, "{why:?}");
    assert!(
        why.out
            .contains("every node counts as in service (--offline)"),
        "{why:?}"
    );
    for (number, (name, _, net)) in (0..).zip(&SITES[..3]) {
        let why = folder.run(&[
            "explain",
            NAME,
            "--from",
            &inside(net),
            "--offline",
            "--json",
        ]);
        let why = why.json();
        assert_eq!(why["pool"]["nodes"][0]["node"], *name);
        let answer = why["answer"][0].as_str().unwrap();
        assert!(answer.ends_with(&world.ip(number)), "{answer}");
    }
}

#[test]
fn geo_says_where_an_address_is_and_who_says_so() {
    let world = World::of(43, 1);
    let server = Server::start(&world.config(""));
    for offline in [&[][..], &["--offline"]] {
        let geo = |ip: &str| server.run(&[&["geo", ip], offline].concat());
        let fra = geo("20.0.1.7");
        assert_eq!(fra.code, 0, "{fra:?}");
        assert!(
            fra.out.contains("override") && fra.out.contains("20.0.1.0/24"),
            "{fra:?}"
        );
        // A record of the test database.
        let city = geo("175.16.199.5");
        assert_eq!(city.code, 0, "{city:?}");
        assert!(
            city.out.contains("CN") && city.out.contains("city"),
            "{city:?}"
        );
        let inner = geo("::ffff:175.16.199.5");
        assert!(inner.out.contains("looked up 175.16.199.5"), "{inner:?}");
        let unknown = geo("100.1.2.3");
        assert_eq!(unknown.code, 1, "{unknown:?}");
        assert!(unknown.out.contains("unknown"), "{unknown:?}");
        assert_eq!(geo("20.0.1").code, 2);
        let json = server
            .run(&[&["geo", "20.0.3.1", "--json"], offline].concat())
            .json();
        assert_eq!(json["source"], "override");
    }
}
