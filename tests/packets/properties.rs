//! What holds of every reply: it fits, it parses to its last octet, it says when something is missing, and it repeats the
//! question as it came.

use std::sync::OnceLock;

use hickory_proto::op::Message as Theirs;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use nearmost::answer::Transport;
use nearmost::snapshot::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::dns::message::{self, AA, Edns, Message, Record, TC, option, rtype};
use super::dns::ours;
use super::dns::peers::Folder;

/// Sets of all sizes, up to those that no datagram holds.
fn zone() -> String {
    let mut text = String::from(
        "$ORIGIN example.\n$TTL 300\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n",
    );
    for records in [1, 2, 5, 10, 20, 40, 80, 250] {
        for i in 0..records {
            text += &format!("a{records} A 198.51.100.{i}\n");
            text += &format!("mx{records} MX {i} host{i}.mx{records}\n");
            text += &format!("host{i}.mx{records} A 203.0.113.{i}\n");
            text += &format!("txt{records} TXT \"{i:0100}\"\n");
            text += &format!("sub{records} NS ns{i}.sub{records}\n");
            text += &format!("ns{i}.sub{records} A 203.0.113.{i}\n");
            text += &format!("ns{i}.sub{records} AAAA 2001:db8::{i}\n");
            text += &format!("out{records} NS ns{i}.glue{records}\n");
            text += &format!("ns{i}.glue{records} A 203.0.113.{i}\n");
        }
        text += &format!("alias{records} CNAME txt{records}\n");
        text += &format!("*.wild{records} CNAME a{records}\n");
        text += &format!("d{records} DNAME wild{records}\n");
    }
    text
}

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let folder = Folder::new("properties");
        let more = "[server]\nnsid = \"here\"\n[limits]\nudp_size = \"4096B\"\n";
        ours::snapshot(folder.path(), &[("example", &zone())], more)
    })
}

/// All that is known of a question.
fn questions() -> impl Strategy<Value = (String, u16)> {
    let records = select(vec![1, 2, 5, 10, 20, 40, 80, 250]);
    let name = select(vec![
        ("a", rtype::A),
        ("mx", 15),
        ("txt", rtype::TXT),
        ("sub", rtype::A),
        ("x.sub", rtype::A),
        ("out", rtype::A),
        ("alias", rtype::TXT),
        ("x.Wild", rtype::A),
        ("X.y.d", rtype::A),
        ("NOT-here", rtype::A),
        ("a", rtype::AAAA),
        ("sub", rtype::DS),
        ("alias", rtype::ANY),
    ]);
    (name, records).prop_map(|((name, qtype), records)| (format!("{name}{records}.eXample"), qtype))
}

fn edns() -> impl Strategy<Value = Option<Edns>> {
    let options = vec(
        prop_oneof![
            Just(option(3, &[])),
            Just(option(65_001, b"x")),
            Just(option(10, &[1; 8])),
        ],
        0..3,
    );
    let ecs = prop_oneof![Just(Vec::new()), Just(option(8, &[0, 1, 24, 0, 81, 2, 69]))];
    let edns = (512u16..5000, any::<bool>(), options, ecs).prop_map(
        |(udp_size, dnssec_ok, options, ecs)| Edns {
            dnssec_ok,
            options: [options.concat(), ecs].concat(),
            ..Edns::of_size(udp_size)
        },
    );
    prop_oneof![1 => Just(None), 5 => edns.prop_map(Some)]
}

/// Reads with both readers, to the last octet.
fn read(octets: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(octets);
    let theirs = Theirs::read(&mut decoder).expect("hickory-proto reads it");
    assert!(decoder.is_empty(), "octets after the end");
    let message = Message::read(octets).unwrap();
    assert_eq!(theirs.answers.len(), message.answer.len());
    assert_eq!(theirs.authorities.len(), message.authority.len());
    message
}

/// Sets of one owner and type, without their records.
fn sets(records: &[Record]) -> Vec<(&[u8], u16)> {
    let mut sets: Vec<_> = records.iter().map(|r| (&*r.owner, r.rtype)).collect();
    sets.dedup();
    sets
}

/// Whether `part` has of each set of `whole` all records or none.
fn whole_sets(part: &[Record], whole: &[Record]) -> bool {
    sets(part).into_iter().all(|(owner, rtype)| {
        let count = |records: &[Record]| {
            records
                .iter()
                .filter(|r| (&*r.owner, r.rtype) == (owner, rtype))
                .count()
        };
        count(part) == count(whole)
    })
}

/// Records that a referral is not whole without (RFC 9471 3.1).
fn glue<'m>(message: &'m Message) -> impl Iterator<Item = &'m Record> {
    let cut = message
        .authority
        .iter()
        .find(|r| r.rtype == rtype::NS && !message.is(AA));
    let below = move |r: &&'m Record| cut.is_some_and(|c| r.owner.ends_with(&c.owner));
    message.additional.iter().filter(below)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn what_does_not_fit_is_left_out_in_whole_sets((qname, qtype) in questions(), edns in edns()) {
        let packet = message::query(7, &message::name(&qname), qtype, edns.as_ref());
        let octets = ours::ask(snapshot(), &packet, Transport::Udp).expect("a reply");
        let limit = edns.as_ref().map_or(512, |e| e.udp_size.min(4096));
        prop_assert!(octets.len() <= usize::from(limit), "{} octets", octets.len());
        let (cut, whole) = (read(&octets), ours::read(snapshot(), &packet, Transport::Tcp));
        prop_assert!(!whole.is(TC));
        prop_assert_eq!(&cut.question[..], &packet[12..12 + cut.question.len()]);
        prop_assert_eq!(cut.edns.is_some(), edns.is_some());
        let option_of = |m: &Message| m.edns.as_ref().map(|e| e.options.clone());
        prop_assert_eq!(option_of(&cut), option_of(&whole));
        let sections = |m: &Message| [m.answer.clone(), m.authority.clone(), m.additional.clone()];
        for (part, all) in sections(&cut).iter().zip(&sections(&whole)) {
            prop_assert!(whole_sets(part, all));
            prop_assert!(part.iter().all(|record| all.contains(record)));
        }
        let required = |m: &Message| (m.answer.len(), m.authority.len(), glue(m).count());
        let missing = required(&cut) != required(&whole);
        prop_assert_eq!(cut.is(TC), missing);
        prop_assert_eq!((cut.rcode, cut.is(AA)), (whole.rcode, whole.is(AA)));
    }

    #[test]
    fn no_damage_breaks_a_reply(
        (qname, qtype) in questions(),
        edns in edns(),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in proptest::option::weighted(0.2, any::<Index>()),
        more in vec(any::<u8>(), 0..8),
        size in prop_oneof![Just(512usize), Just(1232), Just(4096), Just(65_535)],
    ) {
        let mut packet = message::query(7, &message::name(&qname), qtype, edns.as_ref());
        for (at, octet) in damage {
            let at = at.index(packet.len());
            packet[at] = octet;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        packet.extend(more);
        let mut out = vec![0xa5; size];
        let by = if size == 65_535 { Transport::Tcp } else { Transport::Udp };
        let outcome = ours::ask_into(snapshot(), &packet, by, &mut out);
        prop_assert!(outcome.len <= size);
        let due = packet.len() >= 12 && packet[2] & 0x80 == 0;
        prop_assert_eq!(outcome.len > 0, due);
        if due {
            let reply = Message::read(&out[..outcome.len]).unwrap();
            prop_assert_eq!(reply.id.to_be_bytes(), [packet[0], packet[1]]);
            prop_assert!(reply.flags & 0x8000 != 0);
            prop_assert!(packet[12..].starts_with(&reply.question) || reply.question.is_empty());
            prop_assert_eq!(reply.rcode, outcome.rcode);
        }
    }

    #[test]
    fn no_octets_break_a_reply(packet in vec(any::<u8>(), 0..80)) {
        if let Some(octets) = ours::ask(snapshot(), &packet, Transport::Udp) {
            prop_assert!(octets.len() <= 4096);
            prop_assert!(Message::read(&octets).is_ok());
        }
    }
}
