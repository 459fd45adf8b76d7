//! A zone ready to be asked: one look-up finds a name, or walks up to its closest encloser.
//!
//! ```text
//!   index: hash of a name -> where its node begins in the arena
//!   arena: node, node, ...   a node's octets lie together, so that a name costs two places in memory:
//!
//!     cut u32 | wildcard u32 | pool u32 | first set u32 | sets u16 | name's length u8 | name, lower case | set, set, ...
//!     set: type u16 | records u16 | TTL u32 | octets u32 | length u16, RDATA | length u16, RDATA | ...
//! ```
//! Names between the apex and an owner are nodes too (empty non-terminals, RFC 8020), so that the closest encloser of
//! RFC 4592 3.3.1 is simply the first name found on the way up. Behind them stand the owners of NSEC3 records, which are hashes and no
//! names: the index does not know them.

mod build;

use super::index::Index;
use super::version::numbers;
use super::{Name, NameKey, rtype};

/// One zone: an immutable tree of names.
#[derive(Debug)]
pub struct Zone {
    apex: Name,
    apex_labels: usize,
    arena: Box<[u8]>,
    index: Index,
    pools: Box<[PoolUse]>,
    /// How many names there are.
    names: usize,
    /// Where the owners of NSEC3 records begin, and how many they are.
    hashed: (NodeId, usize),
    /// Labels of the deepest name: longer questions need no search below it.
    depth: usize,
    /// TTL of negative answers: the smaller of the SOA's TTL and its MINIMUM (RFC 2308 5).
    negative_ttl: u32,
    /// There are no records.
    void: bool,
}

/// Where a node's fields stand.
mod field {
    pub(super) const CUT: usize = 0;
    pub(super) const WILDCARD: usize = 4;
    pub(super) const POOL: usize = 8;
    pub(super) const FIRST_SET: usize = 12;
    pub(super) const SETS: usize = 16;
    pub(super) const NAME_LEN: usize = 18;
    pub(super) const NAME: usize = 19;
}

/// In a field that names a node or a pool: there is none.
const NONE: u32 = u32::MAX;
/// Octets of a set before its records.
const SET_HEAD: usize = 12;

/// Octets that a name takes beside its own.
pub(super) const NAME_ROOM: usize = field::NAME;
/// Octets that a record takes beside its RDATA, at most.
pub(super) const SET_ROOM: usize = SET_HEAD + 2;

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
    /// Its number among the sets of the zone, from 0 on in the order of [`Zone::nodes`].
    pub number: u32,
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
    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// Labels of the zone's name.
    #[must_use]
    pub fn apex_labels(&self) -> usize {
        self.apex_labels
    }

    /// How many names the zone has, empty non-terminals included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names
    }

    /// Never: the apex is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names == 0
    }

    /// Whether there is nothing in it, as its primary has not given it to us, or too long ago.
    #[must_use]
    #[inline]
    pub fn is_void(&self) -> bool {
        self.void
    }

    /// TTL of negative answers, seconds.
    #[must_use]
    pub fn negative_ttl(&self) -> u32 {
        self.negative_ttl
    }

    /// The serial of the SOA.
    #[must_use]
    pub fn serial(&self) -> Option<u32> {
        self.numbers().map(|[serial, ..]| serial)
    }

    /// The numbers of the SOA: serial, refresh, retry, expire, minimum.
    #[must_use]
    pub fn numbers(&self) -> Option<[u32; 5]> {
        let soa = self.rrset(self.apex_node(), rtype::SOA)?.rdata().next()?;
        numbers(soa)
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
    #[inline]
    pub fn find(&self, hash: u64, lower: &[u8]) -> Option<NodeId> {
        self.index
            .find(hash, |at| self.name(NodeId(at)) == lower)
            .map(NodeId)
    }

    /// The set of one type at a name.
    #[must_use]
    pub fn rrset(&self, at: NodeId, rtype: u16) -> Option<Rrset<'_>> {
        self.rrsets(at).find(|set| set.rtype == rtype)
    }

    /// All sets at a name, by their types' numbers.
    pub fn rrsets(&self, at: NodeId) -> impl Iterator<Item = Rrset<'_>> {
        let count = self.u16(at, field::SETS);
        let first = self.u32(at, field::FIRST_SET).unwrap_or(NONE);
        let mut rest = &self.node(at)[field::NAME + self.name(at).len()..];
        (0..count).map_while(move |position| {
            let (head, tail) = rest.split_first_chunk::<SET_HEAD>()?;
            let [r0, r1, c0, c1, t0, t1, t2, t3, o0, o1, o2, o3] = *head;
            let len = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
            let (octets, tail) = tail.split_at_checked(len)?;
            rest = tail;
            Some(Rrset {
                rtype: u16::from_le_bytes([r0, r1]),
                count: u16::from_le_bytes([c0, c1]),
                number: first.saturating_add(u32::from(position)),
                ttl: u32::from_le_bytes([t0, t1, t2, t3]),
                octets,
            })
        })
    }

    /// The delegation at or above a name; what it holds is not ours to answer, but for DS at the cut itself.
    #[must_use]
    pub fn cut(&self, at: NodeId) -> Option<NodeId> {
        self.u32(at, field::CUT).map(NodeId)
    }

    /// The wildcard just below a name.
    #[must_use]
    pub fn wildcard(&self, at: NodeId) -> Option<NodeId> {
        self.u32(at, field::WILDCARD).map(NodeId)
    }

    /// The pool whose addresses a name has.
    #[must_use]
    pub fn pool(&self, at: NodeId) -> Option<PoolUse> {
        let number = self.u32(at, field::POOL)?;
        self.pools.get(number as usize).copied()
    }

    /// The pools of all names.
    #[must_use]
    pub fn pools(&self) -> &[PoolUse] {
        &self.pools
    }

    /// A node's name in lower case.
    #[must_use]
    #[inline]
    pub fn name(&self, at: NodeId) -> &[u8] {
        let node = self.node(at);
        let len = usize::from(node[field::NAME_LEN]);
        &node[field::NAME..field::NAME + len]
    }

    /// All names, as their nodes; ancestors before what is below them.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(self.apex_node()), |at| Some(self.behind(*at))).take(self.names)
    }

    /// The owners of NSEC3 records, which no look-up finds.
    pub fn hashed(&self) -> impl Iterator<Item = NodeId> {
        let (first, count) = self.hashed;
        std::iter::successors(Some(first), |at| Some(self.behind(*at))).take(count)
    }

    /// The signatures of a set, as RDATA.
    pub fn signatures(&self, at: NodeId, rtype: u16) -> impl Iterator<Item = &[u8]> {
        let all = self.rrset(at, rtype::RRSIG);
        let all = all.into_iter().flat_map(|set| set.rdata());
        all.filter(move |rdata| rdata.starts_with(&rtype.to_be_bytes()))
    }

    /// Where the next node begins.
    fn behind(&self, at: NodeId) -> NodeId {
        let sets: usize = self.rrsets(at).map(|set| SET_HEAD + set.octets.len()).sum();
        NodeId(at.0 + build::offset(field::NAME + self.name(at).len() + sets))
    }

    fn node(&self, at: NodeId) -> &[u8] {
        &self.arena[at.0 as usize..]
    }

    fn u16(&self, at: NodeId, field: usize) -> u16 {
        let octets = self.node(at)[field..].first_chunk();
        octets.map_or(0, |o| u16::from_le_bytes(*o))
    }

    /// The number of a node or a pool, if there is one.
    fn u32(&self, at: NodeId, field: usize) -> Option<u32> {
        let octets = self.node(at)[field..].first_chunk()?;
        Some(u32::from_le_bytes(*octets)).filter(|n| *n != NONE)
    }
}

#[cfg(test)]
mod tests;
