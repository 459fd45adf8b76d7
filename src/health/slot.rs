//! Addresses that are judged alike, and how many of their checks must be up.

use std::time::Duration;

use super::table::{STEADY, Word};

/// How many of its pool's probes an address must pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// Each of them.
    #[default]
    All,
    /// One of them.
    Any,
    /// So many of them.
    AtLeast(u8),
}

impl Require {
    /// How many of so many checks must be up; never more than there are.
    #[must_use]
    pub fn of(self, checks: usize) -> usize {
        match self {
            Self::All => checks,
            Self::Any => checks.min(1),
            Self::AtLeast(n) => checks.min(usize::from(n)),
        }
    }
}

/// Addresses of a node that are judged alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The node's name.
    pub node: String,
    /// The checks that have a vote.
    pub checks: Vec<usize>,
    /// How many of them must be up.
    pub need: usize,
    /// Whether answers are kept short by what could happen next, also while nothing does.
    pub strict: bool,
    /// In which time it loses its clients once it is drained.
    pub slow: Duration,
    /// Whether it is kept out for a while after it went down again and again.
    pub damping: bool,
}

/// The word of an address of whose checks `need` must be up. Its cap is that of the change that would turn the verdict, not of any
/// other: with one of two needed and both up, one that fails changes nothing.
pub(super) fn together(words: impl Iterator<Item = Word>, need: usize) -> Word {
    if need == 0 {
        return Word::UNPROBED;
    }
    let (up, out): (Vec<Word>, Vec<Word>) = words.partition(|word| word.in_service());
    let in_service = up.len() >= need;
    // So many must change their state, the quickest first.
    let (side, turn) = if in_service {
        (&up, up.len() + 1 - need)
    } else {
        (&out, need - up.len())
    };
    let mut caps: Vec<u16> = side.iter().map(|word| word.ttl_cap()).collect();
    caps.sort_unstable();
    let cap = caps.get(turn - 1).copied().unwrap_or(STEADY);
    // It was in service for the last time when as many as are needed were.
    let all = up.iter().chain(&out);
    let mut lasts: Vec<u32> = all.map(|word| word.last_in_service()).collect();
    lasts.sort_unstable_by(|a, b| b.cmp(a));
    let last = lasts.get(need - 1).copied().unwrap_or(0);
    Word::new(in_service, cap, last)
}
