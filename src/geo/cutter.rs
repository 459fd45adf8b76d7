//! Networks of a database to ranges at the grain of the maps.

use super::UNKNOWN;
use super::packed::{Packed, Packer};
use crate::prefix::Key;

/// Turns networks in order into ranges at the maps' grain: a block of it gets what holds at its first address.
pub(super) struct Cutter<K> {
    packer: Packer<K>,
    /// The first address that no network has covered yet, on a border of the grain; none at the end of the space.
    next: Option<K>,
}

impl<K: Key> Default for Cutter<K> {
    fn default() -> Self {
        Self {
            packer: Packer::default(),
            next: Some(K::MIN),
        }
    }
}

impl<K: Key> Cutter<K> {
    pub(super) fn add(&mut self, first: K, len: u8, number: u32) {
        let Some(next) = self.next else { return };
        if first < next || !first.starts_grain() {
            return;
        }
        if first > next {
            self.packer.from(next, UNKNOWN);
        }
        self.packer.from(first, number);
        self.next = first.block_last(len).grain_last().next();
    }

    pub(super) fn finish(mut self) -> Packed<K> {
        if let Some(next) = self.next {
            self.packer.from(next, UNKNOWN);
        }
        self.packer.build()
    }
}
