//! Who is given which mirror, while mirrors die and come back.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::common::nodes::{Does, Node};
use crate::program::{Folder, Server, Stop, eventually, ours, skip};
use crate::question::{Question, Reply, socket_to};
use crate::world::{FRA, NYC, TYO, World, server, server_on, wait};

const NAME: &str = "get.example.org";
/// Networks that the shipped database places in Britain, Sweden, Germany and Japan.
const OXFORD: &str = "129.67.0.0/24";
const STOCKHOLM: &str = "130.237.0.0/24";
const FRANKFURT: &str = "84.128.0.0/24";
const OSAKA: &str = "133.1.0.0/24";

#[test]
fn the_quick_start_gives_each_client_the_mirror_near_it() {
    let world = World::of(20, 3);
    let (lon, sto, tyo) = (world.ip(0), world.ip(1), world.ip(2));
    let mut config = fs::read_to_string(ours("examples/quickstart/nearmost.toml")).unwrap();
    for (there, here) in [
        ("\"192.0.2.1\", \"2001:db8:1::1\"", format!("\"{lon}\"")),
        ("\"192.0.2.2\", \"2001:db8:2::1\"", format!("\"{sto}\"")),
        ("\"192.0.2.3\"", format!("\"{tyo}\"")),
        (
            "https:/lastupdate",
            format!("http:{}/lastupdate", world.port()),
        ),
    ] {
        assert!(
            config.contains(there),
            "the quick start has changed: {there}"
        );
        config = config.replace(there, &here);
    }
    let server = Server::start(&format!("{config}\n[server]\nlisten = [\"127.0.0.1:0\"]\n"));
    for (net, mirror) in [
        (OXFORD, &lon),
        (STOCKHOLM, &sto),
        (FRANKFURT, &lon),
        (OSAKA, &tyo),
    ] {
        let reply = server.ask(&Question::a(NAME).from(net));
        assert_eq!(reply.one(), *mirror, "{net}");
        assert!(reply.0.metadata.authoritative);
        assert!(
            reply.scope().is_some_and(|s| (1..=24).contains(&s)),
            "{net}: {reply:?}"
        );
        assert_eq!(reply.ttl(), 30, "states are new");
    }
    let aaaa = server.ask(&Question::new(NAME, RecordType::AAAA).from(OSAKA));
    assert!(aaaa.is_nodata(), "{aaaa:?}");
    let ns = server.ask(&Question::new(NAME, RecordType::NS));
    assert_eq!(ns.records().len(), 2, "{ns:?}");
    let below = server.ask(&Question::a("www.get.example.org"));
    assert_eq!(below.rcode(), ResponseCode::NXDomain);
    let elsewhere = server.ask(&Question::a("example.org"));
    assert_eq!(elsewhere.rcode(), ResponseCode::Refused);
    let asked = &world.nodes[0].questions()[0];
    assert!(asked.starts_with("GET /lastupdate HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.to_lowercase().contains("\r\nhost: get.example.org"),
        "{asked}"
    );
    server
        .log
        .wait(&["no GeoIP database is configured", "DB-IP"]);
    assert_eq!(server.run(&["health"]).code, 0);
    assert_eq!(server.run(&["status"]).code, 0);
}

#[test]
fn a_dead_mirrors_clients_move_to_the_next_and_return_with_it() {
    let world = World::of(21, 3);
    let server = Server::start(&world.config(""));
    for (net, mirror) in [(FRA, 0), (NYC, 1), (TYO, 2)] {
        assert_eq!(server.given(net), world.ip(mirror), "{net}");
    }
    assert_eq!(server.run(&["health"]).code, 0);
    // Each was given at least once, by those who asked until it answered or just now.
    let health = server.json(&["health"]);
    let shares: Vec<f64> = (0..3).filter_map(|i| health[i]["share"].as_f64()).collect();
    assert!(
        shares.len() == 3 && shares.iter().all(|s| *s > 0.0),
        "{health}"
    );
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{health}");

    world.now(0, Does::Refuse);
    server.gives(FRA, &world.ip(1));
    assert_eq!(
        server.given(TYO),
        world.ip(2),
        "not its mirror, not its business"
    );
    let reply = server.ask(&Question::a(NAME).from(FRA));
    assert!(reply.ttl() <= 2, "who moves soon is told so: {reply:?}");
    server.log.wait(&[
        "WARN",
        "fra",
        &world.ip(0),
        "up -> down",
        "web: connection refused",
    ]);
    let health = server.run(&["health"]);
    assert_eq!(health.code, 1, "{health:?}");
    let line = health.out.lines().find(|l| l.starts_with("fra")).unwrap();
    // A long cell goes on in the next line.
    assert!(
        line.contains("down") && line.contains("connection"),
        "{line}"
    );
    assert!(health.out.contains("refused"), "{health:?}");
    assert_eq!(
        server.run(&["health", "nyc", "tyo"]).code,
        0,
        "those are well"
    );
    assert_eq!(server.run(&["status"]).code, 0, "two are left");

    world.now(0, Does::ok());
    server.gives(FRA, &world.ip(0));
    server
        .log
        .wait(&["INFO", "fra", "down -> up", "2 successes in a row"]);
    let health = server.run(&["health"]);
    assert_eq!(health.code, 0, "{health:?}");
    assert!(
        health.out.contains("connection") && health.out.contains("refused"),
        "the last error stays to be read: {health:?}"
    );
    assert!(
        !server.log.text().contains("nyc 127.21.0.2 up"),
        "{}",
        server.log.text()
    );
}

#[test]
fn a_mirror_that_is_dead_at_the_start_is_never_given() {
    let world = World::of(22, 3);
    let free = UdpSocket::bind("127.22.1.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let config = world
        .config("")
        .replace(&server(), &server_on(&listen.to_string()));
    let folder = Arc::new(Folder::with(&config));
    let before = Server::start_in(&folder);
    assert_eq!(before.given(FRA), world.ip(0));
    assert_eq!(before.stop(), Some(0));

    // The worst kind of dead: only a timeout shows it.
    world.now(0, Does::Hang);
    let probed = world.nodes[0].served();
    let (done, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_all_the_time(listen, &done, &answers));
        let server = Server::starting(&folder, listen);
        let _stop = Stop(&done);
        let what = "dozens of answers while the dead mirror is probed again and again";
        eventually(what, || {
            let rounds = world.nodes[0].served() - probed;
            (asking.is_finished() || answers.load(Ordering::Relaxed) > 50 && rounds > 3)
                .then_some(())
        });
        done.store(true, Ordering::Relaxed);
        let given = asking.join().unwrap();
        assert!(given.iter().all(|a| *a == world.ip(1)), "{given:?}");
        server
            .log
            .wait(&["fra", "unknown -> down", "timed out after 500 ms"]);
        assert_eq!(server.run(&["health", "fra"]).code, 1);
    });
}

/// What a client near Frankfurt is given, from before the server listens.
fn ask_all_the_time(at: SocketAddr, done: &AtomicBool, answers: &AtomicUsize) -> Vec<String> {
    let socket = socket_to(at);
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut given = Vec::new();
    let mut buffer = [0; 2048];
    while !done.load(Ordering::Relaxed) {
        let packet = Question::a(NAME).from(FRA).to_vec();
        // While nobody listens the kernel says so at once; questions of the first round are answered after it.
        let length = socket.send(&packet).and_then(|_| socket.recv(&mut buffer));
        if let Ok(length) = length {
            let reply = &buffer[..length];
            given.push(Reply::of(reply, reply).one());
            answers.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    given
}

/// One pool for each policy, named after it, of the same mirrors.
fn pool_for_each(policies: &[&str], world: &World) -> String {
    let names: Vec<_> = policies
        .iter()
        .map(|p| format!("\"{p}\" = \"{p}\""))
        .collect();
    let pool = |p: &&str| format!("[pool.{p}]\nprobes = [\"web\"]\nnone = \"{p}\"\n");
    let pools: String = policies.iter().map(pool).collect();
    let zone = format!(
        "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ {} }}",
        names.join(", ")
    );
    let (probe, nodes) = (world.probe("http", "path = \"/\""), world.node_tables());
    format!("{}\n{zone}\n{pools}\n{probe}\n{nodes}", server())
}

#[test]
fn with_all_mirrors_dead_each_policy_answers_in_its_way() {
    let world = World::of(23, 2);
    let policies = ["least-bad", "all", "nearest", "nodata", "servfail"];
    let config = pool_for_each(&policies, &world);
    let server = Server::start(&config);
    let ask = |policy: &str| server.ask(&Question::a(&format!("{policy}.{NAME}")).from(FRA));
    for policy in policies {
        assert_eq!(ask(policy).one(), world.ip(0), "{policy}");
        assert_eq!(ask(policy).extended_error(), None);
    }
    assert_eq!(server.run(&["status"]).code, 0);

    // Frankfurt goes first, so New York was in service last.
    world.now(0, Does::Refuse);
    for policy in policies {
        eventually("New York is given", || {
            (ask(policy).one() == world.ip(1)).then_some(())
        });
    }
    world.now(1, Does::Refuse);
    for policy in policies {
        let what = format!("{policy} has nobody left");
        eventually(&what, || ask(policy).extended_error().map(|_| ()));
    }
    let both = vec![world.ip(0), world.ip(1)];
    for (policy, given) in [
        ("least-bad", vec![world.ip(1)]),
        ("all", both),
        ("nearest", vec![world.ip(0)]),
    ] {
        let reply = ask(policy);
        assert_eq!(reply.addresses(), given, "{policy}");
        assert_eq!(
            reply.extended_error(),
            Some((0, "no node in service".into())),
            "{policy}"
        );
        assert_eq!(reply.ttl(), 30, "{policy}: the least");
    }
    let (nodata, servfail) = (ask("nodata"), ask("servfail"));
    assert!(nodata.is_nodata(), "{nodata:?}");
    assert_eq!(servfail.rcode(), ResponseCode::ServFail);
    for reply in [nodata, servfail] {
        assert_eq!(
            reply.extended_error(),
            Some((22, "no node in service".into()))
        );
    }
    let status = server.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    for policy in policies {
        let line = format!("0 of 2: {policy}");
        assert!(status.out.contains(&line), "{line} in {}", status.out);
        server.log.wait(&[
            "WARN",
            &format!("pool {policy}: no IPv4 node is in service"),
        ]);
    }
    assert_eq!(server.run(&["health"]).code, 1);
    let why = server.run(&["explain", "least-bad.get.example.org", "--from", "20.0.1.7"]);
    assert!(
        why.out
            .contains("no node is in service: the pool falls open"),
        "{why:?}"
    );

    world.now(1, Does::ok());
    for policy in policies {
        eventually("New York is back", || {
            let reply = ask(policy);
            let back = reply.extended_error().is_none() && reply.addresses() == [world.ip(1)];
            back.then_some(())
        });
        server.log.wait(&[
            "INFO",
            &format!("pool {policy}: there are IPv4 nodes in service again"),
        ]);
    }
    assert_eq!(server.run(&["status"]).code, 0);
}

#[test]
fn a_broken_ipv6_costs_the_aaaa_and_nothing_else() {
    let world = World::of(24, 2);
    let at = format!("[::1]:{}", world.port());
    if std::net::TcpListener::bind(&at).is_err() {
        return skip("there is no IPv6 loopback");
    }
    let six = wait(Node::start(&at, Does::ok()));
    let both = format!("ip = [\"{}\", \"::1\"]", world.ip(0));
    let config = world
        .config("none = \"nodata\"")
        .replace(&format!("ip = [\"{}\"]", world.ip(0)), &both);
    let server = Server::start(&config);
    let aaaa = || server.ask(&Question::new(NAME, RecordType::AAAA).from(FRA));
    assert_eq!(aaaa().one(), "::1");

    wait(six.now(Does::Answer(500, "broken\n".into())));
    eventually("no AAAA any more", || aaaa().is_nodata().then_some(()));
    assert_eq!(server.given(FRA), world.ip(0), "its IPv4 lives on");
    let checks = server.json(&["health", "fra"]);
    let state = |ip: &str| {
        let line = checks
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["address"] == ip);
        line.unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (state("::1"), state(&world.ip(0))),
        ("down".into(), "up".into())
    );
    let status = server.json(&["status"]);
    assert_eq!(status["pools"][0]["v4"]["in_service"], 2);
    assert_eq!(status["pools"][0]["v6"]["in_service"], 0);

    wait(six.now(Does::ok()));
    eventually("AAAA again", || {
        (aaaa().addresses() == ["::1"]).then_some(())
    });
}

#[test]
fn a_node_with_addresses_for_some_clients_is_counted_once() {
    let world = World::of(26, 3);
    let more = format!(
        "[[node.fra.address]]\nip = [\"{}\"]\nfor = [\"20.0.9.0/24\"]\n[node.nyc]",
        world.ip(2)
    );
    let tyo = world.ip(2);
    let config = world
        .config("nodes = [\"fra\", \"nyc\"]")
        .replace("[node.nyc]", &more)
        .replace(
            &format!("[node.tyo]\nat = \"Tokyo, JP\"\nip = [\"{tyo}\"]\n"),
            "",
        );
    let server = Server::start(&config);
    let counted = || {
        let line = &server.json(&["status"])["pools"][0]["v4"];
        (line["nodes"].clone(), line["in_service"].clone())
    };
    assert_eq!(counted(), (2.into(), 2.into()));

    // In service as long as any of its addresses is.
    world.now(0, Does::Refuse);
    server.gives(FRA, &world.ip(1));
    assert_eq!(counted(), (2.into(), 2.into()));
    world.now(2, Does::Refuse);
    eventually("none of its addresses is left", || {
        (counted() == (2.into(), 1.into())).then_some(())
    });
}
