//! Compiles a pool: for each place its order of members, for each range of addresses the place's list.

use std::collections::HashMap;

use super::Near;
use super::map::{Entry, ListId, Lists, Map, aligned};
use super::trie::Trie;
use crate::geo::{CARRIER, Country, Place, PlaceId, Point, World, chord_to_km, squared_chord};

/// All that decides a map: pools for which it is equal share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The members, in the order of the pool.
    pub members: Vec<Member>,
    /// Members of one answer; none: all.
    pub answer: Option<u8>,
    /// The band of about-equal members.
    pub near: Near,
    /// Ordered by hash within a band; else drawn for each question.
    pub sticky: bool,
    /// Where clients are taken to be that nothing is known of.
    pub unknown: Unknown,
}

/// A node as a member of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The node's name: what its clients stay with.
    pub name: String,
    /// Where it stands.
    pub at: Point,
    /// Its share among its equals.
    pub weight: u32,
}

/// Where clients are taken to be that nothing is known of.
#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// At this point.
    At(Point),
    /// Anywhere people live.
    Anywhere,
    /// They get these members first, by their numbers in the pool.
    Members(Vec<u16>),
}

/// Larger cities of a country (none: of the world) with their populations, for clients of whom only that is known.
pub type Cities<'a> = &'a dyn Fn(Option<Country>) -> Vec<(Point, f64)>;

/// Compiles a plan for the whole world.
#[must_use]
pub fn compile(plan: &Plan, world: &World, cities: Cities<'_>) -> Map {
    let mut compiler = Compiler::new(plan, cities);
    if plan.answer.is_some() {
        compiler.lists.tails = compiler.tails();
    }
    let of_place: Vec<ListId> = (0..)
        .zip(world.places())
        .map(|(id, place)| compiler.list_of(id, place))
        .collect();
    let list = |place: PlaceId| of_place[place as usize];
    Map {
        v4: Trie::new(
            world
                .v4()
                .cuts()
                .map(|(start, place)| (aligned(start), list(place))),
        ),
        v6: Trie::new(world.v6().cuts().map(|(start, place)| (start, list(place)))),
        lists: compiler.finish(),
    }
}

/// Kilometres from a place to each member of a plan, as its map was compiled from them.
#[must_use]
pub fn distances(plan: &Plan, place: &Place, cities: Cities<'_>) -> Vec<f64> {
    Compiler::new(plan, cities).view(place).km
}

/// Distances of all members from a place, in km, and the number that the place is hashed by.
#[derive(Clone, Debug)]
struct View {
    /// Kilometres, by member.
    km: Vec<f64>,
    /// The place's number for the rendezvous hash.
    unit: u64,
}

struct Compiler<'a> {
    plan: &'a Plan,
    cities: Cities<'a>,
    units: Vec<[f64; 3]>,
    names: Vec<u64>,
    lists: Lists,
    known: HashMap<Vec<Entry>, ListId>,
    of_country: HashMap<Option<Country>, ListId>,
}

impl<'a> Compiler<'a> {
    fn new(plan: &'a Plan, cities: Cities<'a>) -> Self {
        Self {
            plan,
            cities,
            units: plan.members.iter().map(|m| m.at.unit()).collect(),
            names: plan
                .members
                .iter()
                .map(|m| hash(m.name.as_bytes()))
                .collect(),
            lists: Lists::default(),
            known: HashMap::new(),
            of_country: HashMap::new(),
        }
    }

    fn list_of(&mut self, id: PlaceId, place: &Place) -> ListId {
        if id == CARRIER {
            // The list of the unknown under a number of its own, so that no range reaches from a neighbour into it.
            let head = self.head_of(place);
            return self.add(&head);
        }
        if place.point.is_some() {
            let head = self.head_of(place);
            return self.number(head);
        }
        if let Some(list) = self.of_country.get(&place.country) {
            return *list;
        }
        let head = self.head_of(place);
        let list = self.number(head);
        self.of_country.insert(place.country, list);
        list
    }

    fn head_of(&self, place: &Place) -> Vec<Entry> {
        if self.plan.answer.is_none() {
            return (0..)
                .zip(&self.plan.members)
                .map(|(m, _)| Entry::new(m, m == 0))
                .collect();
        }
        if let (None, None, Unknown::Members(first)) =
            (place.point, place.country, &self.plan.unknown)
        {
            return first.iter().map(|m| Entry::new(*m, true)).collect();
        }
        self.head(&self.view(place))
    }

    fn view(&self, place: &Place) -> View {
        match (place.point, place.country, &self.plan.unknown) {
            (Some(point), ..) => self.seen_from(point),
            (None, None, Unknown::At(point)) => self.seen_from(*point),
            (None, country, _) => {
                let cities = (self.cities)(country);
                let cities = if cities.is_empty() {
                    (self.cities)(None)
                } else {
                    cities
                };
                self.seen_from_cities(&cities, country.map_or(0, |c| hash(c.code().as_bytes())))
            }
        }
    }

    fn seen_from(&self, point: Point) -> View {
        let here = point.unit();
        let unit = mix(point.lat.to_bits(), point.lon.to_bits());
        View {
            km: self
                .units
                .iter()
                .map(|there| chord_to_km(squared_chord(here, *there)))
                .collect(),
            unit,
        }
    }

    /// The mean distance over the people of some cities.
    fn seen_from_cities(&self, cities: &[(Point, f64)], unit: u64) -> View {
        // Of some places no population is known; with all weights 0 there would be no mean.
        let weight = |people: f64| people.max(1.0);
        let people: f64 = cities.iter().map(|c| weight(c.1)).sum();
        let places: Vec<([f64; 3], f64)> = cities
            .iter()
            .map(|(at, n)| (at.unit(), weight(*n) / people))
            .collect();
        let mean = |there: &[f64; 3]| {
            places
                .iter()
                .map(|(at, w)| w * chord_to_km(squared_chord(*at, *there)))
                .sum()
        };
        View {
            km: self.units.iter().map(mean).collect(),
            unit,
        }
    }

    /// The first members for a view, band by band: enough for an answer with two of them out, and the whole of the first band, which
    /// answers are filled from. Of the bands behind it a part is enough: the fewer heads differ, the wider are scopes.
    fn head(&self, view: &View) -> Vec<Entry> {
        let wanted = usize::from(self.plan.answer.unwrap_or(1)) + 2;
        let mut left: Vec<u16> = (0..).zip(&self.plan.members).map(|(m, _)| m).collect();
        let mut head = Vec::with_capacity(wanted);
        while head.len() < wanted && !left.is_empty() {
            let mut band = take_band(&mut left, view, self.plan.near);
            if self.plan.sticky {
                self.rendezvous(&mut band, view.unit);
                let least = if head.is_empty() { LONGEST_BAND } else { 0 };
                band.truncate(least.max(wanted - head.len()));
            }
            head.extend(
                (0..)
                    .zip(band)
                    .map(|(i, member)| Entry::new(member, i == 0)),
            );
        }
        head
    }

    /// Orders a band by weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithm after Schindelhauer and Schomaker 2005):
    /// a member that goes leaves the others' order as it was. Weight 0 comes last.
    fn rendezvous(&self, band: &mut [u16], unit: u64) {
        if band.len() < 2 {
            return;
        }
        band.sort_by_cached_key(|&member| {
            let member = usize::from(member);
            let hash = mix(unit, self.names[member]);
            #[expect(
                clippy::cast_precision_loss,
                reason = "53 bits are kept, which an f64 holds"
            )]
            let drawn = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            let score = -drawn.ln() / f64::from(self.plan.members[member].weight);
            // Scores are positive or infinite, and such bits are ordered as the numbers are.
            (score.to_bits(), hash)
        });
    }

    /// The number of the list that begins with `head`. Heads that tell no more than their first member's tail are cut to that member:
    /// equal lists are to have one number, as scopes reach as far as a number does.
    fn number(&mut self, mut head: Vec<Entry>) -> ListId {
        if let Some((first, rest)) = head.split_first()
            && let Some(tail) = self.lists.tails.get(usize::from(first.member()))
        {
            let (told, more) = tail.split_at(rest.len());
            if rest == told && more.first().is_none_or(|entry| entry.begins_band()) {
                head.truncate(1);
            }
        }
        if let Some(id) = self.known.get(&head) {
            return *id;
        }
        let id = self.add(&head);
        self.known.insert(head, id);
        id
    }

    fn add(&mut self, head: &[Entry]) -> ListId {
        self.lists.heads.extend_from_slice(head);
        let count =
            |n: usize| u32::try_from(n).expect("heads are short and there are fewer than places");
        self.lists.ends.push(count(self.lists.heads.len()));
        count(self.lists.ends.len() - 1)
    }

    fn finish(mut self) -> Lists {
        self.lists.heads.shrink_to_fit();
        self.lists
    }

    fn tails(&self) -> Vec<Box<[Entry]>> {
        (0..self.plan.members.len())
            .map(|anchor| self.tail(anchor))
            .collect()
    }

    /// All others as seen from a member.
    fn tail(&self, anchor: usize) -> Box<[Entry]> {
        let view = self.seen_from(self.plan.members[anchor].at);
        let mut left: Vec<u16> = (0..)
            .zip(&self.plan.members)
            .map(|(m, _)| m)
            .filter(|m| usize::from(*m) != anchor)
            .collect();
        left.sort_by(|a, b| view.km[usize::from(*a)].total_cmp(&view.km[usize::from(*b)]));
        let mut tail = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let mut band = take_band(&mut left, &view, self.plan.near);
            if self.plan.sticky {
                self.rendezvous(&mut band, view.unit);
            }
            tail.extend(
                (0..)
                    .zip(band)
                    .map(|(i, member)| Entry::new(member, i == 0)),
            );
        }
        tail.into()
    }
}

/// Of a longer first band only so many are in a head: a hundred thousand of them stay below 7 MB.
const LONGEST_BAND: usize = 32;

/// Takes the nearest of those left and all that are about as near; both keep their order. At least one is taken.
fn take_band(left: &mut Vec<u16>, view: &View, near: Near) -> Vec<u16> {
    let km = |member: &u16| view.km[usize::from(*member)];
    let nearest = left.iter().map(km).fold(f64::INFINITY, f64::min);
    let limit = near.limit_km(nearest);
    let (band, rest) = left.iter().copied().partition(|member| km(member) <= limit);
    *left = rest;
    band
}

impl Near {
    /// The distance up to which members are about as near as the nearest.
    #[must_use]
    pub fn limit_km(&self, nearest: f64) -> f64 {
        (nearest * self.factor + self.slack_km).max(nearest)
    }
}

/// FNV-1a, mixed once more: names of nodes and countries are short and few.
fn hash(text: &[u8]) -> u64 {
    let fnv = text.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv, 0)
}

/// The finisher of splitmix64 over both numbers.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ b.rotate_left(32).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
