//! Packets that are not quite questions: what becomes of each, and what Knot and NSD make of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

#[rustfmt::skip] // a table: a case, a line
mod cases;
#[path = "../dns/mod.rs"]
mod dns;
mod properties;

use cases::{APEX, Case, ZONE};
use dns::message::{self, AA, AD, CD, Edns, Message, RA, RD, TC, option, rtype};
use dns::ours;
use dns::peers::{AFTER, Folder, Peer};
use nearmost::answer::Transport;
use nearmost::wire::tsig::{Algorithm, Chain, Key};

/// A reply in a few words.
fn shown(reply: Option<&[u8]>) -> String {
    let Some(octets) = reply else {
        return "silent".into();
    };
    let message = match Message::read(octets) {
        Ok(message) => message,
        Err(error) => return error,
    };
    let rcode = match message.rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        _ => "another code",
    };
    let mut out = rcode.to_owned();
    for (bit, name) in [
        (AA, "AA"),
        (TC, "TC"),
        (RD, "RD"),
        (RA, "RA"),
        (0x40, "Z"),
        (AD, "AD"),
        (CD, "CD"),
    ] {
        if message.is(bit) {
            out += " ";
            out += name;
        }
    }
    if message.question.is_empty() {
        out += " no question";
    }
    for (count, name) in [
        (message.answer.len(), "answer"),
        (message.authority.len(), "authority"),
        (message.additional.len(), "additional"),
    ] {
        if count > 0 {
            out += &format!(" {name} {count}");
        }
    }
    if let Some(edns) = message.edns {
        out += " OPT";
        if edns.dnssec_ok {
            out += " DO";
        }
        assert_eq!(edns.version, 0);
    }
    out
}

fn by_ours(snapshot: &nearmost::snapshot::Snapshot, case: &Case) -> String {
    shown(ours::ask(snapshot, &case.packet, case.by).as_deref())
}

fn by_peer(peer: &Peer, case: &Case, number: u16) -> String {
    if case.by == Transport::Tcp {
        return shown(peer.tcp(&case.packet).as_deref());
    }
    if peer.ignores(&case.packet, APEX, AFTER + number) {
        return "silent".into();
    }
    shown(peer.udp(&case.packet).as_deref())
}

#[test]
fn each_packet_gets_the_reply_that_is_its_due() {
    let folder = Folder::new("packets");
    let snapshot = ours::snapshot(folder.path(), &[(APEX, ZONE)], cases::CONFIGURATION);
    let mut wrong = String::new();
    for case in cases::all() {
        let reply = by_ours(&snapshot, &case);
        if reply != case.ours {
            wrong += &format!("{}: {reply}, and not {}\n", case.what, case.ours);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What the others reply is listed too, so that each difference is known and meant.
#[test]
fn knot_and_nsd_reply_as_listed() {
    let folder = Folder::new("packets-peers");
    let zones = [(APEX, ZONE)];
    let (Some(knot), Some(nsd)) = (
        Peer::knot(folder.path(), &zones),
        Peer::nsd(folder.path(), &zones),
    ) else {
        return;
    };
    let mut wrong = String::new();
    for (number, case) in (0..).zip(cases::all()) {
        for (peer, expected) in [(&knot, case.knot), (&nsd, case.nsd)] {
            let reply = by_peer(peer, &case, number);
            let expected = if expected.is_empty() {
                case.ours
            } else {
                expected
            };
            if reply != expected {
                wrong += &format!(
                    "{}: {}: {reply}, and not {expected}\n",
                    case.what, peer.name
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// RFC 5001, RFC 6891 6.1.2, RFC 7871 7.2.1, RFC 8914.
#[test]
fn options_of_replies() {
    let folder = Folder::new("packets-options");
    let snapshot = ours::snapshot(folder.path(), &[(APEX, ZONE)], cases::CONFIGURATION);
    let options = |name: &str, options: Vec<u8>| {
        let edns = Edns {
            options,
            ..Edns::of_size(1232)
        };
        let packet = message::query(1, &message::name(name), rtype::A, Some(&edns));
        ours::read(&snapshot, &packet, Transport::Udp)
            .edns
            .expect("OPT")
            .options
    };
    let nsid = option(3, b"here");
    assert_eq!(options("www.example", vec![]), Vec::<u8>::new());
    assert_eq!(options("www.example", option(3, b"")), nsid);
    assert_eq!(
        options("www.example", option(65_001, b"x")),
        Vec::<u8>::new()
    );
    let cookie = options("www.example", option(10, &[1; 8]));
    assert_eq!(cookie[..12], [0, 10, 0, 24, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(cookie.len(), 28);
    // Static answers, and that there is none, hold of everybody: SCOPE 0.
    for data in [
        &[0, 1, 24, 0, 192, 0, 2][..],
        &[0, 1, 0, 0],
        &[0, 0, 0, 0],
        &[0, 2, 20, 0, 0x20, 1, 0x10],
    ] {
        let ecs = option(8, data);
        assert_eq!(options("www.example", ecs.clone()), ecs);
        assert_eq!(options("not-here.example", ecs.clone()), ecs);
        assert_eq!(
            options("www.example", [ecs.clone(), option(3, b"")].concat()),
            [nsid.clone(), ecs].concat()
        );
    }
    // "Not authoritative".
    assert_eq!(options("elsewhere", vec![]), option(15, &[0, 20]));
}

/// RFC 8945 5.3: where the rest does not fit, the question and the signature do, whatever was asked for besides.
#[test]
fn the_reply_to_a_signed_question_has_its_question() {
    let folder = Folder::new("packets-signed");
    let key = "a-key-with-a-long-name.of-somebody.who-likes-long-names.example";
    let more = format!(
        "[server]\nnsid = \"{}\"\n[key.\"{key}\"]\nalgorithm = \"hmac-sha512\"\nsecret = \"c2VjcmV0IG9mIHRoaXJ0eS10d28gb2N0ZXRzLi4uLi4=\"\n",
        "n".repeat(120)
    );
    let zone = format!("{ZONE}\n* CNAME www\n");
    let mut snapshot = ours::snapshot(folder.path(), &[(APEX, &zone)], &more);
    snapshot.keys.clock = || 1_800_000_000;
    let key = nearmost::zone::Name::absolute(key).unwrap();
    let key = Key::new(&key, Algorithm::Sha512, b"secret of thirty-two octets.....");
    let block = [&[0, 2, 128, 0][..], &[0x20; 16]].concat();
    let (mut cut, mut whole) = (0, 0);
    for length in 0..60 {
        let label = "q".repeat(60);
        let qname = format!("{}x.{label}.{label}.{label}.example", "y".repeat(length));
        let options = [option(3, b""), option(8, &block), option(10, &[1; 8])].concat();
        for edns in [
            None,
            Some(Edns::of_size(1232)),
            Some(Edns {
                options,
                ..Edns::of_size(512)
            }),
        ] {
            let mut packet = message::query(1, &message::name(&qname), rtype::A, edns.as_ref());
            let len = packet.len();
            packet.resize(len + 300, 0);
            let mut chain = Chain::request(&key);
            let end = chain.sign(&mut packet, len, 1_800_000_000, None);
            packet.truncate(end);
            let octets = ours::ask(&snapshot, &packet, Transport::Udp).expect("a reply");
            let reply = Message::read(&octets).unwrap_or_else(|e| panic!("{e}: {octets:02x?}"));
            assert_eq!(reply.question[..], packet[12..12 + reply.question.len()]);
            assert_eq!(reply.edns.is_some(), edns.is_some());
            assert_eq!(reply.is(TC), reply.answer.len() < 2, "{reply:?}");
            let at = nearmost::wire::Query::signature(&octets);
            assert_eq!(chain.take(&octets, at, 1_800_000_000), Ok(true));
            *(if reply.is(TC) { &mut cut } else { &mut whole }) += 1;
        }
    }
    assert!(cut > 20 && whole > 20, "{cut} and {whole}");
}

/// RFC 4035 3.1.4.1: the zone above is asked for a DS, but not one that has delegated a name in between.
#[test]
fn who_has_delegated_a_name_in_between_says_nothing_of_a_ds() {
    let folder = Folder::new("packets-between");
    let zone = format!("{ZONE}\nb NS elsewhere.test.\nd NS ns.d\nns.d A 192.0.2.4\n");
    let below = "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.3\n";
    let zones = [
        (APEX, zone.as_str()),
        ("c.b.example", below),
        ("d.example", below),
    ];
    let snapshot = ours::snapshot(folder.path(), &zones, "");
    let ds = |name: &str| {
        let packet = message::query(1, &message::name(name), rtype::DS, None);
        let reply = ours::read(&snapshot, &packet, Transport::Udp);
        let of = reply.authority.first().map(|r| (r.rtype, r.owner.clone()));
        (reply.is(AA), of)
    };
    let soa = |name| (true, Some((rtype::SOA, message::name(name))));
    assert_eq!(ds("c.b.example"), soa("c.b.example"));
    assert_eq!(ds("d.example"), soa("example"));
}

/// RFC 2181 5: a set has each record once.
#[test]
fn an_address_of_two_nodes_is_given_once() {
    let folder = Folder::new("packets-twins");
    let node = |name: &str, ip: &str| format!("[node.{name}]\nat = \"FRA\"\nip = {ip}\n");
    let more = format!(
        "[zone.\"get.example\"]\nns = [\"ns.example.net\"]\npools = {{ \"@\" = \"all\" }}\n[pool.all]\nanswer = \"all\"\nnodes = [\"*\"]\n{}{}{}",
        node("a", "[\"192.0.2.1\", \"192.0.2.2\"]"),
        node("b", "[\"192.0.2.2\", \"2001:db8::1\"]"),
        node("c", "[\"192.0.2.1\", \"192.0.2.3\", \"2001:db8::1\"]")
    );
    let snapshot = ours::snapshot(folder.path(), &[], &more);
    let count = |qtype| {
        let packet = message::query(1, &message::name("get.example"), qtype, None);
        let reply = ours::read(&snapshot, &packet, Transport::Udp);
        reply.answer.len()
    };
    assert_eq!((count(rtype::A), count(rtype::AAAA)), (3, 1));
}
