//! A name as it is looked up: in lower case, with the hashes of all its suffixes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::MAX_NAME;

/// A name in lower case with the hashes of all its suffixes: made once for a question, used for every look-up.
#[derive(Clone, Debug)]
pub struct NameKey {
    /// The octets after the name's are what an earlier name left, or zero.
    wire: [u8; MAX_NAME + WORD],
    /// Where each label starts, and after them the root.
    starts: [u8; LABELS + 1],
    hashes: [u64; LABELS + 1],
    labels: usize,
    len: usize,
}

/// The most labels that fit a name.
const LABELS: usize = 127;
/// Octets that are hashed at once: as many may be read beyond a name's end.
const WORD: usize = 8;

impl Default for NameKey {
    fn default() -> Self {
        Self {
            wire: [0; MAX_NAME + WORD],
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

    /// Makes this the key of another name: as [`NameKey::new`], without clearing more than a kilobyte first.
    #[expect(clippy::cast_possible_truncation, reason = "offsets into 255 octets")]
    pub fn set(&mut self, wire: &[u8]) {
        self.len = wire.len().min(MAX_NAME);
        for (lower, octet) in self.wire[..self.len].iter_mut().zip(wire) {
            *lower = octet.to_ascii_lowercase();
        }
        let (mut at, mut labels) = (0, 0);
        while at < self.len && self.wire[at] != 0 && labels < LABELS {
            self.starts[labels] = at as u8;
            at += 1 + usize::from(self.wire[at]);
            labels += 1;
        }
        self.labels = labels;
        self.starts[labels] = at.min(self.len - 1) as u8;
        let mut hash = START.load(Ordering::Relaxed);
        self.hashes[labels] = hash;
        for skip in (0..labels).rev() {
            let start = usize::from(self.starts[skip]);
            let end = usize::from(self.starts[skip + 1]);
            hash = hash_label(hash, &self.wire, start, end);
            self.hashes[skip] = hash;
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

/// What the root is hashed to.
static START: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);

/// Hashes names by a secret of this process from now on, so that nobody who gives us a zone can have all of its names in one place. To be called
/// before the first name is hashed: those before and after do not find each other.
pub fn hash_by(secret: u64) {
    START.store(secret, Ordering::Relaxed);
}

/// Extends the hash of a name by the label before it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "both halves of the product are folded together"
)]
#[inline]
fn hash_label(mut hash: u64, wire: &[u8; MAX_NAME + WORD], mut at: usize, end: usize) -> u64 {
    while at < end {
        let mut word = wire[at..]
            .first_chunk()
            .map_or(0, |w| u64::from_le_bytes(*w));
        // What stands behind the label is not the label's.
        if end - at < WORD {
            word &= (1 << (8 * (end - at))) - 1;
        }
        let product = u128::from(hash ^ word) * 0xa076_1d64_78bd_642f_u128;
        hash = (product >> 64) as u64 ^ product as u64;
        at += WORD;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who knows what the hash begins with can make names that all have the same; with another they have not.
    #[test]
    fn names_that_share_a_hash_share_it_by_the_secret() {
        let hash = |start: u64, label: &[u8; 15]| {
            let mut wire = [0; MAX_NAME + WORD];
            wire[0] = 15;
            wire[1..16].copy_from_slice(label);
            hash_label(start, &wire, 0, 16)
        };
        let made = |start: u64| {
            let label = |n: u32| {
                let mut label = [0; 15];
                label[..4].copy_from_slice(&n.to_be_bytes());
                let mut wire = [0; MAX_NAME + WORD];
                wire[0] = 15;
                wire[1..16].copy_from_slice(&label);
                // Of the first half, which the second half undoes.
                let half = hash_label(start, &wire, 0, WORD);
                label[7..].copy_from_slice(&half.to_le_bytes());
                label
            };
            (0..50).map(label).collect::<Vec<_>>()
        };
        let count = |start: u64, labels: &[[u8; 15]]| {
            let hashes = labels.iter().map(|label| hash(start, label));
            hashes.collect::<std::collections::BTreeSet<_>>().len()
        };
        let known = START.load(Ordering::Relaxed);
        let labels = made(known);
        assert_eq!(count(known, &labels), 1);
        assert_eq!(count(known ^ 0x1234_5678_9abc_def0, &labels), 50);
    }

    #[test]
    fn what_an_earlier_name_left_is_not_hashed() {
        let mut used = NameKey::new(b"\x0fa-longer-label-x\x07example\x03org\0");
        for name in [&b"\x03www\x07eXample\0"[..], b"\x08exactly8\0", b"\0"] {
            used.set(name);
            let fresh = NameKey::new(name);
            for skip in 0..=fresh.labels() {
                assert_eq!(used.hash(skip), fresh.hash(skip));
                assert_eq!(used.suffix(skip), fresh.suffix(skip));
            }
        }
    }
}
