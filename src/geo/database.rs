//! GeoIP databases in MaxMind's format: read once, walked once, never asked per query.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashMap;
use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions, path};
use serde::de::IgnoredAny;

use super::packed::{Packed, Packer};
use super::places::Places;
use super::record::{Flat, Nested, Schema};
use super::tree::{Broken, Tree};
use super::{Place, PlaceId, UNKNOWN};
use crate::prefix::Key;

/// The small database that ships with nearmost: `geoip/README.md` says how it is made and how good it is.
static SHIPPED: &[u8] = include_bytes!("../../geoip/nearmost.mmdb");

/// What a database says of all addresses, at the grain of the maps; of a family that it lacks it knows nothing. The file itself is
/// let go.
pub struct Database {
    name: String,
    kind: String,
    built: Option<SystemTime>,
    v4: Arc<Packed<u32>>,
    v6: Arc<Packed<u64>>,
    places: Arc<[Place]>,
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

impl Database {
    /// Reads a file into memory, walks it, and verifies all that is used of it. Not mapped: a file that is cut short while it is mapped ends the process.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short or corrupt, or is of no schema that says where addresses are.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let octets = std::fs::read(path).map_err(|e| Error {
            database: name.clone(),
            message: e.to_string(),
        })?;
        Self::from_octets(name, &octets)
    }

    /// The database that ships with nearmost.
    ///
    /// # Errors
    /// None, unless the program was built with a broken file.
    pub fn shipped() -> Result<Self, Error> {
        Self::from_octets(
            "the small database that ships with nearmost (IP Geolocation by DB-IP)".into(),
            SHIPPED,
        )
    }

    fn from_octets(name: String, octets: &[u8]) -> Result<Self, Error> {
        match Walk::of(octets) {
            Ok(walk) => Ok(Self {
                name,
                kind: walk.reader.metadata().database_type.clone(),
                built: walk.reader.metadata().build_time().ok(),
                v4: Arc::new(walk.v4.finish()),
                v6: Arc::new(walk.v6.finish()),
                places: walk.places.list.into(),
            }),
            Err(message) => Err(Error {
                database: name,
                message,
            }),
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
        self.built
    }

    /// What the database says it is, such as `GeoLite2-City`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Where addresses of IPv4 are, by the numbers of places.
    pub(super) fn v4(&self) -> &Arc<Packed<u32>> {
        &self.v4
    }

    /// Where addresses of IPv6 are, by their upper halves.
    pub(super) fn v6(&self) -> &Arc<Packed<u64>> {
        &self.v6
    }

    /// Its places, by their numbers.
    pub(super) fn places(&self) -> &Arc<[Place]> {
        &self.places
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.name)
    }
}

/// So many records are at hand.
const RECENT: usize = 4096;

/// A walk over the networks of a file, each distinct record decoded once. What is not used of a file is not verified: networks finer
/// than the grain, and names of places.
struct Walk<'a> {
    reader: Reader<&'a [u8]>,
    schema: Schema,
    places: Places,
    /// Records by their offset.
    known: HashMap<u32, PlaceId>,
    /// Those asked for last, by the low bits of their offset: neighbours have the same few records, and this fits the nearest cache.
    recent: Box<[(u32, PlaceId); RECENT]>,
    v4: Cutter<u32>,
    v6: Cutter<u64>,
}

impl<'a> Walk<'a> {
    fn of(octets: &'a [u8]) -> Result<Self, String> {
        let corrupt = |e: &dyn fmt::Display| format!("corrupt: {e}");
        let reader = Reader::from_source(octets).map_err(|e| e.to_string())?;
        let metadata = reader.metadata();
        if metadata.database_type.is_empty() || metadata.description.is_empty() {
            return Err(corrupt(&"it does not say what it is"));
        }
        let tree = Tree::new(
            octets,
            metadata.node_count,
            metadata.record_size,
            metadata.ip_version,
        )
        .map_err(|e| corrupt(&e))?;
        let kind = metadata.database_type.to_lowercase();
        if !["city", "country", "enterprise"]
            .iter()
            .any(|k| kind.contains(k))
        {
            return Err(format!(
                "database of type \"{}\": a City or Country database is needed",
                metadata.database_type
            ));
        }
        let schema = schema(&reader).map_err(|e| corrupt(&e))?;
        let mut walk = Self {
            schema: schema.ok_or("neither `country.iso_code` nor `country_code` in its records")?,
            reader,
            places: Places::default(),
            known: HashMap::new(),
            recent: Box::new([(u32::MAX, UNKNOWN); RECENT]),
            v4: Cutter::default(),
            v6: Cutter::default(),
        };
        tree.walk(&mut |first, len, data| walk.network(first, len, data))
            .map_err(|e| corrupt(&e))?;
        Ok(walk)
    }

    fn network(&mut self, first: IpAddr, len: u8, data: u32) -> Result<(), Broken> {
        match first {
            IpAddr::V4(addr) => {
                let place = self.place(first, data)?;
                self.v4.add(addr.to_bits(), len, place);
            }
            IpAddr::V6(addr) => {
                let place = self.place(first, data)?;
                let upper = (addr.to_bits() >> 64) as u64;
                self.v6.add(upper, len.min(64), place);
            }
        }
        Ok(())
    }

    /// The place of a network whose data stands at this offset.
    #[inline]
    fn place(&mut self, first: IpAddr, data: u32) -> Result<PlaceId, Broken> {
        let slot = data as usize % RECENT;
        let (recent, place) = self.recent[slot];
        if recent == data {
            return Ok(place);
        }
        let place = match self.known.get(&data) {
            Some(place) => *place,
            None => self.decode(first, data)?,
        };
        self.recent[slot] = (data, place);
        Ok(place)
    }

    fn decode(&mut self, first: IpAddr, data: u32) -> Result<PlaceId, Broken> {
        let broken = |e: MaxMindDbError| e.to_string().into_boxed_str();
        let found = self.reader.lookup(first).map_err(broken)?;
        let place = match self.schema {
            Schema::Nested => found.decode::<Nested<'_>>().map(|r| r.map(|r| r.place())),
            Schema::Flat => found.decode::<Flat<'_>>().map(|r| r.map(|r| r.place())),
        };
        let place = place.map_err(broken)?;
        let place = place.map_or(UNKNOWN, |place| self.places.number(place));
        self.known.insert(data, place);
        Ok(place)
    }
}

/// The schema of the first record; none: neither.
fn schema(reader: &Reader<&[u8]>) -> Result<Option<Schema>, MaxMindDbError> {
    let Some(first) = reader.networks(WithinOptions::default())?.next() else {
        return Ok(None);
    };
    let first = first?;
    first.decode::<IgnoredAny>()?;
    let has =
        |path: &[PathElement<'_>]| matches!(first.decode_path::<IgnoredAny>(path), Ok(Some(_)));
    let nested = ["country", "registered_country", "location", "continent"];
    Ok(if has(&path!["country_code"]) {
        Some(Schema::Flat)
    } else {
        nested
            .iter()
            .any(|key| has(&[PathElement::Key(key)]))
            .then_some(Schema::Nested)
    })
}

/// Turns networks in order into ranges at the maps' grain: a block of it gets what holds at its first address.
struct Cutter<K> {
    packer: Packer<K>,
    /// The first address that no network has covered yet, on a border of the grain; none at the end of the space.
    next: Option<K>,
}

impl<K: Key> Default for Cutter<K> {
    fn default() -> Self {
        Self {
            packer: Packer::default(),
            next: Some(K::MIN),
        }
    }
}

impl<K: Key> Cutter<K> {
    fn add(&mut self, first: K, len: u8, place: PlaceId) {
        let Some(next) = self.next else { return };
        if first < next || !first.starts_grain() {
            return;
        }
        if first > next {
            self.packer.from(next, UNKNOWN);
        }
        self.packer.from(first, place);
        self.next = first.block_last(len).grain_last().next();
    }

    fn finish(mut self) -> Packed<K> {
        if let Some(next) = self.next {
            self.packer.from(next, UNKNOWN);
        }
        self.packer.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each range starts, and its place.
    type Cuts<K> = Vec<(K, Place)>;

    /// All that the crate finds in a file, cut as ours: places, not numbers, as both number them in their own order.
    fn slow(octets: &[u8], schema: Schema) -> (Cuts<u32>, Cuts<u64>) {
        let reader = Reader::from_source(octets).unwrap();
        reader.verify().unwrap();
        let mut places = Places::default();
        let (mut v4, mut v6) = (Cutter::default(), Cutter::default());
        for found in reader.networks(WithinOptions::default()).unwrap() {
            let found = found.unwrap();
            let place = match schema {
                Schema::Nested => found.decode::<Nested<'_>>().unwrap().unwrap().place(),
                Schema::Flat => found.decode::<Flat<'_>>().unwrap().unwrap().place(),
            };
            let (place, network) = (places.number(place), found.network().unwrap());
            match network.ip() {
                IpAddr::V4(a) => v4.add(a.to_bits(), network.prefix(), place),
                IpAddr::V6(a) => {
                    let upper = (a.to_bits() >> 64) as u64;
                    v6.add(upper, network.prefix().min(64), place);
                }
            }
        }
        let list = places.list;
        (placed(&v4.finish(), &list), placed(&v6.finish(), &list))
    }

    fn placed<K: Key>(ranges: &Packed<K>, places: &[Place]) -> Cuts<K> {
        ranges
            .cuts()
            .map(|(start, place)| (start, places[place as usize]))
            .collect()
    }

    #[test]
    fn our_walk_finds_what_the_crate_finds() {
        let file = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mmdb");
            std::fs::read(folder.join(name)).unwrap()
        };
        for (octets, schema, least) in [
            (file("GeoIP2-City-Test.mmdb"), Schema::Nested, 100),
            (file("GeoIP2-Country-Test.mmdb"), Schema::Nested, 100),
            (SHIPPED.to_vec(), Schema::Nested, 900_000),
        ] {
            let ours = Database::from_octets("test".into(), &octets).unwrap();
            let (v4, v6) = slow(&octets, schema);
            assert!(v4.len() + v6.len() > least);
            assert!(placed(&ours.v4, &ours.places) == v4);
            assert!(placed(&ours.v6, &ours.places) == v6);
        }
    }
}
