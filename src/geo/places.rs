//! Places, each known by a number.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Country, Point};

/// The number of a place in its list.
pub type PlaceId = u32;

/// Where a client is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The point; none: only the country is known, or nothing.
    pub point: Option<Point>,
    /// The country, if known.
    pub country: Option<Country>,
    /// The part of that country, if known.
    pub subdivision: Option<Subdivision>,
    /// Which source said so.
    pub source: PlaceSource,
}

impl Place {
    /// The part of its country as ISO 3166-2 writes it, such as `US-CA`.
    #[must_use]
    pub fn subdivision_code(&self) -> Option<String> {
        Some(format!("{}-{}", self.country?, self.subdivision?))
    }
}

/// A part of a country, such as a state: what stands behind the country in ISO 3166-2, one to three letters or digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subdivision([u8; 3]);

impl Subdivision {
    /// A code, in either letter case; whether there is such a part is not asked here.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let mut octets = [0; 3];
        let fits = (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits {
            return None;
        }
        octets[..code.len()].copy_from_slice(code.to_ascii_uppercase().as_bytes());
        Some(Self(octets))
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.iter().take_while(|b| **b != 0);
        code.into_iter()
            .try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

/// The source of a place, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceSource {
    /// The operator's override of a prefix, by its number in the configuration.
    Override(u32),
    /// The operator's override of an autonomous system, by the same number.
    AsnOverride(u32),
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
            Self::AsnOverride(_) => "asn-override",
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

/// Places of databases by number, each once.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) list: Vec<Place>,
    numbers: HashTable<PlaceId>,
    hasher: DefaultHashBuilder,
}

impl Default for Places {
    fn default() -> Self {
        let nowhere = Place {
            point: None,
            country: None,
            subdivision: None,
            source: PlaceSource::Unknown,
        };
        // UNKNOWN and CARRIER.
        Self {
            list: vec![nowhere, nowhere],
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Places {
    /// The number of a place, which no override made. One that says nothing gets that of [`UNKNOWN`].
    pub(super) fn number(&mut self, place: Place) -> PlaceId {
        if place.source == PlaceSource::Unknown {
            return UNKNOWN;
        }
        let hash = |place: &Place| self.hasher.hash_one(key(place));
        let same = |id: &PlaceId| key(&self.list[*id as usize]) == key(&place);
        let known = self.numbers.find(hash(&place), same);
        if let Some(id) = known {
            return *id;
        }
        let id =
            PlaceId::try_from(self.list.len()).expect("a database below 4 GiB has fewer records");
        self.list.push(place);
        let list = &self.list;
        self.numbers
            .insert_unique(hash(&place), id, |id| hash(&list[*id as usize]));
        id
    }
}

/// The bits of a point, or ones, the country and its part: the source follows from what there is.
fn key(place: &Place) -> (u64, u64, Option<Country>, Option<Subdivision>) {
    let (lat, lon) = place
        .point
        .map_or((u64::MAX, u64::MAX), |p| (p.lat.to_bits(), p.lon.to_bits()));
    (lat, lon, place.country, place.subdivision)
}
