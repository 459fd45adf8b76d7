//! Starting, failing to start, and stopping.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use crate::program::{Folder, Ran, Server, ours};
use crate::world::{FRA, World, server, server_on};

#[test]
fn a_port_in_use_is_said_clearly() {
    let world = World::of(60, 1);
    let tcp = TcpListener::bind("127.60.1.1:0").unwrap();
    let udp = UdpSocket::bind("127.60.1.2:0").unwrap();
    for (taken, protocol) in [
        (tcp.local_addr().unwrap(), "TCP"),
        (udp.local_addr().unwrap(), "UDP"),
    ] {
        let config = world
            .config("")
            .replace(&server(), &server_on(&taken.to_string()));
        let folder = Folder::with(&config);
        let ran = folder.run(&["serve"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let words = format!("cannot listen on {taken} ({protocol}): Address already in use");
        assert!(ran.err.contains(&words), "{words} in {ran:?}");
        nothing_left(&folder, &ran);
    }
}

/// It has ended, and its control socket with it.
fn nothing_left(folder: &Folder, ran: &Ran) {
    assert!(!folder.path("nearmost.sock").exists(), "{ran:?}");
    assert!(!ran.err.contains("panicked"), "{ran:?}");
}

#[test]
fn a_second_server_does_not_take_the_control_socket_of_the_first() {
    let world = World::of(61, 1);
    let first = Server::start(&world.config(""));
    let second = first.run(&["serve"]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.err.contains("another server answers on it"),
        "{second:?}"
    );
    assert!(!second.err.contains("answering on"), "{second:?}");
    assert_eq!(first.given(FRA), world.ip(0));
    // The first has its socket still, and tells its file to people in other folders too.
    let config = first.folder.path("nearmost.toml");
    assert_eq!(first.json(&["status"])["config"], config.to_str().unwrap());
}

#[test]
fn a_control_socket_that_cannot_be_is_said_clearly() {
    let world = World::of(62, 1);
    let config = |control: &str| {
        let line = format!("[server]\ncontrol = \"{control}\"");
        world.config("").replacen("[server]", &line, 1)
    };
    let folder = Folder::with(&config("taken"));
    folder.write("taken", "a file of somebody");
    let ran = folder.run(&["serve"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("taken: there is a file that is no socket"),
        "{ran:?}"
    );
    let kept = fs::read_to_string(folder.path("taken")).unwrap();
    assert_eq!(kept, "a file of somebody");

    let folder = Folder::with(&config("no/such/folder/control.sock"));
    let ran = folder.run(&["serve"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("no/such/folder/control.sock: No such file"),
        "{ran:?}"
    );
}

#[test]
fn databases_that_cannot_be_used_are_refused() {
    let world = World::of(63, 1);
    let good = ours("tests/data/mmdb/GeoIP2-City-Test.mmdb");
    let good = good.to_str().unwrap();
    let with = |database: &str| Folder::with(&world.config("").replace(good, database));
    for (database, words) in [("nope.mmdb", "No such file"), (".", "Is a directory")] {
        let folder = with(database);
        let ran = folder.run(&["serve"]);
        assert_eq!(ran.code, 78, "{ran:?}");
        assert!(ran.err.contains("nearmost.toml:6:14: error: "), "{ran:?}");
        assert!(ran.err.contains(words), "{words} in {ran:?}");
        nothing_left(&folder, &ran);
    }
    let folder = with("cut.mmdb");
    let octets = fs::read(good).unwrap();
    fs::write(folder.path("cut.mmdb"), &octets[..octets.len() / 2]).unwrap();
    assert_eq!(folder.run(&["serve"]).code, 78);

    let bad = fs::read_dir(ours("tests/data/mmdb/bad")).unwrap();
    let mut seen = 0;
    for file in bad.map(|f| f.unwrap().path()) {
        let folder = with(file.to_str().unwrap());
        let ran = folder.run(&["serve"]);
        assert_eq!(ran.code, 78, "{ran:?}");
        nothing_left(&folder, &ran);
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} bad databases");
}

#[test]
fn errors_of_zone_files_have_positions() {
    let config = format!(
        "{}\n[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n",
        server()
    );
    let folder = Folder::with(&config);
    folder.write(
        "zones/example.org.zone",
        "$TTL 300\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.256\nwww POOL sites\nwww.example.com. A 192.0.2.1\nx CNAME y\nx A 192.0.2.1\n",
    );
    for verb in ["check", "serve"] {
        let ran = folder.run(&[verb]);
        assert_eq!(ran.code, 78, "{ran:?}");
        for line in [4, 5, 6] {
            let place = format!("example.org.zone:{line}:");
            assert!(ran.err.contains(&place), "{place} in {}", ran.err);
        }
        assert!(ran.err.contains("did you mean \"site\"?"), "{}", ran.err);
        assert!(ran.err.contains("CNAME"), "{}", ran.err);
        nothing_left(&folder, &ran);
    }
}

#[test]
fn sigterm_is_a_clean_end() {
    let world = World::of(64, 1);
    let server = Server::start(&world.config(""));
    let (folder, log) = (Arc::clone(&server.folder), server.log.clone());
    assert!(folder.path("nearmost.sock").exists());
    assert_eq!(server.stop(), Some(0));
    assert!(!folder.path("nearmost.sock").exists(), "its socket is gone");
    log.wait(&["stopping"]);
    let status = folder.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.err.contains("no server answers on"), "{status:?}");
}

#[test]
fn a_killed_server_starts_again_over_its_old_socket() {
    let world = World::of(65, 1);
    let first = Server::start(&world.config(""));
    let folder = Arc::clone(&first.folder);
    first.kill();
    assert!(folder.path("nearmost.sock").exists(), "left behind");
    assert_eq!(folder.run(&["status"]).code, 1);
    let second = Server::start_in(&folder);
    assert_eq!(second.given(FRA), world.ip(0));
    assert_eq!(second.run(&["status"]).code, 0);
    // What somebody else left is of another kind.
    drop(second);
    fs::remove_file(folder.path("nearmost.sock")).unwrap();
    drop(UnixListener::bind(folder.path("nearmost.sock")).unwrap());
    assert_eq!(Server::start_in(&folder).stop(), Some(0));
}
