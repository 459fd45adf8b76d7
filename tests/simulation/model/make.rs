//! Worlds are made at random.

use std::net::IpAddr;

use super::net::{Net, Whom, anywhere};
use super::{Below, Block, COUNTRIES, Low, Model, Node, PARTS, Pool, Probe, Rule};
use crate::random::Random;

/// Autonomous systems.
const SYSTEMS: [u32; 3] = [64_500, 64_501, 64_502];

impl Model {
    pub(crate) fn make(random: &mut Random) -> Self {
        let regions = (0..random.between(2, 4))
            .map(|_| (random.within(-50, 60), random.within(-150, 150)))
            .collect();
        let mut model = Self {
            nodes: Vec::new(),
            probes: Vec::new(),
            pools: Vec::new(),
            canaries: Vec::new(),
            freeze: *random.pick(&[600, 600, 600, 120, 0]),
            blocks: Vec::new(),
            overrides: Vec::new(),
            systems: Vec::new(),
            server: random
                .percent(50)
                .then(|| (random.within(-50, 60), random.within(-150, 150))),
            regions,
            made: 0,
        };
        model.places(random);
        model.some_systems(random);
        let stated = if random.percent(50) { 100 } else { 80 };
        for _ in 0..random.between(5, 12) {
            model.add_node(random);
        }
        for node in &mut model.nodes {
            let stated = random.percent(stated);
            node.capacity = stated.then(|| *random.pick(&[500, 1000, 2500, 10_000]));
        }
        for n in 0..3 {
            let probe = Self::probe_named(random, &format!("probe{n}"));
            model.probes.push(probe);
        }
        if random.percent(40) {
            let probe = |random: &mut Random| format!("probe{}", random.below(3));
            model.canaries.push(([9, 9, 9, 9].into(), probe(random)));
            let v6 = [0x2620, 0xfe, 0, 0, 0, 0, 0, 9].into();
            model.canaries.push((v6, probe(random)));
        }
        for n in 0..random.between(2, 5) {
            let pool = model.pool(random, format!("pool{n}"));
            model.pools.push(pool);
        }
        model
    }

    pub(super) fn probe_named(random: &mut Random, name: &str) -> Probe {
        let host = random.percent(50).then(|| "shared.example.org".to_owned());
        Probe {
            name: name.into(),
            host,
            every: *random.pick(&[5, 10, 10, 30, 60]),
            down: u32::try_from(random.between(1, 4)).unwrap(),
            ok: u32::try_from(random.between(1, 6)).unwrap(),
            up: u32::try_from(random.between(1, 6)).unwrap(),
        }
    }

    fn places(&mut self, random: &mut Random) {
        let (database, overrides) = (random.between(12, 40), random.between(2, 10));
        for n in 0..database + overrides {
            let stated = n >= database;
            let v4 = random.percent(70);
            let len = match (v4, stated) {
                (true, false) => random.between(8, 24),
                (true, true) => random.between(8, 32),
                (false, false) => random.between(16, 56),
                (false, true) => random.between(16, 64),
            };
            // Half of them lie within one that there is.
            let inside = self.blocks.get(random.below(self.blocks.len() * 2));
            let inside = inside.filter(|b| b.net.addr.is_ipv4() == v4);
            let addr = match inside {
                Some(block) => block.net.any(random),
                None => anywhere(random, v4),
            };
            let net = Net::around(addr, u8::try_from(len).unwrap());
            if self
                .blocks
                .iter()
                .chain(&self.overrides)
                .any(|b| b.net == net)
            {
                continue;
            }
            let point = (random.within(-60, 70), random.within(-170, 170));
            let country = random.pick(&COUNTRIES).0;
            // Points without countries, countries without points, or both.
            let (at, country) = match random.below(3) {
                0 => (Some(point), None),
                1 => (None, Some(country)),
                _ => (Some(point), Some(country)),
            };
            let own = PARTS.iter().filter(|p| Some(p.1) == country && !stated);
            let own: Vec<&str> = own.map(|p| p.0).collect();
            let part = (!own.is_empty() && random.percent(75)).then(|| *random.pick(&own));
            let block = Block {
                net,
                at,
                country,
                part,
            };
            if stated {
                self.overrides.push(block);
            } else {
                self.blocks.push(block);
            }
        }
    }

    /// Nodes are in some, and clients: in all of a network, in a part of one, or where nothing else is known.
    fn some_systems(&mut self, random: &mut Random) {
        let nodes = Net::around([198, 51, 100, 0].into(), 24);
        self.systems.push((nodes, SYSTEMS[0]));
        for _ in 0..random.between(5, 15) {
            let addr = match random.percent(80) {
                true => random.pick(&self.blocks).net.any(random),
                false => anywhere(random, true),
            };
            let len = match addr.is_ipv4() {
                true => random.between(8, 24),
                false => random.between(16, 56),
            };
            let net = Net::around(addr, u8::try_from(len).unwrap());
            if self.systems.iter().all(|s| s.0 != net) {
                self.systems.push((net, *random.pick(&SYSTEMS)));
            }
        }
    }

    pub(super) fn add_node(&mut self, random: &mut Random) -> String {
        self.made += 1;
        let n = self.made;
        let region = random.below(self.regions.len());
        let (lat, lon) = self.regions[region];
        let spread = *random.pick(&[1, 1, 8]);
        let at = (
            round(lat + random.within(-spread, spread)),
            round(lon + random.within(-spread, spread)),
        );
        let mut ips: Vec<IpAddr> = Vec::new();
        if random.percent(90) {
            ips.push([198, 51, 100, n].into());
        }
        if random.percent(25) {
            ips.push([203, 0, 113, n].into());
        }
        if ips.is_empty() || random.percent(70) {
            ips.push([0x2001, 0xdb8, n.into(), 0, 0, 0, 0, 1].into());
        }
        let mut limit = |percent| match random.percent(percent) {
            true => self.some_clients(random),
            false => Vec::new(),
        };
        let (only, except) = (limit(15), limit(15));
        let name = format!("n{n}");
        self.nodes.push(Node {
            name: name.clone(),
            at,
            region,
            ips,
            weight: *random.pick(&[0, 50, 100, 100, 100, 300]),
            tag: random.pick::<&str>(&["red", "blue"]),
            asn: random.percent(40).then(|| *random.pick(&SYSTEMS)),
            capacity: Some(1000),
            country: random.pick(&COUNTRIES).0,
            tier: *random.pick(&[1, 1, 1, 1, 2, 3]),
            bias: *random.pick(&[0, 0, 0, 0, 30, -40]),
            only,
            except,
        });
        name
    }

    pub(super) fn some_clients(&self, random: &mut Random) -> Vec<Whom> {
        let mut some = Vec::new();
        for _ in 0..random.between(1, 3) {
            let (country, continent) = *random.pick(&COUNTRIES);
            let whom = match random.below(5) {
                0 => Whom::Country(country),
                1 => Whom::Continent(continent),
                2 => Whom::System(*random.pick(&SYSTEMS)),
                3 => Whom::Part(random.pick(&PARTS).0),
                _ => {
                    let net = random.pick(&self.blocks).net;
                    // The half of a network, or all of it.
                    let most = if net.addr.is_ipv4() { 24 } else { 56 };
                    let len = (net.len + u8::from(random.percent(50))).min(most);
                    Whom::Net(Net::around(net.any(random), len))
                }
            };
            if !some.contains(&whom) {
                some.push(whom);
            }
        }
        some
    }

    pub(super) fn pool(&self, random: &mut Random, name: String) -> Pool {
        let mut nodes: Vec<String> = self.nodes.iter().map(|n| n.name.clone()).collect();
        random.shuffle(&mut nodes);
        nodes.truncate(usize::try_from(random.between(3, 12)).unwrap());
        let mut probes: Vec<String> = self.probes.iter().map(|p| p.name.clone()).collect();
        random.shuffle(&mut probes);
        probes.truncate(random.below(3).max(usize::from(random.percent(90))));
        let some = |random: &mut Random| nodes[random.below(nodes.len())].clone();
        let mut rules = Vec::new();
        while random.percent(35) {
            let mut uses = vec![some(random)];
            if random.percent(40) {
                let node = self.node(&some(random)).unwrap();
                uses.push(format!("tag:{}", node.tag));
            }
            if random.percent(60) {
                uses.push("*".into());
            }
            let from = match random.percent(90) {
                true => self.some_clients(random),
                false => Vec::new(),
            };
            rules.push(Rule { from, uses });
        }
        let unknown = random.percent(25).then(|| {
            let mut listed = nodes.clone();
            listed.truncate(2);
            listed
        });
        let mut prefer = Vec::new();
        for word in ["country", "continent", "asn"] {
            if random.percent(20) {
                prefer.push(word);
            }
        }
        random.shuffle(&mut prefer);
        if random.percent(10) {
            prefer.push("order");
        }
        Pool {
            prefer,
            low: self.low(random, &nodes),
            any: probes.len() > 1 && random.percent(30),
            probes,
            answer: *random.pick(&[Some(1), Some(1), Some(2), Some(3), None]),
            near: *random.pick(&[(1.0, 0.0), (1.1, 50.0), (1.3, 150.0), (2.0, 500.0)]),
            sticky: random.percent(75),
            damping: random.percent(40),
            none: random.pick::<&str>(&["least-bad", "all", "nearest", "nodata", "servfail"]),
            rules,
            unknown,
            ttl: *random.pick(&[(300, 30), (300, 5), (60, 60), (20, 1)]),
            name,
            nodes,
        }
    }

    /// One or two nodes of a pool that wait for others to fail, each in a step of its own.
    fn low(&self, random: &mut Random, nodes: &[String]) -> Vec<Low> {
        let steps = match random.percent(40) {
            true => random.between(1, 2),
            false => 0,
        };
        let uses = nodes.iter().skip(1).take(usize::try_from(steps).unwrap());
        let low = |uses: &String| Low {
            below: match random.percent(70) {
                true => Below::Percent(*random.pick(&[28, 50, 56, 75, 100])),
                false => Below::Nodes(random.between(1, 4)),
            },
            uses: uses.clone(),
        };
        let mut steps: Vec<Low> = uses.map(low).collect();
        if let ([step], true) = (&mut steps[..], random.percent(60)) {
            self.widen(random, step, nodes);
        }
        steps
    }

    /// All of a tag or a tier wait, unless nobody would be left of a family.
    fn widen(&self, random: &mut Random, step: &mut Low, nodes: &[String]) {
        let node = self.node(&step.uses).unwrap();
        let uses = match random.percent(50) {
            true => format!("tag:{}", node.tag),
            false => format!("tier:{}", node.tier),
        };
        let wide = Low {
            uses,
            ..step.clone()
        };
        let left: Vec<&Node> = nodes
            .iter()
            .filter_map(|n| self.node(n))
            .filter(|n| !wide.means(n))
            .collect();
        if [false, true].iter().all(|v6| {
            left.iter()
                .any(|n| n.ips.iter().any(|ip| ip.is_ipv6() == *v6))
        }) {
            *step = wide;
        }
    }
}

fn round(degrees: f64) -> f64 {
    (degrees * 10_000.0).round() / 10_000.0
}
