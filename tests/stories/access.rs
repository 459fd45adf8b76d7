//! Who may ask: by address and by key, of the server and of a zone.

use std::net::{SocketAddr, UdpSocket};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::program::{PATIENCE, Server, other};
use crate::question::{Question, Reply};
use crate::world::server;

/// RFC 8914: 18, Prohibited, without more words.
const PROHIBITED: [u8; 6] = [0, 15, 0, 2, 0, 18];
/// The same: 20, Not Authoritative.
const ELSEWHERE: [u8; 6] = [0, 15, 0, 2, 0, 20];
const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gb2N0ZXRzLi4uLi4=";

/// Two zones with addresses; aliases lead from one to the other.
fn start(query: &str, ours: &str) -> Server {
    let zone = |more: &str| {
        format!(
            "$TTL 300\n@ SOA ns1.example.net. host 1 2 3 4 60\n@ NS ns1.example.net.\nwww A 192.0.2.1\n{more}\n"
        )
    };
    let config = server().replacen("workers = 2", &format!("workers = 2\n{query}"), 1);
    let folder = crate::program::Folder::with(&format!(
        "{config}\n[key.\"k.example\"]\nsecret = \"{SECRET}\"\n[zone.\"ours.example\"]\n{ours}\n"
    ));
    folder.write("zones/ours.example.zone", &zone(""));
    folder.write(
        "zones/open.example.zone",
        &zone("alias CNAME www.ours.example."),
    );
    Server::start_in(&std::sync::Arc::new(folder))
}

/// The reply to a question from an address, and whether it has these octets.
fn ask(at: SocketAddr, from: &str, name: &str) -> (Reply, Vec<u8>) {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(at).unwrap();
    let packet = Question::new(name, RecordType::A).to_vec();
    socket.send(&packet).unwrap();
    let mut reply = [0; 1500];
    let len = socket.recv(&mut reply).expect("a reply");
    (Reply::of(&packet, &reply[..len]), reply[..len].to_vec())
}

fn has(octets: &[u8], option: [u8; 6]) -> bool {
    octets.windows(6).any(|six| six == option)
}

fn is_refused(server: &Server, from: &str, name: &str) {
    let (reply, octets) = ask(server.address, from, name);
    assert_eq!(reply.rcode(), ResponseCode::Refused, "{from} {name}");
    assert!(has(&octets, PROHIBITED), "{from} {name}: {octets:02x?}");
    assert!(reply.0.answers.is_empty() && !reply.0.metadata.authoritative);
}

fn is_answered(server: &Server, from: &str, name: &str) {
    let (reply, octets) = ask(server.address, from, name);
    assert_eq!(reply.one(), "192.0.2.1", "{from} {name}");
    assert!(!has(&octets, PROHIBITED));
}

#[test]
fn a_zone_says_who_may_ask() {
    let server = start("", "query = [\"127.90.0.0/16\", \"key:k.example\"]");
    is_answered(&server, "127.90.0.1", "www.ours.example");
    is_refused(&server, "127.91.0.1", "www.ours.example");
    is_refused(&server, "127.91.0.1", "nobody.ours.example");
    is_answered(&server, "127.91.0.1", "www.open.example");
    // It is the resolver that asks, whatever client it names.
    let named = Question::a("www.ours.example").from("127.90.0.0/24");
    assert_eq!(server.ask(&named).rcode(), ResponseCode::Refused);
    let by_tcp = Question::a("www.ours.example").by_tcp(server.address);
    assert_eq!(by_tcp.rcode(), ResponseCode::Refused);
    // An alias is followed as far as may be asked.
    let (reply, octets) = ask(server.address, "127.91.0.1", "alias.open.example");
    assert_eq!(
        (reply.rcode(), reply.0.answers.len()),
        (ResponseCode::NoError, 1)
    );
    assert!(!has(&octets, PROHIBITED));
    let (reply, _) = ask(server.address, "127.90.0.1", "alias.open.example");
    assert_eq!(reply.0.answers.len(), 2);
    // What is nowhere here is refused as ever.
    let (reply, octets) = ask(server.address, "127.90.0.1", "www.example.com");
    assert_eq!(reply.rcode(), ResponseCode::Refused);
    assert!(has(&octets, ELSEWHERE));

    let explained = server.run(&["explain", "www.ours.example", "--from", "127.91.0.1"]);
    let words = "REFUSED: the zone is here, and whoever asks is not let in";
    assert!(explained.out.contains(words), "{explained:?}");
    let explained = server.run(&["explain", "www.ours.example", "--from", "127.90.0.1"]);
    assert!(explained.out.contains("192.0.2.1"), "{explained:?}");

    if other("dig").is_some() {
        let dug = server.dig(&["www.ours.example"]);
        assert!(dug.out.contains("EDE: 18 (Prohibited)"), "{dug:?}");
        let key = format!("hmac-sha256:k.example:{SECRET}");
        let dug = server.dig(&["www.ours.example", "-y", &key, "+short"]);
        assert_eq!(dug.out, "192.0.2.1\n", "{dug:?}");
    }

    // Another list holds from the reload on.
    let file = server.folder.path("nearmost.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("127.90.0.0/16", "127.91.0.0/16");
    server.folder.write("nearmost.toml", &text);
    assert_eq!(server.run(&["reload"]).code, 0);
    is_answered(&server, "127.91.0.1", "www.ours.example");
    is_refused(&server, "127.90.0.1", "www.ours.example");
}

#[test]
fn the_server_says_who_may_ask_zones_that_do_not_say_it() {
    let server = start("query = [\"127.90.0.0/16\"]", "query = [\"127.91.0.0/16\"]");
    is_answered(&server, "127.90.0.1", "www.open.example");
    is_refused(&server, "127.91.0.1", "www.open.example");
    is_answered(&server, "127.91.0.1", "www.ours.example");
    is_refused(&server, "127.90.0.1", "www.ours.example");
    let hidden = start("query = []", "");
    is_refused(&hidden, "127.0.0.1", "www.ours.example");
    is_refused(&hidden, "127.0.0.1", "www.open.example");
    let shown = hidden.run(&["check", "--show"]);
    assert!(shown.out.contains("\nquery = []\n"), "{shown:?}");
}
