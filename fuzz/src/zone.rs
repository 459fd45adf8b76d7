//! A master file: what is wrong with it is told with its place, and what is read can be written and read again.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use hickory_proto::rr::{RData, RecordType as TheirType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use nearmost::diagnostic::{Diagnostics, Severity, Sources};
use nearmost::zone::{Data, Lookup, Name, NameKey, Record, RecordType, Zone, file, rtype};

use super::places;

/// There is no such folder, so that nothing is included.
const AT: &str = "/nearmost-fuzz/fuzz.example.zone";

/// Types of which hickory-proto takes no flags, algorithms or protocols but those that it knows.
const PICKY: [u16; 7] = [
    rtype::NAPTR,
    rtype::KEY,
    rtype::DNSKEY,
    rtype::CDNSKEY,
    rtype::NSEC3,
    rtype::NSEC3PARAM,
    rtype::CSYNC,
];

/// Runs one input.
pub fn run(octets: &[u8]) {
    if generates_much(octets) {
        return;
    }
    let origin = Name::absolute("fuzz.example").unwrap();
    let (contents, found, sources) = read(octets, &origin);
    placed(&found, &sources);
    words(octets);
    for record in &contents.records {
        well_formed(record);
    }
    again(&contents.records);
    let pools = ["a", "b"];
    let mut found = Diagnostics::default();
    let checked = file::check(&contents.origin, contents.records, &pools, &mut found);
    placed(&found, &sources);
    if found.errors() == 0 {
        built(&contents.origin, &checked);
    }
}

/// Whether there is a `$GENERATE` of thousands of records, or more than one: they are like the first, and slow.
fn generates_much(text: &[u8]) -> bool {
    let directive = b"$generate";
    let mut starts = text
        .windows(directive.len())
        .enumerate()
        .filter(|(_, w)| w.eq_ignore_ascii_case(directive));
    let Some((at, _)) = starts.next() else {
        return false;
    };
    let behind = &text[at + directive.len()..];
    let long = behind
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .any(|run| run.len() > 3 && run[0].is_ascii_digit());
    long || starts.next().is_some()
}

fn read(text: &[u8], origin: &Name) -> (file::Contents, Diagnostics, Sources) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let contents = file::read_text(Path::new(AT), text, origin, &mut sources, &mut found);
    (contents, found, sources)
}

/// The words that the text consists of stand where they say.
fn words(text: &[u8]) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let number = sources.add(AT, text);
    let _ = file::entries(text, number, &mut found);
    placed(&found, &sources);
}

/// Each finding has a place within the text, and can be shown.
fn placed(found: &Diagnostics, sources: &Sources) {
    // That a zone has no records at all stands nowhere.
    places::placed(found, sources, |one| {
        one.severity == Severity::Error && one.message.contains("has no")
    });
}

/// The data are what their type allows, and another reader reads them to their end, where it knows the type.
fn well_formed(record: &Record) {
    let Data::Plain {
        rtype: number,
        rdata,
    } = &record.data
    else {
        return;
    };
    assert!(file::check_rdata(*number, rdata), "{record:?}");
    assert!(!RecordType(*number).is_meta(), "{record:?}");
    let mut decoder = BinDecoder::new(rdata);
    let len = Restrict::new(u16::try_from(rdata.len()).expect("RDATA has at most 65,535 octets"));
    let read = RData::read(&mut decoder, TheirType::from(*number), len);
    // It takes no longer tag of CAA than RFC 6844 advised; RFC 8659 4.1 has no such bound.
    let long_tag = *number == rtype::CAA && rdata[1] > 15;
    // It takes ALPN identifiers of UTF-8 only; RFC 7301 3.1 has any octets.
    let services = [rtype::SVCB, rtype::HTTPS].contains(number);
    let odd_protocol = services && std::str::from_utf8(rdata).is_err();
    let picky = PICKY.contains(number) || long_tag || odd_protocol;
    assert!(
        picky && read.is_err() || read.is_ok() && decoder.is_empty(),
        "{record:?}: {read:?}"
    );
}

/// In the form of RFC 3597, and as it was for pools.
fn written(record: &Record) -> String {
    let (owner, ttl) = (&record.owner, record.ttl);
    match &record.data {
        Data::Plain { rtype, rdata } => {
            let hex: String = rdata.iter().map(|o| format!("{o:02x}")).collect();
            format!(
                "{owner} {ttl} CLASS1 TYPE{rtype} \\# {} {hex}\n",
                rdata.len()
            )
        }
        Data::Pool { pool, min_ttl, .. } => format!("{owner} {ttl}/{min_ttl} POOL {pool}\n"),
    }
}

/// What is written in that form reads back as it was.
fn again(records: &[Record]) {
    let sample = records
        .iter()
        .take(64)
        .filter(|r| matches!(r.data, Data::Plain { .. }));
    let sample: Vec<&Record> = sample.collect();
    let text: String = sample.iter().map(|r| written(r)).collect();
    let (contents, found, sources) = read(text.as_bytes(), &Name::root());
    assert_eq!(
        found.errors(),
        0,
        "{}\n{text}",
        found.render(&sources, false)
    );
    assert_eq!(contents.records.len(), sample.len(), "{text}");
    for (again, before) in contents.records.iter().zip(sample) {
        assert_eq!(again.owner.wire(), before.owner.wire());
        assert_eq!((again.ttl, written(again)), (before.ttl, written(before)));
    }
}

/// Of a zone that is taken every name is found, with its sets; the owners of NSEC3 records are there, and no names.
fn built(apex: &Name, records: &[Record]) {
    let pools = HashMap::from([("a", 0), ("b", 1)]);
    let zone = Zone::build(apex, records, &pools);
    assert!(zone.serial().is_some());
    let mut sets = BTreeSet::new();
    for record in records {
        assert!(record.owner.is_within(apex));
        if let Data::Plain { rtype, .. } = &record.data {
            let owner = record.owner.to_lower().wire().to_vec();
            sets.insert((record.is_hashed(), owner, *rtype));
        }
    }
    let mut seen = 0;
    let names = zone.nodes().map(|at| (false, at));
    for (hashed, at) in names.chain(zone.hashed().map(|at| (true, at))) {
        let key = NameKey::new(zone.name(at));
        let found = zone.find(key.hash(0), zone.name(at));
        assert_eq!(found == Some(at), !hashed);
        for set in zone.rrsets(at) {
            assert!(sets.contains(&(hashed, zone.name(at).to_vec(), set.rtype)));
            assert!(set.rdata().count() > 0);
            seen += 1;
        }
    }
    assert_eq!(seen, sets.len());
    for record in records {
        let _: Lookup = zone.lookup(&NameKey::new(record.owner.wire()));
    }
}
