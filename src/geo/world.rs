//! The whole address space cut into places: databases one below the other, overrides painted over them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::asn::{Asn, Asns, Names};
use super::database::Knows;
use super::packed::{flatten, merge};
use super::people::{Crowd, demand};
use super::places::Places;
use super::{
    CARRIER, Country, Database, Override, Packed, Place, PlaceId, PlaceSource, Subject, UNKNOWN,
};
use crate::prefix::{CARRIERS, Client, Key, Prefix};

/// Where every address is, at the grain of /24 and /56: resolvers send no more (RFC 7871 11.1), and finer ranges would only narrow scopes.
/// Overrides are kept as fine as they are written.
#[derive(Clone, Debug)]
pub struct World {
    v4: Arc<Packed<u32>>,
    v6: Arc<Packed<u64>>,
    places: Arc<[Place]>,
    neighbours: Box<[PlaceId]>,
    asns: Asns,
}

/// What decides for whom an address is: equal ones are given the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Where it is.
    pub place: PlaceId,
    /// The narrowest of the networks that matter around it, by its number.
    pub net: Option<u32>,
    /// Its autonomous system, if that is one of those that matter; else 0.
    pub asn: u32,
}

impl World {
    /// Puts the databases one below the other, the first on top, and the overrides over them; those of autonomous systems apart.
    #[must_use]
    pub fn build(databases: &[Database], overrides: &[Override]) -> Self {
        let (mut base, asns) = (Self::of(databases), asns(databases));
        let mut places: Vec<Place> = Vec::new();
        let (mut blocks4, mut blocks6) = (Vec::new(), Vec::new());
        let mut systems = Systems::default();
        for carrier in CARRIERS {
            block(carrier, CARRIER, &mut blocks4, &mut blocks6);
        }
        for (number, over) in (0..).zip(overrides) {
            let id = PlaceId::try_from(base.places.len() + places.len());
            let id = id.expect("a configuration has fewer overrides");
            places.push(Place {
                point: over.at,
                country: over.country,
                subdivision: None,
                source: match over.subject {
                    Subject::Net(_) => PlaceSource::Override(number),
                    Subject::Asn(..) => PlaceSource::AsnOverride(number),
                },
            });
            match over.subject {
                Subject::Net(net) => block(net, id, &mut blocks4, &mut blocks6),
                Subject::Asn(asn, country) => systems.add(asn, country, id),
            }
        }
        // Below the networks: a narrower subject wins.
        base.v4 = systems.paint(base.v4, &asns.v4, &base.places);
        base.v6 = systems.paint(base.v6, &asns.v6, &base.places);
        let places = if places.is_empty() {
            base.places
        } else {
            base.places.iter().copied().chain(places).collect()
        };
        Self {
            v4: paint(base.v4, &blocks4),
            v6: paint(base.v6, &blocks6),
            neighbours: neighbours(&places),
            places,
            asns,
        }
    }

    /// Databases one below the other; of a single one all is shared.
    fn of(databases: &[Database]) -> Base {
        let knowing = |database| match Database::knows(database) {
            Knows::Places(places) => Some((database, places)),
            Knows::Asns(_) => None,
        };
        let knowing: Vec<(&Database, &Arc<[Place]>)> =
            databases.iter().filter_map(knowing).collect();
        if let [(only, places)] = knowing[..] {
            return Base {
                v4: Arc::clone(only.v4()),
                v6: Arc::clone(only.v6()),
                places: Arc::clone(places),
            };
        }
        let mut places = Places::default();
        let (mut v4, mut v6) = (nowhere(), nowhere());
        for (database, all) in knowing.into_iter().rev() {
            let numbers: Vec<PlaceId> = all.iter().map(|place| places.number(*place)).collect();
            let number = |place: u32| numbers[place as usize];
            v4 = over(database.v4(), number, &v4);
            v6 = over(database.v6(), number, &v6);
        }
        Base {
            v4: Arc::new(v4),
            v6: Arc::new(v6),
            places: places.list.into(),
        }
    }

    /// Where a client is, and the widest block of which that holds throughout, as a length in the client's own family.
    #[must_use]
    pub fn locate(&self, client: Client) -> (Place, u8) {
        let (place, scope) = match client {
            Client::V4 { addr, offset } => {
                let (place, scope) = self.v4.get(addr);
                (place, scope + offset)
            }
            Client::V6(upper) => self.v6.get(upper),
        };
        (self.places[place as usize], scope)
    }

    /// The autonomous system that a client's address belongs to, if a database knows it.
    #[must_use]
    pub fn asn(&self, client: Client) -> Option<Asn<'_>> {
        let number = match client {
            Client::V4 { addr, .. } => self.asns.v4.find(addr).value,
            Client::V6(upper) => self.asns.v6.find(upper).value,
        };
        (number != 0).then(|| self.asns.asn(number))
    }

    /// All places; the first two are [`UNKNOWN`] and [`CARRIER`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// How much each place counts, by its number; only those `used` do: the people who live around it, and clients that were seen.
    #[must_use]
    pub fn demand(&self, used: &[bool], seen: &[Crowd]) -> Vec<f64> {
        demand(&self.places, used, seen)
    }

    /// Octets that it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let places = size_of_val(&*self.places) + size_of_val(&*self.neighbours);
        self.v4.octets() + self.v6.octets() + places + self.asns.octets()
    }

    /// The places that have a point, in such an order that those near to each other on the globe are mostly so in it.
    #[must_use]
    pub fn neighbours(&self) -> &[PlaceId] {
        &self.neighbours
    }

    /// The ranges of IPv4.
    #[must_use]
    pub fn v4(&self) -> &Packed<u32> {
        &self.v4
    }

    /// Where ranges of IPv4 begin that differ in their place, in the narrowest of some networks around them, or in which of some
    /// autonomous systems, in order, they belong to.
    pub fn v4_within(&self, nets: &[Prefix], asns: &[u32]) -> impl Iterator<Item = (u32, Spot)> {
        spots(&self.v4, flatten(&blocks(nets).0), &self.asns.v4, asns)
    }

    /// The same of the upper halves of IPv6.
    pub fn v6_within(&self, nets: &[Prefix], asns: &[u32]) -> impl Iterator<Item = (u64, Spot)> {
        spots(&self.v6, flatten(&blocks(nets).1), &self.asns.v6, asns)
    }

    /// The ranges of the upper halves of IPv6.
    #[must_use]
    pub fn v6(&self) -> &Packed<u64> {
        &self.v6
    }
}

/// Overrides of autonomous systems, with and without a country, by their numbers of places.
#[derive(Default)]
struct Systems {
    of: HashMap<(u32, Option<Country>), PlaceId>,
    asns: HashSet<u32>,
}

impl Systems {
    fn add(&mut self, asn: u32, country: Option<Country>, place: PlaceId) {
        self.of.insert((asn, country), place);
        self.asns.insert(asn);
    }

    /// The ranges of the databases' places with the systems over them.
    fn paint<K: Key>(
        &self,
        under: Arc<Packed<K>>,
        asns: &Packed<K>,
        places: &[Place],
    ) -> Arc<Packed<K>> {
        if self.asns.is_empty() {
            return under;
        }
        let merged = merge(under.cuts(), asns.cuts());
        let place = |(under, asn): (PlaceId, u32)| {
            if !self.asns.contains(&asn) {
                return under;
            }
            let country = places[under as usize].country;
            let within = country.and_then(|c| self.of.get(&(asn, Some(c))));
            *within
                .or_else(|| self.of.get(&(asn, None)))
                .unwrap_or(&under)
        };
        Packed::new(merged.map(|(start, both)| (start, place(both)))).into()
    }
}

/// What databases know.
struct Base {
    v4: Arc<Packed<u32>>,
    v6: Arc<Packed<u64>>,
    places: Arc<[Place]>,
}

/// Blocks of both families with a number each.
type Blocks = (Vec<(u32, u32, u32)>, Vec<(u64, u64, u32)>);

/// Networks by their numbers.
fn blocks(nets: &[Prefix]) -> Blocks {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (number, net) in (0..).zip(nets) {
        block(*net, number, &mut v4, &mut v6);
    }
    (v4, v6)
}

/// Adds the block to the ranges of its family. An IPv6 block is known by its upper half only.
fn block(
    net: Prefix,
    place: PlaceId,
    v4: &mut Vec<(u32, u32, PlaceId)>,
    v6: &mut Vec<(u64, u64, PlaceId)>,
) {
    match net.addr {
        IpAddr::V4(addr) => {
            let first = addr.to_bits();
            v4.push((first, first.block_last(net.len), place));
        }
        IpAddr::V6(addr) => {
            let upper = (addr.to_bits() >> 64) as u64;
            v6.push((upper, upper.block_last(net.len), place));
        }
    }
}

/// Three divisions of the address space in one. Of autonomous systems only the `wanted` count: the others would cut ranges for nothing.
fn spots<K: Key>(
    places: &Packed<K>,
    nets: Vec<(K, Option<u32>)>,
    asns: &Packed<K>,
    wanted: &[u32],
) -> impl Iterator<Item = (K, Spot)> {
    let all = if wanted.is_empty() { 1 } else { usize::MAX };
    let mut last = None;
    let asns = asns.cuts().take(all).filter_map(move |(start, asn)| {
        let asn = if wanted.binary_search(&asn).is_ok() {
            asn
        } else {
            0
        };
        (last.replace(asn) != Some(asn)).then_some((start, asn))
    });
    let merged = merge(merge(places.cuts(), nets.into_iter()), asns);
    merged.map(|(start, ((place, net), asn))| (start, Spot { place, net, asn }))
}

/// The databases of autonomous systems one below the other.
fn asns(databases: &[Database]) -> Asns {
    let knowing = |database| match Database::knows(database) {
        Knows::Asns(names) => Some((database, names)),
        Knows::Places(_) => None,
    };
    let knowing: Vec<(&Database, &Arc<Names>)> = databases.iter().filter_map(knowing).collect();
    let names = knowing.iter().map(|(_, names)| Arc::clone(names)).collect();
    if let [(only, _)] = knowing[..] {
        return Asns {
            v4: Arc::clone(only.v4()),
            v6: Arc::clone(only.v6()),
            names,
        };
    }
    let (mut v4, mut v6) = (nowhere(), nowhere());
    for (database, _) in knowing.into_iter().rev() {
        v4 = over(database.v4(), |asn| asn, &v4);
        v6 = over(database.v6(), |asn| asn, &v6);
    }
    Asns {
        v4: Arc::new(v4),
        v6: Arc::new(v6),
        names,
    }
}

fn nowhere<K: Key>() -> Packed<K> {
    Packed::new(std::iter::once((K::MIN, UNKNOWN)))
}

/// The ranges of `top` by the numbers that their values have got, and in their holes those `below`.
fn over<K: Key>(top: &Packed<K>, number: impl Fn(u32) -> u32, below: &Packed<K>) -> Packed<K> {
    let merged = merge(top.cuts(), below.cuts());
    Packed::new(merged.map(|(start, (top, below))| match number(top) {
        UNKNOWN => (start, below),
        place => (start, place),
    }))
}

/// The ranges with blocks over them.
fn paint<K: Key>(under: Arc<Packed<K>>, blocks: &[(K, K, PlaceId)]) -> Arc<Packed<K>> {
    if blocks.is_empty() {
        return under;
    }
    let merged = merge(under.cuts(), flatten(blocks).into_iter());
    Packed::new(merged.map(|(start, (under, over))| (start, over.unwrap_or(under)))).into()
}

/// Along a curve that fills the map square by square (Morton 1966): by the bits of latitude and longitude in turn.
fn neighbours(places: &[Place]) -> Box<[PlaceId]> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 65,535"
    )]
    let bits = |degrees: f64, most: f64| ((degrees / most + 1.0) * 32767.5) as u32;
    let mut order: Vec<(u32, PlaceId)> = (0..)
        .zip(places)
        .filter_map(|(id, place)| {
            let point = place.point?;
            let (lat, lon) = (bits(point.lat, 90.0), bits(point.lon, 180.0));
            Some((apart(lat) << 1 | apart(lon), id))
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}

/// The lower 16 bits with a zero before each.
fn apart(mut bits: u32) -> u32 {
    bits = (bits | bits << 8) & 0x00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333;
    (bits | bits << 1) & 0x5555_5555
}
