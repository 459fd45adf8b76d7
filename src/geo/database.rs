//! GeoIP databases in MaxMind's format: read once, walked once, never asked per query.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use hashbrown::HashMap;
use maxminddb::{PathElement, Reader, WithinOptions, path};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::world::{PlaceId, UNKNOWN};
use super::{Builder, Country, Place, PlaceSource, Point, Ranges};
use crate::prefix::Key;

/// The small database that ships with nearmost: `geoip/README.md` says how it is made and how good it is.
static SHIPPED: &[u8] = include_bytes!("../../geoip/nearmost.mmdb");

/// An open database whose structure was verified.
pub struct Database {
    reader: Reader<Cow<'static, [u8]>>,
    name: String,
    schema: Schema,
}

/// Why a database cannot be used.
#[derive(Debug)]
pub struct Error {
    /// The file.
    pub database: String,
    /// In words.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.database, self.message)
    }
}

impl std::error::Error for Error {}

/// Ranges of places as one database knows them; of a family that it lacks it knows nothing.
pub(super) struct Walked {
    pub(super) v4: Ranges<u32, PlaceId>,
    pub(super) v6: Ranges<u64, PlaceId>,
}

impl Database {
    /// Reads a file into memory and verifies all of it. Not mapped: a file that is cut short while it is mapped ends the process.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short or corrupt, or is of no schema that says where addresses are.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let octets = std::fs::read(path).map_err(|e| Error {
            database: name.clone(),
            message: e.to_string(),
        })?;
        Self::from_octets(name, octets.into())
    }

    /// The database that ships with nearmost.
    ///
    /// # Errors
    /// None, unless the program was built with a broken file.
    pub fn shipped() -> Result<Self, Error> {
        Self::from_octets(
            "the small database that ships with nearmost (IP Geolocation by DB-IP)".into(),
            SHIPPED.into(),
        )
    }

    fn from_octets(name: String, octets: Cow<'static, [u8]>) -> Result<Self, Error> {
        let error = |message: String| Error {
            database: name.clone(),
            message,
        };
        let reader = Reader::from_source(octets).map_err(|e| error(e.to_string()))?;
        reader
            .verify()
            .map_err(|e| error(format!("corrupt: {e}")))?;
        let kind = reader.metadata().database_type.to_lowercase();
        if !["city", "country", "enterprise"]
            .iter()
            .any(|k| kind.contains(k))
        {
            let kind = &reader.metadata().database_type;
            return Err(error(format!(
                "database of type \"{kind}\": a City or Country database is needed"
            )));
        }
        let schema = match reader
            .networks(WithinOptions::default())
            .ok()
            .and_then(|mut all| all.next())
        {
            Some(Ok(first)) => {
                let has = |path: &[PathElement<'_>]| {
                    matches!(first.decode_path::<IgnoredAny>(path), Ok(Some(_)))
                };
                let nested = ["country", "registered_country", "location", "continent"];
                if has(&path!["country_code"]) {
                    Some(Schema::Flat)
                } else {
                    nested
                        .iter()
                        .any(|key| has(&[PathElement::Key(key)]))
                        .then_some(Schema::Nested)
                }
            }
            _ => None,
        };
        match schema {
            Some(schema) => Ok(Self {
                reader,
                name,
                schema,
            }),
            None => Err(error(
                "neither `country.iso_code` nor `country_code` in its records".into(),
            )),
        }
    }

    /// The file, or what it is instead of a file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it was made.
    #[must_use]
    pub fn built(&self) -> Option<SystemTime> {
        self.reader.metadata().build_time().ok()
    }

    /// What the database says it is, such as `GeoLite2-City`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// All of its networks in order, each distinct record decoded once; `number` numbers places.
    pub(super) fn walk(&self, number: &mut dyn FnMut(Place) -> PlaceId) -> Result<Walked, Error> {
        let error = |e: maxminddb::MaxMindDbError| Error {
            database: self.name.clone(),
            message: e.to_string(),
        };
        let (mut v4, mut v6) = (Cutter::new(), Cutter::new());
        let mut known: HashMap<usize, PlaceId> = HashMap::new();
        for found in self
            .reader
            .networks(WithinOptions::default())
            .map_err(error)?
        {
            let found = found.map_err(error)?;
            let Some(offset) = found.offset() else {
                continue;
            };
            let place = match known.get(&offset) {
                Some(place) => *place,
                None => {
                    let place = match self.schema {
                        Schema::Nested => found
                            .decode::<Nested<'_>>()
                            .map_err(error)?
                            .map(|r| r.place()),
                        Schema::Flat => found
                            .decode::<Flat<'_>>()
                            .map_err(error)?
                            .map(|r| r.place()),
                    };
                    let place = place.map_or(UNKNOWN, &mut *number);
                    known.insert(offset, place);
                    place
                }
            };
            let network = found.network().map_err(error)?;
            match network.ip() {
                IpAddr::V4(addr) => v4.add(addr.to_bits(), network.prefix(), place),
                IpAddr::V6(addr) => v6.add(upper(addr), network.prefix().min(64), place),
            }
        }
        Ok(Walked {
            v4: v4.finish(),
            v6: v6.finish(),
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.name)
    }
}

fn upper(addr: std::net::Ipv6Addr) -> u64 {
    (addr.to_bits() >> 64) as u64
}

/// Turns networks in order into ranges at the maps' grain: a block of it gets what holds at its first address.
struct Cutter<K> {
    built: Builder<K, PlaceId>,
    /// The first address that no network has covered yet, on a border of the grain; none at the end of the space.
    next: Option<K>,
}

impl<K: Key> Cutter<K> {
    fn new() -> Self {
        Self {
            built: Builder::new(UNKNOWN),
            next: Some(K::MIN),
        }
    }

    fn add(&mut self, first: K, len: u8, place: PlaceId) {
        let Some(next) = self.next else { return };
        if first < next || !first.starts_grain() {
            return;
        }
        if first > next {
            self.built.from(next, UNKNOWN);
        }
        self.built.from(first, place);
        self.next = first.block_last(len).grain_last().next();
    }

    fn finish(mut self) -> Ranges<K, PlaceId> {
        if let Some(next) = self.next {
            self.built.from(next, UNKNOWN);
        }
        self.built.build()
    }
}

/// How a database lays out its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    /// MaxMind's: `country.iso_code`, `location.latitude`.
    Nested,
    /// That of ip-location-db: `country_code`, `latitude`.
    Flat,
}

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow)]
    country: Option<NestedCountry<'a>>,
    #[serde(borrow)]
    registered_country: Option<NestedCountry<'a>>,
    location: Option<NestedLocation>,
    city: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct NestedCountry<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct NestedLocation {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
}

#[derive(Deserialize)]
struct Flat<'a> {
    country_code: Option<&'a str>,
    city: Option<&'a str>,
    latitude: Option<f32>,
    longitude: Option<f32>,
}

/// A record without a city whose radius is this long means a country, and its point a spot in the middle of nowhere (SPEC 3.2).
const COUNTRY_RADIUS_KM: u16 = 500;

impl Nested<'_> {
    fn place(&self) -> Place {
        let fields = [&self.country, &self.registered_country];
        let country = fields.into_iter().flatten().find_map(|c| c.iso_code);
        let vague = |l: &&NestedLocation| {
            self.city.is_none() && l.accuracy_radius.is_some_and(|r| r >= COUNTRY_RADIUS_KM)
        };
        let point = self
            .location
            .as_ref()
            .filter(|l| !vague(l))
            .and_then(|l| Point::new(l.latitude?, l.longitude?));
        place(country, point)
    }
}

impl Flat<'_> {
    /// The flat form has no radius: a record without a city means a country.
    fn place(&self) -> Place {
        let point = || Point::new(self.latitude?.into(), self.longitude?.into());
        let named = self.city.is_some_and(|city| !city.is_empty());
        place(self.country_code, if named { point() } else { None })
    }
}

fn place(country: Option<&str>, point: Option<Point>) -> Place {
    let country = country.and_then(Country::new);
    let source = match (point, country) {
        (Some(_), _) => PlaceSource::City,
        (None, Some(_)) => PlaceSource::Country,
        (None, None) => PlaceSource::Unknown,
    };
    Place {
        point,
        country,
        source,
    }
}
