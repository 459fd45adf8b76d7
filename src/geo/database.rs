//! GeoIP databases in MaxMind's format: read once, walked once, never asked per query.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;
use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions, path};
use serde::de::IgnoredAny;

use super::asn::Names;
use super::cutter::Cutter;
use super::packed::Packed;
use super::places::Places;
use super::record::{AsnRecord, Flat, Nested, Schema};
use super::tree::{Broken, Tree};
use super::{Place, UNKNOWN};
use crate::clock::utc;

/// The small database that ships with nearmost: `geoip/README.md` says how it is made and how good it is.
static SHIPPED: &[u8] = include_bytes!("../../geoip/nearmost.mmdb");

/// What a database says of all addresses, at the grain of the maps; of a family that it lacks it knows nothing. The file itself is
/// let go.
pub struct Database {
    about: About,
    v4: Arc<Packed<u32>>,
    v6: Arc<Packed<u64>>,
    knows: Knows,
}

/// What is known of a database beside its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The file, or what it is instead of a file.
    pub name: String,
    /// What the database says it is, such as `GeoLite2-City`.
    pub kind: String,
    /// When it was made.
    pub built: Option<SystemTime>,
    /// Whether it says where addresses are, and not which autonomous systems they belong to.
    pub knows_places: bool,
    /// Whether it tells parts of countries apart.
    pub knows_subdivisions: bool,
    /// Ranges of addresses that it tells apart, of both families.
    pub ranges: usize,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = self.built.map(|t| t.duration_since(UNIX_EPOCH));
        let date = built.map_or("at an unknown time".into(), |t| {
            utc(t.unwrap_or_default())[..10].to_owned()
        });
        write!(f, "{} ({}, made {date})", self.name, self.kind)
    }
}

/// What the numbers of a database's ranges mean.
pub(super) enum Knows {
    /// Places, by their numbers.
    Places(Arc<[Place]>),
    /// Autonomous systems; 0 is none.
    Asns(Arc<Names>),
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
            Ok(walk) => Ok(walk.finish(name)),
            Err(message) => Err(Error {
                database: name,
                message,
            }),
        }
    }

    /// What is known of it beside its contents.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What holds for addresses of IPv4, in numbers.
    pub(super) fn v4(&self) -> &Arc<Packed<u32>> {
        &self.v4
    }

    /// What holds for addresses of IPv6, by their upper halves.
    pub(super) fn v6(&self) -> &Arc<Packed<u64>> {
        &self.v6
    }

    /// What the numbers mean.
    pub(super) fn knows(&self) -> &Knows {
        &self.knows
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.about.name)
    }
}

/// So many records are at hand.
const RECENT: usize = 4096;

/// A walk over the networks of a file, each distinct record decoded once. What is not used of a file is not verified: networks finer
/// than the grain, and names of places.
struct Walk<'a> {
    reader: Reader<&'a [u8]>,
    schema: Schema,
    learns: Learns,
    /// Records by their offset.
    known: HashMap<u32, u32>,
    /// Those asked for last, by the low bits of their offset: neighbours have the same few records, and this fits the nearest cache.
    recent: Box<[(u32, u32); RECENT]>,
    v4: Cutter<u32>,
    v6: Cutter<u64>,
}

/// What a walk has found so far.
enum Learns {
    Places(Places),
    Asns(BTreeMap<u32, Box<str>>),
}

impl Learns {
    fn knows(self) -> Knows {
        match self {
            Self::Places(places) => Knows::Places(places.list.into()),
            Self::Asns(names) => Knows::Asns(Names::new(&names).into()),
        }
    }
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
        let says = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        let (asns, lacking) = if says(&["city", "country", "enterprise"]) {
            (
                false,
                "neither `country.iso_code` nor `country_code` in its records",
            )
        } else if says(&["asn"]) {
            (true, "no `autonomous_system_number` in its records")
        } else {
            return Err(format!(
                "database of type \"{}\": a City, Country or ASN database is needed",
                metadata.database_type
            ));
        };
        let schema = schema(&reader).map_err(|e| corrupt(&e))?;
        let schema = schema.filter(|s| asns == matches!(s, Schema::Asn));
        let mut walk = Self {
            schema: schema.ok_or(lacking)?,
            reader,
            learns: if asns {
                Learns::Asns(BTreeMap::new())
            } else {
                Learns::Places(Places::default())
            },
            known: HashMap::new(),
            recent: Box::new([(u32::MAX, UNKNOWN); RECENT]),
            v4: Cutter::default(),
            v6: Cutter::default(),
        };
        tree.walk(&mut |first, len, data| walk.network(first, len, data))
            .map_err(|e| corrupt(&e))?;
        Ok(walk)
    }

    fn finish(self, name: String) -> Database {
        let metadata = self.reader.metadata();
        let (v4, v6) = (self.v4.finish(), self.v6.finish());
        let knows = self.learns.knows();
        let tells = |place: &Place| place.subdivision.is_some();
        Database {
            about: About {
                name,
                kind: metadata.database_type.clone(),
                built: metadata.build_time().ok(),
                knows_places: matches!(knows, Knows::Places(_)),
                knows_subdivisions: match &knows {
                    Knows::Places(places) => places.iter().any(tells),
                    Knows::Asns(_) => false,
                },
                ranges: v4.len() + v6.len(),
            },
            v4: Arc::new(v4),
            v6: Arc::new(v6),
            knows,
        }
    }

    fn network(&mut self, first: IpAddr, len: u8, data: u32) -> Result<(), Broken> {
        match first {
            IpAddr::V4(addr) => {
                let number = self.number(first, data)?;
                self.v4.add(addr.to_bits(), len, number);
            }
            IpAddr::V6(addr) => {
                let number = self.number(first, data)?;
                let upper = (addr.to_bits() >> 64) as u64;
                self.v6.add(upper, len.min(64), number);
            }
        }
        Ok(())
    }

    /// The number of what holds in a network whose data stands at this offset.
    #[inline]
    fn number(&mut self, first: IpAddr, data: u32) -> Result<u32, Broken> {
        let slot = data as usize % RECENT;
        let (recent, number) = self.recent[slot];
        if recent == data {
            return Ok(number);
        }
        let number = match self.known.get(&data) {
            Some(number) => *number,
            None => self.decode(first, data)?,
        };
        self.recent[slot] = (data, number);
        Ok(number)
    }

    fn decode(&mut self, first: IpAddr, data: u32) -> Result<u32, Broken> {
        let broken = |e: MaxMindDbError| e.to_string().into_boxed_str();
        let found = self.reader.lookup(first).map_err(broken)?;
        let number = match &mut self.learns {
            Learns::Asns(names) => {
                let record = found.decode::<AsnRecord<'_>>().map_err(broken)?;
                record.map_or(0, |record| {
                    let number = record.number.unwrap_or(0);
                    let name = || record.organisation.unwrap_or_default().into();
                    names.entry(number).or_insert_with(name);
                    number
                })
            }
            Learns::Places(places) => {
                let place = match self.schema {
                    Schema::Flat => found.decode::<Flat<'_>>().map(|r| r.map(|r| r.place())),
                    _ => found.decode::<Nested<'_>>().map(|r| r.map(|r| r.place())),
                };
                let place = place.map_err(broken)?;
                place.map_or(UNKNOWN, |place| places.number(place))
            }
        };
        self.known.insert(data, number);
        Ok(number)
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
    Ok(if has(&path!["autonomous_system_number"]) {
        Some(Schema::Asn)
    } else if has(&path!["country_code"]) {
        Some(Schema::Flat)
    } else {
        nested
            .iter()
            .any(|key| has(&[PathElement::Key(key)]))
            .then_some(Schema::Nested)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::World;
    use crate::prefix::{Client, Key};

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
                Schema::Nested | Schema::Asn => {
                    found.decode::<Nested<'_>>().unwrap().unwrap().place()
                }
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

    fn file(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mmdb");
        std::fs::read(folder.join(name)).unwrap()
    }

    /// Both families, and names; a database of places beside it changes nothing.
    #[test]
    fn systems_are_found() {
        let asns = Database::from_octets("test".into(), &file("GeoLite2-ASN-Test.mmdb")).unwrap();
        let city = Database::from_octets("test".into(), &file("GeoIP2-City-Test.mmdb")).unwrap();
        assert!(!asns.about.knows_places && city.about.knows_places);
        assert!(city.about.knows_subdivisions);
        let world = World::build(&[city, asns], &[]);
        let asn = |ip: &str| {
            let asn = world.asn(Client::of(ip.parse().unwrap()))?;
            Some((asn.number, asn.organisation?.to_owned()))
        };
        let telstra = Some((1221, "Telstra Pty Ltd".to_owned()));
        assert_eq!(asn("1.128.0.0"), telstra);
        assert_eq!(asn("1.159.255.255"), telstra);
        assert_eq!(asn("1.160.0.0"), None);
        let v6 = asn("2600:6000::1").unwrap();
        assert_eq!(v6, (237, "Merit Network Inc.".to_owned()));
    }

    #[test]
    fn our_walk_finds_what_the_crate_finds() {
        for (octets, schema, least) in [
            (file("GeoIP2-City-Test.mmdb"), Schema::Nested, 100),
            (file("GeoIP2-Country-Test.mmdb"), Schema::Nested, 100),
            (SHIPPED.to_vec(), Schema::Nested, 900_000),
        ] {
            let ours = Database::from_octets("test".into(), &octets).unwrap();
            let (v4, v6) = slow(&octets, schema);
            assert!(v4.len() + v6.len() > least);
            let Knows::Places(places) = &ours.knows else {
                panic!("it knows places");
            };
            assert!(placed(&ours.v4, places) == v4);
            assert!(placed(&ours.v6, places) == v6);
        }
    }
}
