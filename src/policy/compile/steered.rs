//! Compiles a plan for which it matters which country, network or autonomous system a client is in, not only how far it is from whom.
//!
//! Clients for whom the members fall into the same groups are a *class*. A class has tails of its own, but only behind members that
//! come first in one of its lists: a few thousand in all, however many countries there are.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::groups::Groups;
use super::measured::{Measurements, Subjects};
use super::rank::{From, Rank, Residents, hash, unit};
use super::{Cities, Plan, Unknown};
use crate::geo::{CARRIER, Country, Place, Point, Spot, World};
use crate::policy::map::{Entry, ListId, Lists, Map, NO_TAIL, aligned};
use crate::policy::selector::Whom;
use crate::policy::trie::Trie;
use crate::prefix::Prefix;

/// As [`super::compile`].
pub(super) fn compile(plan: &Plan, world: &World, cities: Cities<'_>) -> Map {
    let (given_nets, given_asns) = (plan.nets(), plan.asns());
    let (nets, asns) = plan.cut_by();
    let mut compiler = Steered {
        plan,
        cities,
        subjects: Subjects::new(plan, &nets),
        net_around: around(&nets, &given_nets),
        given_asns,
        subdivisions: plan.asks_for_subdivision(),
        places: world.places(),
        rank: Rank::new(plan),
        flat: Rank::unbiased(plan),
        lists: Lists::default(),
        of_place: HashMap::new(),
        vague: HashMap::new(),
        classes: Vec::new(),
        class_of: HashMap::new(),
        known: HashTable::new(),
        tails: HashTable::new(),
        tail_of: HashMap::new(),
        hasher: DefaultHashBuilder::default(),
    };
    if plan.is_shared() {
        compiler.share_out(world, (&nets, &asns));
    }
    let v4 = world.v4_within(&nets, &asns);
    let v4 = Trie::new(v4.map(|(start, spot)| (aligned(start), compiler.list(spot))));
    let v6 = world.v6_within(&nets, &asns);
    let v6 = Trie::new(v6.map(|(start, spot)| (start, compiler.list(spot))));
    let mut lists = compiler.lists;
    lists.heads.shrink_to_fit();
    lists.ends.shrink_to_fit();
    lists.tail_of.shrink_to_fit();
    Map { v4, v6, lists }
}

/// What the distances of clients are reckoned from.
pub(super) enum Origin {
    /// They were measured, by member; and the clients' number for the rendezvous hash.
    Measured(Vec<f64>, u64),
    Point(Point),
    /// Where the people of a country live; none: those of the world.
    Country(Option<Country>),
}

pub(super) struct Steered<'a> {
    pub(super) plan: &'a Plan,
    cities: Cities<'a>,
    /// What was measured.
    subjects: Subjects,
    /// By the numbers of networks: the narrowest around it that decides who is given whom.
    net_around: Vec<Option<Prefix>>,
    /// The autonomous systems that decide it.
    given_asns: Vec<u32>,
    /// Whether it matters in which part of its country a client is.
    subdivisions: bool,
    places: &'a [Place],
    pub(super) rank: Rank<'a>,
    /// Distances without bias.
    flat: Rank<'a>,
    lists: Lists,
    pub(super) of_place: HashMap<Spot, ListId>,
    /// Lists of those without a point, by class and country.
    vague: HashMap<(usize, Option<Country>), ListId>,
    pub(super) classes: Vec<Groups>,
    /// By what decides it, and whether nothing is known of the client.
    class_of: HashMap<(Whom, bool), usize>,
    /// Lists by their heads and tails.
    known: HashTable<ListId>,
    /// Tails by what they hold.
    tails: HashTable<u32>,
    /// By class and first member.
    tail_of: HashMap<(usize, u16), u32>,
    hasher: DefaultHashBuilder,
}

impl Steered<'_> {
    fn list(&mut self, spot: Spot) -> ListId {
        // Carriers are never looked up: all that they need is a number of their own.
        let carrier = spot.place == CARRIER;
        let spot = if carrier {
            Spot {
                net: None,
                asn: 0,
                ..spot
            }
        } else {
            spot
        };
        if let Some(list) = self.of_place.get(&spot) {
            return *list;
        }
        let list = if carrier {
            self.add(&[], NO_TAIL)
        } else {
            self.make(spot)
        };
        self.of_place.insert(spot, list);
        list
    }

    fn make(&mut self, spot: Spot) -> ListId {
        let (class, origin) = self.stand(spot);
        if self.plan.answer.is_none() {
            let groups = self.classes[class].iter();
            let group = |group: &Vec<u16>| {
                let entries = group.iter().enumerate();
                let entry = |(i, member): (usize, &u16)| Entry::new(*member, i == 0);
                entries.map(entry).collect::<Vec<_>>()
            };
            let head: Vec<Entry> = groups.flat_map(group).collect();
            return self.number(&head, NO_TAIL);
        }
        let country = match origin {
            Origin::Country(country) => Some((class, country)),
            _ => None,
        };
        if let Some(list) = country.and_then(|key| self.vague.get(&key)) {
            return *list;
        }
        let (head, _) = self.ranked(class, &origin, false);
        let list = self.with_tail(class, head);
        self.vague.extend(country.map(|key| (key, list)));
        list
    }

    /// The class of clients, and what their distances are reckoned from.
    pub(super) fn stand(&mut self, spot: Spot) -> (usize, Origin) {
        let place = self.places[spot.place as usize];
        let Place {
            point,
            country,
            subdivision,
            ..
        } = place;
        let nothing = point.is_none() && country.is_none();
        let whom = Whom {
            country,
            subdivision: subdivision.filter(|_| self.subdivisions),
            asn: Some(spot.asn).filter(|asn| self.given_asns.binary_search(asn).is_ok()),
            net: spot.net.and_then(|n| self.net_around[n as usize]),
        };
        let class = self.class(whom, nothing);
        if let Some(measured) = self.measured(spot, &place, class) {
            return (class, measured);
        }
        let point = match (&self.plan.unknown, nothing) {
            (Unknown::At(point), true) => Some(*point),
            _ => point,
        };
        (class, point.map_or(Origin::Country(country), Origin::Point))
    }

    /// What was measured for clients, if it decides.
    fn measured(&mut self, spot: Spot, place: &Place, class: usize) -> Option<Origin> {
        let measured = &self.plan.latency[self.subjects.of(spot, place)?];
        let among = self.classes[class].concat();
        let (flat, cities) = (&self.flat, self.cities);
        let found = Measurements::new(measured, flat, self.plan, place, cities, &among);
        match (found.worth, found.point) {
            (Some(worth), point) => {
                let of_country = || place.country.map_or(0, of_country);
                Some(Origin::Measured(worth, point.map_or_else(of_country, unit)))
            }
            (None, Some(point)) if found.moved => Some(Origin::Point(point)),
            (None, _) => None,
        }
    }

    /// The head of clients, and the distances that it follows from if they are wanted.
    pub(super) fn ranked(
        &mut self,
        class: usize,
        origin: &Origin,
        with_km: bool,
    ) -> (Vec<Entry>, Vec<f64>) {
        let residents;
        let (unit, from) = match origin {
            Origin::Measured(km, unit) => (*unit, From::Km(km)),
            Origin::Point(point) => (unit(*point), From::Point(*point)),
            Origin::Country(country) => {
                let mut people = country.map_or(Vec::new(), |c| (self.cities)(Some(c)));
                if people.is_empty() {
                    people = (self.cities)(None);
                }
                residents = Residents::new(&people);
                (country.map_or(0, of_country), From::Residents(&residents))
            }
        };
        let mut head = Vec::new();
        let groups = &self.classes[class];
        self.rank.groups_from(from, unit, groups, &mut head);
        let km = with_km.then(|| self.rank.km(from));
        (head, km.unwrap_or_default())
    }

    /// The class of such clients.
    fn class(&mut self, whom: Whom, nothing: bool) -> usize {
        if let Some(class) = self.class_of.get(&(whom, nothing)) {
            return *class;
        }
        let mut groups = self.plan.groups(whom);
        // With all members in the answer the order is the pool's, whoever asks.
        let listed_first = nothing && self.plan.answer.is_some();
        if let (Unknown::Members(first), true) = (&self.plan.unknown, listed_first) {
            let listed = first.iter().copied();
            let may = |m: &u16| groups.iter().any(|g| g.contains(m));
            let alone: Vec<Vec<u16>> = listed.filter(may).map(|m| vec![m]).collect();
            for group in &mut groups {
                group.retain(|m| !first.contains(m));
            }
            groups.splice(0..0, alone);
        }
        groups.retain(|group| !group.is_empty());
        let same = self.classes.iter().position(|known| *known == groups);
        let class = same.unwrap_or_else(|| {
            self.classes.push(groups);
            self.classes.len() - 1
        });
        self.class_of.insert((whom, nothing), class);
        class
    }

    /// The list that begins with `head`, shortened where the tail tells as much: equal lists are to have one number.
    pub(super) fn with_tail(&mut self, class: usize, mut head: Vec<Entry>) -> ListId {
        let members = self.classes[class].iter().map(Vec::len).sum();
        let first = head.first().map(|entry| entry.member());
        let Some(first) = first.filter(|_| self.rank.wanted() < members) else {
            return self.number(&head, NO_TAIL);
        };
        let number = self.tail(class, first);
        let tail = &self.lists.tails[number as usize];
        let (told, more) = tail.split_at(head.len() - 1);
        if head[1..] == *told && more.first().is_none_or(|entry| entry.begins_band()) {
            head.truncate(1);
        } else if more.is_empty() {
            return self.number(&head, NO_TAIL);
        }
        self.number(&head, number)
    }

    /// The number of the tail behind a class's first member.
    fn tail(&mut self, class: usize, first: u16) -> u32 {
        if let Some(number) = self.tail_of.get(&(class, first)) {
            return *number;
        }
        let tail = self.rank.tail_of_groups(first, &self.classes[class]);
        let hash = self.hasher.hash_one(&tail[..]);
        let (tails, hasher) = (&mut self.lists.tails, &self.hasher);
        let same = |n: &u32| tails[*n as usize] == tail;
        let number = match self.tails.find(hash, same) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(tails.len()).expect("fewer than places");
                tails.push(tail);
                let again = |n: &u32| hasher.hash_one(&tails[*n as usize][..]);
                self.tails.insert_unique(hash, number, again);
                number
            }
        };
        self.tail_of.insert((class, first), number);
        number
    }

    fn number(&mut self, head: &[Entry], tail: u32) -> ListId {
        let hash = self.hasher.hash_one((head, tail));
        let lists = &self.lists;
        let same = |id: &ListId| lists.tail_of[*id as usize] == tail && lists.head(*id) == head;
        if let Some(id) = self.known.find(hash, same) {
            return *id;
        }
        let id = self.add(head, tail);
        let (lists, hasher) = (&self.lists, &self.hasher);
        let again = |id: &ListId| hasher.hash_one((lists.head(*id), lists.tail_of[*id as usize]));
        self.known.insert_unique(hash, id, again);
        id
    }

    fn add(&mut self, head: &[Entry], tail: u32) -> ListId {
        let id = self.lists.add(head);
        self.lists.tail_of.push(tail);
        id
    }
}

/// A country's number for the rendezvous hash.
fn of_country(country: Country) -> u64 {
    hash(country.code().as_bytes())
}

/// Of each network the narrowest that holds it.
fn around(nets: &[Prefix], within: &[Prefix]) -> Vec<Option<Prefix>> {
    let around = |net: &Prefix| {
        let mut wider = (0..=net.len)
            .rev()
            .map(|len| Prefix::holding(net.addr, len));
        wider.find(|wider| within.binary_search(wider).is_ok())
    };
    if within.is_empty() {
        return vec![None; nets.len()];
    }
    nets.iter().map(around).collect()
}
