//! DNS over QUIC: our own client, which can also break the rules.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use quinn::{Connection, ConnectionError, Endpoint, TransportConfig};

use super::client::{NAME, Trust, option, with_options};
use super::{Encrypted, KEEPALIVE, PADDING, certify};
use crate::common::certificates::Authority;
use crate::crowd::memory;
use crate::program::{PATIENCE, eventually};
use crate::question::{Question, Reply};
use crate::upgrade::Successors;
use crate::world::{FRA, World, wait};

/// `DOQ_PROTOCOL_ERROR` of RFC 9250 4.3.
const PROTOCOL_ERROR: u32 = 2;

/// A connection that speaks this inside; none: one of the two does not want it.
pub async fn connect(trust: &Trust, at: SocketAddr, inside: &[u8]) -> Option<Connection> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(trust.quic(inside), at, NAME).unwrap();
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    connected.expect("an answer in time").ok()
}

/// What comes back for these octets.
async fn say(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, ConnectionError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let _ = send.write_all(octets).await;
    let _ = send.finish();
    match receive.read_to_end(70_000).await {
        Ok(all) => Ok(all),
        Err(_) => Err(connection.closed().await),
    }
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap();
    [&length.to_be_bytes(), packet].concat()
}

/// Messages have no ID there.
fn nameless(mut packet: Vec<u8>) -> Vec<u8> {
    packet[..2].fill(0);
    packet
}

async fn ask(connection: &Connection, packet: &[u8]) -> Vec<u8> {
    let reply = say(connection, &framed(packet)).await.unwrap();
    let (length, reply) = reply.split_first_chunk().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), reply.len());
    reply.to_vec()
}

/// The first datagram of a client that then says nothing any more.
pub fn hello(trust: &Trust, inside: &[u8]) -> Vec<u8> {
    let (server, trust) = (UdpSocket::bind("127.0.0.1:0").unwrap(), trust.clone());
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = server.local_addr().unwrap();
    wait(async {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint.connect_with(trust.quic(inside), at, NAME).unwrap();
        let mut octets = vec![0; 2000];
        let receive = move || {
            let length = server.recv(&mut octets).unwrap();
            octets.truncate(length);
            octets
        };
        let octets = tokio::task::spawn_blocking(receive).await.unwrap();
        drop(connecting);
        octets
    })
}

#[test]
fn over_quic_the_answers_are_those_of_tcp() {
    let world = World::of(241, 2);
    let all = Encrypted::start(&world, "");
    let question = |name: &str, rtype| nameless(Question::new(name, rtype).to_vec());
    let packets = [
        nameless(Question::a("get.example.org").from(FRA).to_vec()),
        question("GET.example.ORG", RecordType::AAAA),
        question("nobody.get.example.org", RecordType::A),
        question("huge.large.example", RecordType::TXT),
        question("www.example.com", RecordType::A),
        question("get.example.org", RecordType::A)[..20].to_vec(),
    ];
    wait(async {
        let connection = connect(&all.trust(), all.doq, b"doq").await.unwrap();
        for packet in &packets {
            assert_eq!(
                ask(&connection, packet).await,
                all.by_tcp(packet),
                "{packet:02x?}"
            );
        }
        let padded = with_options(&Question::a("get.example.org"), &[(PADDING, &[0; 9])]);
        let reply = ask(&connection, &nameless(padded)).await;
        assert_eq!(reply.len(), 468);
        assert_eq!(option(&reply, KEEPALIVE), None);
        // Many at once, each on its stream.
        let asking = (0..300).map(|_| {
            let (connection, packet) = (connection.clone(), packets[0].clone());
            tokio::spawn(async move { ask(&connection, &packet).await.len() })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert!(asked.await.unwrap() > 12);
        }
        assert!(
            connect(&all.trust(), all.doq, b"h3").await.is_none(),
            "it is another protocol"
        );
    });
    assert_eq!(all.server.json(&["status"])["counters"]["panics"], 0);
}

#[test]
fn who_breaks_the_rules_of_quic_is_let_go_alone() {
    let world = World::of(242, 1);
    let all = Encrypted::start(&world, "");
    let said = all.server.log.text();
    let question = Question::a("get.example.org");
    let good = nameless(question.to_vec());
    let mut named = good.clone();
    named[1] = 7;
    let mut response = good.clone();
    response[2] |= 0x80;
    let keepalive = nameless(with_options(&question, &[(KEEPALIVE, &[])]));
    let breaches = [
        framed(&named),
        framed(&response),
        framed(&keepalive),
        [framed(&good), framed(&good)].concat(),
        framed(&good)[..20].to_vec(),
        vec![0],
        vec![],
        vec![0; 66_000],
    ];
    wait(async {
        let other = connect(&all.trust(), all.doq, b"doq").await.unwrap();
        for breach in &breaches {
            let connection = connect(&all.trust(), all.doq, b"doq").await.unwrap();
            assert!(!ask(&connection, &good).await.is_empty());
            match say(&connection, breach).await {
                Err(ConnectionError::ApplicationClosed(why)) => {
                    assert_eq!(
                        why.error_code,
                        PROTOCOL_ERROR.into(),
                        "{:02x?}",
                        &breach[..breach.len().min(20)]
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            Reply::of(&good, &ask(&other, &good).await).one(),
            world.ip(0)
        );
    });
    assert_eq!(all.server.log.text(), said);
}

#[test]
fn over_quic_who_asks_and_does_not_read_is_held_little() {
    let world = World::of(246, 1);
    let all = Encrypted::start(&world, "");
    let (trust, large) = (
        all.trust(),
        Question::new("huge.large.example", RecordType::TXT),
    );
    let large = framed(&nameless(large.to_vec()));
    let good = nameless(Question::a("get.example.org").to_vec());
    let (most, last) = large.split_at(large.len() - 1);
    let mut transport = TransportConfig::default();
    transport.receive_window(1000u32.into());
    let mut config = trust.quic(b"doq");
    config.transport_config(Arc::new(transport));
    wait(async {
        let connection = connect(&trust, all.doq, b"doq").await.unwrap();
        assert!(!ask(&connection, &good).await.is_empty());
        let before = memory(all.server.pid());
        let mut deaf = Vec::new();
        for _ in 0..10 {
            let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
            let connecting = endpoint.connect_with(config.clone(), all.doq, NAME);
            let bad = connecting.unwrap().await.unwrap();
            let mut streams = Vec::new();
            for _ in 0..100 {
                let (mut send, receive) = bad.open_bi().await.unwrap();
                send.write_all(most).await.unwrap();
                streams.push((send, receive));
            }
            deaf.push((endpoint, bad, streams));
        }
        for (_, _, streams) in &mut deaf {
            for (send, _) in streams {
                let _ = send.write_all(last).await;
                let _ = send.finish();
            }
        }
        let asked = |count: u64| {
            let metrics = all.server.json(&["status"]);
            metrics["counters"]["received"].as_u64() > Some(count)
        };
        eventually("of each connection at least one is answered", || {
            asked(deaf.len() as u64).then_some(())
        });
        for _ in 0..5 {
            assert!(!ask(&connection, &good).await.is_empty());
        }
        let grown = memory(all.server.pid()).saturating_sub(before);
        println!("{grown} KiB more for {} connections", deaf.len());
        // All replies of all of them are 57 MB.
        assert!(grown < 16 << 10, "{grown} KiB more");
    });
}

#[test]
fn a_hundred_silent_clients_stop_no_other() {
    let world = World::of(243, 1);
    let all = Encrypted::start(
        &world,
        "[limits]\ntcp_connections = 40\ntcp_per_client = 30\n",
    );
    let good = nameless(Question::a("get.example.org").to_vec());
    let trust = all.trust();
    // Were their handshakes waited for one after the other, that would take minutes.
    for number in 0..100u8 {
        let from = SocketAddr::from(([127, 243, 1, number / 10 + 1], 0));
        let socket = UdpSocket::bind(from).unwrap();
        socket.send_to(&hello(&trust, b"doq"), all.doq).unwrap();
    }
    wait(async {
        for _ in 0..3 {
            let connection = connect(&trust, all.doq, b"doq").await.unwrap();
            assert_eq!(
                Reply::of(&good, &ask(&connection, &good).await).one(),
                world.ip(0)
            );
        }
    });
}

#[test]
fn over_quic_too_certificates_are_renewed_and_another_process_goes_on() {
    let world = World::of(244, 1);
    let all = Encrypted::start(&world, "");
    let successors = Successors(&all.server);
    let good = nameless(Question::a("get.example.org").to_vec());
    let second = Authority::new("second");
    let (old, new) = (all.trust(), Trust::new(&second));
    let asked = |trust: Trust| {
        wait(async {
            let connection = connect(&trust, all.doq, b"doq").await?;
            Some(Reply::of(&good, &ask(&connection, &good).await).one())
        })
    };
    let open = wait(connect(&old, all.doq, b"doq")).unwrap();
    certify(&all.server.folder, &second);
    all.server
        .log
        .wait(&["the certificate of encrypted questions"]);
    assert!(!wait(ask(&open, &good)).is_empty());
    assert_eq!((asked(old), asked(new.clone())), (None, Some(world.ip(0))));
    let upgraded = all.server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    assert_eq!(asked(new), Some(world.ip(0)));
    // Whoever was connected is told, and connects again.
    let ended = wait(open.closed());
    assert!(
        matches!(ended, ConnectionError::ApplicationClosed(_)),
        "{ended:?}"
    );
    successors.tell("TERM");
}
