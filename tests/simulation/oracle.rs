//! What has to follow, said once more and as plainly as can be: linear scans, distances by the haversine formula, a counter of our own.
//! Nothing here may use the server's own arithmetic. A new rule of SPEC 3 or 4 needs its plain twin here.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use nearmost::geo::Country;

use crate::model::{Below, Block, COUNTRIES, Model, Node, Point, Pool, Probe, Rule, Whom};

/// Seconds since 1970.
pub(crate) type Seconds = u64;

/// A probe of an address under a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) probe: String,
    pub(crate) ip: IpAddr,
    pub(crate) host: String,
}

/// What is known of it (SPEC 4).
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) up: Option<bool>,
    failures: u32,
    successes: u32,
    since: Seconds,
    last_up: Seconds,
}

impl Counter {
    fn new(now: Seconds) -> Self {
        Self {
            up: None,
            failures: 0,
            successes: 0,
            since: now,
            last_up: 0,
        }
    }

    /// Each failure adds one, successes in between do not lower it, `ok` in a row clear it, `down` of them take it out, `up`
    /// successes in a row bring it back.
    pub(crate) fn observe(&mut self, good: bool, probe: &Probe, now: Seconds) -> bool {
        let before = self.up;
        if good {
            self.successes += 1;
        } else {
            self.successes = 0;
            self.failures += 1;
        }
        match self.up {
            None => self.up = Some(good),
            Some(true) if self.failures >= probe.down => self.up = Some(false),
            Some(true) if self.successes >= probe.ok => self.failures = 0,
            Some(false) if self.successes >= probe.up => self.up = Some(true),
            _ => {}
        }
        if before == Some(true) || self.up == Some(true) {
            self.last_up = now;
        }
        if self.up != before {
            (self.failures, self.successes, self.since) = (0, 0, now);
        }
        self.up != before
    }

    /// How long an answer may be kept that depends on it; none: as long as its name says.
    fn cap(&self, probe: &Probe, started: Seconds, now: Seconds) -> Option<u64> {
        if now < self.since.max(started) + 60 {
            return Some(0);
        }
        match self.up {
            Some(true) if self.failures > 0 => {
                Some(probe.every * u64::from(probe.down - self.failures))
            }
            Some(true) => None,
            Some(false) if self.successes == 0 => None,
            _ => Some(0),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    Drained,
    Up,
    Down,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) forced: Forced,
    pub(crate) since: Seconds,
    pub(crate) until: Option<Seconds>,
}

/// All that is known of nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) counters: BTreeMap<Key, Counter>,
    pub(crate) orders: BTreeMap<String, Order>,
    pub(crate) started: Seconds,
}

/// Of an address or a node: in service, how long that is sure, when it last was.
#[derive(Clone, Copy, Debug)]
struct Word {
    up: bool,
    cap: Option<u64>,
    last: u64,
}

/// Members in the order in which a client is given them: groups by rule, and bands of about-equal ones in each.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    /// Of each band its members and the number of its group.
    pub(crate) bands: Vec<(Vec<String>, usize)>,
    /// Bands from here on are only as good as their groups: nothing says in which order they come.
    pub(crate) sure: usize,
    /// Two distances are too near to a limit to be told apart by another formula.
    pub(crate) doubtful: bool,
}

/// What an answer has to be.
#[derive(Debug)]
pub(crate) enum Expected {
    /// These nodes in this order.
    Exactly(Vec<String>, u32),
    /// So many of these.
    Drawn(usize, Vec<String>, u32),
    /// One to so many of these: beyond the head of a list the order is by distance from its first member only.
    Some(usize, Vec<String>),
    /// Nobody is in service, and this is given all the same.
    Open(Vec<String>),
    /// As above, one of these.
    OpenOne(Vec<String>),
    Nothing,
    ServFail,
}

/// Who must be compared exactly: the first of a list and two more (ARCHITECTURE, "Lists have a head and a tail").
const SPARE: usize = 2;

impl Oracle {
    /// The checks that there have to be: one per address, probe and name asked for, however many pools use it. What is known stays.
    pub(crate) fn begin(&mut self, model: &Model, now: Seconds) {
        let old = std::mem::take(&mut self.counters);
        for pool in &model.pools {
            for node in model.members(pool) {
                for &ip in &node.ips {
                    for key in keys(model, pool, ip) {
                        let known = old.get(&key).filter(|c| c.up.is_some());
                        let mut counter = Counter::new(now);
                        if let Some(known) = known {
                            // A state is gone on from, a count is not.
                            counter.up = known.up;
                            counter.since = known.since;
                            counter.last_up = if known.up == Some(true) { now } else { 0 };
                        }
                        self.counters.insert(key, counter);
                    }
                }
            }
        }
        self.started = now;
        self.orders.retain(|node, _| model.node(node).is_some());
    }

    fn address(&self, model: &Model, pool: &Pool, node: &Node, ip: IpAddr, now: Seconds) -> Word {
        if let Some(order) = self.orders.get(&node.name) {
            let fresh = now < order.since + 60;
            let left = order.until.map(|until| until.saturating_sub(now));
            let up = order.forced == Forced::Up;
            return Word {
                up,
                cap: if fresh { Some(0) } else { left },
                last: if up { u64::MAX } else { 0 },
            };
        }
        let judged = keys(model, pool, ip).into_iter().map(|key| {
            let counter = &self.counters[&key];
            let up = counter.up == Some(true);
            Word {
                up,
                cap: counter.cap(model.probe(&key.probe), self.started, now),
                last: if up { u64::MAX } else { counter.last_up },
            }
        });
        together(&judged.collect::<Vec<Word>>(), pool.need())
    }

    fn node(&self, model: &Model, pool: &Pool, name: &str, v4: bool, now: Seconds) -> Word {
        let node = model.node(name).unwrap();
        let ips = node.ips.iter().filter(|ip| ip.is_ipv4() == v4);
        let words = ips.map(|ip| self.address(model, pool, node, *ip, now));
        words
            .reduce(|a, b| Word {
                up: a.up || b.up,
                cap: least(a.cap, b.cap),
                last: a.last.max(b.last),
            })
            .unwrap()
    }

    /// How many steps of `low` hold: while less than so much of the nodes before is in service, the next join (SPEC 3.8).
    pub(crate) fn step(&self, model: &Model, pool: &Pool, v4: bool, now: Seconds) -> usize {
        let family = |n: &&Node| n.ips.iter().any(|ip| ip.is_ipv4() == v4);
        let part = |nodes: &[&Node]| -> (u64, u64) {
            let weights = nodes.iter().map(|n| u64::from(n.weight));
            (weights.sum(), nodes.len() as u64)
        };
        for (step, low) in pool.low.iter().enumerate() {
            let waits = |n: &&Node| pool.low[step..].iter().any(|l| l.uses == n.name);
            let before = model.members(pool).filter(family).filter(|n| !waits(n));
            let before: Vec<&Node> = before.collect();
            let up = |n: &&&Node| self.node(model, pool, &n.name, v4, now).up;
            let serving: Vec<&Node> = before.iter().filter(up).copied().collect();
            let ((whole, _), (left, count)) = (part(&before), part(&serving));
            let holds = match low.below {
                Below::Percent(n) => left * 100 < whole * n,
                Below::Nodes(n) => count < n,
            };
            if !holds {
                return step;
            }
        }
        pool.low.len()
    }

    /// The addresses of a node that clients may be given.
    pub(crate) fn up(
        &self,
        model: &Model,
        pool: &Pool,
        name: &str,
        v4: bool,
        now: Seconds,
    ) -> Vec<IpAddr> {
        let node = model.node(name).unwrap();
        let ips = node.ips.iter().filter(|ip| ip.is_ipv4() == v4);
        ips.filter(|ip| self.address(model, pool, node, **ip, now).up)
            .copied()
            .collect()
    }

    /// The answer to a client. `order` decides within bands; the rest of it is checked elsewhere.
    pub(crate) fn answer(
        &self,
        model: &Model,
        pool: &Pool,
        v4: bool,
        ranked: &Ranked,
        order: &[String],
        now: Seconds,
    ) -> Expected {
        let word = |name: &String| self.node(model, pool, name, v4, now);
        let wanted = pool.answer.map_or(64, usize::from);
        let rank = |name: &String| order.iter().position(|o| o == name);
        let (mut outs, mut walked, mut cap, mut given) = (0, 0, None, Vec::new());
        for (number, (band, group)) in ranked.bands.iter().enumerate() {
            let mut band = band.clone();
            band.sort_by_key(rank);
            for name in &band {
                if pool.sticky && given.len() == wanted {
                    break;
                }
                walked += 1;
                let word = word(name);
                cap = least(cap, word.cap);
                if word.up {
                    given.push(name.clone());
                } else {
                    outs += 1;
                }
            }
            let sure = number < ranked.sure && (number == 0 || outs <= SPARE);
            let complete = pool.answer.is_none() || walked <= wanted + SPARE;
            if !given.is_empty() && !(sure && (number == 0 || complete || !pool.sticky)) {
                let of_group = ranked.bands.iter().filter(|b| b.1 == *group);
                let all = of_group.flat_map(|b| &b.0).filter(|n| word(n).up);
                return Expected::Some(wanted, all.cloned().collect());
            }
            if !given.is_empty() {
                let (most, min) = pool.ttl;
                let ttl = cap.map_or(most, |cap| {
                    u32::try_from(cap).unwrap_or(most).min(most).max(min)
                });
                if !pool.sticky && given.len() > wanted {
                    return Expected::Drawn(wanted, given, ttl);
                }
                return match pool.sticky {
                    true => Expected::Exactly(given, ttl),
                    false => Expected::Drawn(given.len(), given, ttl),
                };
            }
        }
        match pool.none {
            "nodata" => Expected::Nothing,
            "servfail" => Expected::ServFail,
            "all" => Expected::Open(order.to_vec()),
            "nearest" => {
                let mut first = ranked.bands.first().map_or(Vec::new(), |b| b.0.clone());
                first.sort_by_key(rank);
                first.truncate(wanted);
                Expected::Open(first)
            }
            _ => {
                let last = |n: &&String| word(n).last;
                let best = order.iter().map(|n| last(&n)).max();
                let some = order.iter().filter(|n| Some(last(n)) == best);
                Expected::OpenOne(some.cloned().collect())
            }
        }
    }
}

/// The verdict of several checks of which `need` must be up. It is sure until so many of those that are moving have moved that it is
/// another.
fn together(checks: &[Word], need: usize) -> Word {
    let ups = checks.iter().filter(|c| c.up).count();
    let up = ups >= need;
    let turned = |by: u64| {
        let moved = |c: &&Word| c.up == up && c.cap.is_some_and(|cap| cap <= by);
        let moved = checks.iter().filter(moved).count();
        if up {
            ups - moved < need
        } else {
            ups + moved >= need
        }
    };
    let mut lasts: Vec<u64> = checks.iter().map(|c| c.last).collect();
    lasts.sort_unstable();
    Word {
        up,
        cap: checks
            .iter()
            .filter_map(|c| c.cap)
            .filter(|cap| turned(*cap))
            .min(),
        last: lasts.iter().rev().take(need).min().map_or(u64::MAX, |l| *l),
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn keys(model: &Model, pool: &Pool, ip: IpAddr) -> Vec<Key> {
    let key = |name: &String| Key {
        probe: name.clone(),
        ip,
        host: model.probe(name).host.clone().unwrap_or(pool.host()),
    };
    pool.probes.iter().map(key).collect()
}

/// Where a client is: the narrowest override, else the narrowest record (SPEC 3.2).
fn place(model: &Model, client: IpAddr) -> (Option<Point>, Option<&'static str>) {
    let narrowest = |blocks: &[Block]| {
        let holding = blocks.iter().filter(|b| b.net.contains(client));
        holding.max_by_key(|b| b.net.len).copied()
    };
    let found = narrowest(&model.overrides).or_else(|| narrowest(&model.blocks));
    found.map_or((None, None), |b| (b.at, b.country))
}

fn means(whom: &Whom, client: IpAddr, country: Option<&str>) -> bool {
    let continent = COUNTRIES.iter().find(|c| Some(c.0) == country).map(|c| c.1);
    match whom {
        Whom::Country(code) => country == Some(code),
        Whom::Continent(code) => continent == Some(code),
        Whom::Net(net) => net.contains(client),
    }
}

/// IPv4 inside of IPv6 is looked up as what it is (SPEC 3.1).
pub(crate) fn looked_up(client: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = client else {
        return client;
    };
    let [.., c, d] = v6.segments();
    let lower = (u32::from(c) << 16) | u32::from(d);
    let inside = match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => lower,
        [0x2002, a, b, ..] => (u32::from(a) << 16) | u32::from(b),
        [0x2001, 0, ..] => !lower,
        _ => return client,
    };
    Ipv4Addr::from_bits(inside).into()
}

/// The order of a pool's nodes for a client (SPEC 3.2 to 3.5), with so many steps of `low` joined.
pub(crate) fn rank(model: &Model, pool: &Pool, v4: bool, client: IpAddr, step: usize) -> Ranked {
    let client = looked_up(client);
    let (point, country) = place(model, client);
    let unknown = point.is_none() && country.is_none();
    let shut = |node: &Node| {
        let hit = |whom: &[Whom]| whom.iter().any(|w| means(w, client, country));
        hit(&node.except) || !(node.only.is_empty() || hit(&node.only))
    };
    let family = |node: &&Node| node.ips.iter().any(|ip| ip.is_ipv4() == v4);
    let members: Vec<&Node> = model.members(pool).filter(family).collect();
    let left: Vec<&Node> = members.iter().copied().filter(|n| !shut(n)).collect();
    let point = point.or(model.server.filter(|_| unknown && pool.unknown.is_none()));
    let mut ranked = Ranked {
        bands: Vec::new(),
        sure: usize::MAX,
        doubtful: false,
    };
    let holds =
        |rule: &&Rule| rule.from.is_empty() || rule.from.iter().any(|w| means(w, client, country));
    let mut groups: Vec<Vec<&Node>> = groups(pool.rules.iter().find(holds), left)
        .into_iter()
        .flat_map(|group| preferred(pool, &members, group, country, step))
        .collect();
    // With all nodes in the answer the order is the pool's, whoever asks.
    let listed = pool
        .unknown
        .iter()
        .filter(|_| unknown && pool.answer.is_some());
    for name in listed.flatten() {
        for group in &mut groups {
            if let Some(at) = group.iter().position(|n| n.name == *name) {
                ranked.bands.push((vec![group.remove(at).name.clone()], 0));
                ranked.sure = ranked.bands.len();
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    let distance = |node: &Node| {
        let km = match point {
            Some(point) => km(point, node.at),
            None => mean_km(country, node.at),
        };
        let bias = f64::from(node.bias) / 100.0;
        if bias > 0.0 {
            km * (1.0 - bias)
        } else {
            km / (1.0 + bias)
        }
    };
    for (group, nodes) in groups.into_iter().enumerate() {
        if pool.answer.is_none() {
            let names: Vec<String> = nodes.iter().map(|n| n.name.clone()).collect();
            ranked.bands.push((names, group + 1));
            continue;
        }
        let mut nodes: Vec<(f64, &Node)> = nodes.iter().map(|n| (distance(n), *n)).collect();
        nodes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (factor, slack) = pool.near;
        while let Some((nearest, _)) = nodes.first() {
            let limit = nearest * factor + slack;
            ranked.doubtful |= nodes
                .iter()
                .any(|n| n.0 > *nearest && (n.0 - limit).abs() < 0.01);
            let (band, rest): (Vec<_>, Vec<_>) =
                nodes.into_iter().partition(|n| n.0 <= limit + 1e-9);
            let names = band.iter().map(|n| n.1.name.clone()).collect();
            ranked.bands.push((names, group + 1));
            nodes = rest;
        }
    }
    ranked
}

/// One group after the other, each node once: a name before the `*` that means all that are not named.
fn groups<'m>(rule: Option<&Rule>, left: Vec<&'m Node>) -> Vec<Vec<&'m Node>> {
    let Some(rule) = rule else {
        return vec![left];
    };
    let meant = |used: &str, node: &Node| {
        used == node.name || used.strip_prefix("tag:").is_some_and(|tag| tag == node.tag)
    };
    let mut left = left;
    let mut groups = Vec::new();
    for used in &rule.uses {
        let named = |n: &Node| rule.uses.iter().any(|u| meant(u, n));
        let (group, rest) = left.into_iter().partition(|n| match &**used {
            "*" => !named(n),
            used => meant(used, n),
        });
        let group: Vec<&Node> = group;
        if !group.is_empty() {
            groups.push(group);
        }
        left = rest;
    }
    groups
}

/// A group by tier, then by each word of `prefer`, with so many steps of `low` joined to the lowest tier.
fn preferred<'m>(
    pool: &Pool,
    members: &[&Node],
    group: Vec<&'m Node>,
    country: Option<&str>,
    step: usize,
) -> Vec<Vec<&'m Node>> {
    let waiting = |n: &Node| pool.low.iter().position(|l| l.uses == n.name);
    let first = members.iter().filter(|n| waiting(n).is_none());
    let lowest = first.map(|n| usize::from(n.tier)).min().unwrap_or(1);
    let tier = |n: &Node| match waiting(n) {
        Some(place) if place < step => lowest,
        Some(place) if usize::from(n.tier) <= lowest => 1000 + place,
        _ => usize::from(n.tier),
    };
    let continent = |code: &str| COUNTRIES.iter().find(|c| c.0 == code).map(|c| c.1);
    let behind = |n: &Node, word: &str| match word {
        "order" => members.iter().position(|m| m.name == n.name).unwrap(),
        "country" => usize::from(country != Some(n.country)),
        _ => usize::from(country.is_none_or(|c| continent(c) != continent(n.country))),
    };
    let mut standings: BTreeMap<Vec<usize>, Vec<&Node>> = BTreeMap::new();
    for node in group {
        let words = pool.prefer.iter().map(|word| behind(node, word));
        let standing = [tier(node)].into_iter().chain(words).collect();
        standings.entry(standing).or_default().push(node);
    }
    standings.into_values().collect()
}

/// Great-circle distance by the haversine formula.
fn km(a: Point, b: Point) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let (dlat, dlon) = (lat_b - lat_a, (b.1 - a.1).to_radians());
    let h = (dlat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
}

/// Mean distance over the people of a country's larger cities, or the world's: the table is data, the sum is ours.
fn mean_km(country: Option<&'static str>, node: Point) -> f64 {
    type Means = HashMap<(Option<&'static str>, u64, u64), f64>;
    thread_local!(static KNOWN: RefCell<Means> = RefCell::default());
    let key = (country, node.0.to_bits(), node.1.to_bits());
    let known = KNOWN.with_borrow(|known| known.get(&key).copied());
    known.unwrap_or_else(|| {
        let mean = sum_km(country, node);
        KNOWN.with_borrow_mut(|known| known.insert(key, mean));
        mean
    })
}

fn sum_km(country: Option<&str>, node: Point) -> f64 {
    let cities = nearmost::control::cities(country.and_then(Country::new));
    let people: f64 = cities.iter().map(|c| c.1.max(1.0)).sum();
    let part = |c: &(nearmost::geo::Point, f64)| km((c.0.lat, c.0.lon), node) * c.1.max(1.0);
    cities.iter().map(part).sum::<f64>() / people
}
