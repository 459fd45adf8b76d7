//! How large a zone may be: its names, and all of it.

use crate::diagnostic::Diagnostics;
use crate::zone::tree::{NAME_ROOM, SET_ROOM};
use crate::zone::{Data, Name, Record};

/// Octets of names, those between owners and the zone's name too (empty non-terminals, RFC 8020): a record with a hundred labels makes a
/// hundred names.
const MOST_NAMES: usize = 1 << 30;
/// Octets of names and records: places in a zone have 32 bits, and the keys of a signed one come to it.
const MOST: usize = 3 << 30;

/// An error where a zone is larger than that.
pub(super) fn size(origin: &Name, records: &[Record], found: &mut Diagnostics) {
    let names = names(origin, records);
    let all = names + rdata(records);
    let why = match (names > MOST_NAMES, all > MOST) {
        (true, _) => "1 GiB of names, those without records included",
        (false, true) => "3 GiB",
        (false, false) => return,
    };
    let span = records.first().map(|record| record.span);
    found.error(span, format!("the zone {origin} has more than {why}"));
}

/// Octets of memory that a record takes beside its owner and its data: by 500,000 addresses, of which each takes 420 in all.
const RECORD: usize = 280;

/// Octets of memory that a zone takes which others gave, about; of records in canonical order. Its names are in the zone, owners in the
/// records for the next generation too and in the version that came, data in all three.
#[must_use]
pub fn memory(origin: &Name, records: &[Record]) -> usize {
    let owners = records.iter().map(|record| record.owner.wire().len());
    names(origin, records) + 2 * owners.sum::<usize>() + 3 * rdata(records) + RECORD * records.len()
}

/// Octets that all records take at most.
fn rdata(records: &[Record]) -> usize {
    let own = |record: &Record| match &record.data {
        Data::Plain { rdata, .. } => SET_ROOM + rdata.len(),
        Data::Pool { .. } => 0,
    };
    records.iter().map(own).sum()
}

/// Octets that all names take.
fn names(origin: &Name, records: &[Record]) -> usize {
    let mut sum = NAME_ROOM + origin.wire().len();
    let mut before = origin;
    let same = |a: &Record, b: &Record| a.owner.wire().eq_ignore_ascii_case(b.owner.wire());
    for group in records.chunk_by(same) {
        let owner = &group[0].owner;
        let mut left = owner.wire().len();
        // Nothing stands above a hash.
        if group.iter().all(Record::is_hashed) {
            sum += NAME_ROOM + left;
            continue;
        }
        // Names of those labels that the one before has too are there already.
        let [last, own] = [before, owner].map(|name| name.labels().collect::<Vec<_>>());
        let both = last.iter().rev().zip(own.iter().rev());
        let both = both.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        for label in &own[..own.len() - both] {
            sum += NAME_ROOM + left;
            left -= 1 + label.len();
        }
        before = owner;
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::order::Sorted;
    use super::*;
    use crate::diagnostic::Span;
    use crate::zone::{Zone, rtype};

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

    #[test]
    fn names_are_counted_as_a_zone_has_them() {
        let origin = Name::absolute("example").unwrap();
        let owners = [
            "example",
            "a.example",
            "x.y.A.example",
            "z.y.a.example",
            "q.b.a.example",
            "\\000.\\001.example",
            "y.\\001.example",
            "*.deep.er.example",
            "ab.example",
        ];
        let mut records: Vec<Record> = owners
            .iter()
            .map(|owner| record(owner, rtype::A, &[192, 0, 2, 1]))
            .collect();
        records.push(record("hash.example", rtype::NSEC3, &[1]));
        records.push(record("x.hash.example", rtype::A, &[192, 0, 2, 1]));
        let mut found = Diagnostics::default();
        let sorted = Sorted::new(&origin, records, &mut found);
        let zone = Zone::build(&origin, sorted.records(), &HashMap::new());
        let all = zone.nodes().chain(zone.hashed());
        let octets: usize = all.map(|at| NAME_ROOM + zone.name(at).len()).sum();
        assert_eq!(names(&origin, sorted.records()), octets);
    }

    #[test]
    fn a_few_records_do_not_make_a_gibibyte_of_names() {
        let origin = Name::absolute("example").unwrap();
        let deep = "a.".repeat(118);
        let said = |count: usize| {
            let owner = |n: usize| format!("{deep}{n:04x}.example");
            let records = (0..count).map(|n| record(&owner(n), rtype::A, &[192, 0, 2, 1]));
            let mut found = Diagnostics::default();
            super::super::check(&origin, records.collect(), &[], &mut found);
            let messages = found.list.into_iter().map(|d| d.message);
            messages.filter(|m| m.contains("GiB")).collect::<Vec<_>>()
        };
        // 118 names and one, each of 19 octets and its own: 17,969 a record.
        assert_eq!(said(59_000), [""; 0]);
        assert_eq!(
            said(60_000),
            ["the zone example. has more than 1 GiB of names, those without records included"]
        );
    }
}
