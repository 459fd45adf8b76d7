//! DNS over HTTP/3, which `hickory-server` speaks: our answers behind its listener, and what is known to be its own way.

use std::net::SocketAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hyper::body::{Buf, Bytes};
use nearmost::wire::tsig::{Algorithm, Chain, Key};

use super::client::{NAME, Trust, with_options};
use super::quic::connect;
use super::{Encrypted, PADDING, certify};
use crate::common::certificates::Authority;
use crate::question::Question;
use crate::upgrade::Successors;
use crate::world::{FRA, World, wait};

type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// A connection; none: it is not wanted.
async fn open(trust: &Trust, at: SocketAddr) -> Option<Requests> {
    let connection = connect(trust, at, b"h3").await?;
    let connection = h3_quinn::Connection::new(connection);
    let (mut driver, requests) = h3::client::new(connection).await.ok()?;
    tokio::spawn(async move { driver.wait_idle().await });
    Some(requests)
}

/// The reply to a message at a path; none: the connection has ended.
async fn post(requests: &mut Requests, path: &str, packet: &[u8]) -> Option<Vec<u8>> {
    let request = hyper::Request::post(format!("https://{NAME}{path}"))
        .header("content-type", "application/dns-message")
        .body(())
        .unwrap();
    let mut stream = requests.send_request(request).await.ok()?;
    stream
        .send_data(Bytes::copy_from_slice(packet))
        .await
        .ok()?;
    stream.finish().await.ok()?;
    let response = stream.recv_response().await.ok()?;
    assert_eq!(response.status(), 200);
    let mut all = Vec::new();
    while let Some(mut some) = stream.recv_data().await.ok()? {
        all.extend_from_slice(&some.copy_to_bytes(some.remaining()));
    }
    Some(all)
}

const PATH: &str = "/dns-query";

#[test]
fn over_http_3_the_answers_are_those_of_tcp() {
    let world = World::of(251, 2);
    let all = Encrypted::start(&world, "");
    let question = |name: &str, rtype| Question::new(name, rtype).to_vec();
    let mut class = question("get.example.org", RecordType::A);
    class[12 + 17 + 3] = 3;
    let mut version = question("get.example.org", RecordType::A);
    let end = version.len();
    version[end - 5] = 1;
    let packets = [
        Question::a("get.example.org").from(FRA).to_vec(),
        question("GET.example.ORG", RecordType::AAAA),
        question("get.example.org", RecordType::SOA),
        question("nobody.get.example.org", RecordType::A),
        question("huge.large.example", RecordType::TXT),
        question("www.example.com", RecordType::A),
        question("get.example.org", RecordType::AXFR),
        class,
        version,
    ];
    wait(async {
        let mut requests = open(&all.trust(), all.doh3).await.unwrap();
        for packet in &packets {
            let reply = post(&mut requests, PATH, packet).await.unwrap();
            let [reply, tcp] = [reply, all.by_tcp(packet)].map(|r| Message::from_vec(&r).unwrap());
            assert_eq!(reply, tcp, "{packet:02x?}");
        }
        for name in ["get.example.org", "huge.large.example"] {
            let asked = Question::new(name, RecordType::TXT);
            let padded = with_options(&asked, &[(PADDING, &[0; 9])]);
            let reply = post(&mut requests, PATH, &padded).await.unwrap();
            assert_eq!(reply.len() % 468, 0, "{name}: {}", reply.len());
        }
    });
}

/// Each of these is pinned so that it is noticed when it changes.
#[test]
fn what_is_the_librarys_own_way_is_known_and_fills_no_log() {
    let world = World::of(252, 1);
    let all = Encrypted::start(&world, "");
    let said = all.server.log.text().len();
    let good = Question::a("get.example.org").to_vec();
    // What it cannot read it answers itself, without the question.
    let cut = good[..20].to_vec();
    // An EDNS option that is longer than the record.
    let mut edns = with_options(&Question::a("get.example.org"), &[(PADDING, &[0; 4])]);
    let end = edns.len();
    edns[end - 5] = 200;
    let mut signed = good.clone();
    signed.resize(512, 0);
    let name = nearmost::zone::Name::absolute("k.example").unwrap();
    let key = Key::new(&name, Algorithm::Sha256, b"secret");
    let now = u64::from(u32::MAX);
    let end = Chain::request(&key).sign(&mut signed, good.len(), now, None);
    signed.truncate(end);
    wait(async {
        let mut requests = open(&all.trust(), all.doh3).await.unwrap();
        let reply = post(&mut requests, PATH, &cut).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!(reply.metadata.response_code, ResponseCode::FormErr);
        assert!(reply.queries.is_empty(), "{reply:?}");
        // A question that is signed: what it writes cannot be.
        let reply = post(&mut requests, PATH, &signed).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
        assert!(reply.signature.is_none() && reply.answers.is_empty());
        assert!(post(&mut requests, PATH, &edns).await.is_some());
        // It knows no paths.
        assert!(post(&mut requests, "/other", &good).await.is_some());
        // And ends a connection after its hundredth request.
        let mut asked = 4;
        while asked < 200 && post(&mut requests, PATH, &good).await.is_some() {
            asked += 1;
        }
        assert!(asked <= 101, "{asked}");
        let mut requests = open(&all.trust(), all.doh3).await.unwrap();
        assert!(post(&mut requests, PATH, &good).await.is_some());
    });
    let log = all.server.log.text();
    let words = ["WARN", "request", "query", "hickory"];
    let loud = |line: &&str| words.iter().any(|word| line.contains(word));
    assert_eq!(log[said..].lines().find(loud), None);
}

#[test]
fn over_http_3_too_certificates_are_renewed_and_another_process_goes_on() {
    let world = World::of(253, 1);
    let all = Encrypted::start(&world, "");
    let good = Question::a("get.example.org").to_vec();
    let second = Authority::new("second");
    let (old, new) = (all.trust(), Trust::new(&second));
    let mut requests = wait(open(&old, all.doh3)).unwrap();
    certify(&all.server.folder, &second);
    all.server
        .log
        .wait(&["the certificate of encrypted questions"]);
    assert!(wait(post(&mut requests, PATH, &good)).is_some());
    assert!(wait(open(&old, all.doh3)).is_none());
    let mut again = wait(open(&new, all.doh3)).unwrap();
    assert!(wait(post(&mut again, PATH, &good)).is_some());
    let _successors = Successors(&all.server);
    let upgraded = all.server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    let mut third = wait(open(&new, all.doh3)).unwrap();
    assert!(wait(post(&mut third, PATH, &good)).is_some());
}

#[test]
fn an_open_connection_over_http_3_holds_up_no_end() {
    let world = World::of(254, 1);
    let all = Encrypted::start(&world, "");
    let good = Question::a("get.example.org").to_vec();
    let mut requests = wait(open(&all.trust(), all.doh3)).unwrap();
    assert!(wait(post(&mut requests, PATH, &good)).is_some());
    assert_eq!(all.server.stop(), Some(0));
}
