//! A made-up world as GeoIP databases in MaxMind's format: written here, read by the server as any other.
//!
//! ```text
//! 192.0.2.0/24     London, GB                    a city; also an IATA code, or [51.5, -0.1]
//! 198.51.100.0/24  country US                    a country, and a point in the middle of nowhere
//! 198.51.100.0/24  country US-CA                 the same, in California; a city: London, GB in GB-ENG
//! 192.0.0.0/8      AS64500 Example, Inc.         who has it: in a database of its own
//! 11.0.0.0/8       by /16 around [50.0, 8.0]     256 places near to each other
//! ```

use std::net::IpAddr;

use nearmost::geo::{asn_named, resolve};
use nearmost::prefix::Prefix;

/// A file and its octets.
type Named = (&'static str, Vec<u8>);
/// Networks and what is said of them.
type Records = Vec<(Prefix, Vec<u8>)>;

/// The databases for the lines of a `world`, with the names of their files.
pub(crate) fn databases(lines: &[(usize, String)]) -> Result<Vec<Named>, (usize, String)> {
    // A record that says nothing: a database without any record is refused.
    let mut places = vec![(
        Prefix::holding(IpAddr::from([255; 4]), 32),
        map(&[("continent", map(&[]))]),
    )];
    let mut asns = Vec::new();
    for (number, line) in lines {
        add(line, &mut places, &mut asns).map_err(|problem| (*number, problem))?;
    }
    let mut all = vec![("world.mmdb", database("Made-Up-City", places))];
    if !asns.is_empty() {
        all.push(("asn.mmdb", database("Made-Up-ASN", asns)));
    }
    Ok(all)
}

fn database(kind: &str, mut records: Records) -> Vec<u8> {
    records.sort_by_key(|(net, _)| net.len);
    let (mut tree, mut data) = (Tree::Empty, Vec::new());
    for (net, record) in records {
        let (bits, len) = match net.addr {
            IpAddr::V4(a) => (u128::from(a.to_bits()), 96 + net.len),
            IpAddr::V6(a) => (a.to_bits(), net.len),
        };
        tree.insert(bits, len, data.len());
        data.extend(record);
    }
    file(kind, &tree, &data)
}

fn add(line: &str, records: &mut Records, asns: &mut Records) -> Result<(), String> {
    let (net, place) = line
        .split_once(' ')
        .ok_or("a network and a place are needed")?;
    let net = network(net)?;
    let (first, whose) = place.split_once(' ').unwrap_or((place, ""));
    if let Some(number) = asn_named(first) {
        let record = map(&[
            ("autonomous_system_number", word(number)),
            ("autonomous_system_organization", text(whose)),
        ]);
        asns.push((net, record));
        return Ok(());
    }
    let Some((len, around)) = place
        .strip_prefix("by /")
        .and_then(|rest| rest.split_once(" around "))
    else {
        records.push((net, record(place)?));
        return Ok(());
    };
    let len: u8 = len.parse().map_err(|_| "no length")?;
    let [lat, lon] = coordinates(around).ok_or("no point")?;
    for (block, n) in blocks(net, len).into_iter().zip(0..) {
        // Some ten metres each: places of their own, and no distance that matters.
        let step = f64::from(n) * 1e-4;
        records.push((block, city(lat + step, lon, None)));
    }
    Ok(())
}

/// `ADDRESS/LENGTH`.
pub(crate) fn network(text: &str) -> Result<Prefix, String> {
    let parts = text
        .split_once('/')
        .and_then(|(a, l)| Some((a.parse().ok()?, l.parse().ok()?)));
    let (addr, len) = parts.ok_or(format!("\"{text}\" is no network"))?;
    Ok(Prefix::holding(addr, len))
}

/// The blocks of a length that a network consists of.
pub(crate) fn blocks(net: Prefix, len: u8) -> Vec<Prefix> {
    let count = 1u128 << (len - net.len);
    let block = |n: u128| match net.addr {
        IpAddr::V4(a) => {
            let offset = u32::try_from(n << (32 - len)).unwrap_or(0);
            Prefix::holding((a.to_bits() | offset).to_be_bytes().into(), len)
        }
        IpAddr::V6(a) => {
            Prefix::holding((a.to_bits() | n << (128 - len)).to_be_bytes().into(), len)
        }
    };
    (0..count).map(block).collect()
}

fn record(place: &str) -> Result<Vec<u8>, String> {
    if let Some(code) = place.strip_prefix("country ") {
        // As MaxMind has it for 40 % of IPv4: the middle of the country, and a radius that says how little it means.
        let location = map(&[
            ("latitude", double(37.751)),
            ("longitude", double(-97.822)),
            ("accuracy_radius", short(1000)),
        ]);
        let mut entries = of_country(code);
        entries.push(("location", location));
        return Ok(map(&entries));
    }
    let (place, part) = match place.split_once(" in ") {
        Some((place, part)) => (place, Some(part)),
        None => (place, None),
    };
    if let Some([lat, lon]) = coordinates(place) {
        return Ok(city(lat, lon, part));
    }
    let site =
        resolve(place).map_err(|near| format!("no place is known as \"{place}\": {near:?}"))?;
    let part = part.unwrap_or(site.country.code());
    Ok(city(site.point.lat, site.point.lon, Some(part)))
}

/// `US`, or a part of it: `US-CA`.
fn of_country(code: &str) -> Vec<(&'static str, Vec<u8>)> {
    let named = |code| map(&[("iso_code", text(code))]);
    let (country, part) = code.split_once('-').unwrap_or((code, ""));
    let mut entries = vec![("country", named(country))];
    if !part.is_empty() {
        entries.push(("subdivisions", list(&[named(part), named("OTHER")])));
    }
    entries
}

fn coordinates(text: &str) -> Option<[f64; 2]> {
    let (lat, lon) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
    Some([lat.trim().parse().ok()?, lon.trim().parse().ok()?])
}

fn city(lat: f64, lon: f64, part: Option<&str>) -> Vec<u8> {
    let location = map(&[("latitude", double(lat)), ("longitude", double(lon))]);
    let mut entries = part.map_or(Vec::new(), of_country);
    entries.extend([("city", map(&[])), ("location", location)]);
    map(&entries)
}

/// A search tree: left for 0, right for 1, at its ends offsets into the data.
#[derive(Clone)]
enum Tree {
    Empty,
    Leaf(usize),
    Branch(Box<[Self; 2]>),
}

impl Tree {
    /// Wider networks have to come first.
    fn insert(&mut self, bits: u128, len: u8, offset: usize) {
        let mut at = self;
        for depth in 0..len {
            if !matches!(at, Self::Branch(_)) {
                *at = Self::Branch(Box::new([at.clone(), at.clone()]));
            }
            let Self::Branch(sides) = at else { return };
            at = &mut sides[usize::from(bits >> (127 - depth) & 1 == 1)];
        }
        *at = Self::Leaf(offset);
    }

    fn branches(&self) -> usize {
        match self {
            Self::Branch(sides) => 1 + sides[0].branches() + sides[1].branches(),
            _ => 0,
        }
    }

    /// Writes this branch. Of `total` branches, `next` is the number of the first that has none yet.
    fn write(&self, total: usize, next: &mut usize, out: &mut Vec<u8>) {
        let Self::Branch(sides) = self else { return };
        for side in &**sides {
            let number = match side {
                Self::Empty => total,
                Self::Leaf(offset) => total + 16 + offset,
                Self::Branch(_) => {
                    *next += 1;
                    *next - 1
                }
            };
            out.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

fn file(kind: &str, tree: &Tree, data: &[u8]) -> Vec<u8> {
    let total = tree.branches();
    let (mut out, mut next) = (Vec::new(), 1);
    // Breadth first: branches are numbered in the order in which they are written.
    let mut level = vec![tree];
    while !level.is_empty() {
        let mut below = Vec::new();
        for branch in level {
            branch.write(total, &mut next, &mut out);
            if let Tree::Branch(sides) = branch {
                below.extend(sides.iter().filter(|s| matches!(s, Tree::Branch(_))));
            }
        }
        level = below;
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.extend(map(&[
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", long(1_700_000_000)),
        ("database_type", text(kind)),
        ("description", map(&[("en", text("a made-up world"))])),
        ("ip_version", short(6)),
        ("languages", vec![0, 4]),
        ("node_count", word(u32::try_from(total).unwrap_or(0))),
        ("record_size", short(32)),
    ]));
    out
}

fn control(kind: u8, len: usize) -> u8 {
    kind << 5 | u8::try_from(len.min(29)).unwrap_or(0)
}

fn text(text: &str) -> Vec<u8> {
    let mut out = vec![control(2, text.len())];
    if let Some(more) = text.len().checked_sub(29) {
        out.push(u8::try_from(more).expect("longer texts have longer headers"));
    }
    out.extend(text.as_bytes());
    out
}

fn double(number: f64) -> Vec<u8> {
    let mut out = vec![control(3, 8)];
    out.extend(number.to_be_bytes());
    out
}

fn short(number: u16) -> Vec<u8> {
    let mut out = vec![control(5, 2)];
    out.extend(number.to_be_bytes());
    out
}

fn word(number: u32) -> Vec<u8> {
    let mut out = vec![control(6, 4)];
    out.extend(number.to_be_bytes());
    out
}

fn long(number: u64) -> Vec<u8> {
    // Kinds above 7 are written as what they are more than 7.
    let mut out = vec![control(0, 8), 2];
    out.extend(number.to_be_bytes());
    out
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    // Kind 11.
    let mut out = vec![control(0, items.len()), 4];
    out.extend(items.iter().flatten());
    out
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![control(7, entries.len())];
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out
}
