//! Questions over TLS, HTTPS, QUIC and HTTP/3: our own client, kdig, dig and curl, and clients that mean no good.

mod client;
mod dnspython;
mod floods;
mod h3;
mod hostile;
mod http;
mod quic;
mod renewal;

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::common::certificates::Authority;
use crate::crowd::frames::base64url;
use crate::encrypted::client::{NAME, Trust, exchange, option, post, with_options};
use crate::metrics::scrape_at;
use crate::program::{Folder, Ran, Server, eventually, other};
use crate::question::{Question, Reply, send};
use crate::upgrade::Successors;
use crate::world::{FRA, World};

/// RFC 7828 and RFC 7830.
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// A server that answers in all ways.
struct Encrypted {
    authority: Authority,
    server: Server,
    dot: SocketAddr,
    doh: SocketAddr,
    doq: SocketAddr,
    doh3: SocketAddr,
}

impl Encrypted {
    /// With `more` at the end of `[tls]`, and behind it.
    fn start(world: &World, more: &str) -> Self {
        let authority = Authority::new("first");
        let config = world
            .config("")
            .replacen("[server]", "[server]\nstate = \".\"", 1);
        let ways = ["dot", "doh", "doq", "doh3"].map(|way| format!("{way} = [\"127.0.0.1:0\"]\n"));
        let ways = ways.concat();
        let tls = format!("[tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n{ways}");
        let folder = Folder::with(&format!("{config}\n{tls}{more}"));
        certify(&folder, &authority);
        folder.write("authority.pem", &authority.pem);
        folder.write("zones/large.example.zone", &large());
        let server = Server::start_in(&Arc::new(folder));
        let at = |name: &str| {
            let line = server.log.wait(&[&format!("answering {name} on ")]);
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let [dot, doh, doq, doh3] =
            ["TLS", "HTTPS", "QUIC", "HTTP/3"].map(|way| at(&format!("DNS over {way}")));
        Self {
            authority,
            server,
            dot,
            doh,
            doq,
            doh3,
        }
    }

    fn trust(&self) -> Trust {
        Trust::new(&self.authority)
    }

    /// The reply over DNS over TLS.
    fn by_dot(&self, packet: &[u8]) -> Vec<u8> {
        exchange(&mut self.trust().connect(self.dot).unwrap(), packet).unwrap()
    }

    /// The reply over TCP.
    fn by_tcp(&self, packet: &[u8]) -> Vec<u8> {
        exchange(
            &mut TcpStream::connect(self.server.address).unwrap(),
            packet,
        )
        .unwrap()
    }

    /// A client of another package.
    fn client(&self, program: &str, port: u16, arguments: &[&str]) -> Ran {
        let ca = self.server.folder.path("authority.pem");
        Ran::of(
            Command::new(program)
                .args(["@127.0.0.1", "-p", &port.to_string(), "+norec"])
                .arg(format!("+tls-ca={}", ca.display()))
                .arg(format!("+tls-hostname={NAME}"))
                .args(arguments),
        )
    }
}

/// Writes a certificate of this authority where the configuration names it.
fn certify(folder: &Folder, authority: &Authority) {
    let (cert, key) = authority.pair(&[NAME]);
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", &key);
}

/// A zone with an answer that nearly fills a message.
fn large() -> String {
    let text = "x".repeat(197);
    let records = (0..280).map(|n| format!("huge TXT \"{n:03}{text}\"\n"));
    let records: String = records.collect();
    format!("$TTL 300\n@ SOA ns1 host 1 2 3 4 60\n@ NS ns1\nns1 A 192.0.2.53\n{records}")
}

#[test]
fn all_ways_give_the_same_answer() {
    let world = World::of(201, 2);
    let all = Encrypted::start(&world, "");
    let question = |name: &str, rtype| Question::new(name, rtype).to_vec();
    let mut packets = vec![
        Question::a("get.example.org").from(FRA).to_vec(),
        question("GET.example.ORG", RecordType::AAAA),
        question("get.example.org", RecordType::SOA),
        question("nobody.get.example.org", RecordType::A),
        question("huge.large.example", RecordType::TXT),
        question("www.example.com", RecordType::A),
        question("get.example.org", RecordType::AXFR),
    ];
    let mut class = question("get.example.org", RecordType::A);
    class[12 + 17 + 3] = 3;
    packets.push(class);
    // Less than the question that it announces: FORMERR.
    packets.push(packets[0][..20].to_vec());
    for packet in &packets {
        let tcp = all.by_tcp(packet);
        assert_eq!(all.by_dot(packet), tcp, "{packet:02x?}");
        let doh = post(&all.trust(), all.doh, packet);
        assert_eq!((doh.status, &doh.body), (200, &tcp), "{packet:02x?}");
        let path = format!("/dns-query?dns={}", base64url(packet));
        let doh = client::get(&all.trust(), all.doh, &path);
        assert_eq!((doh.status, &doh.body), (200, &tcp), "{packet:02x?}");
    }
}

#[test]
fn each_version_of_tls_and_each_name_inside_is_taken() {
    let world = World::of(202, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    for version in [&TLS12, &TLS13] {
        for inside in [&[][..], &[&b"dot"[..]]] {
            let trust = all.trust().only(version).inside(inside);
            let mut first = trust.connect(all.dot).unwrap();
            assert!(!exchange(&mut first, &packet).unwrap().is_empty());
            assert_eq!(
                first.conn.alpn_protocol(),
                inside.first().map(|name| &name[..])
            );
            // Who comes again need not begin from the start.
            let mut again = trust.connect(all.dot).unwrap();
            assert!(!exchange(&mut again, &packet).unwrap().is_empty());
            assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
    let other = all.trust().inside(&[b"smtp"]).connect(all.dot);
    assert!(other.is_none(), "it is another protocol that was meant");
}

#[test]
fn lengths_say_nothing_and_idle_times_are_told() {
    let world = World::of(203, 1);
    let all = Encrypted::start(&world, "");
    for name in [
        "get.example.org",
        "nobody.get.example.org",
        "huge.large.example",
    ] {
        let asked = Question::new(name, RecordType::TXT);
        let padded = with_options(&asked, &[(PADDING, &[0; 40]), (KEEPALIVE, &[])]);
        let bare = with_options(&asked, &[]);
        let (dot, tcp) = (all.by_dot(&padded), all.by_tcp(&padded));
        let doh = post(&all.trust(), all.doh, &padded).body;
        for reply in [&dot, &doh] {
            assert_eq!(reply.len() % 468, 0, "{name}: {}", reply.len());
            let zeros = option(reply, PADDING).unwrap();
            assert!(zeros.iter().all(|octet| *octet == 0));
        }
        assert_eq!(option(&tcp, PADDING), None, "there it hides nothing");
        // 10 s in tenths.
        assert_eq!(option(&dot, KEEPALIVE), Some(vec![0, 100]));
        assert_eq!(option(&tcp, KEEPALIVE), Some(vec![0, 100]));
        assert_eq!(option(&doh, KEEPALIVE), None, "HTTP has its own");
        for reply in [all.by_dot(&bare), all.by_tcp(&bare)] {
            assert_eq!(option(&reply, PADDING), None);
            assert_eq!(option(&reply, KEEPALIVE), None);
        }
    }
}

#[test]
fn padding_and_idle_times_can_be_left_out() {
    let world = World::of(204, 1);
    let all = Encrypted::start(&world, "padding = false\n[limits]\ntcp_keepalive = false\n");
    let asked = Question::a("get.example.org");
    let padded = with_options(&asked, &[(PADDING, &[0; 40]), (KEEPALIVE, &[])]);
    let bare = with_options(&asked, &[]);
    assert_eq!(all.by_dot(&padded)[2..], all.by_dot(&bare)[2..]);
}

#[test]
fn kdig_and_dig_ask_over_tls_https_and_quic() {
    let world = World::of(205, 1);
    let all = Encrypted::start(&world, "");
    let ways: [(&str, u16, &[&str]); 8] = [
        ("kdig", all.dot.port(), &["+tls"]),
        ("kdig", all.doh.port(), &["+https"]),
        ("kdig", all.doh.port(), &["+https", "+https-get"]),
        // Behind the options for TLS, which would make it ask over TCP.
        ("kdig", all.doq.port(), &["+quic"]),
        ("dig", all.dot.port(), &["+tls"]),
        ("dig", all.doh.port(), &["+https"]),
        ("dig", all.doh.port(), &["+https-get"]),
        (
            "kdig",
            all.dot.port(),
            &["+tls", "+keepopen", "huge.large.example", "TXT"],
        ),
    ];
    for (program, port, arguments) in ways {
        if other(program).is_none() {
            return;
        }
        let ran = all.client(program, port, &[&["get.example.org"], arguments].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert!(ran.out.contains(&world.ip(0)), "{arguments:?}: {ran:?}");
        assert!(!ran.out.contains("WARNING"), "{arguments:?}: {ran:?}");
    }
    let padded = all.client(
        "kdig",
        all.dot.port(),
        &["+tls", "+padding", "get.example.org"],
    );
    assert!(padded.out.contains("Received 468 B"), "{padded:?}");
}

#[test]
fn what_is_asked_is_counted_by_the_way_it_came() {
    let world = World::of(206, 1);
    let all = Encrypted::start(&world, "[querylog]\nto = \"file:queries.json\"\n");
    let packet = Question::a("get.example.org").to_vec();
    for count in 1..=3 {
        all.by_dot(&packet);
        if count > 1 {
            post(&all.trust(), all.doh, &packet);
        }
    }
    let status = all.server.run(&["status"]);
    let lines = [
        format!("answering on   {}, DNS over TLS\n", all.dot),
        format!("answering on   {}, DNS over HTTPS\n", all.doh),
    ];
    for line in lines {
        assert!(status.out.contains(&line), "{status:?}");
    }
    let control = all.server.folder.path("control.sock");
    let (_, text) = scrape_at(&control, "*/*");
    for (way, count) in [("tcp", 0), ("dot", 3), ("doh", 2)] {
        let line = format!("nearmost_questions_total{{transport=\"{way}\",type=\"A\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    eventually("all are written down", || {
        let log = std::fs::read_to_string(all.server.folder.path("queries.json"));
        let log = log.unwrap_or_default();
        let of = |way: &str| log.matches(&format!("\"transport\":\"{way}\"")).count();
        (of("dot") == 3 && of("doh") == 2).then_some(())
    });
}

#[test]
fn another_process_goes_on_with_all_of_it() {
    let world = World::of(207, 1);
    let all = Encrypted::start(&world, "");
    let successors = Successors(&all.server);
    let packet = Question::a("get.example.org").to_vec();
    let mut open = all.trust().connect(all.dot).unwrap();
    assert!(exchange(&mut open, &packet).is_some());
    let upgraded = all.server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    // What is open is the old one's, what is new the new one's.
    assert!(exchange(&mut open, &packet).is_some());
    drop(open);
    all.server.log.wait(&["another process answers"]);
    assert_eq!(Reply::of(&packet, &all.by_dot(&packet)).one(), world.ip(0));
    assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    successors.tell("TERM");
}

/// Sends in pieces what need not come at once.
#[test]
fn a_pipeline_is_answered_whole() {
    let world = World::of(208, 1);
    let all = Encrypted::start(&world, "");
    let mut stream = all.trust().connect(all.dot).unwrap();
    let packets: Vec<Vec<u8>> = (0..200)
        .map(|_| Question::a("get.example.org").to_vec())
        .collect();
    for packet in &packets {
        send(&mut stream, packet);
    }
    for packet in &packets {
        let reply = client::receive(&mut stream).unwrap();
        assert_eq!(Reply::of(packet, &reply).one(), world.ip(0));
    }
}
