//! Places, each known by a number.

use hashbrown::HashMap;

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

/// A place as a key: the bits of its point, its country, its source.
type PlaceKey = (Option<(u64, u64)>, Option<Country>, PlaceSource);

/// Places by number, each once.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) list: Vec<Place>,
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
    pub(super) fn number(&mut self, place: Place) -> PlaceId {
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
