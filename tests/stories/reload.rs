//! Files change under a server that answers: all of it is taken over, or nothing.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::nodes::Does;
use crate::program::{Folder, Server, Stop, eventually, kill, ours};
use crate::question::Question;
use crate::world::{FRA, NYC, World};

/// The configuration of a world whose files nobody watches.
fn unwatched(world: &World, pool: &str) -> String {
    let config = world.config(pool);
    config.replacen("[server]", "[server]\nwatch = false\nstate = \".\"", 1)
}

fn generation(server: &Server) -> u64 {
    server.json(&["status"])["generation"].as_u64().unwrap()
}

/// A node that is nearer to the clients near Frankfurt than all others.
fn nearer(world: &World, mirror: u8) -> String {
    format!("at = \"FRA\"\nip = [\"{}\"]\n", world.ip(mirror))
}

#[test]
fn a_node_comes_and_goes_while_questions_are_asked() {
    let world = World::of(131, 3);
    let config = unwatched(&world, "");
    // The third mirror is none yet, and the first stands in Tokyo.
    let (config, _) = config.split_once("[node.tyo]").unwrap();
    let config = config.replace("at = \"FRA\"\nip", "at = \"Tokyo, JP\"\nip");
    let server = Server::start(&config);
    assert_eq!(server.given(FRA), world.ip(1));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        let asking = scope.spawn(|| {
            let mut given = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                given.push(server.given(FRA));
            }
            given
        });
        server.folder.write("nodes/new.toml", &nearer(&world, 2));
        let dry = server.json(&["reload", "--dry-run"]);
        assert_eq!(
            (&dry["generation"], &dry["dry_run"]),
            (&1.into(), &true.into())
        );
        assert_eq!(generation(&server), 1, "a dry run changes nothing");
        let moved = dry["moves"][0]["moved"].as_f64().unwrap();
        assert!(moved > 0.0 && moved < 1.0, "{dry}");

        let done = server.run(&["reload"]);
        assert_eq!(done.code, 0, "{done:?}");
        for words in ["generation 2 answers", "+ node.new", "of its clients move"] {
            assert!(done.out.contains(words), "{words}: {done:?}");
        }
        assert_eq!(server.given(FRA), world.ip(2), "it has had its first check");

        fs::remove_file(server.folder.path("nodes/new.toml")).unwrap();
        let done = server.json(&["reload"]);
        assert_eq!(done["generation"], 3);
        assert_eq!(server.given(FRA), world.ip(1));
        stop.store(true, Ordering::Relaxed);
        let mut given = asking.join().unwrap();
        let asked = given.len();
        given.dedup();
        let (old, new) = (world.ip(1), world.ip(2));
        assert_eq!(given, [old.clone(), new, old], "of {asked} answers");
    });
    let history = server.json(&["history"]);
    let reloads = history.as_array().unwrap().iter();
    assert_eq!(reloads.filter(|e| e["to"] == "reloaded").count(), 2);
}

#[test]
fn a_bad_reload_changes_nothing_and_is_seen() {
    let world = World::of(132, 2);
    let server = Server::start(&unwatched(&world, ""));
    let config = fs::read_to_string(server.folder.path("nearmost.toml")).unwrap();
    server
        .folder
        .write("nodes/bad.toml", "at = \"LHR\"\nipp = [\"192.0.2.1\"]\n");
    for verb in [&["reload"][..], &["reload", "--dry-run"]] {
        let bad = server.run(verb);
        assert_eq!(bad.code, 78, "{bad:?}");
        assert!(bad.err.contains("nodes/bad.toml:2:1: error"), "{bad:?}");
        assert!(bad.err.contains("did you mean \"ip\"?"), "{bad:?}");
    }
    let status = server.run(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.out.contains("not reloaded") && status.out.contains("nodes/bad.toml:2:1"));
    assert_eq!((generation(&server), server.given(FRA)), (1, world.ip(0)));
    fs::remove_file(server.folder.path("nodes/bad.toml")).unwrap();

    // Sockets are bound at the start.
    let other = config.replacen("workers = 2", "workers = 3", 1);
    server.folder.write("nearmost.toml", &other);
    let refused = server.run(&["reload"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.err.contains("need a restart")
            && refused
                .err
                .contains("[server] workers is 2, and would be 3"),
        "{refused:?}"
    );
    assert_eq!(generation(&server), 1);
    server.folder.write("nearmost.toml", &config);
    assert_eq!(server.run(&["reload"]).code, 0);
    assert_eq!(server.run(&["status"]).code, 0);
}

#[test]
fn other_numbers_of_a_probe_take_nobody_out() {
    let world = World::of(133, 2);
    let server = Server::start(&unwatched(&world, ""));
    let config = fs::read_to_string(server.folder.path("nearmost.toml")).unwrap();
    world.now(1, Does::Refuse);
    server.gives(NYC, &world.ip(0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        let asking = scope.spawn(|| {
            let mut given = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                given.push((server.given(FRA), server.given(NYC)));
            }
            given
        });
        for timeout in ["400ms", "450ms"] {
            let timeout = format!("timeout = \"{timeout}\"");
            server.folder.write(
                "nearmost.toml",
                &config.replace("timeout = \"500ms\"", &timeout),
            );
            let done = server.run(&["reload"]);
            assert!(
                done.out.contains("timeout: \"500ms\"") || done.out.contains("timeout: \"400ms\""),
                "{done:?}"
            );
        }
        stop.store(true, Ordering::Relaxed);
        let mut given = asking.join().unwrap();
        given.dedup();
        assert_eq!(given, [(world.ip(0), world.ip(0))]);
    });
    let line = server.json(&["health", "nyc"])[0].clone();
    assert_eq!(line["state"], "down", "it goes on from what was known");
}

#[test]
fn files_are_watched_and_a_signal_is_heard() {
    let world = World::of(134, 2);
    let config = world.config("");
    let server = Server::start(&config);
    assert_eq!(server.given(FRA), world.ip(0));
    // As editors and checkouts do it: another file is renamed into its place.
    let other = config.replacen("at = \"FRA\"\nip", "at = \"SYD\"\nip", 1);
    server.folder.write("nearmost.toml.new", &other);
    let [new, path] = ["nearmost.toml.new", "nearmost.toml"].map(|n| server.folder.path(n));
    fs::rename(&new, &path).unwrap();
    server.gives(FRA, &world.ip(1));
    server
        .folder
        .write("nearmost.toml", &(other.clone() + "[nod.x]\n"));
    server.log.wait(&["ERROR", "files changed: not reloaded"]);
    assert_eq!(generation(&server), 2);
    server.folder.write(
        "nearmost.toml",
        &config.replacen("[server]", "[server]\nwatch = false", 1),
    );
    server.gives(FRA, &world.ip(0));
    // Now nobody looks.
    server.folder.write("nearmost.toml", &other);
    let kill = format!("kill -HUP {}", server.pid());
    let sent = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    assert!(sent.unwrap().success());
    server.gives(FRA, &world.ip(1));
    server.log.wait(&["SIGHUP: reloaded, generation 4"]);
}

#[test]
fn a_broken_or_shrunk_database_is_refused() {
    let world = World::of(135, 2);
    let folder = Arc::new(Folder::new());
    let whole = fs::read(ours("geoip/nearmost.mmdb")).unwrap();
    let small = fs::read(ours("tests/data/mmdb/GeoIP2-City-Test.mmdb")).unwrap();
    let file = folder.path("world.mmdb");
    fs::write(&file, &whole).unwrap();
    let config = unwatched(&world, "");
    let start = config.find("databases = [").unwrap();
    let end = start + config[start..].find('\n').unwrap();
    let config = format!(
        "{}databases = [\"world.mmdb\"]{}",
        &config[..start],
        &config[end..]
    );
    folder.write("nearmost.toml", &config);
    let server = Server::start_in(&folder);
    for (octets, words) in [
        (&whole[..whole.len() / 2], "world.mmdb"),
        (&small[..], "less than half"),
        (b"<html>not found</html>", "world.mmdb"),
    ] {
        fs::write(&file, octets).unwrap();
        let refused = server.run(&["reload"]);
        assert_eq!(refused.code, 78, "{refused:?}");
        assert!(refused.err.contains("nearmost.toml:"), "{refused:?}");
        assert!(refused.err.contains(words), "{refused:?}");
        assert_eq!((generation(&server), server.given(FRA)), (1, world.ip(0)));
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(server.run(&["reload"]).code, 78);
    fs::write(&file, &whole).unwrap();
    let done = server.json(&["reload"]);
    assert_eq!(done["generation"], 2);
    drop(server);
    // Whoever means it restarts.
    fs::write(&file, &small).unwrap();
    drop(Server::start_in(&folder));
}

#[test]
fn a_zone_that_changes_without_its_serial_is_warned_of() {
    let world = World::of(136, 1);
    let folder = Arc::new(Folder::with(&unwatched(&world, "")));
    let zone = |serial: u32, more: &str| {
        let text = format!(
            "$TTL 60\n@ SOA ns1.example.net. h.example.net. {serial} 2 3 4 5\n@ NS ns1.example.net.\nold A 192.0.2.1\n{more}"
        );
        folder.write("zones/example.net.zone", &(text + "ns1 A 192.0.2.9\n"));
    };
    zone(1, "");
    let server = Server::start_in(&folder);
    let asks = |name: &str| server.ask(&Question::a(name)).addresses().len();
    zone(1, "new A 192.0.2.2\n");
    let done = server.run(&["reload"]);
    assert_eq!(done.code, 0, "{done:?}");
    for words in [
        "zone example.net. has changed, and its serial has not gone up: 1",
        "~ zone example.net.: names 1 added",
        "+new.example.net.",
    ] {
        assert!(done.out.contains(words), "{words}: {done:?}");
    }
    assert_eq!((asks("new.example.net"), asks("old.example.net")), (1, 1));
    zone(2, "");
    let done = server.run(&["reload"]);
    assert!(
        done.out.contains("serial 1 -> 2") && !done.out.contains("warning"),
        "{done:?}"
    );
    assert_eq!(asks("new.example.net"), 0);
}

#[test]
fn what_if_says_who_would_move_and_changes_nothing() {
    let world = World::of(137, 3);
    let config = unwatched(&world, "");
    let (config, _) = config.split_once("[node.tyo]").unwrap();
    let server = Server::start(config);
    let down = server.json(&["whatif", "--down", "fra"]);
    let shares = |outlook: &serde_json::Value| -> Vec<(String, f64, f64)> {
        let nodes = outlook["moves"][0]["nodes"].as_array().unwrap().clone();
        let share = |n: &serde_json::Value| {
            let part = |key: &str| n[key].as_f64().unwrap();
            (
                n["node"].as_str().unwrap().to_owned(),
                part("before"),
                part("after"),
            )
        };
        nodes.iter().map(share).collect()
    };
    let of =
        |all: &[(String, f64, f64)], node: &str| all.iter().find(|n| n.0 == node).cloned().unwrap();
    let all = shares(&down);
    let (fra, nyc) = (of(&all, "fra"), of(&all, "nyc"));
    assert!(fra.1 > 0.1 && fra.2 == 0.0 && nyc.2 > 0.999, "{all:?}");
    assert!((fra.1 + nyc.1 - 1.0).abs() < 1e-6, "{all:?}");
    assert!((down["moves"][0]["moved"].as_f64().unwrap() - fra.1).abs() < 1e-6);
    server.folder.write(
        "more/new.toml",
        &nearer(&world, 2).replace("FRA", "Tokyo, JP"),
    );
    let added = server.json(&["whatif", "--add", "more/new.toml"]);
    assert!(of(&shares(&added), "new").2 > 0.1, "{added}");
    assert_eq!((generation(&server), server.given(FRA)), (1, world.ip(0)));
    for (arguments, code, words) in [
        (&["whatif"][..], 2, "what if what"),
        (&["whatif", "--down", "fraa"], 1, "did you mean \"fra\"?"),
        (&["whatif", "--add", "nowhere.toml"], 2, "nowhere.toml"),
    ] {
        let ran = server.run(arguments);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
    }
    let table = server.run(&["whatif", "--down", "fra"]);
    assert!(table.out.contains("of its clients move"), "{table:?}");
    assert!(
        table.out.lines().all(|line| line.chars().count() <= 100),
        "{table:?}"
    );
    eventually("nothing has changed", || {
        (server.given(FRA) == world.ip(0)).then_some(())
    });
}

#[test]
fn a_slip_in_a_secret_is_told_without_it() {
    let world = World::of(162, 1);
    let config = world.config("");
    let server = Server::start(&config);
    let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    for slip in [
        format!("[cookies]\nsecrets = [\"{secret}]\n"),
        format!("[cookies]\nsecrts = [\"{secret}\"]\n"),
        format!("[key.a]\nsecret = \"{secret}!\"\n"),
    ] {
        server
            .folder
            .write("nearmost.toml", &format!("{config}\n{slip}"));
        let checked = server.run(&["check"]);
        let reloaded = server.run(&["reload"]);
        assert_ne!(checked.code, 0, "{checked:?}");
        assert_ne!(reloaded.code, 0, "{reloaded:?}");
        let last = server.json(&["status"])["last_reload"].to_string();
        assert!(last.contains("secre") || last.contains("secr"), "{last}");
        for said in [&checked.err, &reloaded.err, &last, &server.log.text()] {
            assert!(!said.contains(&secret[..8]), "{said}");
        }
    }
}

#[test]
fn a_server_ends_while_it_reads_its_files_again() {
    let world = World::of(199, 1);
    let config = unwatched(&world, "");
    let server = Server::start(&config);
    // A node that takes a question and says nothing: its check runs once before anything is changed.
    let silent = TcpListener::bind("127.199.0.9:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silence = format!(
        "[probe.slow]\nkind = \"http\"\nport = {port}\nevery = \"10m\"\ntimeout = \"5m\"\n\
         [node.nyc]\nat = \"NYC\"\nip = [\"127.199.0.9\"]\n"
    );
    let config = config.replacen("probes = [\"web\"]", "probes = [\"web\", \"slow\"]", 1);
    server.folder.write("nearmost.toml", &(config + &silence));
    kill(server.pid(), "HUP");
    let _asked = silent.accept().unwrap();
    assert_eq!(server.stop(), Some(0));
}
