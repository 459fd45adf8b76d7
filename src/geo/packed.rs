//! The whole address space cut into the ranges of places, packed: builds read it from end to end, people one address at a time.
//! Four or five octets a range; queries search the maps that are compiled from it.

use std::iter::Peekable;

use crate::prefix::{Key, scope};

/// Ranges over all addresses of a family, in order, without gaps; equal neighbours are one range.
///
/// Of each range there is its value and how far behind it the next one starts: in grains, twice, and one more where an octet
/// with the rest follows. Numbers have seven bits in an octet, the low ones first; the highest bit says that more follow.
#[derive(Clone, Debug)]
pub struct Packed<K> {
    octets: Box<[u8]>,
    /// Of every so many ranges one: its start, and where its value stands.
    marks: Box<[(K, u32)]>,
    len: usize,
}

/// A range that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<K, V> {
    /// Its first address.
    pub first: K,
    /// Its last address.
    pub last: K,
    /// What holds in it.
    pub value: V,
}

/// Ranges from mark to mark: a look-up reads half of them, about 100 ns.
const MARKED: usize = 64;

impl<K: Key> Packed<K> {
    /// Packs ranges: where each starts, in ascending order from the lowest address, and its value.
    #[must_use]
    pub fn new(cuts: impl Iterator<Item = (K, u32)>) -> Self {
        let mut packer = Packer::default();
        cuts.for_each(|(start, value)| packer.from(start, value));
        packer.build()
    }

    /// The value at `addr`, and the widest block around it that has this value throughout.
    #[must_use]
    pub fn get(&self, addr: K) -> (u32, u8) {
        let range = self.find(addr);
        (range.value, scope(addr, range.first, range.last))
    }

    /// The range that holds `addr`.
    #[must_use]
    pub fn find(&self, addr: K) -> Range<K, u32> {
        let range = |(first, value), last| Range { first, last, value };
        let mark = self.marks.partition_point(|(start, _)| *start <= addr);
        let mut found = (K::MIN, 0);
        for cut in self.cuts_from(mark.saturating_sub(1)) {
            if cut.0 > addr {
                return range(found, cut.0.previous().unwrap_or(K::MIN));
            }
            found = cut;
        }
        range(found, K::MAX)
    }

    /// Where each range starts, and its value.
    pub fn cuts(&self) -> impl Iterator<Item = (K, u32)> {
        self.cuts_from(0)
    }

    fn cuts_from(&self, mark: usize) -> Cuts<'_, K> {
        match self.marks.get(mark) {
            Some((start, at)) => Cuts {
                left: &self.octets[*at as usize..],
                start: *start,
            },
            None => Cuts {
                left: &[],
                start: K::MIN,
            },
        }
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: there is always one range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets that it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets.len() + size_of_val(&*self.marks)
    }
}

struct Cuts<'a, K> {
    /// From the value of the next range on.
    left: &'a [u8],
    /// Where that range starts.
    start: K,
}

impl<K: Key> Iterator for Cuts<'_, K> {
    type Item = (K, u32);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let start = self.start;
        #[expect(clippy::cast_possible_truncation, reason = "it was written as 32 bits")]
        let value = take(&mut self.left) as u32;
        if !self.left.is_empty() {
            let grains = take(&mut self.left);
            let mut distance = grains >> 1 << 8;
            if grains & 1 == 1
                && let Some((rest, left)) = self.left.split_first()
            {
                distance |= u64::from(*rest);
                self.left = left;
            }
            self.start = start.plus(distance);
        }
        Some((start, value))
    }
}

#[inline]
fn take(left: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((octet, rest)) = left.split_first() {
        *left = rest;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    number
}

/// Makes [`Packed`] ranges from cuts in ascending order.
#[derive(Debug)]
pub(super) struct Packer<K> {
    octets: Vec<u8>,
    marks: Vec<(K, u32)>,
    len: usize,
    /// The last range that was written.
    written: Option<(K, u32)>,
    /// The range behind it: another may yet begin at the same address.
    open: Option<(K, u32)>,
}

impl<K> Default for Packer<K> {
    fn default() -> Self {
        Self {
            octets: Vec::new(),
            marks: Vec::new(),
            len: 0,
            written: None,
            open: None,
        }
    }
}

impl<K: Key> Packer<K> {
    /// From `start` on the value is `value`. The first start is the lowest address, and they do not descend; of two at the same
    /// start the later holds.
    #[inline]
    pub(super) fn from(&mut self, start: K, value: u32) {
        if let Some(open) = self.open
            && open.0 != start
        {
            self.write(open);
        }
        let same = self.written.is_some_and(|(_, written)| written == value);
        self.open = (!same).then_some((start, value));
    }

    fn write(&mut self, (start, value): (K, u32)) {
        if let Some((before, _)) = self.written {
            let distance = before.distance(start);
            let rest = distance & 0xff;
            self.put(distance >> 8 << 1 | u64::from(rest != 0));
            if rest != 0 {
                self.octets.push(rest.to_le_bytes()[0]);
            }
        }
        if self.len.is_multiple_of(MARKED) {
            let at = u32::try_from(self.octets.len());
            self.marks
                .push((start, at.expect("ranges of a file below 4 GiB are fewer")));
        }
        self.put(value.into());
        self.len += 1;
        self.written = Some((start, value));
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.octets.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.octets.push(number as u8);
    }

    /// The ranges.
    #[must_use]
    pub(super) fn build(mut self) -> Packed<K> {
        if let Some(open) = self.open {
            self.write(open);
        }
        Packed {
            octets: self.octets.into(),
            marks: self.marks.into(),
            len: self.len,
        }
    }
}

/// Two divisions of the address space in one: wherever either has a cut, both values.
pub(super) fn merge<K: Key, V: Copy, W: Copy>(
    a: impl Iterator<Item = (K, V)>,
    b: impl Iterator<Item = (K, W)>,
) -> impl Iterator<Item = (K, (V, W))> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let mut values = None;
    std::iter::from_fn(move || {
        let start = match (a.peek(), b.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((start, _)), None) | (None, Some((start, _))) => *start,
            (None, None) => return None,
        };
        let (next_a, next_b) = (from(&mut a, start), from(&mut b, start));
        values = match values {
            Some((old_a, old_b)) => Some((next_a.unwrap_or(old_a), next_b.unwrap_or(old_b))),
            // Both begin at the lowest address.
            None => next_a.zip(next_b),
        };
        values.map(|values| (start, values))
    })
}

/// The value that begins to hold at `start`.
fn from<K: Key, V>(cuts: &mut Peekable<impl Iterator<Item = (K, V)>>, start: K) -> Option<V> {
    cuts.next_if(|cut| cut.0 == start).map(|cut| cut.1)
}

/// Blocks, which are nested or apart, as a division of the address space: in each part the value of the narrowest.
#[must_use]
pub(super) fn flatten<K: Key, V: Copy>(blocks: &[(K, K, V)]) -> Vec<(K, Option<V>)> {
    let mut blocks = blocks.to_vec();
    // Of blocks that start together the widest comes first, so a stack suffices.
    blocks.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut cuts = vec![K::MIN];
    for (first, last, _) in &blocks {
        cuts.push(*first);
        cuts.extend(last.next());
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut blocks = blocks.into_iter().peekable();
    let mut open: Vec<(K, V)> = Vec::new();
    let value_from = |cut: K| {
        while open.last().is_some_and(|(last, _)| *last < cut) {
            open.pop();
        }
        while let Some((_, last, value)) = blocks.next_if(|b| b.0 == cut) {
            open.push((last, value));
        }
        (cut, open.last().map(|(_, value)| *value))
    };
    cuts.into_iter().map(value_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ranges from numbers: many starts on the borders of grains, some not, and few values.
    fn cuts<K: Key>(starts: &[K], values: &[u32]) -> Vec<(K, u32)> {
        let mut starts: Vec<K> = starts.iter().chain([&K::MIN]).copied().collect();
        starts.sort_unstable();
        let value = |i: usize| values[i % values.len()];
        starts
            .iter()
            .enumerate()
            .map(|(i, s)| (*s, value(i)))
            .collect()
    }

    /// The last cut at or before an address holds.
    fn linear<K: Key>(cuts: &[(K, u32)], addr: K) -> Option<u32> {
        cuts.iter().rfind(|c| c.0 <= addr).map(|c| c.1)
    }

    fn check<K: Key + std::fmt::Debug>(
        starts: &[K],
        values: &[u32],
        asked: &[K],
    ) -> Result<(), TestCaseError> {
        let cuts = cuts(starts, values);
        let packed = Packed::new(cuts.iter().copied());
        let all: Vec<_> = packed.cuts().collect();
        prop_assert_eq!(all.len(), packed.len());
        prop_assert!(all.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1));
        for addr in asked.iter().chain(starts).chain([&K::MIN, &K::MAX]) {
            let found = packed.find(*addr);
            prop_assert_eq!(Some(found.value), linear(&cuts, *addr));
            let at = all.iter().rposition(|c| c.0 <= *addr).unwrap();
            let last = all.get(at + 1).map_or(K::MAX, |c| c.0.previous().unwrap());
            prop_assert_eq!((found.first, found.last), (all[at].0, last));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_was_packed_is_found_v4(starts in prop::collection::vec(prop_oneof![any::<u32>(), any::<u32>().prop_map(|s| s & !0xff)], 0..400), values in prop::collection::vec(0u32..200_000, 1..9), asked: Vec<u32>) {
            check(&starts, &values, &asked)?;
        }

        #[test]
        fn what_was_packed_is_found_v6(starts in prop::collection::vec(prop_oneof![any::<u64>(), any::<u64>().prop_map(|s| s & !0xff)], 0..400), values in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(u32::MAX)], 1..9), asked: Vec<u64>) {
            check(&starts, &values, &asked)?;
        }

        #[test]
        fn the_narrowest_block_shows(starts: Vec<u32>, blocks in prop::collection::vec((any::<u32>(), 0u8..=32), 0..12), asked: Vec<u32>) {
            let under = Packed::new(cuts(&starts, &[1, 2, 3]).into_iter());
            let mut nested: Vec<(u32, u32, u32)> = blocks.iter().map(|(addr, len)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(*len)).unwrap_or(0);
                (addr & mask, addr | !mask, 10 + u32::from(*len))
            }).collect();
            nested.sort_unstable();
            nested.dedup();
            let merged = merge(under.cuts(), flatten(&nested).into_iter());
            let painted = Packed::new(merged.map(|(start, (under, over))| (start, over.unwrap_or(under))));
            let edges: Vec<u32> = nested.iter().flat_map(|b| [b.0, b.1]).collect();
            for addr in asked.into_iter().chain(edges) {
                let top = nested.iter().filter(|b| b.0 <= addr && addr <= b.1).max_by_key(|b| b.2);
                prop_assert_eq!(painted.find(addr).value, top.map_or(under.find(addr).value, |b| b.2));
            }
        }
    }
}
