//! Clients that connect and say nothing, or nothing that makes sense: others are answered meanwhile.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::Encrypted;
use super::client::{exchange, post};
use crate::program::{PATIENCE, eventually};
use crate::question::Question;
use crate::world::World;

/// A connection of another client: 127/8 is all our own.
fn connect_from(source: Ipv4Addr, at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&at.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

#[test]
fn silent_and_slow_clients_stop_nobody() {
    let world = World::of(231, 1);
    let all = Encrypted::start(
        &world,
        "[limits]\ntcp_connections = 40\ntcp_per_client = 30\n",
    );
    let packet = Question::a("get.example.org").to_vec();
    let mut crowd = Vec::new();
    for at in [all.dot, all.doh] {
        for number in 0..40u8 {
            let mut stream = connect_from([127, 231, 1, number / 10 + 1].into(), at);
            // The first octets of a handshake; some have nothing to say at all. Who was let go for another may find out here.
            let _ = stream.write_all(&[22, 3, 1, 2, 0, 1][..usize::from(number % 7)]);
            crowd.push(stream);
        }
    }
    eventually("all were let in, and most out again", || {
        let counted = all.server.json(&["status"])["counters"]["connections"].as_u64();
        (counted >= Some(80)).then_some(())
    });
    for _ in 0..3 {
        assert!(exchange(&mut all.trust().connect(all.dot).unwrap(), &packet).is_some());
        assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
        assert!(!all.by_tcp(&packet).is_empty());
    }
    // All of them come to an end.
    for mut stream in crowd {
        let mut octets = Vec::new();
        let ended = stream.read_to_end(&mut octets);
        let late = ended.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!late, "still open");
    }
}

#[test]
fn nonsense_inside_tls_ends_its_connection_alone() {
    let world = World::of(232, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    let mut good = all.trust().connect(all.dot).unwrap();
    assert!(exchange(&mut good, &packet).is_some());
    for at in [all.dot, all.doh] {
        let mut bad = all.trust().connect(at).unwrap();
        bad.write_all(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        let mut octets = Vec::new();
        let _ = bad.read_to_end(&mut octets);
        assert!(
            octets.is_empty() || octets.starts_with(b"HTTP/1.1 400"),
            "{octets:02x?}"
        );
        // No TLS at all.
        let mut plain = TcpStream::connect(at).unwrap();
        plain.set_read_timeout(Some(PATIENCE)).unwrap();
        plain
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut octets = Vec::new();
        let _ = plain.read_to_end(&mut octets);
        assert!(!octets.starts_with(b"HTTP"), "{octets:02x?}");
    }
    assert!(exchange(&mut good, &packet).is_some());
    let counted = all.server.json(&["status"])["counters"].clone();
    assert_eq!(counted["panics"], 0, "{counted}");
}
