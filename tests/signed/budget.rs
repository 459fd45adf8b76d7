//! What is signed for answers: how much in a second, and for whom.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use nearmost::answer::{LONGEST, Request, Scratch, Transport, answer};
use nearmost::dnssec::{Algorithm, Role};

use super::dns::message::{Edns, Message, name, query};
use super::{NOW, Signed};

const KEY: &[(Algorithm, Role)] = &[(Algorithm::EcdsaP256, Role::Csk)];

#[test]
fn a_budget_bounds_what_strangers_have_signed_and_leaves_some_for_others() {
    let signed = Signed::with("budget", KEY, "[dnssec]\nsignatures_per_second = 100\n");
    let keys = signed.keys();
    let signing = signed.signing();
    let odd = |number: usize, transport| {
        signed.send(
            &format!("odd-{number}.nope.example.org"),
            1,
            true,
            transport,
        )
    };
    let given = (0..200).filter(|n| !odd(*n, Transport::Udp).message.metadata.truncation);
    assert_eq!(given.count(), 50);
    assert_eq!(signing.refused(), 150);
    // By UDP one is asked to come again by TCP, where nothing is given either.
    assert_eq!(
        odd(500, Transport::Tcp).message.metadata.response_code,
        ResponseCode::ServFail
    );
    assert!(odd(500, Transport::Tcp).message.answers.is_empty());
    // What was signed is given still.
    assert_eq!(odd(0, Transport::Udp).verify(&keys, NOW), 2);
    // What names of the zone do not have, and that a delegation has no DS, is said whatever strangers ask; pools are signed even when that is too much.
    let none = ["v4.example.org", "mail.example.org", "ent.example.org"];
    for qtype in 300..309 {
        for qname in none {
            signed.ask(qname, qtype);
        }
    }
    assert_eq!(signed.ask("v4.example.org", 28).verify(&keys, NOW), 2);
    assert_eq!(signed.ask("sub.example.org", 1).verify(&keys, NOW), 1);
    assert_eq!(signed.ask("get.example.org", 1).verify(&keys, NOW), 1);
    signing.tick(NOW + 1);
    assert_eq!(odd(500, Transport::Tcp).verify(&keys, NOW), 2);
}

/// A pool whose nodes are drawn has more sets than can be kept: those that are signed come again.
#[test]
fn a_pool_that_is_drawn_is_signed_for_a_few_draws_at_a_time() {
    let nodes: String = (1..=30)
        .map(|n| {
            format!("[node.n{n}]\nat = \"FRA\"\ntags = [\"drawn\"]\nip = [\"198.51.100.{n}\"]\n")
        })
        .collect();
    let zone = "[zone.\"drawn.example\"]\nns = [\"ns.example.net\"]\nsigned = true\npools = { \"@\" = \"drawn\" }\n";
    let pool = "[pool.drawn]\nsticky = false\nanswer = 8\nnodes = [\"tag:drawn\"]\n";
    let more = format!("{zone}{pool}{nodes}");
    let signed = Signed::beside("drawn", &["drawn.example"], KEY, &more);
    let signing = signed.signing();
    let edns = Edns {
        dnssec_ok: true,
        ..Edns::of_size(1232)
    };
    let packet = query(7, &name("drawn.example"), 1, Some(&edns));
    let table = signed.snapshot.table.load();
    let (mut scratch, mut out) = (Scratch::default(), vec![0; LONGEST]);
    let mut ask = |draw: u64| {
        let request = Request {
            packet: &packet,
            source: [203, 0, 113, 9].into(),
            transport: Transport::Tcp,
            draw: draw.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        let outcome = answer(&signed.snapshot, &table, request, &mut scratch, &mut out);
        Message::read(&out[..outcome.len]).unwrap().answer
    };
    let before = signing.total();
    for draw in 0..5000 {
        assert_eq!(ask(draw).len(), 9, "eight addresses and a signature");
    }
    let made = signing.total() - before;
    assert!((200..=256).contains(&made), "{made} sets were signed");
    // All have their turn.
    let mut given = BTreeSet::new();
    for draw in 0..5000 {
        given.extend(ask(draw).into_iter().map(|record| record.rdata));
    }
    let addresses = given.iter().filter(|rdata| rdata.len() == 4);
    assert_eq!(addresses.count(), 30);
    // And others come as time passes, a few at a time.
    signing.tick(NOW + 20);
    (0..5000).for_each(|draw| drop(ask(draw)));
    let more = signing.total() - before - made;
    assert!((5..=20).contains(&more), "{more} more");
}
