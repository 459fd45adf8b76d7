//! RRsets: no record twice (RFC 2181 5), one TTL (RFC 2181 5.2).

use std::collections::HashMap;

use super::order::Sorted;
use super::rank;
use crate::diagnostic::Diagnostics;
use crate::zone::{Data, Record, RecordType, rtype};

/// Drops duplicates and gives each RRset its smallest TTL, with a warning for each.
pub(super) fn unify(sorted: Sorted, found: &mut Diagnostics) -> Sorted {
    sorted.change(|group| {
        if group.len() > 1 {
            drop_duplicates(group, found);
            one_ttl(group, found);
        }
    })
}

fn drop_duplicates(group: &mut Vec<Record>, found: &mut Diagnostics) {
    let mut repeated = Vec::new();
    let mut start = 0;
    for set in group.chunk_by(|a, b| rank(&a.data) == rank(&b.data)) {
        if set.len() > 1 {
            repeated.extend(repeats(set).map(|(at, first)| (start + at, start + first)));
        }
        start += set.len();
    }
    for &(at, first) in &repeated {
        if let (Some(record), Some(first)) = (group.get(at), group.get(first)) {
            let message = format!("this record of {} is written twice", record.owner);
            found
                .warning(record.span, message)
                .note_at(first.span, "the first is here");
        }
    }
    let mut at = 0..;
    let mut repeated = repeated.iter().map(|&(at, _)| at).peekable();
    group.retain(|_| {
        repeated
            .next_if_eq(&at.next().unwrap_or(usize::MAX))
            .is_none()
    });
}

/// Records of one type whose data stood before, each with the first that has them.
fn repeats(set: &[Record]) -> impl Iterator<Item = (usize, usize)> {
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    set.iter().enumerate().filter_map(move |(at, record)| {
        // Two pools at one name are an error even where they are the same.
        let Data::Plain { rdata, .. } = &record.data else {
            return None;
        };
        let first = *seen.entry(rdata).or_insert(at);
        (first != at).then_some((at, first))
    })
}

fn one_ttl(group: &mut [Record], found: &mut Diagnostics) {
    for set in group.chunk_by_mut(|a, b| rank(&a.data) == rank(&b.data)) {
        let (Some(first), Some(least)) = (set.first(), set.iter().map(|r| r.ttl).min()) else {
            continue;
        };
        let Data::Plain { rtype, .. } = first.data else {
            continue;
        };
        // Each signature has the TTL of what it signs (RFC 4034 3).
        if matches!(rtype, rtype::RRSIG | rtype::SIG) {
            continue;
        }
        let Some(other) = set.iter().find(|r| r.ttl != first.ttl) else {
            continue;
        };
        let (kind, name) = (RecordType(rtype), &first.owner);
        let message =
            format!("the {kind} records of {name} differ in TTL: {least}, the smallest, is taken");
        found
            .warning(other.span, message)
            .note_at(first.span, "the first is here");
        for record in set {
            record.ttl = least;
        }
    }
}
