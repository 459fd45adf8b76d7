//! What is not there is denied by one NSEC at the very name, and who asks for that record is given it.

use std::fs;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use nearmost::answer::Transport;
use nearmost::dnssec::{Algorithm, Role};

use crate::dns::message::{Edns, name, query};
use crate::dns::ours::ask;
use crate::{NAMES, Reply, Signed, TYPES};

#[test]
fn what_is_not_there_is_denied_at_the_very_name() {
    let signed = Signed::csk("denied");
    let there = |qname: &str| !qname.ends_with("nope.example.org");
    let mut denials = 0;
    for qname in NAMES {
        for qtype in TYPES {
            let reply = signed.ask(qname, qtype);
            let message = &reply.message;
            assert_eq!(
                message.metadata.response_code,
                ResponseCode::NoError,
                "{}",
                reply.what
            );
            let Some((owner, nsec)) = reply.nsec() else {
                assert!(
                    !message.answers.is_empty() || qname.contains("s"),
                    "{}",
                    reply.what
                );
                continue;
            };
            denials += 1;
            let next = Name::from_labels([&[0][..]])
                .unwrap()
                .append_domain(owner)
                .unwrap();
            assert_eq!(
                nsec.next_domain_name().to_lowercase(),
                next.to_lowercase(),
                "{}",
                reply.what
            );
            let types = reply.denied();
            assert!(types.contains(&46) && types.contains(&47), "{}", reply.what);
            let asked = owner.to_lowercase().to_string() == format!("{}.", qname.to_lowercase());
            if asked && !matches!(qtype, 46 | 47) {
                let referral = message
                    .authorities
                    .iter()
                    .any(|r| r.record_type() == RecordType::NS);
                if !referral {
                    assert!(!types.contains(&qtype), "{}: {types:?}", reply.what);
                    assert_eq!(
                        types.contains(&128),
                        !there(qname),
                        "{}: {types:?}",
                        reply.what
                    );
                }
            }
        }
    }
    assert!(denials > 200, "{denials}");
    assert_eq!(signed.ask("ent.example.org", 1).denied(), [46, 47]);
    assert_eq!(signed.ask("sub.example.org", 43).denied(), [2, 46, 47]);
    assert_eq!(signed.ask("v4.example.org", 28).denied(), [1, 46, 47]);
    assert_eq!(signed.ask("get.example.org", 16).denied(), [1, 28, 46, 47]);
    assert_eq!(signed.ask("nope.example.org", 1).denied(), [46, 47, 128]);
    assert_eq!(signed.ask("odd.example.org", 1).denied(), [46, 47, 65280]);

    let plain = signed.send("nope.example.org", 1, false, Transport::Udp);
    assert_eq!(plain.message.metadata.response_code, ResponseCode::NXDomain);
    assert!(plain.nsec().is_none());
}

/// RFC 9824 5.1: who says that it knows is told by the response code too.
#[test]
fn who_knows_compact_denial_is_told_by_the_response_code() {
    let signed = Signed::csk("knows");
    // 0x4000 is the flag that says it.
    let mut packet = query(
        7,
        &name("nope.example.org"),
        1,
        Some(&Edns {
            dnssec_ok: true,
            ..Edns::of_size(1232)
        }),
    );
    let flags = packet.len() - 4;
    packet[flags] |= 0x40;
    let octets = ask(&signed.snapshot, &packet, Transport::Udp).unwrap();
    let knows = Reply::of("nope.example.org", 1, &octets);
    assert_eq!(
        octets[octets.len() - 4] & 0x40,
        0x40,
        "it is said in the reply"
    );
    assert_eq!(knows.message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(knows.denied(), [46, 47, 128]);
    // RFC 9824 3.5.
    let asked = signed.ask("get.example.org", 128);
    assert_eq!(asked.message.metadata.response_code, ResponseCode::FormErr);
}

/// An alias in a zone that is not signed leads to a denial that only who knows it believes under this response code.
#[test]
fn that_denial_is_compact_is_said_behind_an_alias_too() {
    let file = std::env::temp_dir().join(format!("nearmost-alias-{}.zone", std::process::id()));
    let zone = "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns.example.net.\nx 60 CNAME nope.example.org.\n";
    fs::write(&file, zone).unwrap();
    let other = format!("[zone.\"plain.example\"]\nfile = {file:?}\n");
    let signed = Signed::with("alias", &[(Algorithm::EcdsaP256, Role::Csk)], &other);
    fs::remove_file(&file).unwrap();
    let edns = Edns {
        dnssec_ok: true,
        ..Edns::of_size(1232)
    };
    let mut packet = query(7, &name("x.plain.example"), 1, Some(&edns));
    let flags = packet.len() - 4;
    packet[flags] |= 0x40;
    let octets = ask(&signed.snapshot, &packet, Transport::Udp).unwrap();
    let reply = Reply::of("x.plain.example", 1, &octets);
    assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(reply.denied(), [46, 47, 128]);
    assert_eq!(octets[octets.len() - 4] & 0x40, 0x40);
}

#[test]
fn who_asks_for_nsec_and_rrsig_by_name_is_given_these() {
    let signed = Signed::csk("by-name");
    let types = |qname: &str, qtype, dnssec_ok| {
        let reply = signed.send(qname, qtype, dnssec_ok, Transport::Tcp);
        let message = &reply.message;
        assert!(message.authorities.is_empty(), "{}", reply.what);
        let given = message.answers.iter().map(|r| u16::from(r.record_type()));
        given.collect::<Vec<_>>()
    };
    for qname in [
        "example.org",
        "get.example.org",
        "ent.example.org",
        "x.wp.example.org",
    ] {
        // RFC 4035 3.1: who does not set DO is given no signatures but by their name.
        assert_eq!(types(qname, 47, false), [47], "{qname}");
        assert_eq!(types(qname, 47, true), [47, 46], "{qname}");
        assert_eq!(types(qname, 46, false), [46], "{qname}");
        assert_eq!(types(qname, 46, true), [46], "{qname}");
    }
    let plain = signed.send("nope.example.org", 47, false, Transport::Udp);
    assert_eq!(plain.message.metadata.response_code, ResponseCode::NXDomain);
    assert!(plain.nsec().is_none());
    // A name that is denied as if it were there has the NSEC that says so: one that has none of its type is bogus.
    for qname in ["nope.example.org", "a.b.nope.example.org"] {
        assert_eq!(types(qname, 47, true), [47, 46], "{qname}");
        assert_eq!(types(qname, 46, true), [46], "{qname}");
        assert_eq!(signed.ask(qname, 47).denied(), [46, 47, 128]);
    }
}
