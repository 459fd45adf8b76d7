//! UDP and TCP: truncation as dig meets it, pipelines, and a server that listens on every address.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::program::{Folder, Server, dig, other};
use crate::question::{Question, Reply, receive, send};
use crate::world::{FRA, NYC, World, server, server_on};

/// `big` fits no datagram, `medium` fits one of 1232 octets and not one of 512, `huge` nearly fills a TCP message.
fn server_with_large_answers() -> Server {
    let mut zone = "$TTL 300\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n".to_owned();
    for (name, records) in [("medium", 4), ("big", 20), ("huge", 280)] {
        for n in 0..records {
            writeln!(zone, "{name} TXT \"{n:03}{}\"", "x".repeat(197)).unwrap();
        }
    }
    let folder = Folder::with(&server());
    folder.write("zones/large.example.zone", &zone);
    Server::start_in(&Arc::new(folder))
}

#[test]
fn large_answers_are_cut_and_come_whole_over_tcp() {
    let server = server_with_large_answers();
    let ask = |name: &str| Question::new(&format!("{name}.large.example"), RecordType::TXT);
    let medium = ask("medium").by_udp(server.address);
    assert_eq!(medium.records().len(), 4);
    for cut in [
        ask("medium").udp_size(512),
        ask("big"),
        ask("big").udp_size(4096),
    ] {
        let reply = cut.by_udp(server.address);
        assert!(reply.0.metadata.truncation, "{cut:?}");
        assert!(reply.0.edns.is_some(), "OPT is kept");
    }
    for (name, records) in [("medium", 4), ("big", 20), ("huge", 280)] {
        let whole = ask(name).by_tcp(server.address);
        assert!(!whole.0.metadata.truncation);
        assert_eq!(whole.records().len(), records, "{name}");
    }
    let status = server.json(&["status"]);
    assert_eq!(status["counters"]["truncated"], 3, "{status}");
}

#[test]
fn dig_gets_a_large_answer_by_itself() {
    if other("dig").is_none() {
        return;
    }
    let server = server_with_large_answers();
    let ran = server.dig(&["big.large.example", "TXT", "+bufsize=512"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains(";; Truncated, retrying in TCP mode."),
        "{ran:?}"
    );
    assert!(ran.out.contains("ANSWER: 20,"), "{ran:?}");
    assert!(!ran.out.contains("WARNING"), "{ran:?}");
    let medium = server.dig(&["medium.large.example", "TXT"]);
    assert!(
        medium.out.contains("ANSWER: 4,") && medium.out.contains("(UDP)"),
        "{medium:?}"
    );
}

#[test]
fn a_pipeline_of_questions_is_answered_whole() {
    let world = World::of(80, 2);
    let server = Server::start(&world.config(""));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut open = HashMap::new();
    for n in 0..200 {
        let (net, mirror) = if n % 2 == 0 { (FRA, 0) } else { (NYC, 1) };
        let packet = Question::a("get.example.org").from(net).to_vec();
        send(&mut stream, &packet);
        open.insert(packet[..2].to_vec(), (packet, world.ip(mirror)));
    }
    while !open.is_empty() {
        let reply = receive(&mut stream);
        let (packet, mirror) = open
            .remove(&reply[..2])
            .expect("one reply for each question");
        assert_eq!(Reply::of(&packet, &reply).one(), mirror);
    }
    assert_eq!(server.json(&["status"])["counters"]["connections"], 1);
}

#[test]
fn the_address_that_was_asked_answers() {
    let world = World::of(81, 1);
    let config = world.config("").replace(&server(), &server_on("0.0.0.0:0"));
    let server = Server::start(&config);
    for asked in ["127.0.0.1", "127.0.0.2", "127.81.2.3"] {
        let address = SocketAddr::new(asked.parse::<IpAddr>().unwrap(), server.address.port());
        // Its socket is connected: the kernel drops what comes from another address.
        assert_eq!(
            Question::a("get.example.org").by_udp(address).one(),
            world.ip(0)
        );
        assert_eq!(
            Question::a("get.example.org").by_tcp(address).one(),
            world.ip(0)
        );
        if other("dig").is_some() {
            let ran = dig(address, &["get.example.org", "+short"]);
            assert_eq!(ran.out.trim(), world.ip(0), "{ran:?}");
            assert!(!ran.err.contains("unexpected source"), "{ran:?}");
        }
    }
}
