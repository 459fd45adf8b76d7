//! A zone ready to be asked: one hash look-up finds a name, or walks up to its closest encloser.
//!
//! ```text
//!   index: hash of a name -> node           nodes: where its sets are, the cut above it, the wildcard below it
//!   nodes -> sets (type, TTL)  -> octets    octets: per record a length and the RDATA, names uncompressed
//! ```
//! Names between the apex and an owner are nodes too (empty non-terminals, RFC 8020), so that the closest encloser of
//! RFC 4592 3.3.1 is simply the first name found on the way up.

use std::collections::HashMap;
use std::ops::Range;

use hashbrown::HashTable;

use super::{Data, Name, Record, rtype};

/// One zone: an immutable tree of names.
#[derive(Debug)]
pub struct Zone {
    apex: Name,
    nodes: Vec<Node>,
    sets: Vec<Set>,
    /// Per record two octets of length and the RDATA.
    octets: Vec<u8>,
    /// Names of nodes in lower case, one after the other.
    names: Vec<u8>,
    index: HashTable<u32>,
    /// Labels of the deepest name: longer questions need no search below it.
    depth: usize,
    /// TTL of negative answers: the smaller of the SOA's TTL and its MINIMUM (RFC 2308 5).
    negative_ttl: u32,
}

/// A name of the zone.
#[derive(Clone, Debug, Default)]
struct Node {
    name: Range<u32>,
    sets: Range<u32>,
    hash: u64,
    /// The delegation at or above this name, never the apex.
    cut: Option<u32>,
    /// The child `*`.
    wildcard: Option<u32>,
    pool: Option<PoolUse>,
}

/// Records of one type at one name.
#[derive(Clone, Debug)]
struct Set {
    rtype: u16,
    count: u16,
    ttl: u32,
    octets: Range<u32>,
}

/// A name whose addresses come from a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The pool's number in the configuration.
    pub pool: u32,
    /// Seconds while all is steady.
    pub max_ttl: u32,
    /// Seconds at least.
    pub min_ttl: u32,
}

/// A set of records as it lies in the zone.
#[derive(Clone, Copy, Debug)]
pub struct Rrset<'z> {
    /// The type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// How many records.
    pub count: u16,
    octets: &'z [u8],
}

impl<'z> Rrset<'z> {
    /// The RDATA of each record.
    pub fn rdata(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        let mut rest = self.octets;
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<2>()?;
            let (rdata, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = tail;
            Some(rdata)
        })
    }
}

/// A name of a zone, handed out by its look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The name itself; it may be an empty non-terminal.
    Exact(NodeId),
    /// The name does not exist; this is its closest encloser.
    Below(NodeId),
}

impl Zone {
    /// The zone of `records`, which [`super::file::check`] found in order: all at or below `apex`, one SOA.
    /// `pools` numbers the pools by name; records of pools it does not know are left out.
    #[must_use]
    pub fn build(apex: &Name, records: &[Record], pools: &HashMap<&str, u32>) -> Self {
        let mut building = Building::new(apex, records.len());
        let nodes: Vec<u32> = records
            .iter()
            .map(|r| building.node_and_ancestors(&r.owner))
            .collect();
        building.fill(records, &nodes, pools);
        building.link();
        building.zone
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// Labels of the zone's name.
    #[must_use]
    pub fn apex_labels(&self) -> usize {
        self.apex.labels().count()
    }

    /// How many names the zone has, empty non-terminals included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the apex is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// TTL of negative answers, seconds.
    #[must_use]
    pub fn negative_ttl(&self) -> u32 {
        self.negative_ttl
    }

    /// The serial of the SOA.
    #[must_use]
    pub fn serial(&self) -> Option<u32> {
        let soa = self.rrset(self.apex_node(), rtype::SOA)?.rdata().next()?;
        Some(u32::from_be_bytes(
            *soa.get(soa.len().checked_sub(20)?..)?.first_chunk()?,
        ))
    }

    /// The apex.
    #[must_use]
    pub fn apex_node(&self) -> NodeId {
        NodeId(0)
    }

    /// Finds `key`, a name at or below the apex.
    #[must_use]
    pub fn lookup(&self, key: &NameKey) -> Lookup {
        // Deeper names than the deepest cannot be there; start at the first that could be.
        let first = key.labels().saturating_sub(self.depth);
        for skip in first..key.labels() {
            if let Some(at) = self.find(key.hash(skip), key.suffix(skip)) {
                return if skip == 0 {
                    Lookup::Exact(at)
                } else {
                    Lookup::Below(at)
                };
            }
        }
        // Only the root zone's apex has no label and is not met above.
        if key.labels() == 0 {
            Lookup::Exact(NodeId(0))
        } else {
            Lookup::Below(NodeId(0))
        }
    }

    /// The node of a name in lower case, if it exists.
    #[must_use]
    pub fn find(&self, hash: u64, lower: &[u8]) -> Option<NodeId> {
        self.index
            .find(hash, |&at| {
                let name = &self.nodes[at as usize].name;
                self.names[name.start as usize..name.end as usize] == *lower
            })
            .map(|&at| NodeId(at))
    }

    /// The set of one type at a name.
    #[must_use]
    pub fn rrset(&self, at: NodeId, rtype: u16) -> Option<Rrset<'_>> {
        self.rrsets(at).find(|set| set.rtype == rtype)
    }

    /// All sets at a name, by their types' numbers.
    pub fn rrsets(&self, at: NodeId) -> impl Iterator<Item = Rrset<'_>> {
        let sets = &self.nodes[at.0 as usize].sets;
        self.sets[sets.start as usize..sets.end as usize]
            .iter()
            .map(|set| Rrset {
                rtype: set.rtype,
                ttl: set.ttl,
                count: set.count,
                octets: &self.octets[set.octets.start as usize..set.octets.end as usize],
            })
    }

    /// The delegation at or above a name; what it holds is not ours to answer, but for DS at the cut itself.
    #[must_use]
    pub fn cut(&self, at: NodeId) -> Option<NodeId> {
        self.nodes[at.0 as usize].cut.map(NodeId)
    }

    /// The wildcard just below a name.
    #[must_use]
    pub fn wildcard(&self, at: NodeId) -> Option<NodeId> {
        self.nodes[at.0 as usize].wildcard.map(NodeId)
    }

    /// The pool whose addresses a name has.
    #[must_use]
    pub fn pool(&self, at: NodeId) -> Option<PoolUse> {
        self.nodes[at.0 as usize].pool
    }

    /// A node's name in lower case.
    #[must_use]
    pub fn name(&self, at: NodeId) -> &[u8] {
        let name = &self.nodes[at.0 as usize].name;
        &self.names[name.start as usize..name.end as usize]
    }

    /// All names, as their nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..offset(self.nodes.len())).map(NodeId)
    }
}

/// A zone that is being built.
struct Building {
    zone: Zone,
}

impl Building {
    fn new(apex: &Name, records: usize) -> Self {
        let zone = Zone {
            apex: apex.clone(),
            nodes: Vec::new(),
            sets: Vec::new(),
            octets: Vec::new(),
            names: Vec::new(),
            index: HashTable::with_capacity(records / 2),
            depth: 0,
            negative_ttl: 0,
        };
        let mut building = Self { zone };
        let key = NameKey::new(apex.wire());
        building.add(&key, 0);
        building
    }

    fn node_and_ancestors(&mut self, owner: &Name) -> u32 {
        let key = NameKey::new(owner.wire());
        let above = key.labels() - self.zone.apex_labels().min(key.labels());
        let mut found = 0;
        for skip in (0..=above).rev() {
            found = match self.zone.find(key.hash(skip), key.suffix(skip)) {
                Some(NodeId(at)) => at,
                None => self.add(&key, skip),
            };
        }
        found
    }

    fn add(&mut self, key: &NameKey, skip: usize) -> u32 {
        let zone = &mut self.zone;
        let start = offset(zone.names.len());
        zone.names.extend_from_slice(key.suffix(skip));
        let hash = key.hash(skip);
        let at = offset(zone.nodes.len());
        zone.nodes.push(Node {
            name: start..offset(zone.names.len()),
            hash,
            ..Node::default()
        });
        let nodes = &zone.nodes;
        zone.index
            .insert_unique(hash, at, |&n| nodes[n as usize].hash);
        zone.depth = zone.depth.max(key.labels() - skip);
        at
    }

    /// Puts the records into sets, node by node, type by type; within a set they keep the order of the file.
    fn fill(&mut self, records: &[Record], nodes: &[u32], pools: &HashMap<&str, u32>) {
        let mut order: Vec<(u32, u16, u32)> = Vec::with_capacity(records.len());
        for (i, (record, &node)) in records.iter().zip(nodes).enumerate() {
            match &record.data {
                Data::Plain { rtype, .. } => order.push((node, *rtype, offset(i))),
                Data::Pool { pool, min_ttl, .. } => {
                    let found = pools.get(&**pool);
                    self.zone.nodes[node as usize].pool = found.map(|&pool| PoolUse {
                        pool,
                        max_ttl: record.ttl,
                        min_ttl: *min_ttl,
                    });
                }
            }
        }
        order.sort_unstable();
        for set in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            self.add_set(set, records);
        }
    }

    fn add_set(&mut self, set: &[(u32, u16, u32)], records: &[Record]) {
        let zone = &mut self.zone;
        let (node, rtype, first) = set[0];
        let ttl = records[first as usize].ttl;
        let start = offset(zone.octets.len());
        for (_, _, record) in set {
            if let Data::Plain { rdata, .. } = &records[*record as usize].data {
                let len = u16::try_from(rdata.len()).expect("the reader keeps RDATA below 64 KiB");
                zone.octets.extend_from_slice(&len.to_be_bytes());
                zone.octets.extend_from_slice(rdata);
                if (rtype, node) == (rtype::SOA, 0) {
                    let minimum = rdata.last_chunk().map_or(0, |m| u32::from_be_bytes(*m));
                    zone.negative_ttl = ttl.min(minimum);
                }
            }
        }
        let at = offset(zone.sets.len());
        // More records than fit a count fit no message either.
        let count = u16::try_from(set.len()).unwrap_or(u16::MAX);
        zone.sets.push(Set {
            rtype,
            count,
            ttl,
            octets: start..offset(zone.octets.len()),
        });
        let sets = &mut zone.nodes[node as usize].sets;
        let start = if sets.start == sets.end {
            at
        } else {
            sets.start
        };
        *sets = start..at + 1;
    }

    /// Finds for each name the cut above it and the wildcard below it. Ancestors come first: they were added first.
    fn link(&mut self) {
        for at in 1..offset(self.zone.nodes.len()) {
            let key = NameKey::new(self.zone.name(NodeId(at)));
            let Some(NodeId(parent)) = self.zone.find(key.hash(1), key.suffix(1)) else {
                continue;
            };
            if key.suffix(0).starts_with(b"\x01*") {
                self.zone.nodes[parent as usize].wildcard = Some(at);
            }
            let own = self.zone.rrset(NodeId(at), rtype::NS).map(|_| at);
            self.zone.nodes[at as usize].cut = self.zone.nodes[parent as usize].cut.or(own);
        }
    }
}

fn offset(n: usize) -> u32 {
    u32::try_from(n).expect("a zone is below 4 GiB: the reader refuses larger files")
}

/// A name in lower case with the hashes of all its suffixes: made once for a question, used for every look-up.
#[derive(Clone, Debug)]
pub struct NameKey {
    wire: [u8; super::MAX_NAME],
    /// Where each label starts, and after them the root.
    starts: [u8; LABELS + 1],
    hashes: [u64; LABELS + 1],
    labels: usize,
    len: usize,
}

/// The most labels that fit a name.
const LABELS: usize = 127;

impl Default for NameKey {
    fn default() -> Self {
        Self {
            wire: [0; super::MAX_NAME],
            starts: [0; LABELS + 1],
            hashes: [0; LABELS + 1],
            labels: 0,
            len: 1,
        }
    }
}

impl NameKey {
    /// The key of a name in wire form, uncompressed and whole.
    #[must_use]
    pub fn new(wire: &[u8]) -> Self {
        let mut key = Self::default();
        key.set(wire);
        key
    }

    /// Makes this the key of another name: as [`NameKey::new`], without clearing half a kilobyte first.
    #[expect(clippy::cast_possible_truncation, reason = "offsets into 255 octets")]
    pub fn set(&mut self, wire: &[u8]) {
        self.len = wire.len().min(super::MAX_NAME);
        let lower = &mut self.wire[..self.len];
        lower.copy_from_slice(&wire[..lower.len()]);
        lower.make_ascii_lowercase();
        let (mut at, mut labels) = (0, 0);
        while at < lower.len() && lower[at] != 0 && labels < LABELS {
            self.starts[labels] = at as u8;
            at += 1 + usize::from(lower[at]);
            labels += 1;
        }
        self.labels = labels;
        self.starts[labels] = at.min(self.len - 1) as u8;
        self.hashes[labels] = HASH_START;
        for skip in (0..labels).rev() {
            let (start, end) = (
                usize::from(self.starts[skip]),
                usize::from(self.starts[skip + 1]),
            );
            self.hashes[skip] = hash_label(self.hashes[skip + 1], &self.wire[start..end]);
        }
    }

    /// How many labels the name has, the root not counted.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The name less its first `skip` labels, in lower case.
    #[must_use]
    pub fn suffix(&self, skip: usize) -> &[u8] {
        &self.wire[usize::from(self.starts[skip])..self.len]
    }

    /// The hash of [`NameKey::suffix`].
    #[must_use]
    pub fn hash(&self, skip: usize) -> u64 {
        self.hashes[skip]
    }
}

const HASH_START: u64 = 0x9e37_79b9_7f4a_7c15;

/// Extends the hash of a name by the label before it. It need not withstand enemies: only our own names are in the tables.
fn hash_label(hash: u64, label: &[u8]) -> u64 {
    let mut hash = hash;
    for chunk in label.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * 0xa076_1d64_78bd_642f_u128;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "both halves are folded together"
        )]
        {
            hash = (product >> 64) as u64 ^ product as u64;
        }
    }
    hash
}

#[cfg(test)]
mod tests;
