//! Records in canonical order (RFC 4034 6.1), found by name.

use std::ops::Range;

use super::rank;
use crate::diagnostic::Diagnostics;
use crate::zone::rtype::RecordType;
use crate::zone::{Data, Name, Record};

/// A zone's records, sorted. Names are compared by keys: the labels above the zone's name left out, the others from
/// right to left, in lower case, each ended by a zero. So keys compare as octets, and a key starts with another exactly
/// where its name is at or below the other's.
pub(super) struct Sorted {
    records: Vec<Record>,
    /// The keys of all names, one after the other.
    keys: Vec<u8>,
    names: Vec<Group>,
}

struct Group {
    key: Range<usize>,
    records: Range<usize>,
}

/// A record before sorting. The first octets of the key decide most comparisons without a look at the rest.
struct Entry {
    head: u128,
    key: Range<usize>,
    rank: u32,
    at: u32,
}

impl Sorted {
    /// Sorts the records of the zone `origin`; those outside of it are reported and left out.
    pub(super) fn new(origin: &Name, records: Vec<Record>, found: &mut Diagnostics) -> Self {
        let records: Vec<Record> = records
            .into_iter()
            .filter(|r| is_inside(r, origin, found))
            .collect();
        let mut arena = Vec::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            let start = arena.len();
            push_key(&record.owner, origin, &mut arena);
            let key = start..arena.len();
            let head = head(&arena[key.clone()]);
            // 2^32 records are more than fit a file of 4 GiB.
            entries.push(Entry {
                head,
                key,
                rank: rank(&record.data),
                at: u32::try_from(at).unwrap_or(u32::MAX),
            });
        }
        let order = |e: &Entry| (e.rank, e.at);
        entries.sort_unstable_by(|a, b| {
            let keys = || arena[a.key.clone()].cmp(&arena[b.key.clone()]);
            a.head
                .cmp(&b.head)
                .then_with(keys)
                .then_with(|| order(a).cmp(&order(b)))
        });
        let mut taken: Vec<Option<Record>> = records.into_iter().map(Some).collect();
        let mut sorted = Self {
            records: Vec::with_capacity(taken.len()),
            keys: Vec::new(),
            names: Vec::new(),
        };
        for entry in entries {
            if let Some(record) = taken.get_mut(entry.at as usize).and_then(Option::take) {
                sorted.push(&arena[entry.key], record);
            }
        }
        sorted
    }

    fn push(&mut self, key: &[u8], record: Record) {
        let at = self.records.len();
        self.records.push(record);
        match self.names.last_mut() {
            Some(group) if self.keys[group.key.clone()] == *key => group.records.end = at + 1,
            _ => {
                let start = self.keys.len();
                self.keys.extend_from_slice(key);
                self.names.push(Group {
                    key: start..self.keys.len(),
                    records: at..at + 1,
                });
            }
        }
    }

    /// Changes the records of each name. What `change` takes away is gone.
    pub(super) fn change(self, mut change: impl FnMut(&mut Vec<Record>)) -> Self {
        let mut records = self.records.into_iter();
        let mut changed = Self {
            records: Vec::with_capacity(records.len()),
            keys: self.keys,
            names: self.names,
        };
        let mut group = Vec::new();
        for name in &mut changed.names {
            group.extend(records.by_ref().take(name.records.len()));
            change(&mut group);
            let start = changed.records.len();
            changed.records.append(&mut group);
            name.records = start..changed.records.len();
        }
        changed
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// Each name's key and records, by type.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&[u8], &[Record])> {
        self.names.iter().map(|name| {
            (
                &self.keys[name.key.clone()],
                &self.records[name.records.clone()],
            )
        })
    }

    /// The records at the name of this key.
    pub(super) fn group(&self, key: &[u8]) -> Option<&[Record]> {
        let at = self
            .names
            .binary_search_by(|name| self.keys[name.key.clone()].cmp(key))
            .ok()?;
        self.names
            .get(at)
            .map(|name| &self.records[name.records.clone()])
    }
}

fn is_inside(record: &Record, origin: &Name, found: &mut Diagnostics) -> bool {
    let inside = record.owner.is_within(origin);
    if !inside {
        let what = match &record.data {
            Data::Plain { rtype, .. } => RecordType(*rtype).to_string(),
            Data::Pool { .. } => "POOL".to_owned(),
        };
        let message = format!("{} {what} is outside the zone {origin}", record.owner);
        found.error(record.span, message);
    }
    inside
}

/// Appends the key of a name at or below `origin`.
pub(super) fn push_key(name: &Name, origin: &Name, out: &mut Vec<u8>) {
    let own = name.wire().len().saturating_sub(origin.wire().len());
    let mut starts = [0u8; 128];
    let mut count = 0;
    let mut at = 0;
    while at < own {
        // A name has at most 127 labels in at most 255 octets.
        starts[count] = u8::try_from(at).unwrap_or(u8::MAX);
        count += 1;
        at += 1 + usize::from(name.wire()[at]);
    }
    for &start in starts[..count].iter().rev() {
        let start = usize::from(start);
        let end = start + 1 + usize::from(name.wire()[start]);
        for &octet in &name.wire()[start + 1..end] {
            match octet.to_ascii_lowercase() {
                // Zero ends a label, so zero and one are written as two octets that sort in their place.
                low @ (0 | 1) => out.extend([1, low + 1]),
                octet => out.push(octet),
            }
        }
        out.push(0);
    }
}

/// The first octets of a key as a number, in the same order.
fn head(key: &[u8]) -> u128 {
    let mut octets = [0; 16];
    let length = key.len().min(16);
    octets[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(octets)
}
