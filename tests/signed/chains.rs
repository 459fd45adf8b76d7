//! The chains of zones that are signed elsewhere: each name is at one of the records, or between one and the next.

use std::collections::{BTreeMap, HashMap};

use data_encoding::BASE32HEX_NOPAD;
use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::rr::Name as Theirs;
use nearmost::diagnostic::{Diagnostics, Span};
use nearmost::dnssec::Presigned;
use nearmost::zone::file::check;
use nearmost::zone::{Data, Name, Record, Zone, rtype};
use proptest::prelude::*;

const APEX: &str = "example";
/// Type, algorithm, labels, TTL and end of a signature of the SOA, as far as anybody looks.
const OF_SOA: [u8; 20] = [
    0, 6, 13, 1, 0, 0, 0, 60, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
];

fn record(owner: &str, rtype: u16, rdata: &[u8]) -> Record {
    Record {
        owner: Name::absolute(owner).unwrap(),
        ttl: 60,
        data: Data::Plain {
            rtype,
            rdata: rdata.into(),
        },
        span: Span::new(0, 0, 0),
    }
}

fn build(mut records: Vec<Record>) -> (Zone, Presigned) {
    let soa = [&[0, 0][..], &[0; 20]].concat();
    records.push(record(APEX, rtype::SOA, &soa));
    records.push(record(APEX, rtype::NS, b"\0"));
    records.push(record(APEX, rtype::DNSKEY, &[1, 1, 3, 13, 0]));
    records.push(record(APEX, rtype::RRSIG, &OF_SOA));
    let apex = Name::absolute(APEX).unwrap();
    let records = check(&apex, records, &[], &mut Diagnostics::default());
    let zone = Zone::build(&apex, &records, &HashMap::new());
    let presigned = Presigned::of(&zone).unwrap();
    (zone, presigned)
}

/// Labels from the top down: what names are ordered by (RFC 4034 6.1).
fn order(name: &str) -> Vec<Vec<u8>> {
    name.rsplit('.').map(|l| l.as_bytes().to_vec()).collect()
}

/// Base32 of a name's hash, by another's program.
fn hashed(name: &str, salt: &[u8], iterations: u16) -> String {
    let name = Theirs::from_ascii(format!("{name}.")).unwrap();
    let digest = Nsec3HashAlgorithm::SHA1.hash(salt, &name, iterations);
    BASE32HEX_NOPAD
        .encode(digest.unwrap().as_ref())
        .to_lowercase()
}

/// A name is at or between what it should be: `chain` is what the owners are ordered by, and their names.
fn judge<K: Ord>(
    (zone, presigned): &(Zone, Presigned),
    chain: &BTreeMap<K, String>,
    (asked, at): (&str, &K),
) {
    let wire = Name::absolute(asked).unwrap().to_lower();
    let (found, exact) = presigned.find(zone, wire.wire()).unwrap();
    let owners: Vec<(&K, &String)> = chain.iter().collect();
    let covers = |n: usize| {
        let (first, next) = (owners[n].0, owners[(n + 1) % owners.len()].0);
        match first < next {
            true => first < at && at < next,
            false => at > first || at < next,
        }
    };
    let fit: Vec<usize> = (0..owners.len())
        .filter(|&n| owners[n].0 == at || covers(n))
        .collect();
    assert_eq!(fit.len(), 1, "{asked}");
    let (key, owner) = owners[fit[0]];
    assert_eq!(exact, key == at, "{asked}");
    let owner = Name::absolute(owner).unwrap();
    assert_eq!(zone.name(found), owner.to_lower().wire(), "{asked}");
}

/// Names below the apex, of few labels, so that many are near to others.
fn names() -> impl Strategy<Value = Vec<String>> {
    let label = prop::sample::select(vec!["a", "b", "ab", "*", "z-", "0"]);
    let name = prop::collection::vec(label, 0..4);
    let name = name.prop_map(|mut labels| {
        labels.push(APEX);
        labels.join(".")
    });
    prop::collection::vec(name, 1..30)
}

proptest! {
    #[test]
    fn each_name_is_at_one_nsec_or_between_two(own in names(), asked in names()) {
        let apex = [(order(APEX), APEX.to_owned())];
        let chain = own.iter().map(|name| (order(name), name.clone())).chain(apex);
        let chain: BTreeMap<_, _> = chain.collect();
        let nsec = |name: &String| record(name, rtype::NSEC, b"\0\0\x01\x02");
        let zone = build(chain.values().map(nsec).collect());
        prop_assert!(!zone.1.is_hashed());
        for name in asked.iter().chain(&own) {
            judge(&zone, &chain, (name, &order(name)));
        }
    }

    #[test]
    fn each_hash_is_at_one_nsec3_or_between_two(
        own in names(),
        asked in names(),
        salt in prop::collection::vec(any::<u8>(), 0..9),
        iterations in 0u16..4,
    ) {
        let [high, low] = iterations.to_be_bytes();
        let salted = [&[u8::try_from(salt.len()).unwrap()][..], &salt].concat();
        let head = [&[1, 0, high, low][..], &salted].concat();
        let chain = own.iter().map(|name| {
            let hash = hashed(name, &salt, iterations);
            let owner = format!("{hash}.{APEX}");
            (hash, owner)
        });
        let chain: BTreeMap<_, _> = chain.collect();
        let mut records: Vec<Record> = chain
            .values()
            .map(|owner| record(owner, rtype::NSEC3, &[&head[..], &[20], &[7; 20]].concat()))
            .collect();
        records.push(record(APEX, rtype::NSEC3PARAM, &head));
        // Of another chain, which is being made or taken away.
        let other = [&[1, 0, 0, 9, 0, 20][..], &[7; 20]].concat();
        records.push(record(&format!("{}.{APEX}", "0".repeat(32)), rtype::NSEC3, &other));
        let zone = build(records);
        prop_assert!(zone.1.is_hashed());
        prop_assert_eq!(zone.0.hashed().count(), chain.len() + 1);
        prop_assert_eq!(zone.0.len(), 1, "a hash is no name");
        for name in asked.iter().chain(&own) {
            judge(&zone, &chain, (name, &hashed(name, &salt, iterations)));
        }
    }
}
