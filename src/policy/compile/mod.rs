//! Compiles a pool: for each place its order of members, for each range of addresses the place's list.

mod groups;
mod measured;
mod rank;
mod resolvers;
mod share;
mod steered;

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

pub use self::measured::Measurements;
use self::rank::{Rank, Residents};
pub use self::resolvers::Resolvers;
use super::latency::Measured;
use super::map::{Entry, ListId, Lists, Map, aligned};
use super::selector::{Limit, Selector, Whom};
use super::trie::Trie;
use super::{Bias, Near, Prefer};
use crate::geo::{
    CARRIER, Country, Crowd, Place, PlaceId, Point, UNKNOWN, World, chord_to_km, squared_chord,
};

/// All that decides a map: pools for which it is equal share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The members, in the order of the pool; those of one name stand together.
    pub members: Vec<Member>,
    /// Members of one answer; none: all.
    pub answer: Option<u8>,
    /// The band of about-equal members.
    pub near: Near,
    /// Of a band those come first that are in different autonomous systems.
    pub spread: bool,
    /// Ordered by hash within a band; else drawn for each question.
    pub sticky: bool,
    /// Where clients are taken to be that nothing is known of.
    pub unknown: Unknown,
    /// Other members or another order for some clients: the first that means a client holds.
    pub rules: Vec<PlanRule>,
    /// What members are preferred by, the first above all.
    pub prefer: Vec<Prefer>,
    /// What was measured of the members, each subject once.
    pub latency: Arc<[Measured]>,
    /// Of a hundred clients no member is first for more, as far as there are others; none: however many.
    pub max_share: Option<u8>,
    /// Members that have only so many per cent of their clients for now, those nearest to them.
    pub slowed: Vec<(u16, u8)>,
    /// Clients that were seen, by where they are; beside them people count.
    pub crowds: Arc<[Crowd]>,
}

/// Which members some clients are given.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRule {
    /// These clients; empty: everybody.
    pub from: Vec<Selector>,
    /// Members in order of preference, by their numbers; none: all that the rule does not name.
    pub uses: Vec<Option<Vec<u16>>>,
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
    /// Who may be given it.
    pub limit: Limit,
    /// The country it stands in.
    pub country: Option<Country>,
    /// The number of its autonomous system, if known.
    pub asn: Option<u32>,
    /// The clients that its addresses are for, before the other members of its name; none: they are for everybody.
    pub home: Vec<Selector>,
    /// Never given to other clients.
    pub private: bool,
    /// Those of a lower tier come before it.
    pub tier: u16,
    /// How much nearer it counts than it is.
    pub bias: Bias,
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
    if !plan.is_plain() {
        return steered::compile(plan, world, cities);
    }
    let mut compiler = Compiler {
        plan,
        cities,
        rank: Rank::new(plan),
        lists: Lists::default(),
        known: HashTable::new(),
        hasher: DefaultHashBuilder::default(),
        anywhere: None,
    };
    if plan.answer.is_some() {
        compiler.lists.tails = compiler.rank.tails();
    }
    let of_place = compiler.of_places(world);
    let list = |place: PlaceId| of_place[place as usize];
    let v4 = world
        .v4()
        .cuts()
        .map(|(start, place)| (aligned(start), list(place)));
    let v6 = world.v6().cuts().map(|(start, place)| (start, list(place)));
    let (v4, v6) = (Trie::new(v4), Trie::new(v6));
    let mut lists = compiler.lists;
    lists.heads.shrink_to_fit();
    lists.ends.shrink_to_fit();
    Map { v4, v6, lists }
}

/// Kilometres from a place to each member of a plan, as its map was compiled from them.
#[must_use]
pub fn distances(plan: &Plan, place: &Place, cities: Cities<'_>) -> Vec<f64> {
    km_from(&Rank::unbiased(plan), plan, place, cities)
}

fn km_from(rank: &Rank<'_>, plan: &Plan, place: &Place, cities: Cities<'_>) -> Vec<f64> {
    let point = match (place.point, place.country, &plan.unknown) {
        (None, None, Unknown::At(point)) => Some(*point),
        (point, ..) => point,
    };
    match point {
        Some(point) => rank.km_from(point),
        None => {
            let mut known = cities(place.country);
            if known.is_empty() {
                known = cities(None);
            }
            rank.km_from_residents(&Residents::new(&known))
        }
    }
}

struct Compiler<'a> {
    plan: &'a Plan,
    cities: Cities<'a>,
    rank: Rank<'a>,
    lists: Lists,
    /// Lists by their heads.
    known: HashTable<ListId>,
    hasher: DefaultHashBuilder,
    /// Of those whose country has no cities either.
    anywhere: Option<Residents>,
}

/// So many places, neighbours of each other, are compared with all members as one: ten for a place of a thousand are left.
const NEIGHBOURHOOD: usize = 64;

impl Compiler<'_> {
    /// The list of each place, by the places' numbers.
    fn of_places(&mut self, world: &World) -> Vec<ListId> {
        let places = world.places();
        let mut of_place: Vec<ListId> = vec![0; places.len()];
        let mut head = Vec::new();
        if self.plan.answer.is_none() {
            head.extend(
                (0..)
                    .zip(&self.plan.members)
                    .map(|(m, _)| Entry::new(m, m == 0)),
            );
            of_place.fill(self.number(&mut head));
        } else {
            let mut of_country: HashMap<Option<Country>, ListId> = HashMap::new();
            let vague = (0..).zip(places).filter(|(_, p)| p.point.is_none());
            for (id, place) in vague {
                of_place[id] = match of_country.get(&place.country) {
                    Some(list) => *list,
                    None => {
                        self.head_without_point(place.country, &mut head);
                        let list = self.number(&mut head);
                        of_country.insert(place.country, list);
                        list
                    }
                };
            }
            self.of_points(world, &mut of_place);
        }
        // The list of the unknown under a number of its own, so that no range reaches from a neighbour into it.
        let unknown = self.lists.head(of_place[UNKNOWN as usize]).to_vec();
        of_place[CARRIER as usize] = self.lists.add(&unknown);
        of_place
    }

    /// The lists of the places that have a point, one neighbourhood after the other.
    fn of_points(&mut self, world: &World, of_place: &mut [ListId]) {
        let places = world.places();
        let all = self.rank.all();
        let (mut near, mut head) = (Vec::new(), Vec::new());
        for neighbours in world.neighbours().chunks(NEIGHBOURHOOD) {
            let points = || {
                neighbours
                    .iter()
                    .filter_map(|id| places[*id as usize].point)
            };
            let Some(center) = points().nth(neighbours.len() / 2).map(Point::unit) else {
                continue;
            };
            let chord = |point: Point| squared_chord(center, point.unit());
            let radius = chord_to_km(points().map(chord).fold(0.0, f64::max));
            self.rank.near(center, radius, &all, &mut near);
            for (id, point) in neighbours.iter().zip(points()) {
                self.rank.head_from(point, &near, &mut head);
                of_place[*id as usize] = self.number(&mut head);
            }
        }
    }

    /// The head of clients of whom at most the country is known.
    fn head_without_point(&mut self, country: Option<Country>, head: &mut Vec<Entry>) {
        match (country, &self.plan.unknown) {
            (None, Unknown::Members(first)) => {
                head.clear();
                head.extend(first.iter().map(|m| Entry::new(*m, true)));
            }
            (None, Unknown::At(point)) => {
                let all = self.rank.all();
                self.rank.head_from(*point, &all, head);
            }
            (country, _) => {
                let unit = country.map_or(0, |c| rank::hash(c.code().as_bytes()));
                let known = country.map_or(Vec::new(), |c| (self.cities)(Some(c)));
                if known.is_empty() {
                    let cities = self.cities;
                    let anywhere = self
                        .anywhere
                        .get_or_insert_with(|| Residents::new(&cities(None)));
                    self.rank.head_from_residents(anywhere, unit, head);
                } else {
                    self.rank
                        .head_from_residents(&Residents::new(&known), unit, head);
                }
            }
        }
    }

    /// The number of the list that begins with `head`. Heads that tell no more than their first member's tail are cut to that member:
    /// equal lists are to have one number, as scopes reach as far as a number does.
    fn number(&mut self, head: &mut Vec<Entry>) -> ListId {
        if let Some((first, rest)) = head.split_first()
            && let Some(tail) = self.lists.tails.get(usize::from(first.member()))
        {
            let (told, more) = tail.split_at(rest.len());
            if rest == told && more.first().is_none_or(|entry| entry.begins_band()) {
                head.truncate(1);
            }
        }
        let hash = self.hasher.hash_one(&head[..]);
        let same = |id: &ListId| self.lists.head(*id) == &head[..];
        if let Some(id) = self.known.find(hash, same) {
            return *id;
        }
        let id = self.lists.add(head);
        let (lists, hasher) = (&self.lists, &self.hasher);
        self.known
            .insert_unique(hash, id, |id| hasher.hash_one(lists.head(*id)));
        id
    }
}

#[cfg(test)]
mod tests;
