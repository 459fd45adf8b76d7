//! Who is sent elsewhere: the share of the world's clients that each node has before and after a change, and how many of them move how far.
//!
//! Places count as for `max_share`: by the people around them, and by the clients that were seen there. The people of a place are spread
//! evenly over its IPv4 addresses; whoever asks over IPv6 lives in the same places.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use crate::geo::{Country, Point, World};
use crate::health::Table;
use crate::policy::{Entry, Map, Steering, Verdict, Witness};
use crate::prefix::Client;
use crate::snapshot::{Pool, Snapshot};

/// A generation and the states that hold in it.
pub(super) type State<'a> = (&'a Snapshot, &'a Table);

/// What a change does to the clients of a pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moves {
    /// The pool.
    pub pool: String,
    /// 4 or 6: the addresses asked for.
    pub family: u8,
    /// The part of the clients that are given other nodes, 0 to 1.
    pub moved: f64,
    /// How far those who move have it to their nodes before and after, km, where both are known.
    pub km: Option<(f64, f64)>,
    /// The nodes that have clients before or after.
    pub nodes: Vec<NodeShare>,
    /// The countries whose clients move, those of most first.
    pub countries: Vec<CountryShare>,
}

/// The clients of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeShare {
    /// The node.
    pub node: String,
    /// Its part of the pool's clients before, 0 to 1.
    pub before: f64,
    /// And after.
    pub after: f64,
    /// What it can serve, Mbit/s, if that is stated.
    pub capacity: Option<u32>,
}

/// The clients of a country.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CountryShare {
    /// Its code.
    pub country: String,
    /// Its part of the pool's clients, 0 to 1.
    pub share: f64,
    /// The part of the pool's clients that are of it and move.
    pub moved: f64,
    /// To which node most of them move.
    pub to: Option<String>,
}

/// So many countries are told.
const COUNTRIES: usize = 20;

/// What happens to the clients of the pools that both generations have, as far as something does.
pub(super) fn moves(before: State<'_>, after: State<'_>, audience: &Audience) -> Vec<Moves> {
    let known: HashMap<&str, &Pool> = before.0.pools.iter().map(|p| (&*p.name, p)).collect();
    let mut reckoned: Vec<(Same, Sums)> = Vec::new();
    let mut out = Vec::new();
    for pool in &after.0.pools {
        let Some(old) = known.get(&*pool.name) else {
            continue;
        };
        for (family, old, new) in [(4, &old.v4, &pool.v4), (6, &old.v6, &pool.v6)] {
            let (Some(old), Some(new)) = (old, new) else {
                continue;
            };
            let both = (
                Side::of(&old.steering, before),
                Side::of(&new.steering, after),
            );
            if both.0.is_like(&both.1) {
                continue;
            }
            let crowds = audience.of(&pool.name);
            let same = Same::of(&both.0, &both.1, crowds.is_empty());
            let known = reckoned.iter().position(|(s, _)| same.as_ref() == Some(s));
            let sums = match known {
                Some(known) => reckoned[known].1.clone(),
                None => Sums::of(&both.0, &both.1, &after.0.world, &crowds),
            };
            out.push(sums.clone().told(&pool.name, family, &both.0, &both.1));
            if let (Some(same), None) = (same, known) {
                reckoned.push((same, sums));
            }
        }
    }
    out
}

/// A pool's family in one of the generations.
struct Side<'a> {
    steering: &'a Steering,
    snapshot: &'a Snapshot,
    table: &'a Table,
    /// Which members are in service.
    up: Vec<bool>,
}

/// Pools of the same maps and states come out the same.
#[derive(PartialEq)]
struct Same {
    maps: [*const Map; 2],
    up: [Vec<bool>; 2],
    nodes: [Vec<u32>; 2],
    sticky: [bool; 2],
}

impl Same {
    /// Only where no clients were seen, who are those of one pool.
    fn of(before: &Side<'_>, after: &Side<'_>, unseen: bool) -> Option<Self> {
        let sides = [before, after];
        unseen.then(|| Self {
            maps: sides.map(|s| std::ptr::from_ref(s.steering.map(s.table))),
            up: sides.map(|s| s.up.clone()),
            nodes: sides.map(|s| s.steering.members.iter().map(|m| m.node).collect()),
            sticky: sides.map(|s| s.steering.sticky),
        })
    }
}

impl<'a> Side<'a> {
    fn of(steering: &'a Steering, (snapshot, table): State<'a>) -> Self {
        let members = 0..u16::try_from(steering.members.len()).unwrap_or(u16::MAX);
        let up = members.map(|m| steering.word(m, table).in_service());
        Self {
            steering,
            snapshot,
            table,
            up: up.collect(),
        }
    }

    fn node(&self, member: u16) -> &'a str {
        let node = self.steering.members[usize::from(member)].node;
        &self.snapshot.nodes[node as usize].name
    }

    fn at(&self, member: u16) -> Option<Point> {
        let node = self.steering.members[usize::from(member)].node;
        self.snapshot.nodes[node as usize].at
    }

    /// Whether all clients are given the same.
    fn is_like(&self, other: &Self) -> bool {
        let (a, b) = (self.steering, other.steering);
        let names = |s: &Self| -> Vec<&'a str> {
            (0..)
                .zip(&*s.steering.members)
                .map(|(m, _)| s.node(m))
                .collect()
        };
        std::ptr::eq(a.map(self.table), b.map(other.table))
            && self.up == other.up
            && a.sticky == b.sticky
            && a.answer == b.answer
            && a.none == b.none
            && (a.sticky || a.members == b.members)
            && names(self) == names(other)
    }

    /// The members that a client is given, each with its part of what it is given.
    fn given(&self, client: Client) -> Vec<(u16, f64)> {
        let mut seen = Given::default();
        let choice = self.steering.walk(client, self.table, 0, &mut seen);
        let weight = |m: &u16| f64::from(self.steering.members[usize::from(*m)].weight);
        let drawn: f64 = seen.0.iter().map(weight).sum();
        if !self.steering.sticky && drawn > 0.0 {
            let part = |m: u16| (m, weight(&m) / drawn);
            return seen.0.into_iter().map(part).collect();
        }
        let members = choice.members();
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let part = 1.0 / members.len() as f64;
        members.iter().map(|m| (*m, part)).collect()
    }
}

/// All who can be given.
#[derive(Default)]
struct Given(Vec<u16>);

impl Witness for Given {
    const TO_THE_END: bool = false;
    fn saw(&mut self, entry: Entry, verdict: Verdict) {
        if verdict == Verdict::Given {
            self.0.push(entry.member());
        }
    }
}

/// People, added up.
#[derive(Clone, Debug, Default)]
struct Sums {
    all: f64,
    moved: f64,
    /// By member.
    before: BTreeMap<u16, f64>,
    after: BTreeMap<u16, f64>,
    /// All, and those who move by the member that they move to.
    countries: HashMap<Option<Country>, (f64, BTreeMap<u16, f64>)>,
    /// People times kilometres of those who move, before and after, and how many these are.
    km: (f64, f64, f64),
}

impl Sums {
    fn of(
        before: &Side<'_>,
        after: &Side<'_>,
        world: &World,
        crowds: &Arc<[crate::geo::Crowd]>,
    ) -> Self {
        let ranges = ranges(world);
        let places = world.places();
        let mut sizes = vec![0.0; places.len()];
        for (first, last, place) in &ranges {
            sizes[*place as usize] += size(*first, *last);
        }
        let used: Vec<bool> = sizes.iter().map(|size| *size > 0.0).collect();
        let people = world.demand(&used, crowds);
        let mut sums = Self::default();
        let mut cell = Cell::default();
        for (mut first, last, place) in ranges {
            loop {
                if first > cell.last || cell.is_new() {
                    cell = Cell::at(first, before, after);
                }
                let end = cell.last.min(last);
                let part = size(first, end) / sizes[place as usize];
                let place_is = &places[place as usize];
                sums.add(
                    &cell,
                    people[place as usize] * part,
                    place_is,
                    before,
                    after,
                );
                if end == last {
                    break;
                }
                first = end + 1;
            }
        }
        sums
    }

    fn add(
        &mut self,
        cell: &Cell,
        people: f64,
        place: &crate::geo::Place,
        before: &Side<'_>,
        after: &Side<'_>,
    ) {
        self.all += people;
        for (member, part) in &cell.before {
            *self.before.entry(*member).or_default() += people * part;
        }
        for (member, part) in &cell.after {
            *self.after.entry(*member).or_default() += people * part;
        }
        let country = self.countries.entry(place.country).or_default();
        country.0 += people;
        if cell.moves <= 0.0 {
            return;
        }
        let moved = people * cell.moves;
        self.moved += moved;
        let to = cell.after.first().map_or(u16::MAX, |(member, _)| *member);
        *country.1.entry(to).or_default() += moved;
        let km = |given: &[(u16, f64)], side: &Side<'_>| -> Option<f64> {
            let here = place.point?;
            let far = given.iter();
            far.map(|(m, part)| Some(side.at(*m)?.km(here) * part))
                .sum()
        };
        if let (Some(old), Some(new)) = (km(&cell.before, before), km(&cell.after, after))
            && !cell.before.is_empty()
            && !cell.after.is_empty()
        {
            let (o, n, count) = self.km;
            self.km = (o + old * moved, n + new * moved, count + moved);
        }
    }

    fn told(self, pool: &str, family: u8, before: &Side<'_>, after: &Side<'_>) -> Moves {
        let all = self.all.max(1.0);
        let mut nodes: BTreeMap<&str, NodeShare> = BTreeMap::new();
        for (side, of, is_after) in [(before, &self.before, false), (after, &self.after, true)] {
            for (member, people) in of {
                let number = side.steering.members[usize::from(*member)].node;
                let node = &side.snapshot.nodes[number as usize];
                let share = nodes.entry(&node.name).or_insert_with(|| NodeShare {
                    node: node.name.clone(),
                    before: 0.0,
                    after: 0.0,
                    capacity: node.capacity,
                });
                match is_after {
                    true => share.after += people / all,
                    false => share.before += people / all,
                }
            }
        }
        let mut nodes: Vec<NodeShare> = nodes.into_values().collect();
        nodes.sort_by(|a, b| {
            b.before
                .total_cmp(&a.before)
                .then(b.after.total_cmp(&a.after))
        });
        let country = |(country, (people, moved)): (Option<Country>, (f64, BTreeMap<u16, f64>))| {
            let most = moved.iter().max_by(|a, b| a.1.total_cmp(b.1));
            let to = most.filter(|(member, _)| **member != u16::MAX);
            CountryShare {
                country: country.map_or("-".into(), |c| c.code().to_owned()),
                share: people / all,
                moved: moved.values().sum::<f64>() / all,
                to: to.map(|(member, _)| after.node(*member).to_owned()),
            }
        };
        let countries = self.countries.into_iter().map(country);
        let mut countries: Vec<CountryShare> = countries.filter(|c| c.moved > 0.0).collect();
        countries.sort_by(|a, b| {
            let by_name = a.country.cmp(&b.country);
            b.moved.total_cmp(&a.moved).then(by_name)
        });
        countries.truncate(COUNTRIES);
        let (old, new, count) = self.km;
        Moves {
            pool: pool.into(),
            family,
            moved: self.moved / all,
            km: (count > 0.0).then(|| (old / count, new / count)),
            nodes,
            countries,
        }
    }
}

/// Addresses that are given the same before, and the same after.
#[derive(Default)]
struct Cell {
    last: u32,
    before: Vec<(u16, f64)>,
    after: Vec<(u16, f64)>,
    /// The part of the clients that are given another node.
    moves: f64,
    made: bool,
}

impl Cell {
    fn is_new(&self) -> bool {
        !self.made
    }

    fn at(first: u32, old: &Side<'_>, new: &Side<'_>) -> Self {
        let client = Client::V4 {
            addr: first,
            offset: 0,
        };
        let last = |side: &Side<'_>| match side.steering.range(client, side.table).1 {
            IpAddr::V4(last) => last.to_bits(),
            IpAddr::V6(_) => u32::MAX,
        };
        let (before, after) = (old.given(client), new.given(client));
        let part = |node: &str| -> f64 {
            let own = after.iter().filter(|(m, _)| new.node(*m) == node);
            own.map(|(_, part)| part).sum()
        };
        let stay: f64 = before.iter().map(|(m, p)| p.min(part(old.node(*m)))).sum();
        Self {
            last: last(old).min(last(new)),
            moves: match (before.is_empty(), after.is_empty()) {
                (true, true) => 0.0,
                (true, false) => 1.0,
                _ => (1.0 - stay).max(0.0),
            },
            before,
            after,
            made: true,
        }
    }
}

/// Octets of addresses.
fn size(first: u32, last: u32) -> f64 {
    f64::from(last - first) + 1.0
}

/// The ranges of IPv4 that somebody can have, and their places.
fn ranges(world: &World) -> Vec<(u32, u32, u32)> {
    let mut out: Vec<(u32, u32, u32)> = Vec::new();
    for (start, place) in world.v4().cuts() {
        if let Some(last) = out.last_mut() {
            last.1 = start - 1;
        }
        out.push((start, u32::MAX, place));
    }
    let routable = |addr: u32| crate::prefix::is_routable(Ipv4Addr::from_bits(addr).into());
    out.retain(|(first, _, _)| routable(*first));
    out
}
