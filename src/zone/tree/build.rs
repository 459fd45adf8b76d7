//! From checked records to a zone: names and their ancestors first, then the arena in one go.

use std::collections::HashMap;
use std::ops::Range;

use hashbrown::HashTable;

use super::{Index, NONE, NameKey, NodeId, PoolUse, SET_HEAD, Zone, field};
use crate::zone::{Data, Name, Record, rtype};

impl Zone {
    /// The zone of `records`, which [`crate::zone::file::check`] found in order: all at or below `apex`, one SOA.
    /// `pools` numbers the pools by name; records of pools it does not know are left out.
    #[must_use]
    pub fn build(apex: &Name, records: &[Record], pools: &HashMap<&str, u32>) -> Self {
        let mut drafts = Drafts::default();
        let key = NameKey::new(apex.wire());
        let apex_labels = key.labels();
        drafts.add(&key, 0);
        let node = |r: &Record| match r.is_hashed() {
            true => NONE,
            false => drafts.node_and_ancestors(&r.owner, apex_labels),
        };
        let mut nodes: Vec<u32> = records.iter().map(node).collect();
        for (node, record) in nodes.iter_mut().zip(records).filter(|(n, _)| **n == NONE) {
            *node = drafts.hashed(&record.owner);
        }
        let order = drafts.sort(records, &nodes, pools);
        drafts.link();
        drafts.write(apex, records, &order)
    }
}

/// A node that is being made; other nodes are named by their numbers.
#[derive(Debug)]
struct Draft {
    name: Range<u32>,
    hash: u64,
    cut: u32,
    wildcard: u32,
    pool: u32,
    /// Whether there are NS records here.
    ns: bool,
    /// Its part of the sorted records.
    records: Range<usize>,
}

/// Node, type, and the record's number: sorted, sets lie together and keep the order of the file.
type Sorted = Vec<(u32, u16, u32)>;

#[derive(Default)]
struct Drafts {
    list: Vec<Draft>,
    names: Vec<u8>,
    index: HashTable<u32>,
    pools: Vec<PoolUse>,
    depth: usize,
    /// How many at the end are owners of NSEC3 records.
    hashed: usize,
}

impl Drafts {
    fn name(&self, node: u32) -> &[u8] {
        let name = &self.list[node as usize].name;
        &self.names[name.start as usize..name.end as usize]
    }

    fn find(&self, hash: u64, lower: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&node| self.name(node) == lower)
            .copied()
    }

    fn node_and_ancestors(&mut self, owner: &Name, apex_labels: usize) -> u32 {
        let key = NameKey::new(owner.wire());
        let above = key.labels() - apex_labels.min(key.labels());
        let mut found = 0;
        for skip in (0..=above).rev() {
            found = match self.find(key.hash(skip), key.suffix(skip)) {
                Some(node) => node,
                None => self.add(&key, skip),
            };
        }
        found
    }

    fn add(&mut self, key: &NameKey, skip: usize) -> u32 {
        let hash = key.hash(skip);
        let node = self.push(key.suffix(skip), hash);
        let list = &self.list;
        self.index
            .insert_unique(hash, node, |&n| list[n as usize].hash);
        self.depth = self.depth.max(key.labels() - skip);
        node
    }

    /// The owner of an NSEC3, all of whose records come together: not in the index, and nothing is above it.
    fn hashed(&mut self, owner: &Name) -> u32 {
        let lower = owner.to_lower();
        match self.list.len().checked_sub(1).map(offset) {
            Some(last) if self.hashed > 0 && self.name(last) == lower.wire() => last,
            _ => {
                self.hashed += 1;
                self.push(lower.wire(), 0)
            }
        }
    }

    fn push(&mut self, name: &[u8], hash: u64) -> u32 {
        let start = offset(self.names.len());
        self.names.extend_from_slice(name);
        let node = offset(self.list.len());
        self.list.push(Draft {
            name: start..offset(self.names.len()),
            hash,
            cut: NONE,
            wildcard: NONE,
            pool: NONE,
            ns: false,
            records: 0..0,
        });
        node
    }

    /// How many are names.
    fn count(&self) -> usize {
        self.list.len() - self.hashed
    }

    fn sort(&mut self, records: &[Record], nodes: &[u32], pools: &HashMap<&str, u32>) -> Sorted {
        let mut order: Sorted = Vec::with_capacity(records.len());
        for (i, (record, &node)) in records.iter().zip(nodes).enumerate() {
            let draft = &mut self.list[node as usize];
            match &record.data {
                Data::Plain { rtype, .. } => {
                    draft.ns |= *rtype == rtype::NS;
                    order.push((node, *rtype, offset(i)));
                }
                Data::Pool { pool, min_ttl, .. } => {
                    if let Some(&pool) = pools.get(&**pool) {
                        draft.pool = offset(self.pools.len());
                        self.pools.push(PoolUse {
                            pool,
                            max_ttl: record.ttl,
                            min_ttl: *min_ttl,
                        });
                    }
                }
            }
        }
        order.sort_unstable();
        let mut start = 0;
        for own in order.chunk_by(|a, b| a.0 == b.0) {
            self.list[own[0].0 as usize].records = start..start + own.len();
            start += own.len();
        }
        order
    }

    /// Finds for each name the cut above it and the wildcard below it. Ancestors come first: they were added first.
    fn link(&mut self) {
        let mut key = NameKey::default();
        for node in 1..offset(self.count()) {
            key.set(self.name(node));
            let Some(parent) = self.find(key.hash(1), key.suffix(1)) else {
                continue;
            };
            if key.suffix(0).starts_with(b"\x01*") {
                self.list[parent as usize].wildcard = node;
            }
            let above = self.list[parent as usize].cut;
            let draft = &mut self.list[node as usize];
            draft.cut = if above == NONE && draft.ns {
                node
            } else {
                above
            };
        }
    }

    fn write(self, apex: &Name, records: &[Record], order: &Sorted) -> Zone {
        let mut arena = Vec::with_capacity(self.octets(records));
        let mut negative_ttl = 0;
        let mut places = Vec::with_capacity(self.list.len());
        let mut first_set = 0;
        for (node, draft) in (0..).zip(&self.list) {
            places.push(offset(arena.len()));
            let own = &order[draft.records.clone()];
            let sets = own.chunk_by(|a, b| a.1 == b.1);
            let name = self.name(node);
            for number in [draft.cut, draft.wildcard, draft.pool, first_set] {
                arena.extend_from_slice(&number.to_le_bytes());
            }
            let count = u16::try_from(sets.clone().count()).expect("types have 16 bits");
            first_set += u32::from(count);
            arena.extend_from_slice(&count.to_le_bytes());
            arena.push(u8::try_from(name.len()).expect("names have at most 255 octets"));
            arena.extend_from_slice(name);
            for set in sets {
                let soa = write_set(&mut arena, set, records);
                if node == 0 {
                    negative_ttl = soa.unwrap_or(negative_ttl);
                }
            }
        }
        let mut index = Index::with_room(self.count());
        for (draft, &at) in self.list.iter().zip(&places).take(self.count()) {
            index.insert(draft.hash, at);
            for (field, node) in [(field::CUT, draft.cut), (field::WILDCARD, draft.wildcard)] {
                if let Some(place) = places.get(node as usize) {
                    let from = at as usize + field;
                    arena[from..from + 4].copy_from_slice(&place.to_le_bytes());
                }
            }
        }
        let names = self.count();
        let first_hashed = places.get(names).copied().unwrap_or_default();
        Zone {
            apex: apex.clone(),
            apex_labels: apex.labels().count(),
            arena: arena.into(),
            index,
            pools: self.pools.into(),
            names,
            hashed: (NodeId(first_hashed), self.hashed),
            depth: self.depth,
            negative_ttl,
            void: records.is_empty(),
        }
    }

    /// About the size of the arena: exact but for sets of several records.
    fn octets(&self, records: &[Record]) -> usize {
        let of = |record: &Record| match &record.data {
            Data::Plain { rdata, .. } => SET_HEAD + 2 + rdata.len(),
            Data::Pool { .. } => 0,
        };
        self.names.len() + self.list.len() * field::NAME + records.iter().map(of).sum::<usize>()
    }
}

/// Appends the records of one type at one name; of an SOA the TTL of negative answers.
fn write_set(arena: &mut Vec<u8>, set: &[(u32, u16, u32)], records: &[Record]) -> Option<u32> {
    let (_, rtype, first) = set[0];
    let ttl = records[first as usize].ttl;
    // More records than fit a count fit no message either.
    let count = u16::try_from(set.len()).unwrap_or(u16::MAX);
    arena.extend_from_slice(&rtype.to_le_bytes());
    arena.extend_from_slice(&count.to_le_bytes());
    arena.extend_from_slice(&ttl.to_le_bytes());
    let len_at = arena.len();
    arena.extend_from_slice(&[0; 4]);
    let mut negative_ttl = None;
    for (_, _, record) in set {
        if let Data::Plain { rdata, .. } = &records[*record as usize].data {
            let len = u16::try_from(rdata.len()).expect("the reader keeps RDATA below 64 KiB");
            arena.extend_from_slice(&len.to_be_bytes());
            arena.extend_from_slice(rdata);
            if rtype == rtype::SOA {
                let minimum = rdata.last_chunk().map_or(0, |m| u32::from_be_bytes(*m));
                negative_ttl = Some(ttl.min(minimum));
            }
        }
    }
    let len = offset(arena.len() - len_at - 4);
    arena[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
    negative_ttl
}

pub(super) fn offset(n: usize) -> u32 {
    u32::try_from(n).expect("a zone is below 4 GiB: its check refuses larger ones")
}
