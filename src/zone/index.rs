//! A table from hashes of names to numbers: one place in memory to look at for nearly every name.

/// Numbers found by a hash; whoever asks says which of those with this hash is meant. Open addressing with linear probing: an entry
/// is the upper half of the hash and the number, so that names with other hashes are passed without looking at them.
#[derive(Clone, Debug)]
pub struct Index {
    /// A power of two of entries, at most three in four of them used.
    entries: Box<[u64]>,
}

/// No number has this entry: [`Index::insert`] takes none of all ones.
const EMPTY: u64 = u64::MAX;

impl Default for Index {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl Index {
    /// Room for `count` numbers; to insert more would make look-ups slow and in the end endless.
    #[must_use]
    pub fn with_room(count: usize) -> Self {
        let len = (count + count / 3 + 2).next_power_of_two();
        Self {
            entries: vec![EMPTY; len].into(),
        }
    }

    /// Adds a number below `u32::MAX`.
    pub fn insert(&mut self, hash: u64, number: u32) {
        let mut slot = self.first_slot(hash);
        while self.entries[slot] != EMPTY {
            slot = self.next_slot(slot);
        }
        self.entries[slot] = hash >> 32 << 32 | u64::from(number);
    }

    /// The number with this hash that `is` the one.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half of an entry"
    )]
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut slot = self.first_slot(hash);
        loop {
            let entry = self.entries[slot];
            if entry == EMPTY {
                return None;
            }
            if entry >> 32 == hash >> 32 && is(entry as u32) {
                return Some(entry as u32);
            }
            slot = self.next_slot(slot);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked at once")]
    fn first_slot(&self, hash: u64) -> usize {
        hash as usize & (self.entries.len() - 1)
    }

    fn next_slot(&self, slot: usize) -> usize {
        (slot + 1) & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few hashes, so that many numbers share one.
        #[test]
        fn finds_what_was_put_in_and_nothing_else(hashes in prop::collection::vec(0u64..40, 0..200), asked in 0u64..60) {
            let spread = |h: u64| h << 33 | (h % 8);
            let mut index = Index::with_room(hashes.len());
            let mut oracle: HashMap<u64, Vec<u32>> = HashMap::new();
            for (number, hash) in (0..).zip(&hashes) {
                index.insert(spread(*hash), number);
                oracle.entry(*hash).or_default().push(number);
            }
            for (hash, numbers) in &oracle {
                for number in numbers {
                    prop_assert_eq!(index.find(spread(*hash), |n| n == *number), Some(*number));
                }
            }
            prop_assert_eq!(index.find(spread(asked), |_| true).is_some(), oracle.contains_key(&asked));
        }
    }
}
