//! Replies fit into what the asker can take, and are whole messages.

use nearmost::answer::Transport;

use crate::dns::message::{Edns, name, query};
use crate::dns::ours::ask;
use crate::{NOW, Reply, Signed};

/// RFC 1035 4.1: what the counts say, and nothing else.
#[test]
fn replies_of_all_sizes_are_whole_messages() {
    let signed = Signed::csk("sizes");
    let keys = signed.keys();
    let (mut cut, mut whole) = (0, 0);
    for size in 512..=1232 {
        for (qname, qtype) in [
            ("fleet.example.org", 15),
            ("example.org", 2),
            ("example.org", 48),
            ("x.big.example.org", 1),
            ("big.example.org", 2),
            ("on.example.org", 1),
            ("x.dn.example.org", 1),
            ("nope.example.org", 1),
            ("srv.example.org", 33),
        ] {
            let edns = Edns {
                dnssec_ok: true,
                ..Edns::of_size(size)
            };
            let packet = query(7, &name(qname), qtype, Some(&edns));
            let octets = ask(&signed.snapshot, &packet, Transport::Udp).unwrap();
            let reply = Reply::of(qname, qtype, &octets);
            assert!(octets.len() <= size.into(), "{}", reply.what);
            assert!(reply.message.edns.is_some(), "{} at {size}", reply.what);
            if reply.message.metadata.truncation {
                cut += 1;
            } else {
                whole += 1;
                reply.verify(&keys, NOW);
            }
        }
    }
    assert!(cut > 100 && whole > 1000, "{cut} and {whole}");
}

#[test]
fn an_answer_of_one_address_is_small() {
    let signed = Signed::csk("small");
    for (qname, qtype) in [
        ("v4.example.org", 1),
        ("nope.example.org", 1),
        ("x.wp.example.org", 28),
    ] {
        let reply = signed.send(qname, qtype, true, Transport::Udp);
        assert!(!reply.message.metadata.truncation, "{}", reply.what);
        assert!(reply.len < 512, "{}: {}", reply.what, reply.len);
    }
}
