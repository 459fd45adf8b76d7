//! The order of a pool's nodes for a client (SPEC 3.1 to 3.5).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::distance::{km, mean_km};
use crate::model::{Block, COUNTRIES, Model, Node, Point, Pool, Rule, Whom};

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

/// The order of a pool's nodes for a client (SPEC 3.2 to 3.5), with so many steps of `low` joined.
pub(crate) fn rank(model: &Model, pool: &Pool, v4: bool, client: IpAddr, step: usize) -> Ranked {
    let client = looked_up(client);
    let (point, known) = place(model, client);
    let country = known.country;
    let unknown = point.is_none() && country.is_none();
    let shut = |node: &Node| {
        let hit = |whom: &[Whom]| whom.iter().any(|w| means(w, client, &known));
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
        |rule: &&Rule| rule.from.is_empty() || rule.from.iter().any(|w| means(w, client, &known));
    let mut groups: Vec<Vec<&Node>> = groups(pool.rules.iter().find(holds), left)
        .into_iter()
        .flat_map(|group| preferred(model, pool, &members, group, &known, step))
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
    model: &Model,
    pool: &Pool,
    members: &[&Node],
    group: Vec<&'m Node>,
    client: &Client,
    step: usize,
) -> Vec<Vec<&'m Node>> {
    let waiting = |n: &Node| pool.low.iter().position(|l| l.means(n));
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
        "country" => usize::from(client.country != Some(n.country)),
        "asn" => usize::from(client.asn.is_none() || client.asn != node_system(model, n)),
        _ => usize::from(
            client
                .country
                .is_none_or(|c| continent(c) != continent(n.country)),
        ),
    };
    let mut standings: BTreeMap<Vec<usize>, Vec<&Node>> = BTreeMap::new();
    for node in group {
        let words = pool.prefer.iter().map(|word| behind(node, word));
        let standing = [tier(node)].into_iter().chain(words).collect();
        standings.entry(standing).or_default().push(node);
    }
    standings.into_values().collect()
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

/// What is known of a client beside its point.
#[derive(Clone, Copy, Debug)]
struct Client {
    country: Option<&'static str>,
    part: Option<&'static str>,
    asn: Option<u32>,
}

/// Where a client is: the narrowest override, else the narrowest record (SPEC 3.2). Overrides know no parts of countries.
fn place(model: &Model, client: IpAddr) -> (Option<Point>, Client) {
    let narrowest = |blocks: &[Block]| {
        let holding = blocks.iter().filter(|b| b.net.contains(client));
        holding.max_by_key(|b| b.net.len).copied()
    };
    let found = narrowest(&model.overrides).or_else(|| narrowest(&model.blocks));
    let whom = Client {
        country: found.and_then(|b| b.country),
        part: found.and_then(|b| b.part),
        asn: system(model, client),
    };
    (found.and_then(|b| b.at), whom)
}

/// The autonomous system of an address.
fn system(model: &Model, ip: IpAddr) -> Option<u32> {
    let holding = model.systems.iter().filter(|s| s.0.contains(ip));
    holding.max_by_key(|s| s.0.len).map(|s| s.1)
}

/// That of a node: what is stated, else that of its first address.
fn node_system(model: &Model, node: &Node) -> Option<u32> {
    node.asn.or_else(|| system(model, node.ips[0]))
}

fn means(whom: &Whom, client: IpAddr, of: &Client) -> bool {
    let country = of.country;
    let continent = COUNTRIES.iter().find(|c| Some(c.0) == country).map(|c| c.1);
    match whom {
        Whom::Country(code) => country == Some(code),
        Whom::Continent(code) => continent == Some(code),
        Whom::Part(code) => of.part == Some(code),
        Whom::System(number) => of.asn == Some(*number),
        Whom::Net(net) => net.contains(client),
    }
}
