//! The whole address space cut into places: databases one below the other, overrides painted over them.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::database::{self, Database};
use super::{Country, Override, Point, Ranges, paint};
use crate::prefix::{CARRIERS, Client, Key, Prefix};

/// Where every address is, at the grain of /24 and /56: resolvers send no more (RFC 7871 11.1), and finer ranges would only narrow scopes.
/// Overrides are kept as fine as they are written.
#[derive(Clone, Debug)]
pub struct World {
    v4: Ranges<u32, PlaceId>,
    v6: Ranges<u64, PlaceId>,
    places: Vec<Place>,
}

/// The number of a place in its [`World`].
pub type PlaceId = u32;

/// Where a client is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The point; none: only the country is known, or nothing.
    pub point: Option<Point>,
    /// The country, if known.
    pub country: Option<Country>,
    /// Which source said so.
    pub source: PlaceSource,
}

/// The source of a place, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceSource {
    /// The operator's override of a prefix, by its number in the configuration.
    Override(u32),
    /// A database's record of a city or a point.
    City,
    /// A database's record of a country.
    Country,
    /// Nobody.
    Unknown,
}

impl PlaceSource {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Override(_) => "override",
            Self::City => "city",
            Self::Country => "country",
            Self::Unknown => "unknown",
        }
    }
}

/// The place of addresses that nothing is known of.
pub const UNKNOWN: PlaceId = 0;
/// IPv6 blocks that carry IPv4: never looked up, but no range may reach over them.
pub const CARRIER: PlaceId = 1;

impl World {
    /// Puts the databases one below the other, the first on top, and the overrides over them.
    ///
    /// # Errors
    /// A database that breaks while it is walked.
    pub fn build(databases: &[Database], overrides: &[Override]) -> Result<Self, database::Error> {
        let mut places = Places::default();
        let (mut v4, mut v6) = (Ranges::all(UNKNOWN), Ranges::all(UNKNOWN));
        for database in databases.iter().rev() {
            let walked = database.walk(&mut |place| places.number(place))?;
            v4 = over(walked.v4, &v4);
            v6 = over(walked.v6, &v6);
        }
        let (mut blocks4, mut blocks6) = (Vec::new(), Vec::new());
        for carrier in CARRIERS {
            block(carrier, CARRIER, &mut blocks4, &mut blocks6);
        }
        for (number, over) in (0..).zip(overrides) {
            let place = Place {
                point: over.at,
                country: over.country,
                source: PlaceSource::Override(number),
            };
            block(over.net, places.number(place), &mut blocks4, &mut blocks6);
        }
        Ok(Self {
            v4: paint(&v4, &blocks4),
            v6: paint(&v6, &blocks6),
            places: places.list,
        })
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

    /// All places; the first two are [`UNKNOWN`] and [`CARRIER`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The ranges of IPv4.
    #[must_use]
    pub fn v4(&self) -> &Ranges<u32, PlaceId> {
        &self.v4
    }

    /// The ranges of the upper halves of IPv6.
    #[must_use]
    pub fn v6(&self) -> &Ranges<u64, PlaceId> {
        &self.v6
    }
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
            let rest = u32::MAX.checked_shr(net.len.into()).unwrap_or(0);
            v4.push((addr.to_bits(), addr.to_bits() | rest, place));
        }
        IpAddr::V6(addr) => {
            let upper = (addr.to_bits() >> 64) as u64;
            v6.push((
                upper,
                upper | u64::MAX.checked_shr(net.len.into()).unwrap_or(0),
                place,
            ));
        }
    }
}

/// A place as a key: the bits of its point, its country, its source.
type PlaceKey = (Option<(u64, u64)>, Option<Country>, PlaceSource);

/// Places by number, each once.
#[derive(Debug)]
struct Places {
    list: Vec<Place>,
    numbers: HashMap<PlaceKey, PlaceId>,
}

impl Default for Places {
    fn default() -> Self {
        let nowhere = Place {
            point: None,
            country: None,
            source: PlaceSource::Unknown,
        };
        // UNKNOWN and CARRIER; a record that says nothing gets the number of UNKNOWN.
        Self {
            list: vec![nowhere, nowhere],
            numbers: HashMap::from_iter([((None, None, PlaceSource::Unknown), UNKNOWN)]),
        }
    }
}

impl Places {
    fn number(&mut self, place: Place) -> PlaceId {
        let bits = place.point.map(|p| (p.lat.to_bits(), p.lon.to_bits()));
        *self
            .numbers
            .entry((bits, place.country, place.source))
            .or_insert_with(|| {
                self.list.push(place);
                PlaceId::try_from(self.list.len() - 1)
                    .expect("a database below 4 GiB has fewer records")
            })
    }
}

/// The ranges of `top`, and in their holes those `below`.
fn over<K: Key>(top: Ranges<K, PlaceId>, below: &Ranges<K, PlaceId>) -> Ranges<K, PlaceId> {
    if below.len() == 1 && below.find(K::MIN).value == UNKNOWN {
        return top;
    }
    let holes = top.iter().filter(|r| r.value == UNKNOWN);
    let filling: Vec<_> = holes
        .flat_map(|hole| below.within(hole.first, hole.last))
        .map(|range| (range.first, range.last, range.value))
        .collect();
    paint(&top, &filling)
}
