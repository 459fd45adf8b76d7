//! Which node each part of the world is given, for the dashboard's map: read from the compiled maps, as a question would.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use serde::Serialize;

use crate::control::Handle;
use crate::geo::{Point, World, country_cities};
use crate::health::Table;
use crate::policy::Outcome;
use crate::prefix::Client;
use crate::snapshot::{Pool, Snapshot};

/// Rows of parts of the globe from pole to pole; parts are about as wide as high.
const ROWS: f64 = 72.0;
/// Pools whose regions are kept.
const KEPT: usize = 32;

/// What decides regions, in a word: the generation, who is in service, and which maps hold.
pub(super) fn view(snapshot: &Snapshot, table: &Table) -> String {
    let mut hasher = DefaultHasher::new();
    snapshot.generation.hash(&mut hasher);
    for slot in 0..u32::try_from(table.len()).unwrap_or(u32::MAX) {
        table.word(slot).in_service().hash(&mut hasher);
    }
    for family in snapshot.pools.iter().flat_map(|p| [&p.v4, &p.v6]).flatten() {
        let steering = &family.steering;
        let step = steering.step_of(table);
        let slowed = steering.slowed.as_ref().and_then(|s| s.get(step));
        (step, slowed.map(|s| Arc::as_ptr(&s))).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Regions, with those kept that were asked for before.
pub(super) struct Regions {
    handle: Handle,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The world, and its clients.
    clients: Option<(Arc<World>, Arc<[Stand]>)>,
    view: String,
    of: HashMap<(String, bool), Bytes>,
}

/// What the page draws.
#[derive(Serialize)]
struct Region<'a> {
    view: &'a str,
    /// Names of nodes; the others are told by their place here.
    nodes: Vec<&'a str>,
    /// Of each its part of the people in the world.
    people: Vec<f64>,
    /// Of each part of the world degrees north and east, times ten, and the node; -1: none is in service.
    cells: Vec<i32>,
}

impl Regions {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            kept: Mutex::default(),
        }
    }

    /// The regions of a pool's nodes, as JSON; none: no such pool. Blocks, and one thread looks at a time.
    pub(super) fn of(&self, pool: &str, v6: bool) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.handle.current().get();
        let table = snapshot.table.load();
        let view = view(&snapshot, &table);
        if kept.view != view || kept.of.len() >= KEPT {
            (kept.view, kept.of) = (view, HashMap::new());
        }
        let key = (pool.to_owned(), v6);
        if let Some(known) = kept.of.get(&key) {
            return Some(known.clone());
        }
        let known = kept.clients.as_ref();
        let known = known.filter(|(world, _)| Arc::ptr_eq(world, &snapshot.world));
        let clients = known.map_or_else(|| stands(&snapshot.world), |(_, c)| Arc::clone(c));
        let pool = snapshot.pools.iter().find(|p| p.name == pool)?;
        let json = draw(&snapshot, &table, pool, v6, &clients, &kept.view)?;
        kept.clients = Some((Arc::clone(&snapshot.world), clients));
        kept.of.insert(key, json.clone());
        Some(json)
    }
}

fn draw(
    snapshot: &Snapshot,
    table: &Table,
    pool: &Pool,
    v6: bool,
    clients: &[Stand],
    view: &str,
) -> Option<Bytes> {
    let family = if v6 { &pool.v6 } else { &pool.v4 };
    let family = family.as_ref()?;
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    let (mut nodes, mut people, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for stand in clients {
        let steering = &family.of(stand.client).steering;
        let choice = steering.walk(stand.client, table, 0, &mut ());
        let first = choice.members().first();
        let first = first.filter(|_| choice.outcome == Outcome::InService);
        let number = first.map(|member| {
            let node = steering.members[usize::from(*member)].node;
            let number = *numbers.entry(node).or_insert(nodes.len());
            if number == nodes.len() {
                nodes.push(snapshot.nodes[node as usize].name.as_str());
                people.push(0.0);
            }
            people[number] += stand.people;
            number
        });
        if let Some((lat, lon)) = stand.at {
            let number = number.and_then(|n| i32::try_from(n).ok());
            cells.extend([lat, lon, number.unwrap_or(-1)]);
        }
    }
    let all: f64 = clients.iter().map(|c| c.people).sum();
    people.iter_mut().for_each(|p| *p = thousandth(*p / all));
    let region = Region {
        view,
        nodes,
        people,
        cells,
    };
    Some(serde_json::to_vec(&region).ok()?.into())
}

/// To three digits behind the point.
pub(super) fn thousandth(part: f64) -> f64 {
    (part * 1000.0).round() / 1000.0
}

/// A client that stands for others: the first address of the largest range of a place.
#[derive(Clone, Copy, Debug)]
struct Stand {
    client: Client,
    /// Where it is drawn, degrees north and east times ten; none: it counts, and is not drawn.
    at: Option<(i32, i32)>,
    /// Those it stands for.
    people: f64,
}

/// A part of the globe: its people, and of its places the one with most of them.
#[derive(Default)]
struct Part {
    people: f64,
    most: Option<f64>,
    start: u32,
}

impl Part {
    fn add(&mut self, start: u32, people: f64) {
        self.people += people;
        if self.most.is_none_or(|most| most < people) {
            (self.most, self.start) = (Some(people), start);
        }
    }
}

/// One client for each part of the globe that has any: of IPv4, as places are mostly the same by IPv6. Where only countries are known, a
/// country's client stands at its larger cities.
fn stands(world: &World) -> Arc<[Stand]> {
    let largest = largest_ranges(world);
    let used: Vec<bool> = largest.iter().map(|(octets, _)| *octets > 0).collect();
    let people = world.demand(&used, &[]);
    let client = |start: u32| Client::of(IpAddr::V4(Ipv4Addr::from_bits(start)));
    let mut parts: HashMap<(i32, i32), Part> = HashMap::new();
    let mut all: Vec<Stand> = Vec::new();
    let places = world.places().iter().zip(largest).zip(people);
    let places = places.filter(|((_, (octets, _)), _)| *octets > 0);
    let mut vague = Vec::new();
    for ((place, (_, start)), people) in places {
        match (place.point, place.country) {
            (Some(point), _) => parts.entry(part(point)).or_default().add(start, people),
            (None, Some(country)) => vague.push((country, start, people)),
            (None, None) => {}
        }
    }
    for (country, start, people) in vague {
        for (point, _) in country_cities(country) {
            parts.entry(part(point)).or_default().add(start, 0.0);
        }
        let (client, at) = (client(start), None);
        all.push(Stand { client, at, people });
    }
    all.extend(parts.into_iter().map(|(at, part)| Stand {
        client: client(part.start),
        at: Some(at),
        people: part.people,
    }));
    // North to south, so that the same world is drawn the same.
    all.sort_by_key(|stand| stand.at.map(|(lat, lon)| (-lat, lon)));
    all.into()
}

/// Of each place how many addresses its largest range has, and where that starts.
fn largest_ranges(world: &World) -> Vec<(u64, u32)> {
    let mut largest = vec![(0, 0); world.places().len()];
    let mut cuts = world.v4().cuts().peekable();
    while let Some((start, place)) = cuts.next() {
        let end = cuts.peek().map_or(1 << 32, |(next, _)| u64::from(*next));
        let octets = end - u64::from(start);
        let known: &mut (u64, u32) = &mut largest[place as usize];
        if known.0 < octets {
            *known = (octets, start);
        }
    }
    largest
}

/// The middle of the part of the globe that a point is in, degrees times ten.
fn part(point: Point) -> (i32, i32) {
    let height = 180.0 / ROWS;
    let row = ((90.0 - point.lat) / height).floor().min(ROWS - 1.0);
    let lat = 90.0 - (row + 0.5) * height;
    let columns = (2.0 * ROWS * lat.to_radians().cos()).round().max(1.0);
    let width = 360.0 / columns;
    let column = ((point.lon + 180.0) / width).floor().min(columns - 1.0);
    let lon = (column + 0.5) * width - 180.0;
    #[expect(clippy::cast_possible_truncation, reason = "-1800 to 1800")]
    let tenths = |degrees: f64| (degrees * 10.0).round() as i32;
    (tenths(lat), tenths(lon))
}
