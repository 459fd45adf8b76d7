//! Whether clients are given the node that is nearest to them: the full City database, searched address by address with another
//! distance formula, has the last word.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

#[path = "common/databases.rs"]
mod databases;
mod dns;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use databases::full;
use dns::message::{self, Edns, rtype};
use dns::ours;
use dns::peers::Folder;
use maxminddb::{Reader, WithinOptions};
use nearmost::answer::Transport;
use nearmost::geo::{Country, Point, country_cities, world_cities};
use nearmost::prefix::{Client, is_routable};
use nearmost::snapshot::Snapshot;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Random clients of IPv4, and of IPv6.
const CLIENTS: [usize; 2] = [400_000, 100_000];
/// Nearer by less than this is not nearer: databases state points to 100 metres.
const SAME_KM: f64 = 0.01;

/// Where mirrors are.
const NODES: [(&str, Point); 12] = [
    ("fra", at(50.11, 8.68)),
    ("lon", at(51.51, -0.13)),
    ("iad", at(39.04, -77.49)),
    ("sjc", at(37.34, -121.89)),
    ("gru", at(-23.55, -46.63)),
    ("jnb", at(-26.20, 28.05)),
    ("sin", at(1.35, 103.82)),
    ("nrt", at(35.68, 139.69)),
    ("hkg", at(22.32, 114.17)),
    ("syd", at(-33.87, 151.21)),
    ("bom", at(19.08, 72.88)),
    ("dxb", at(25.20, 55.27)),
];

const fn at(lat: f64, lon: f64) -> Point {
    Point { lat, lon }
}

/// Kilometres by the haversine formula.
fn km(a: Point, b: Point) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let cosines = a.lat.to_radians().cos() * b.lat.to_radians().cos();
    let h = half(a.lat, b.lat) + cosines * half(a.lon, b.lon);
    2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
}

#[derive(Deserialize)]
struct Record {
    country: Option<Named>,
    registered_country: Option<Named>,
    location: Option<Location>,
    city: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    iso_code: Option<String>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
}

/// Searches the database for each address, and remembers what its records came to.
struct Oracle {
    reader: Reader<Vec<u8>>,
    records: HashMap<usize, [f64; 12]>,
    countries: HashMap<Option<Country>, [f64; 12]>,
}

impl Oracle {
    /// Kilometres from a client to each node.
    fn distances(&mut self, client: IpAddr) -> [f64; 12] {
        let found = self.reader.lookup(client).unwrap();
        let Some(offset) = found.offset() else {
            return self.country(None);
        };
        if let Some(known) = self.records.get(&offset) {
            return *known;
        }
        let record: Record = found.decode().unwrap().unwrap();
        let distances = self.of(&record);
        self.records.insert(offset, distances);
        distances
    }

    fn of(&mut self, record: &Record) -> [f64; 12] {
        let vague =
            |l: &&Location| record.city.is_none() && l.accuracy_radius.is_some_and(|r| r >= 500);
        let point = record.location.as_ref().filter(|l| !vague(l));
        if let Some(point) = point.and_then(|l| Some(at(l.latitude?, l.longitude?))) {
            return NODES.map(|(_, node)| km(point, node));
        }
        let named = [&record.country, &record.registered_country];
        let code = named
            .into_iter()
            .flatten()
            .find_map(|c| c.iso_code.as_deref());
        self.country(code.and_then(Country::new))
    }

    /// Where only the country is known: the mean over the people of its larger cities. Where nothing is, those of the world.
    fn country(&mut self, country: Option<Country>) -> [f64; 12] {
        *self.countries.entry(country).or_insert_with(|| {
            let mut cities: Vec<_> = country.into_iter().flat_map(country_cities).collect();
            if cities.is_empty() {
                cities = world_cities().collect();
            }
            let people = |n: u32| f64::from(n).max(1.0);
            let all: f64 = cities.iter().map(|c| people(c.1)).sum();
            NODES.map(|(_, node)| {
                let sum: f64 = cities
                    .iter()
                    .map(|(city, n)| people(*n) * km(*city, node))
                    .sum();
                sum / all
            })
        })
    }

    /// The networks of IPv6 that carry no IPv4.
    fn v6(&self) -> Vec<(Ipv6Addr, u8)> {
        let all = self.reader.networks(WithinOptions::default()).unwrap();
        all.filter_map(|found| {
            let network = found.unwrap().network().unwrap();
            match (network.ip(), Client::of(network.ip())) {
                (IpAddr::V6(first), Client::V6(_)) => Some((first, network.prefix())),
                _ => None,
            }
        })
        .collect()
    }

    /// Whether no node is nearer to a client than this one.
    fn is_nearest(&mut self, client: IpAddr, node: usize) -> bool {
        let distances = self.distances(client);
        distances
            .iter()
            .all(|other| distances[node] < other + SAME_KM)
    }
}

/// The node and the scope that a client is given.
fn given(snapshot: &Snapshot, client: IpAddr) -> (usize, u8) {
    let (family, source, octets) = match client {
        IpAddr::V4(client) => (1, 24, client.octets()[..3].to_vec()),
        IpAddr::V6(client) => (2, 56, client.octets()[..7].to_vec()),
    };
    let option = message::option(8, &[&[0, family, source, 0], &octets[..]].concat());
    let edns = Edns {
        options: option,
        ..Edns::of_size(1232)
    };
    let packet = message::query(1, &message::name("get.example"), rtype::A, Some(&edns));
    let reply = ours::read(snapshot, &packet, Transport::Udp);
    let node = reply.answer[0].rdata[3];
    let scope = reply.edns.unwrap().options[7];
    (usize::from(node) - 1, scope)
}

/// A generator of splitmix64: the same clients each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The first address of a routable /24 anywhere.
    fn v4(&mut self) -> IpAddr {
        loop {
            let [a, b, c, ..] = self.next().to_be_bytes();
            let client = Ipv4Addr::new(a, b, c, 0).into();
            if is_routable(client) {
                return client;
            }
        }
    }

    /// The first address of a /56 in one of these networks: the space is too empty to be drawn from.
    fn v6(&mut self, networks: &[(Ipv6Addr, u8)]) -> IpAddr {
        let (network, len) = networks[self.next() as usize % networks.len()];
        let client = self.neighbour(network.into(), len);
        match client {
            IpAddr::V6(client) => Ipv6Addr::from_bits(client.to_bits() >> 72 << 72).into(),
            IpAddr::V4(_) => client,
        }
    }

    /// The first address of a block of the same grain within `scope` bits of a client.
    fn neighbour(&mut self, client: IpAddr, scope: u8) -> IpAddr {
        match client {
            IpAddr::V4(client) => {
                let rest = u32::MAX.checked_shr(scope.into()).unwrap_or(0) & !0xff;
                let random = self.next().to_be_bytes();
                let [a, b, c, d, ..] = random;
                let bits = u32::from_be_bytes([a, b, c, d]);
                Ipv4Addr::from_bits(client.to_bits() & !rest | bits & rest).into()
            }
            IpAddr::V6(client) => {
                let rest = u128::MAX.checked_shr(scope.into()).unwrap_or(0) & !((1 << 72) - 1);
                let bits = u128::from(self.next()) << 64;
                Ipv6Addr::from_bits(client.to_bits() & !rest | bits & rest).into()
            }
        }
    }
}

fn configuration(city: &Path) -> String {
    let mut text = format!(
        "[geo]\ndatabases = [{city:?}]\n[zone.example]\nns = [\"ns.elsewhere\"]\npools = {{ get = \"site\" }}\n\
         [pool.site]\nnear = \"0km\"\n"
    );
    for (i, (name, Point { lat, lon })) in NODES.iter().enumerate() {
        let ip = i + 1;
        text += &format!("[node.{name}]\nat = [{lat}, {lon}]\nip = [\"192.0.2.{ip}\"]\n");
    }
    text
}

#[test]
fn clients_are_given_the_nearest_node() {
    let Some(city) = full(&[]) else { return };
    let folder = Folder::new("nearest");
    let snapshot = ours::snapshot(folder.path(), &[], &configuration(&city));
    let mut oracle = Oracle {
        reader: Reader::open_readfile(&city).unwrap(),
        records: HashMap::new(),
        countries: HashMap::new(),
    };
    let mut random = Random(1);
    let networks = oracle.v6();
    for (family, clients) in ["IPv4", "IPv6"].into_iter().zip(CLIENTS) {
        let (mut sum, mut nodes) = (0, [0; 12]);
        for _ in 0..clients {
            let client = match family {
                "IPv4" => random.v4(),
                _ => random.v6(&networks),
            };
            let (node, scope) = given(&snapshot, client);
            assert!(
                oracle.is_nearest(client, node),
                "{client} {}",
                NODES[node].0
            );
            // What a resolver would give to a client within the scope.
            let other = random.neighbour(client, scope);
            assert!(
                oracle.is_nearest(other, node),
                "{client}/{scope} {other} {}",
                NODES[node].0
            );
            sum += u64::from(scope);
            nodes[node] += 1;
        }
        // Every node is the nearest of some, or not much was tested.
        assert!(nodes.iter().all(|n| *n > clients / 1000), "{nodes:?}");
        let mean = sum as f64 / clients as f64;
        println!("{family}: {clients} clients, all nearest; mean scope /{mean:.2}");
    }
}
