//! The whole address space cut into ranges, each with a value: built once, searched by every query.

use crate::prefix::{Key, scope};

/// Ranges over all addresses of a family, in order, without gaps; equal neighbours are one range.
#[derive(Clone, Debug)]
pub struct Ranges<K, V> {
    /// The first address of each range; the first is the lowest of all.
    starts: Box<[K]>,
    values: Box<[V]>,
    /// `index[i]` is the range that holds the first address of slot `i` ([`Key::slot`]), and one more for the end.
    index: Box<[u32]>,
    bits: u8,
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

impl<K: Key, V: Copy + PartialEq> Ranges<K, V> {
    /// Ranges from where each starts, in ascending order from the lowest address, and its value; equal neighbours are merged.
    #[must_use]
    pub fn of(mut cuts: impl Iterator<Item = (K, V)>) -> Self {
        let (_, first) = cuts.next().expect("something holds at the lowest address");
        let mut built = Builder::new(first);
        cuts.for_each(|(start, value)| built.from(start, value));
        built.build()
    }

    /// The value at `addr`, and the widest block around it that has this value throughout.
    #[must_use]
    pub fn get(&self, addr: K) -> (V, u8) {
        let range = self.find(addr);
        (range.value, scope(addr, range.first, range.last))
    }

    /// The range that holds `addr`.
    #[must_use]
    pub fn find(&self, addr: K) -> Range<K, V> {
        self.nth(self.position(addr))
    }

    fn position(&self, addr: K) -> usize {
        let (low, high) = match addr.slot(self.bits) {
            Some(slot) => (self.index[slot] as usize, self.index[slot + 1] as usize),
            None => (0, self.starts.len() - 1),
        };
        // The range at `low` starts at or before the slot, so at least one start is not above `addr`.
        low + self.starts[low + 1..=high].partition_point(|start| *start <= addr)
    }

    fn nth(&self, at: usize) -> Range<K, V> {
        let last = self
            .starts
            .get(at + 1)
            .and_then(|next| next.previous())
            .unwrap_or(K::MAX);
        Range {
            first: self.starts[at],
            last,
            value: self.values[at],
        }
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<K, V>> {
        (0..self.starts.len()).map(|at| self.nth(at))
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Octets that they take.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.values) + size_of_val(&*self.index)
    }

    /// Never: there is always one range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}

/// Makes [`Ranges`] from cuts in ascending order: from this address on, this value.
#[derive(Clone, Debug)]
pub struct Builder<K, V> {
    starts: Vec<K>,
    values: Vec<V>,
}

impl<K: Key, V: Copy + PartialEq> Builder<K, V> {
    /// All addresses have `value`.
    #[must_use]
    pub fn new(value: V) -> Self {
        Self {
            starts: vec![K::MIN],
            values: vec![value],
        }
    }

    /// From `start` on the value is `value`. Starts must not descend; of two at the same start the later holds.
    pub fn from(&mut self, start: K, value: V) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// The ranges.
    #[must_use]
    pub fn build(self) -> Ranges<K, V> {
        let bits = index_bits(self.starts.len());
        let mut index = Vec::with_capacity((1 << bits) + 1);
        let mut at = 0;
        for slot in 0..1 << bits {
            let first = K::slot_start(slot, bits);
            while self.starts.get(at + 1).is_some_and(|next| *next <= first) {
                at += 1;
            }
            index.push(position(at));
        }
        // The last slot ends where the indexed space does; whatever lies beyond it starts after any address in it.
        index.push(position(self.starts.len() - 1));
        Ranges {
            starts: self.starts.into(),
            values: self.values.into(),
            index: index.into(),
            bits,
        }
    }
}

/// Slots for about two ranges each: more would cost memory that the cache lacks, fewer more steps of search.
fn index_bits(ranges: usize) -> u8 {
    let bits = (ranges / 2).next_power_of_two().trailing_zeros();
    u8::try_from(bits).unwrap_or(u8::MAX).clamp(4, 20)
}

fn position(at: usize) -> u32 {
    u32::try_from(at).expect("there are fewer ranges than IPv4 addresses: blocks of IPv6 are counted by /64 of a file below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn linear<K: Key, V: Copy + PartialEq>(ranges: &Ranges<K, V>, addr: K) -> Range<K, V> {
        ranges
            .iter()
            .find(|r| r.first <= addr && addr <= r.last)
            .expect("ranges cover all addresses")
    }

    fn build<K: Key + std::fmt::Debug>(mut starts: Vec<K>, values: &[u8]) -> Ranges<K, u8> {
        starts.sort_unstable();
        let mut built = Builder::new(0);
        for (i, start) in starts.into_iter().enumerate() {
            built.from(start, values[i % values.len()] % 4);
        }
        built.build()
    }

    proptest! {
        #[test]
        fn found_as_by_a_linear_scan_v4(starts: Vec<u32>, values in prop::collection::vec(0u8..4, 1..9), asked: Vec<u32>) {
            let ranges = build(starts.clone(), &values);
            for addr in asked.into_iter().chain(starts).chain([0, u32::MAX]) {
                prop_assert_eq!(ranges.find(addr), linear(&ranges, addr));
            }
        }

        #[test]
        fn found_as_by_a_linear_scan_v6(starts: Vec<u64>, values in prop::collection::vec(0u8..4, 1..9), asked: Vec<u64>) {
            let global: Vec<u64> = starts.iter().map(|s| s >> 3 | 1 << 61).collect();
            let ranges = build(starts.iter().chain(&global).copied().collect(), &values);
            for addr in asked.into_iter().chain(starts).chain(global).chain([0, u64::MAX]) {
                prop_assert_eq!(ranges.find(addr), linear(&ranges, addr));
            }
        }

        #[test]
        fn neighbours_differ(starts: Vec<u32>, values in prop::collection::vec(0u8..4, 1..9)) {
            let ranges = build(starts, &values);
            let all: Vec<_> = ranges.iter().collect();
            prop_assert!(all.windows(2).all(|w| w[0].value != w[1].value));
        }
    }
}
