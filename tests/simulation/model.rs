//! A made-up world: nodes, pools, probes, and where clients are. It can write itself down as an operator would.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::random::Random;

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

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    pub(crate) addr: IpAddr,
    pub(crate) len: u8,
}

impl Net {
    /// The network of a length around an address.
    pub(crate) fn around(addr: IpAddr, len: u8) -> Self {
        let addr = match addr {
            IpAddr::V4(a) => {
                let kept = u32::MAX.checked_shl(u32::from(32 - len)).unwrap_or(0);
                Ipv4Addr::from_bits(a.to_bits() & kept).into()
            }
            IpAddr::V6(a) => {
                let kept = u128::MAX.checked_shl(u32::from(128 - len)).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & kept).into()
            }
        };
        Self { addr, len }
    }

    pub(crate) fn contains(self, addr: IpAddr) -> bool {
        addr.is_ipv4() == self.addr.is_ipv4() && Self::around(addr, self.len) == self
    }

    /// Any address of it.
    pub(crate) fn any(self, random: &mut Random) -> IpAddr {
        let noise = u128::from(random.next()) << 64 | u128::from(random.next());
        match self.addr {
            IpAddr::V4(a) => {
                let free = u32::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                let noise = u32::try_from(noise >> 96).unwrap();
                Ipv4Addr::from_bits(a.to_bits() | (noise & free)).into()
            }
            IpAddr::V6(a) => {
                let free = u128::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() | (noise & free)).into()
            }
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// Some clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Country(&'static str),
    Continent(&'static str),
    Net(Net),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(code) => write!(f, "country:{code}"),
            Self::Continent(code) => write!(f, "continent:{code}"),
            Self::Net(net) => net.fmt(f),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) at: Point,
    pub(crate) region: usize,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) weight: u32,
    pub(crate) tag: &'static str,
    pub(crate) country: &'static str,
    pub(crate) tier: u8,
    pub(crate) bias: i8,
    pub(crate) only: Vec<Whom>,
    pub(crate) except: Vec<Whom>,
}

#[derive(Clone, Debug)]
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
    /// The name of one.
    pub(crate) uses: String,
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
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) pools: Vec<Pool>,
    /// The GeoIP database.
    pub(crate) blocks: Vec<Block>,
    pub(crate) overrides: Vec<Block>,
    pub(crate) server: Option<Point>,
    regions: Vec<Point>,
    /// Nodes that there ever were: addresses are not used twice.
    made: u8,
}

impl Model {
    pub(crate) fn make(random: &mut Random) -> Self {
        let regions = (0..random.between(2, 4))
            .map(|_| (random.within(-50, 60), random.within(-150, 150)))
            .collect();
        let mut model = Self {
            nodes: Vec::new(),
            probes: Vec::new(),
            pools: Vec::new(),
            blocks: Vec::new(),
            overrides: Vec::new(),
            server: random
                .percent(50)
                .then(|| (random.within(-50, 60), random.within(-150, 150))),
            regions,
            made: 0,
        };
        model.places(random);
        for _ in 0..random.between(5, 12) {
            model.add_node(random);
        }
        for n in 0..3 {
            let host = random.percent(50).then(|| "shared.example.org".to_owned());
            model.probes.push(Probe {
                name: format!("probe{n}"),
                host,
                every: *random.pick(&[5, 10, 10, 30, 60]),
                down: u32::try_from(random.between(1, 4)).unwrap(),
                ok: u32::try_from(random.between(1, 6)).unwrap(),
                up: u32::try_from(random.between(1, 6)).unwrap(),
            });
        }
        for n in 0..random.between(2, 5) {
            let pool = model.pool(random, format!("pool{n}"));
            model.pools.push(pool);
        }
        model
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
            // A database of points without countries and of countries without points: as overrides both may be stated.
            let (at, country) = match random.below(if stated { 3 } else { 2 }) {
                0 => (Some(point), None),
                1 => (None, Some(country)),
                _ => (Some(point), Some(country)),
            };
            let block = Block { net, at, country };
            if stated {
                self.overrides.push(block);
            } else {
                self.blocks.push(block);
            }
        }
    }

    pub(crate) fn add_node(&mut self, random: &mut Random) -> String {
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
            country: random.pick(&COUNTRIES).0,
            tier: *random.pick(&[1, 1, 1, 1, 2, 3]),
            bias: *random.pick(&[0, 0, 0, 0, 30, -40]),
            only,
            except,
        });
        name
    }

    fn some_clients(&self, random: &mut Random) -> Vec<Whom> {
        let mut some = Vec::new();
        for _ in 0..random.between(1, 3) {
            let (country, continent) = *random.pick(&COUNTRIES);
            let whom = match random.below(3) {
                0 => Whom::Country(country),
                1 => Whom::Continent(continent),
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

    fn pool(&self, random: &mut Random, name: String) -> Pool {
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
        for word in ["country", "continent"] {
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
        uses.map(low).collect()
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    pub(crate) fn probe(&self, name: &str) -> &Probe {
        self.probes.iter().find(|p| p.name == name).unwrap()
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
        match random.below(6) {
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
            let few = pool.nodes.iter().filter(|n| self.node(n).is_some()).count() < 3;
            let has = pool.nodes.iter().any(|n| n == node);
            // Nor may a tag lose its last node.
            rules.chain(listed).any(|n| n == node) || (has && (few || !pool.rules.is_empty()))
        })
    }

    /// The lines of the GeoIP database.
    pub(crate) fn database(&self) -> Vec<(usize, String)> {
        let line = |b: &Block| match (b.at, b.country) {
            (Some((lat, lon)), _) => format!("{} [{lat:.4}, {lon:.4}]", b.net),
            (None, country) => format!("{} country {}", b.net, country.unwrap_or("US")),
        };
        (1..).zip(self.blocks.iter().map(line)).collect()
    }

    /// The configuration.
    pub(crate) fn config(&self) -> String {
        let mut out = String::new();
        if let Some((lat, lon)) = self.server {
            let _ = writeln!(out, "[server]\nat = [{lat:.4}, {lon:.4}]");
        }
        out += "[geo]\ndatabases = [\"world.mmdb\"]\n";
        for Block { net, at, country } in &self.overrides {
            let _ = writeln!(out, "[[geo.override]]\nnet = \"{net}\"");
            if let Some((lat, lon)) = at {
                let _ = writeln!(out, "at = [{lat:.4}, {lon:.4}]");
            }
            if let Some(country) = country {
                let _ = writeln!(out, "country = \"{country}\"");
            }
        }
        for probe in &self.probes {
            let Probe {
                name,
                every,
                down,
                ok,
                up,
                ..
            } = probe;
            let _ = writeln!(
                out,
                "[probe.{name}]\nkind = \"http\"\nport = 80\nevery = \"{every}s\"\ntimeout = \"2s\"\ndown = {down}\nok = {ok}\nup = {up}"
            );
            if let Some(host) = &probe.host {
                let _ = writeln!(out, "host = \"{host}\"");
            }
        }
        self.pools
            .iter()
            .for_each(|pool| self.write_pool(pool, &mut out));
        for node in &self.nodes {
            let (lat, lon) = node.at;
            let _ = writeln!(
                out,
                "[node.{}]\nat = [{lat:.4}, {lon:.4}]\nip = {}\nweight = {}\ntags = [\"{}\"]\ncountry = \"{}\"\ntier = {}\nbias = {}",
                node.name,
                list(&node.ips),
                node.weight,
                node.tag,
                node.country,
                node.tier,
                node.bias
            );
            let _ = writeln!(
                out,
                "limit = {{ only = {}, except = {} }}",
                list(&node.only),
                list(&node.except)
            );
        }
        // An empty list means nobody, where all are meant.
        out = out.replace("limit = { only = [], except = [] }\n", "");
        out = out.replace("only = [], ", "").replace(", except = []", "");
        out
    }

    fn write_pool(&self, pool: &Pool, out: &mut String) {
        let (host, (most, least)) = (pool.host(), pool.ttl);
        let (factor, slack) = pool.near;
        let _ = writeln!(
            out,
            "[zone.\"{host}\"]\nns = [\"ns1.example.net\"]\nttl = \"{most}/{least}\"\npools = {{ \"@\" = \"{}\" }}",
            pool.name
        );
        let nodes: Vec<&String> = pool
            .nodes
            .iter()
            .filter(|n| self.node(n).is_some())
            .collect();
        let answer = pool.answer.map_or("\"all\"".into(), |n| n.to_string());
        let _ = writeln!(
            out,
            "[pool.{}]\nnodes = {}\nanswer = {answer}\nnear = \"{factor}x + {slack}km\"\nsticky = {}\nnone = \"{}\"",
            pool.name,
            list(&nodes),
            pool.sticky,
            pool.none
        );
        if !pool.probes.is_empty() {
            let _ = writeln!(out, "probes = {}", list(&pool.probes));
        }
        if !pool.prefer.is_empty() {
            let _ = writeln!(out, "prefer = {}", list(&pool.prefer));
        }
        let step = |low: &Low| match low.below {
            Below::Percent(n) => format!("{{ below = \"{n}%\", use = \"{}\" }}", low.uses),
            Below::Nodes(n) => format!("{{ below = {n}, use = \"{}\" }}", low.uses),
        };
        if !pool.low.is_empty() {
            let steps: Vec<String> = pool.low.iter().map(step).collect();
            let _ = writeln!(out, "low = [{}]", steps.join(", "));
        }
        if pool.any {
            *out += "require = \"any\"\n";
        }
        if let Some(listed) = &pool.unknown {
            let _ = writeln!(out, "unknown_client = {}", list(listed));
        }
        let rule = |rule: &Rule| match &rule.from[..] {
            [] => format!("{{ use = {} }}", list(&rule.uses)),
            from => format!("{{ from = {}, use = {} }}", list(from), list(&rule.uses)),
        };
        if !pool.rules.is_empty() {
            let rules: Vec<String> = pool.rules.iter().map(rule).collect();
            let _ = writeln!(out, "rules = [{}]", rules.join(", "));
        }
    }
}

/// An address that could be anybody's.
pub(crate) fn anywhere(random: &mut Random, v4: bool) -> IpAddr {
    let net = if v4 {
        let first = u8::try_from(random.between(11, 90)).unwrap();
        Net::around(IpAddr::from([first, 0, 0, 0]), 8)
    } else {
        Net::around(IpAddr::from([0x2a00, 0, 0, 0, 0, 0, 0, 0]), 14)
    };
    net.any(random)
}

fn round(degrees: f64) -> f64 {
    (degrees * 10_000.0).round() / 10_000.0
}

fn list<T: ToString>(items: &[T]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|i| format!("\"{}\"", i.to_string()))
        .collect();
    format!("[{}]", quoted.join(", "))
}
