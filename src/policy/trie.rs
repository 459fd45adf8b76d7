//! The look-up of a query: the whole address space cut into ranges, found with one or two places in memory.
//!
//! ```text
//!   top: a word for each value of the first 16 bits    runs: for each value of the next octet, in order
//!     all of it one list: list and scope                 count | first octet, list | first octet, deeper | ...
//!     else: where its runs are          ------------->            a deeper octet's runs  <---------+
//! ```
//! An address is a number of 64 bits from the left: IPv4 with 32 zeros behind it, IPv6 without its lower half. A scope is not
//! kept but found from the neighbouring runs: what lies beyond the block of a run's octet differs from an address in it
//! before that octet, so it can only make the scope wider than the run's own ends do. Where an octet has no other run,
//! there are no runs; only the top words, whose ranges reach farther, keep theirs.

use super::map::ListId;

/// Ranges of addresses and their lists, compact enough for a processor's caches.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    top: Box<[u32]>,
    /// Nodes, each from a multiple of [`UNIT`] on: the number of runs, then the runs.
    runs: Box<[u32]>,
    /// Ranges, equal neighbours merged.
    ranges: usize,
}

/// A range of addresses with one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) list: ListId,
}

/// Bits that choose a top word.
const TOP_BITS: u8 = 16;
/// In a top word: it names a node. Else the scope stands from [`SCOPE_SHIFT`] on, above the list.
const NODE: u32 = 1 << 31;
const SCOPE_SHIFT: u32 = 24;
/// In a run, below its first octet: it names a node, not a list.
const DEEPER: u32 = 1 << 23;
/// The rest of a run: a list or a node.
const REST: u32 = DEEPER - 1;
/// Where a run's octet stands.
const OCTET_SHIFT: u32 = 24;
/// Nodes are named by their place in units of so many words, so that 23 bits reach 128 MiB.
const UNIT: usize = 4;
/// Where the octet behind the top bits stands.
const FIRST_SHIFT: u32 = 40;

impl Trie {
    /// Lists from where they begin to hold, in ascending order from 0 on.
    pub(super) fn new(cuts: impl Iterator<Item = (u64, ListId)>) -> Self {
        let mut building = Building::default();
        for (start, list) in cuts {
            assert!(list <= REST, "there are fewer lists than 8 million");
            if building.lists.last() != Some(&list) {
                building.starts.push(start);
                building.lists.push(list);
            }
        }
        let (mut at, mut top) = (0, Vec::with_capacity(1 << TOP_BITS));
        for block in 0..1u64 << TOP_BITS {
            let first = block << (64 - TOP_BITS);
            let last = first | u64::MAX >> TOP_BITS;
            at = building.range_of(first, at);
            let range = building.range(at);
            top.push(if range.last >= last {
                let scope = crate::prefix::scope(first, range.first, range.last);
                u32::from(scope) << SCOPE_SHIFT | range.list
            } else {
                NODE | building.node(first, at, FIRST_SHIFT)
            });
        }
        Self {
            top: top.into(),
            ranges: building.starts.len(),
            runs: building.runs.into(),
        }
    }

    /// The list of an address, and the widest block around it of which that holds.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an octet, and at most 64")]
    pub(super) fn get(&self, addr: u64) -> (ListId, u8) {
        let word = self.top[(addr >> (64 - TOP_BITS)) as usize];
        if word & NODE == 0 {
            return (word & REST, (word >> SCOPE_SHIFT) as u8);
        }
        let (runs, next, shift) = self.descend(word, addr);
        let (run, octet) = (runs[next - 1], (addr >> shift) as u8);
        let shared = |other: u8| (octet ^ other).leading_zeros() as u8 + 1;
        let left = octet_of(run).checked_sub(1).map_or(0, shared);
        let right = runs.get(next).map_or(0, |run| shared(octet_of(*run)));
        // The bits before the octet that stands at `shift`.
        let before = 56 - shift as u8;
        (run & REST, before + left.max(right))
    }

    /// From a top word that names a node down to the runs that have an address's list: those runs, the place of the one behind
    /// the address's own, and where the octet stands that decides.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an octet")]
    fn descend(&self, word: u32, addr: u64) -> (&[u32], usize, u32) {
        let (mut node, mut shift) = (word & !NODE, FIRST_SHIFT);
        loop {
            let runs = self.node(node);
            let octet = (addr >> shift) as u8;
            let next = runs.partition_point(|run| octet_of(*run) <= octet);
            let run = runs[next - 1];
            if run & DEEPER == 0 {
                return (runs, next, shift);
            }
            (node, shift) = (run & REST, shift - 8);
        }
    }

    /// Reads what [`Trie::get`] will, and waits for none of it.
    #[inline]
    pub(super) fn touch(&self, addr: u64) {
        let word = self.top[(addr >> (64 - TOP_BITS)) as usize];
        let node = (word & !NODE) as usize * UNIT;
        std::hint::black_box(if word & NODE == 0 { 0 } else { self.runs[node] });
    }

    #[inline]
    fn node(&self, node: u32) -> &[u32] {
        let at = node as usize * UNIT;
        &self.runs[at + 1..=at + self.runs[at] as usize]
    }

    /// The whole range that holds an address; for people, as it walks from run to run.
    pub(super) fn range(&self, addr: u64) -> Range {
        let mut range = self.part(addr);
        while let Some(before) = range.first.checked_sub(1).map(|a| self.part(a))
            && before.list == range.list
        {
            range.first = before.first;
        }
        while let Some(behind) = range.last.checked_add(1).map(|a| self.part(a))
            && behind.list == range.list
        {
            range.last = behind.last;
        }
        range
    }

    /// The run or top word that an address falls into.
    fn part(&self, addr: u64) -> Range {
        let word = self.top[(addr >> (64 - TOP_BITS)) as usize];
        let below = u64::MAX >> TOP_BITS;
        if word & NODE == 0 {
            return Range {
                first: addr & !below,
                last: addr | below,
                list: word & REST,
            };
        }
        let (runs, next, shift) = self.descend(word, addr);
        let run = runs[next - 1];
        let base = addr & !((0x100 << shift) - 1);
        let end = runs.get(next).map_or(0x100, |r| u64::from(octet_of(*r)));
        Range {
            first: base | u64::from(octet_of(run)) << shift,
            last: base | ((end << shift) - 1),
            list: run & REST,
        }
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        size_of_val(&*self.top) + size_of_val(&*self.runs)
    }

    /// How many ranges there are, equal neighbours merged.
    pub(super) fn len(&self) -> usize {
        self.ranges
    }
}

#[inline]
fn octet_of(run: u32) -> u8 {
    run.to_be_bytes()[0]
}

/// A trie that is being built.
#[derive(Default)]
struct Building {
    starts: Vec<u64>,
    lists: Vec<ListId>,
    runs: Vec<u32>,
}

impl Building {
    fn range(&self, at: usize) -> Range {
        let last = self.starts.get(at + 1).map_or(u64::MAX, |next| next - 1);
        Range {
            first: self.starts[at],
            last,
            list: self.lists[at],
        }
    }

    /// The range of an address that is not before the one at `from`.
    fn range_of(&self, addr: u64, from: usize) -> usize {
        let behind = self.starts[from + 1..].iter().take_while(|s| **s <= addr);
        from + behind.count()
    }

    /// The node of the block at `first`, whose octet at `shift` decides; the range at `at` holds its first address.
    fn node(&mut self, first: u64, mut at: usize, shift: u32) -> u32 {
        let mut own = Vec::new();
        let mut octet = 0;
        while octet < 0x100 {
            let sub = first | octet << shift;
            let last = sub | ((1 << shift) - 1);
            at = self.range_of(sub, at);
            let range = self.range(at);
            let head = u32::try_from(octet).unwrap_or(0) << OCTET_SHIFT;
            if range.last >= last {
                own.push(head | range.list);
                // On with the octet that the next range begins in.
                octet = range.last.checked_add(1).map_or(0x100, |next| {
                    if next >> shift >> 8 == first >> shift >> 8 {
                        next >> shift & 0xff
                    } else {
                        0x100
                    }
                });
            } else {
                own.push(head | DEEPER | self.node(sub, at, shift - 8));
                octet += 1;
            }
        }
        let node = self.runs.len() / UNIT;
        self.runs.push(u32::try_from(own.len()).unwrap_or(0));
        self.runs.extend(own);
        self.runs.resize(self.runs.len().next_multiple_of(UNIT), 0);
        u32::try_from(node).ok().filter(|n| *n <= REST).expect(
            "a map is below 128 MiB: a database of 4 GiB has not so many different networks",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix::scope;
    use proptest::prelude::*;

    /// Cuts that crowd: the same octets come again at all depths, and some lie at the finest grain.
    fn cuts() -> impl Strategy<Value = Vec<(u64, ListId)>> {
        let octet = || prop::sample::select(vec![0u8, 1, 2, 7, 127, 128, 255]);
        let addr = prop::array::uniform8(octet()).prop_flat_map(|octets| {
            (0..=8usize).prop_map(move |keep| {
                let mut cut = octets;
                cut[keep..].fill(0);
                u64::from_be_bytes(cut)
            })
        });
        prop::collection::vec((addr, 0..4u32), 0..60).prop_map(|mut cuts| {
            cuts.push((0, 3));
            cuts.sort_by_key(|c| c.0);
            cuts.dedup_by_key(|c| c.0);
            cuts
        })
    }

    /// By a linear scan over merged ranges.
    fn linear(cuts: &[(u64, ListId)], addr: u64) -> Range {
        let mut merged = cuts.to_vec();
        merged.dedup_by_key(|c| c.1);
        let at = merged
            .iter()
            .rposition(|c| c.0 <= addr)
            .expect("0 is a cut");
        Range {
            first: merged[at].0,
            last: merged.get(at + 1).map_or(u64::MAX, |c| c.0 - 1),
            list: merged[at].1,
        }
    }

    proptest! {
        #[test]
        fn found_as_by_a_linear_scan(cuts in cuts(), asked: Vec<u64>) {
            let trie = Trie::new(cuts.iter().copied());
            let edges = cuts.iter().flat_map(|c| [c.0, c.0.wrapping_sub(1), c.0.wrapping_add(1)]);
            for addr in edges.chain(asked.clone()).chain([u64::MAX]) {
                let range = linear(&cuts, addr);
                prop_assert_eq!(trie.range(addr), range);
                prop_assert_eq!(trie.get(addr), (range.list, scope(addr, range.first, range.last)), "{:x}", addr);
            }
        }
    }
}
