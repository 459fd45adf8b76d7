//! Signatures that were made for an answer, kept for the next like it: a table of fixed size.

use std::hash::Hasher;
use std::sync::RwLock;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::Signature;

/// What names a signature: a hash with a secret, of all that is signed. Nobody can find two things with the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Print([u64; 2]);

impl Print {
    pub(super) const NONE: Self = Self([0; 2]);

    pub(super) fn octets(self) -> [u8; 16] {
        u128::to_ne_bytes(u128::from(self.0[0]) << 64 | u128::from(self.0[1]))
    }

    /// A number below `below` that follows from it.
    #[expect(clippy::cast_possible_truncation, reason = "it is below a u32")]
    pub(super) fn spread(self, below: u32) -> u32 {
        (self.0[1] % u64::from(below.max(1))) as u32
    }
}

/// A print that is being made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer(SipHasher24);

impl Printer {
    /// With this secret.
    pub(super) fn new(secret: &[u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(secret))
    }

    /// And with one thing more; where it ends and the next begins matters.
    pub(super) fn with(mut self, thing: &[u8]) -> Self {
        self.0.write(thing);
        self.0.write_usize(thing.len());
        self
    }

    pub(super) fn print(self) -> Print {
        let hash = self.0.finish128();
        Print([hash.h1, hash.h2])
    }
}

/// Signatures that share a place: who is new takes that of the one who ends first.
const WAYS: usize = 4;
type Set = [Option<(Print, Signature)>; WAYS];

/// The table. Who asks never waits: where somebody is just writing, the signature counts as not there.
#[derive(Debug)]
pub(super) struct Cache {
    sets: Box<[RwLock<Set>]>,
}

impl Cache {
    /// For about so many signatures.
    pub(super) fn new(room: usize) -> Self {
        let sets = (room / WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| RwLock::default()).collect(),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits of a hash will do"
    )]
    fn set(&self, print: Print) -> &RwLock<Set> {
        &self.sets[print.0[0] as usize & (self.sets.len() - 1)]
    }

    pub(super) fn get(&self, print: Print) -> Option<Signature> {
        let set = self.set(print).try_read().ok()?;
        let mut kept = set.iter().flatten();
        kept.find(|(other, _)| *other == print).map(|(_, s)| *s)
    }

    pub(super) fn put(&self, print: Print, signature: Signature) {
        let Ok(mut set) = self.set(print).try_write() else {
            return;
        };
        let mine = |slot: &Option<(Print, Signature)>| slot.is_some_and(|(p, _)| p == print);
        let ends = |slot: &Option<(Print, Signature)>| slot.map_or(0, |(_, s)| s.expiration);
        let first = (0..WAYS).min_by_key(|&way| ends(&set[way])).unwrap_or(0);
        let way = set.iter().position(mine).unwrap_or(first);
        set[way] = Some((print, signature));
    }
}
