use std::collections::BTreeSet;

use proptest::prelude::*;

use std::collections::HashMap;

use super::*;
use crate::diagnostic::Span;
use crate::zone::{Data, Record};

fn record(owner: &str, rtype: u16, rdata: &[u8]) -> Record {
    Record {
        owner: Name::absolute(owner).expect("a name"),
        ttl: 60,
        data: Data::Plain {
            rtype,
            rdata: rdata.into(),
        },
        span: Span::new(0, 0, 0),
    }
}

fn zone(records: &[Record]) -> Zone {
    Zone::build(
        &Name::absolute("example").expect("a name"),
        records,
        &HashMap::new(),
    )
}

fn key(text: &str) -> NameKey {
    NameKey::new(Name::absolute(text).expect("a name").wire())
}

fn shown(zone: &Zone, text: &str) -> String {
    let name = |at| {
        Name::from_wire(zone.name(at))
            .expect("a node's name")
            .to_string()
    };
    match zone.lookup(&key(text)) {
        Lookup::Exact(at) => format!("exact {}", name(at)),
        Lookup::Below(at) => format!("below {}", name(at)),
    }
}

#[test]
fn empty_non_terminals_exist() {
    let zone = zone(&[record("a.b.c.example", rtype::A, &[1, 2, 3, 4])]);
    assert_eq!(shown(&zone, "B.c.eXample"), "exact b.c.example.");
    assert_eq!(shown(&zone, "x.y.b.c.example"), "below b.c.example.");
    assert_eq!(shown(&zone, "x.example"), "below example.");
    assert_eq!(zone.len(), 4);
}

#[test]
fn the_topmost_cut_counts() {
    let zone = zone(&[
        record("example", rtype::NS, b"\x01a\0"),
        record("sub.example", rtype::NS, b"\x01a\0"),
        record("x.sub.example", rtype::NS, b"\x01a\0"),
        record("ns.x.sub.example", rtype::A, &[1, 2, 3, 4]),
    ]);
    let Lookup::Exact(glue) = zone.lookup(&key("ns.x.sub.example")) else {
        panic!("glue exists")
    };
    assert_eq!(
        zone.cut(glue).map(|at| zone.name(at)),
        Some(&b"\x03sub\x07example\0"[..])
    );
    assert_eq!(zone.cut(zone.apex_node()), None);
}

#[test]
fn sets_keep_their_records_in_order() {
    let zone = zone(&[
        record("m.example", rtype::A, &[9, 0, 0, 1]),
        record("m.example", rtype::AAAA, &[0; 16]),
        record("M.example", rtype::A, &[1, 0, 0, 1]),
    ]);
    let Lookup::Exact(at) = zone.lookup(&key("m.example")) else {
        panic!("the name exists")
    };
    let set = zone.rrset(at, rtype::A).expect("the set exists");
    assert_eq!((set.count, set.ttl), (2, 60));
    assert_eq!(
        set.rdata().collect::<Vec<_>>(),
        [&[9, 0, 0, 1], &[1, 0, 0, 1]]
    );
    assert_eq!(zone.rrsets(at).count(), 2);
}

#[test]
fn negative_answers_live_as_long_as_the_soa_says() {
    let mut rdata = b"\x01a\0\x01b\0".to_vec();
    for number in [7u32, 1, 1, 1, 30] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    let zone = zone(&[record("example", rtype::SOA, &rdata)]);
    assert_eq!((zone.negative_ttl(), zone.serial()), (30, Some(7)));
}

proptest! {
    /// The oracle is the definition: a name exists if it or anything below it has records.
    #[test]
    fn looked_up_as_in_a_set_of_names(
        owners in prop::collection::vec("([ab*]|long-label-of-more-than-eight)(\\.[abc]){0,4}", 1..12),
        asked in prop::collection::vec("[abc*](\\.[abc*]){0,6}", 1..12),
    ) {
        let records: Vec<Record> = owners.iter().map(|o| record(&format!("{o}.example"), rtype::A, &[0; 4])).collect();
        let zone = zone(&records);
        let mut names = BTreeSet::from(["example".to_string()]);
        for owner in &owners {
            let labels: Vec<&str> = owner.split('.').collect();
            for skip in 0..labels.len() {
                names.insert(format!("{}.example", labels[skip..].join(".")));
            }
        }
        prop_assert_eq!(zone.len(), names.len());
        for name in asked.iter().map(|a| format!("{a}.example")).chain(names.clone()) {
            let mut encloser = name.as_str();
            while !names.contains(encloser) {
                encloser = encloser.split_once('.').expect("the apex is in the set").1;
            }
            let word = if encloser == name { "exact" } else { "below" };
            prop_assert_eq!(shown(&zone, &name), format!("{word} {encloser}."));
            let Lookup::Exact(at) = zone.lookup(&key(encloser)) else { panic!("the encloser exists") };
            prop_assert_eq!(zone.wildcard(at).is_some(), names.contains(&format!("*.{encloser}")));
        }
    }
}
