//! A made-up world: nodes, pools, probes, and where clients are.

mod make;
mod net;
mod write;

use std::net::IpAddr;

use crate::oracle::Key;
use crate::random::Random;
pub(crate) use net::{Net, Whom, anywhere};

/// Parts of some of them.
pub(crate) const PARTS: [(&str, &str); 4] = [
    ("US-CA", "US"),
    ("US-NY", "US"),
    ("GB-ENG", "GB"),
    ("DE-BY", "DE"),
];

/// Whom canaries are asked for.
pub(super) const CANARY_HOST: &str = "canary.example.net";

/// Degrees north and east.
pub(crate) type Point = (f64, f64);

/// Countries and their continents.
pub(crate) const COUNTRIES: [(&str, &str); 8] = [
    ("GB", "EU"),
    ("DE", "EU"),
    ("FR", "EU"),
    ("US", "NA"),
    ("BR", "SA"),
    ("JP", "AS"),
    ("CN", "AS"),
    ("ZA", "AF"),
];

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) at: Point,
    pub(crate) region: usize,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) weight: u32,
    pub(crate) tag: &'static str,
    /// If it is stated; else the database says it.
    pub(crate) asn: Option<u32>,
    /// In Mbit.
    pub(crate) capacity: Option<u64>,
    pub(crate) country: &'static str,
    pub(crate) tier: u8,
    pub(crate) bias: i8,
    pub(crate) only: Vec<Whom>,
    pub(crate) except: Vec<Whom>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
    pub(crate) every: u64,
    pub(crate) down: u32,
    pub(crate) ok: u32,
    pub(crate) up: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) from: Vec<Whom>,
    /// Names, `tag:...` or `*`.
    pub(crate) uses: Vec<String>,
}

/// Nodes that join those before them.
#[derive(Clone, Debug)]
pub(crate) struct Low {
    pub(crate) below: Below,
    /// A name, `tag:...` or `tier:...`.
    pub(crate) uses: String,
}

impl Low {
    pub(crate) fn means(&self, node: &Node) -> bool {
        match self.uses.split_once(':') {
            Some(("tag", tag)) => tag == node.tag,
            Some((_, tier)) => tier == node.tier.to_string(),
            None => self.uses == node.name,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Below {
    Percent(u64),
    Nodes(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// Also the label of its name.
    pub(crate) name: String,
    /// Names, in the pool's order; those of removed nodes mean nothing.
    pub(crate) nodes: Vec<String>,
    pub(crate) probes: Vec<String>,
    /// An address needs only one of them.
    pub(crate) any: bool,
    /// None: all.
    pub(crate) answer: Option<u8>,
    pub(crate) near: (f64, f64),
    pub(crate) sticky: bool,
    pub(crate) damping: bool,
    pub(crate) none: &'static str,
    /// Words of the configuration.
    pub(crate) prefer: Vec<&'static str>,
    pub(crate) low: Vec<Low>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) unknown: Option<Vec<String>>,
    pub(crate) ttl: (u32, u32),
}

impl Pool {
    pub(crate) fn host(&self) -> String {
        format!("{}.example.org", self.name)
    }

    /// How many probes an address must pass.
    pub(crate) fn need(&self) -> usize {
        if self.any {
            self.probes.len().min(1)
        } else {
            self.probes.len()
        }
    }
}

/// A network and where it is: a point, a country, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) net: Net,
    pub(crate) at: Option<Point>,
    pub(crate) country: Option<&'static str>,
    /// Of its country.
    pub(crate) part: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) pools: Vec<Pool>,
    /// What is known to be good: addresses and their probes.
    pub(crate) canaries: Vec<(IpAddr, String)>,
    /// For how many seconds states are frozen at most.
    pub(crate) freeze: u64,
    /// The GeoIP database.
    pub(crate) blocks: Vec<Block>,
    pub(crate) overrides: Vec<Block>,
    /// Who has which networks: the ASN database.
    pub(crate) systems: Vec<(Net, u32)>,
    pub(crate) server: Option<Point>,
    regions: Vec<Point>,
    /// Nodes that there ever were: addresses are not used twice.
    made: u8,
}

impl Model {
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    pub(crate) fn probe(&self, name: &str) -> &Probe {
        self.probes.iter().find(|p| p.name == name).unwrap()
    }

    /// The checks of canaries.
    pub(crate) fn canary_keys(&self) -> impl Iterator<Item = Key> {
        self.canaries.iter().map(|(ip, probe)| Key {
            probe: probe.clone(),
            ip: *ip,
            host: self.probe(probe).host.clone().unwrap_or(CANARY_HOST.into()),
        })
    }

    /// The nodes of a pool, in its order.
    pub(crate) fn members<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = &'a Node> {
        pool.nodes.iter().filter_map(|name| self.node(name))
    }

    /// Some change that an operator makes to the files; what it was.
    pub(crate) fn change(&mut self, random: &mut Random) -> String {
        let (node, pool) = (
            random.below(self.nodes.len()),
            random.below(self.pools.len()),
        );
        match random.below(7) {
            0 if self.nodes.len() < 14 => {
                let name = self.add_node(random);
                self.pools[pool].nodes.push(name.clone());
                format!("{name} joins {}", self.pools[pool].name)
            }
            // Whom a rule or a list names stays: what names nobody is an error.
            1 if self.nodes.len() > 5 && !self.named(&self.nodes[node].name) => {
                let gone = self.nodes.remove(node).name;
                format!("{gone} is removed")
            }
            2 => {
                self.nodes[node].weight = *random.pick(&[0, 10, 100, 1000]);
                format!(
                    "{} weighs {}",
                    self.nodes[node].name, self.nodes[node].weight
                )
            }
            3 => {
                self.nodes[node].except = self.some_clients(random);
                format!("{} is shut to some", self.nodes[node].name)
            }
            4 => {
                let name = self.probes[random.below(3)].name.clone();
                let fresh = Self::probe_named(random, &name);
                *self.probes.iter_mut().find(|p| p.name == name).unwrap() = fresh;
                format!("{name} is another probe")
            }
            _ => {
                let name = self.pools[pool].name.clone();
                let fresh = self.pool(random, name.clone());
                self.pools[pool] = fresh;
                format!("{name} is another pool")
            }
        }
    }

    fn named(&self, node: &str) -> bool {
        self.pools.iter().any(|pool| {
            let rules = pool.rules.iter().flat_map(|r| &r.uses);
            let listed = pool.unknown.iter().flatten();
            let listed = listed.chain(pool.low.iter().map(|l| &l.uses));
            let tagged = !(pool.rules.is_empty() && pool.low.is_empty());
            let few = pool.nodes.iter().filter(|n| self.node(n).is_some()).count() < 3;
            let has = pool.nodes.iter().any(|n| n == node);
            // Nor may a tag lose its last node.
            rules.chain(listed).any(|n| n == node) || (has && (few || tagged))
        })
    }
}
