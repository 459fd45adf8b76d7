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
