//! An operator takes nodes out and puts them back; what is ordered outlives the server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::Arc;

use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, other};
use crate::question::Question;
use crate::world::{SITES, World};

const FRA: &str = SITES[0].2;

fn folder(world: &World) -> Arc<Folder> {
    let config = world.config("");
    let config = config.replacen("[server]", "[server]\nstate = \".\"", 1);
    Arc::new(Folder::with(&config))
}

#[test]
fn nobody_waits_for_a_disk_that_stands_still() {
    if other("mkfifo").is_none() {
        return;
    }
    let world = World::of(191, 2);
    let server = Server::start_in(&folder(&world));
    // Whoever opens it to write waits for somebody who reads.
    let [pipe, history] = ["pipe", "history.jsonl"].map(|file| server.folder.path(file));
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    fs::rename(pipe, &history).unwrap();
    let drained = server.run(&["drain", "fra", "--why", "disk"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    for verb in [&["status"][..], &["health"], &["history"]] {
        assert_eq!(server.run(verb).code, 0, "{verb:?}");
    }
    let question = Question::a("get.example.org").from(FRA);
    assert_eq!(question.by_tcp(server.address).one(), world.ip(1));
    // It is written once the disk moves.
    let mut lines = BufReader::new(File::open(&history).unwrap()).lines();
    eventually("the event", || {
        let line = lines.next()?.unwrap();
        line.contains("drained").then_some(())
    });
}

#[test]
fn a_drain_moves_clients_and_outlives_the_server() {
    let world = World::of(95, 3);
    let folder = folder(&world);
    let server = Server::start_in(&folder);
    assert_eq!(server.given(FRA), world.ip(0));

    let drained = server.run(&["drain", "fr?", "--why", "disk swap", "--until", "2h"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(drained.out.contains("fra: drained, until "), "{drained:?}");
    // Whoever served before this server was started may have given it for the full five minutes.
    assert!(
        drained.out.contains("in 4 m 5") || drained.out.contains("in 5 m 0 s"),
        "{drained:?}"
    );
    server.gives(FRA, &world.ip(1));
    let line = server.json(&["health", "fra"])[0].clone();
    assert_eq!(
        (&line["state"], &line["order"]["state"]),
        (&"up".into(), &"drained".into())
    );
    assert_eq!(server.run(&["health"]).code, 0, "that is no illness");
    let explained = server.run(&["explain", "get.example.org", "--from", "20.0.1.1"]);
    assert!(explained.out.contains("disk swap"), "{explained:?}");

    assert_eq!(server.stop(), Some(0));
    let server = Server::start_in(&folder);
    assert_eq!(server.given(FRA), world.ip(1), "it was not forgotten");
    let undrained = server.run(&["undrain", "*"]);
    assert_eq!(undrained.code, 0, "{undrained:?}");
    server.gives(FRA, &world.ip(0));
    let history = server.json(&["history", "fra"]);
    let changes: Vec<(&str, &str)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["from"].as_str().unwrap(), e["to"].as_str().unwrap()))
        .filter(|(from, _)| *from != "unknown")
        .collect();
    assert_eq!(changes, [("measured", "drained"), ("drained", "measured")]);
}

#[test]
fn an_order_holds_when_the_operator_is_told_so() {
    let world = World::of(94, 2);
    let server = Server::start_in(&folder(&world));
    for _ in 0..5 {
        assert_eq!(server.run(&["drain", "fra"]).code, 0);
        assert_eq!(server.given(FRA), world.ip(1));
        assert_eq!(server.run(&["undrain", "fra"]).code, 0);
        assert_eq!(server.given(FRA), world.ip(0));
    }
}

#[test]
fn nodes_are_forced_and_wrong_orders_change_nothing() {
    let world = World::of(96, 2);
    let server = Server::start_in(&folder(&world));
    for (arguments, code, words) in [
        (&["drain", "fra", "lonn"][..], 1, "no node \"lonn\""),
        (
            &["drain", "fra", "--until", "yesterday"],
            2,
            "neither a time",
        ),
        (
            &["drain", "fra", "--until", "2020-01-01 00:00"],
            1,
            "over already",
        ),
        (&["drain"], 2, "required"),
    ] {
        let ran = server.run(arguments);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
    }
    assert_eq!(server.json(&["status"])["orders"], serde_json::json!([]));
    assert_eq!(server.run(&["force", "down", "fra"]).code, 0);
    server.gives(FRA, &world.ip(1));
    assert_eq!(server.run(&["force", "up", "fra"]).code, 0);
    server.gives(FRA, &world.ip(0));
    assert_eq!(server.run(&["force", "clear", "fra"]).code, 0);
    assert_eq!(server.json(&["status"])["orders"], serde_json::json!([]));
}

#[test]
fn orders_that_cannot_be_read_are_set_aside() {
    let world = World::of(97, 2);
    let folder = folder(&world);
    fs::write(folder.path("orders.json"), "[{").unwrap();
    let server = Server::start_in(&folder);
    assert_eq!(server.given(FRA), world.ip(0));
    server.log.wait(&["ERROR", "orders.json", "set aside"]);
    assert!(folder.path("orders.json.bad").exists());
}

#[test]
fn a_restart_goes_on_from_what_was_known() {
    let world = World::of(98, 2);
    let folder = folder(&world);
    let server = Server::start_in(&folder);
    world.now(0, Does::Refuse);
    server.gives(FRA, &world.ip(1));
    assert_eq!(server.stop(), Some(0));
    world.now(0, Does::ok());
    let server = Server::start_in(&folder);
    server.log.wait(&["going on from 2 states"]);
    let history = server.json(&["history", "fra"]);
    let changes = history.as_array().unwrap().iter();
    let ups = changes.filter(|e| e["from"] == "unknown").count();
    assert_eq!(
        ups, 1,
        "one success is not enough for who was down: {history}"
    );
    server.gives(FRA, &world.ip(0));
    let newest = server.json(&["history", "fra", "--last", "1"])[0].clone();
    assert_eq!(
        (&newest["from"], &newest["to"]),
        (&"down".into(), &"up".into())
    );
}

#[test]
fn a_drain_that_leaves_too_little_is_refused() {
    let world = World::of(103, 3);
    let config = world.config("keep = { nodes = 2 }");
    let config = config.replacen("[server]", "[server]\nstate = \".\"", 1);
    let folder = Arc::new(Folder::with(&config));
    let server = Server::start_in(&folder);
    assert_eq!(server.run(&["drain", "fra"]).code, 0);
    for order in [&["drain", "nyc"][..], &["force", "down", "nyc", "tyo"]] {
        let refused = server.run(order);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains("pool \"site\", IPv4:"), "{refused:?}");
        assert!(refused.err.contains("--anyway"), "{refused:?}");
    }
    let refused = server.run(&["drain", "nyc"]);
    assert!(
        refused
            .err
            .contains("1 of 3 nodes would be in service, and 2 must be"),
        "{refused:?}"
    );
    assert_eq!(
        server.json(&["status"])["orders"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        server.run(&["force", "up", "nyc"]).code,
        0,
        "that takes nobody out"
    );
    assert_eq!(server.run(&["drain", "fra"]).code, 0, "it is out already");

    let drained = server.run(&["drain", "nyc", "--anyway", "--why", "fire"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(drained.out.contains("anyway: pool"), "{drained:?}");
    let newest = server.json(&["history", "nyc", "--last", "1"])[0].clone();
    assert!(
        newest["why"]
            .as_str()
            .unwrap()
            .contains("fire (anyway: pool"),
        "{newest}"
    );
}

#[test]
fn a_node_is_safe_to_stop_when_the_ttls_handed_out_are_over() {
    let world = World::of(104, 3);
    let config = world
        .config("")
        .replace("ttl = \"5m/1s\"", "ttl = \"3s/2s\"");
    let server = Server::start(&config);
    let left = |node: &str| {
        let done = server.json(&["drain", node]);
        done["safe_at"].as_u64().unwrap() - done["now"].as_u64().unwrap()
    };
    // As soon as nothing can be left of what an earlier process gave; nobody was given Tokyo since.
    eventually("nobody has Tokyo", || (left("tyo") == 0).then_some(()));
    assert!(
        server
            .run(&["drain", "tyo"])
            .out
            .contains("safe to stop now")
    );
    assert_eq!(server.given(FRA), world.ip(0));
    assert!((1..=4).contains(&left("fra")), "its answer is out there");
    eventually("that is over", || (left("fra") == 0).then_some(()));
}
