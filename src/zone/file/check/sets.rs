//! RRsets: no record twice (RFC 2181 5), one TTL (RFC 2181 5.2).

use std::collections::HashMap;

use super::order::Sorted;
use super::{is, rank};
use crate::diagnostic::Diagnostics;
use crate::zone::{Data, Record, RecordType, rtype};

/// Drops duplicates and gives each RRset the TTL of the record that was written first, with a warning for each.
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
    let mut seen: HashMap<(u16, &[u8]), usize> = HashMap::new();
    for (at, record) in group.iter().enumerate() {
        // Two pools at one name are an error even where they are the same.
        let Data::Plain { rtype, rdata } = &record.data else {
            continue;
        };
        if let Some(&first) = seen.get(&(*rtype, &**rdata)) {
            let message = format!("this {} is written twice", RecordType(*rtype));
            found
                .warning(record.span, message)
                .note_at(group[first].span, "the first is here");
            repeated.push(at);
        } else {
            seen.insert((*rtype, rdata), at);
        }
    }
    for at in repeated.into_iter().rev() {
        group.remove(at);
    }
}

fn one_ttl(group: &mut [Record], found: &mut Diagnostics) {
    for set in group.chunk_by_mut(|a, b| rank(&a.data) == rank(&b.data)) {
        let Some((first, others)) = set.split_first_mut() else {
            continue;
        };
        // Each signature has the TTL of what it signs (RFC 4034 3).
        if is(first, rtype::RRSIG) || is(first, rtype::SIG) {
            continue;
        }
        for record in others.iter_mut().filter(|r| r.ttl != first.ttl) {
            let Data::Plain { rtype, .. } = &record.data else {
                continue;
            };
            let message = format!(
                "a TTL of {}, others of this {} have {}",
                record.ttl,
                RecordType(*rtype),
                first.ttl
            );
            let warning = found.warning(record.span, message);
            warning.note_at(first.span, "the first is here: all are given its TTL");
            record.ttl = first.ttl;
        }
    }
}
