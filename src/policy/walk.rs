//! The walk: down a client's list past everything that is not in service, to the members that it is given.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::map::{Entry, List, Map};
use super::{Answer, NoneLeft, Slowed, Spill};
use crate::health::{STEADY, Table, Word};
use crate::prefix::Client;
use crate::zone::Name;

/// A pool for one family of addresses, ready to be asked.
#[derive(Clone, Debug)]
pub struct Steering {
    /// Client ranges to lists of members.
    pub map: Arc<Map>,
    /// Maps for while too few members are in service.
    pub spill: Option<Arc<Spill>>,
    /// Where another map is put while some members have only a part of their clients; none: that never happens.
    pub slowed: Option<Arc<Slowed>>,
    /// The members, by their numbers in the map, those of one node together; pools of the same nodes share them.
    pub members: Arc<[Member]>,
    /// The members' addresses; pools share them where they share their states too.
    pub addresses: Arc<[Address]>,
    /// Some address is that of several members, as of two nodes whose names lead to one machine.
    pub twins: bool,
    /// How many members an answer holds.
    pub answer: Answer,
    /// The same client keeps the same member.
    pub sticky: bool,
    /// What is answered with no member in service.
    pub none: NoneLeft,
    /// The members that are given by a name instead of their addresses, by their numbers.
    pub aliases: BTreeMap<u16, Arc<Name>>,
}

/// A member: a node with addresses of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The node's number in the configuration.
    pub node: u32,
    /// Its first address.
    pub first: u32,
    /// How many addresses it has.
    pub count: u16,
    /// Its share among its equals.
    pub weight: u32,
    /// Which of the node's addresses these are: those of a route, by its number, or those for everybody.
    pub route: Option<u16>,
}

/// An address of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its number among all addresses of all nodes.
    pub number: u32,
    /// Its slot in the health table.
    pub slot: u32,
    /// The address.
    pub ip: IpAddr,
}

/// The most members that one answer can hold: more addresses fit no datagram.
pub const MOST: usize = 64;

/// What a walk chose.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    members: [u16; MOST],
    count: usize,
    /// Seconds that the answer may be kept; [`STEADY`]: as long as the record says.
    pub ttl_cap: u16,
    /// The widest block around the client of which all this holds.
    pub scope: u8,
    /// How the members were found.
    pub outcome: Outcome,
}

/// How the members of a choice were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are in service.
    InService,
    /// Nobody is; the pool's policy gives some all the same.
    FailOpen,
    /// Nobody is; the pool's policy is to answer without records.
    NoData,
    /// Nobody is; the pool's policy is an error.
    ServFail,
    /// Nobody is; the pool's policy is to look elsewhere: at another pool or name.
    Elsewhere,
}

impl Choice {
    /// The members to be given, in order; one that is given by name is alone.
    #[must_use]
    pub fn members(&self) -> &[u16] {
        &self.members[..self.count]
    }

    fn give(&mut self, member: u16) {
        if let Some(slot) = self.members.get_mut(self.count) {
            *slot = member;
            self.count += 1;
        }
    }

    fn lower(&mut self, cap: u16) {
        self.ttl_cap = self.ttl_cap.min(cap);
    }
}

/// Why a member is in an answer, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Given.
    Given,
    /// None of its addresses is in service.
    Out,
    /// In service and as near, but the answer is full.
    Spare,
    /// In service, but farther than those given.
    Farther,
    /// Out of service, and given as the policy for that case says.
    GivenThoughOut,
}

/// Sees each member that a walk passes. The query path has none, and the compiler leaves the calls out.
pub trait Witness {
    /// Whether members behind the last one given are shown too.
    const TO_THE_END: bool;
    /// Called once for each member, in order.
    fn saw(&mut self, entry: Entry, verdict: Verdict);
}

impl Witness for () {
    const TO_THE_END: bool = false;
    fn saw(&mut self, _: Entry, _: Verdict) {}
}

impl Steering {
    /// Walks the list of a client. `draw` is any number: it decides who is drawn where the pool is not sticky.
    #[must_use]
    pub fn walk<W: Witness>(
        &self,
        client: Client,
        table: &Table,
        draw: u64,
        witness: &mut W,
    ) -> Choice {
        let slowed = self.slowed.as_ref();
        let instead = slowed.and_then(|s| s.load(self.step_of(table)));
        let instead = instead.as_ref().and_then(|guard| guard.as_ref());
        let map = instead.map_or_else(|| self.map(table), |instead| &instead.map);
        let (list, scope) = map.find(client);
        let mut choice = Choice {
            members: [0; MOST],
            count: 0,
            ttl_cap: STEADY,
            scope,
            outcome: Outcome::InService,
        };
        let wanted = match self.answer {
            Answer::Nodes(n) => usize::from(n).min(MOST),
            Answer::All => MOST,
        };
        // One that is given by name takes no place among others.
        let room = if self.aliases.is_empty() {
            wanted
        } else {
            MOST
        };
        let gathered = if self.sticky { room } else { MOST };
        let mut farther = false;
        for entry in list.entries() {
            farther |= entry.begins_band() && choice.count > 0;
            let full = choice.count >= gathered;
            if (farther || full) && !W::TO_THE_END {
                break;
            }
            let word = self.word(entry.member(), table);
            let verdict = match word.in_service() {
                false => Verdict::Out,
                true if farther => Verdict::Farther,
                true if full => Verdict::Spare,
                true => Verdict::Given,
            };
            // What could change the answer: those given, and those out that would come before them.
            if verdict == Verdict::Given || (verdict == Verdict::Out && !farther && !full) {
                choice.lower(word.ttl_cap());
            }
            if verdict == Verdict::Given {
                choice.give(entry.member());
            }
            witness.saw(entry, verdict);
        }
        if choice.count == 0 {
            self.nobody(list, table, room, &mut choice);
        } else if !self.sticky {
            self.draw(&mut choice, room, draw);
        }
        if !self.aliases.is_empty() {
            self.alone(&mut choice, wanted);
        }
        choice
    }

    /// The members of each node, which stand together: a node with addresses of its own for some clients is several.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, Range<u16>)> {
        let mut next = 0;
        let same = |a: &Member, b: &Member| a.node == b.node;
        self.members.chunk_by(same).map(move |own| {
            let first = next;
            next += u16::try_from(own.len()).expect("there are at most 32,768 members");
            (own[0].node, first..next)
        })
    }

    /// How many of the pool's reserves have joined, by who is in service; none: it has none.
    #[must_use]
    pub fn step(&self, table: &Table) -> Option<u8> {
        let spill = self.spill.as_ref()?;
        Some(spill.step(|member| self.word(member, table).in_service()))
    }

    /// How many of the pool's reserves have joined, as the table says.
    #[must_use]
    #[inline]
    pub fn step_of(&self, table: &Table) -> u8 {
        let spill = self.spill.as_ref();
        spill.map_or(0, |spill| table.step(spill.number))
    }

    /// The first and the last address of the range around a client that has the same list.
    #[must_use]
    pub fn range(&self, client: Client, table: &Table) -> (IpAddr, IpAddr) {
        let slowed = self.slowed.as_ref();
        match slowed.and_then(|s| s.get(self.step_of(table))) {
            Some(instead) => instead.map.range(client),
            None => self.map(table).range(client),
        }
    }

    /// The map that holds by who is in service, if all of those have all of their clients.
    #[must_use]
    #[inline]
    pub fn map(&self, table: &Table) -> &Map {
        let spilled = self.spill.as_ref().and_then(|spill| spill.map(table));
        spilled.unwrap_or(&self.map)
    }

    /// The state of a member: in service if one of its addresses is, its cap the least of them.
    #[must_use]
    #[inline]
    pub fn word(&self, member: u16, table: &Table) -> Word {
        let mut all = Word::new(false, STEADY, 0);
        for address in self.addresses_of(member) {
            let word = table.word(address.slot);
            all = Word::new(
                all.in_service() | word.in_service(),
                all.ttl_cap().min(word.ttl_cap()),
                all.last_in_service().max(word.last_in_service()),
            );
        }
        all
    }

    /// The addresses of a member.
    #[must_use]
    #[inline]
    pub fn addresses_of(&self, member: u16) -> &[Address] {
        let Member { first, count, .. } = self.members[usize::from(member)];
        &self.addresses[first as usize..first as usize + usize::from(count)]
    }

    /// Keeps `wanted` of the members gathered, drawn by weight without putting back.
    fn draw(&self, choice: &mut Choice, wanted: usize, mut draw: u64) {
        let gathered = &mut choice.members[..choice.count];
        let weight = |m: u16| u64::from(self.members[usize::from(m)].weight);
        let wanted = wanted.min(gathered.len());
        for place in 0..wanted {
            let rest = &mut gathered[place..];
            let sum: u64 = rest.iter().map(|m| weight(*m)).sum();
            // Only spares are left: all alike.
            let weight = |m: u16| if sum == 0 { 1 } else { weight(m) };
            let sum = if sum == 0 { rest.len() as u64 } else { sum };
            draw = draw
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            let mut left = (draw >> 16) % sum;
            let drawn = rest.iter().position(|m| {
                let hit = left < weight(*m);
                left = left.saturating_sub(weight(*m));
                hit
            });
            rest.swap(0, drawn.unwrap_or(0));
        }
        choice.count = wanted;
    }

    /// A CNAME stands alone (RFC 1034 3.6.2): the first member is given by its name, or `wanted` of those that have none.
    #[cold]
    fn alone(&self, choice: &mut Choice, wanted: usize) {
        let chosen = *choice;
        let by_name = |member: &u16| self.aliases.contains_key(member);
        let most = match (chosen.outcome, &self.none) {
            (Outcome::FailOpen, NoneLeft::All) => MOST,
            _ => wanted,
        };
        choice.count = 0;
        match chosen.members() {
            [first, ..] if by_name(first) => choice.give(*first),
            members => {
                let others = members.iter().filter(|m| !by_name(m));
                others.take(most).for_each(|m| choice.give(*m));
            }
        }
    }

    /// What a client is given when nobody is in service.
    #[cold]
    fn nobody(&self, list: List<'_>, table: &Table, wanted: usize, choice: &mut Choice) {
        choice.ttl_cap = 0;
        choice.outcome = match &self.none {
            NoneLeft::NoData => Outcome::NoData,
            NoneLeft::ServFail => Outcome::ServFail,
            NoneLeft::Pool { .. } | NoneLeft::Cname(_) => Outcome::Elsewhere,
            _ => Outcome::FailOpen,
        };
        match &self.none {
            NoneLeft::NoData | NoneLeft::ServFail | NoneLeft::Pool { .. } | NoneLeft::Cname(_) => {}
            NoneLeft::All => list.entries().for_each(|entry| choice.give(entry.member())),
            NoneLeft::Nearest => {
                for (i, entry) in list.entries().take(wanted).enumerate() {
                    if i > 0 && entry.begins_band() {
                        break;
                    }
                    choice.give(entry.member());
                }
            }
            NoneLeft::LeastBad => {
                // The first of those that were in service last: ties go to the nearer one.
                let last = |entry: &Entry| self.word(entry.member(), table).last_in_service();
                let best = list.entries().map(|e| last(&e)).max();
                let first = list.entries().find(|entry| Some(last(entry)) == best);
                first
                    .into_iter()
                    .for_each(|entry| choice.give(entry.member()));
            }
        }
    }
}
