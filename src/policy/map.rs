//! What a pool compiles to: client ranges to ordered lists of its members.
//!
//! A list is a *head*, made for the client's place, and a *tail*, everybody else in the order of their distance from the
//! head's first member. Heads are short, so few differ: neighbouring ranges merge and scopes stay wide. Tails are shared.

use std::net::{IpAddr, Ipv4Addr};

use super::trie::Trie;
use crate::prefix::Client;

/// A pool's member by its number in the pool, and whether a band begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry(u16);

const BAND: u16 = 0x8000;

impl Entry {
    /// The most members that a pool can have.
    pub const MEMBERS: usize = BAND as usize;

    /// An entry; `first` in its band of about-equal members. `member` is below [`Entry::MEMBERS`].
    #[must_use]
    pub fn new(member: u16, first: bool) -> Self {
        Self(if first { member | BAND } else { member & !BAND })
    }

    /// The member.
    #[must_use]
    pub fn member(self) -> u16 {
        self.0 & !BAND
    }

    /// Whether those from here on are farther than those before.
    #[must_use]
    pub fn begins_band(self) -> bool {
        self.0 & BAND != 0
    }
}

/// The number of a list in its map.
pub type ListId = u32;

/// Client ranges to ordered lists.
#[derive(Clone, Debug)]
pub struct Map {
    pub(super) v4: Trie,
    pub(super) v6: Trie,
    pub(super) lists: Lists,
}

/// The lists of a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    /// All heads, one after the other.
    pub(super) heads: Vec<Entry>,
    /// Where each list's head ends; it begins where the one before ends.
    pub(super) ends: Vec<u32>,
    /// For each member all others, nearest first; empty where heads are complete.
    pub(super) tails: Vec<Box<[Entry]>>,
    /// Where not all clients have the same members: which tail each list has, or [`NO_TAIL`]. Else empty.
    pub(super) tail_of: Vec<u32>,
}

/// The tail of a list whose head is complete.
pub(super) const NO_TAIL: u32 = u32::MAX;

impl Lists {
    /// The head of a list.
    #[inline]
    pub(super) fn head(&self, id: ListId) -> &[Entry] {
        let before = id.checked_sub(1);
        let start = before.map_or(0, |before| self.ends[before as usize]);
        &self.heads[start as usize..self.ends[id as usize] as usize]
    }

    /// A list more; its number.
    pub(super) fn add(&mut self, head: &[Entry]) -> ListId {
        self.heads.extend_from_slice(head);
        let count =
            |n: usize| u32::try_from(n).expect("heads are short and there are fewer than places");
        self.ends.push(count(self.heads.len()));
        count(self.ends.len() - 1)
    }
}

impl Map {
    /// The client's list, and the widest block around it that has the same list throughout, as a length in its own family.
    #[must_use]
    #[inline]
    pub fn find(&self, client: Client) -> (List<'_>, u8) {
        let (id, scope) = match client {
            Client::V4 { addr, offset } => {
                let (id, scope) = self.v4.get(aligned(addr));
                (id, scope + offset)
            }
            Client::V6(upper) => self.v6.get(upper),
        };
        (self.list(id), scope)
    }

    /// Brings near what [`Map::find`] will need for a client, so that several can be waited for at once.
    #[inline]
    pub fn touch(&self, client: Client) {
        match client {
            Client::V4 { addr, .. } => self.v4.touch(aligned(addr)),
            Client::V6(upper) => self.v6.touch(upper),
        }
    }

    /// The first and the last address of the merged range that a client is in; of IPv6 the upper halves.
    #[must_use]
    pub fn range(&self, client: Client) -> (IpAddr, IpAddr) {
        match client {
            Client::V4 { addr, .. } => {
                let range = self.v4.range(aligned(addr));
                let end = |aligned: u64| Ipv4Addr::from_bits((aligned >> 32) as u32).into();
                (end(range.first), end(range.last))
            }
            Client::V6(upper) => {
                let range = self.v6.range(upper);
                (
                    Client::V6(range.first).addr(),
                    Client::V6(range.last).addr(),
                )
            }
        }
    }

    /// A list by its number.
    #[must_use]
    pub fn list(&self, id: ListId) -> List<'_> {
        let head = self.lists.head(id);
        let tail = match self.lists.tail_of.get(id as usize) {
            Some(number) => Some(*number as usize),
            None => head.first().map(|first| usize::from(first.member())),
        };
        let tail = tail.and_then(|number| self.lists.tails.get(number));
        List {
            head,
            tail: tail.map_or(&[], |t| &t[..]),
        }
    }

    /// Octets that it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let Lists {
            heads,
            ends,
            tails,
            tail_of,
        } = &self.lists;
        let tails: usize = tails.iter().map(|tail| size_of_val(&**tail)).sum();
        let lists = size_of_val(&**heads) + size_of_val(&**ends) + size_of_val(&**tail_of);
        self.v4.octets() + self.v6.octets() + lists + tails
    }

    /// The numbers of ranges of IPv4 and of IPv6, and of lists.
    #[must_use]
    pub fn size(&self) -> (usize, usize, usize) {
        (self.v4.len(), self.v6.len(), self.lists.ends.len())
    }
}

/// An IPv4 address as a [`Trie`] knows it.
pub(super) fn aligned(addr: u32) -> u64 {
    u64::from(addr) << 32
}

/// An ordered list of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'m> {
    head: &'m [Entry],
    tail: &'m [Entry],
}

impl<'m> List<'m> {
    /// All members that the client may be given, in order, each once.
    pub fn entries(self) -> impl Iterator<Item = Entry> + use<'m> {
        // A band that begins with a member of the head goes on with the next that is not.
        let mut begins = true;
        let rest = self.tail.iter().filter_map(move |entry| {
            begins |= entry.begins_band();
            if self.head.iter().any(|h| h.member() == entry.member()) {
                return None;
            }
            Some(Entry::new(entry.member(), std::mem::take(&mut begins)))
        });
        self.head.iter().copied().chain(rest)
    }
}
