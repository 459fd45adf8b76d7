//! The world, written down as an operator would.

use std::fmt::Write;
use std::net::IpAddr;

use super::{Below, Block, CANARY_HOST, Low, Model, Pool, Probe, Rule};

impl Model {
    /// The lines of the GeoIP database.
    pub(crate) fn database(&self) -> Vec<(usize, String)> {
        let line = |b: &Block| match (b.at, b.part.or(b.country)) {
            (Some((lat, lon)), None) => format!("{} [{lat:.4}, {lon:.4}]", b.net),
            (Some((lat, lon)), Some(code)) => format!("{} [{lat:.4}, {lon:.4}] in {code}", b.net),
            (None, code) => format!("{} country {}", b.net, code.unwrap_or("US")),
        };
        let places = self.blocks.iter().map(line);
        let systems = self.systems.iter();
        let systems = systems.map(|(net, number)| format!("{net} AS{number} Example, Inc."));
        (1..).zip(places.chain(systems)).collect()
    }

    /// The configuration.
    pub(crate) fn config(&self) -> String {
        let mut out = String::new();
        if let Some((lat, lon)) = self.server {
            let _ = writeln!(out, "[server]\nat = [{lat:.4}, {lon:.4}]");
        }
        out += "[geo]\ndatabases = [\"world.mmdb\", \"asn.mmdb\"]\n";
        for Block {
            net, at, country, ..
        } in &self.overrides
        {
            let _ = writeln!(out, "[[geo.override]]\nnet = \"{net}\"");
            if let Some((lat, lon)) = at {
                let _ = writeln!(out, "at = [{lat:.4}, {lon:.4}]");
            }
            if let Some(country) = country {
                let _ = writeln!(out, "country = \"{country}\"");
            }
        }
        let canary = |(ip, probe): &(IpAddr, String)| {
            format!("{{ ip = \"{ip}\", probe = \"{probe}\", host = \"{CANARY_HOST}\" }}")
        };
        let canaries: Vec<String> = self.canaries.iter().map(canary).collect();
        let _ = writeln!(
            out,
            "[health]\nfreeze = \"{}s\"\ncanaries = [{}]",
            self.freeze,
            canaries.join(", ")
        );
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
            if let Some(asn) = node.asn {
                let _ = writeln!(out, "asn = \"AS{asn}\"");
            }
            if let Some(capacity) = node.capacity {
                let _ = writeln!(out, "capacity = \"{capacity}Mbit\"");
            }
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
        if pool.damping {
            *out += "damping = true\n";
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

fn list<T: ToString>(items: &[T]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|i| format!("\"{}\"", i.to_string()))
        .collect();
    format!("[{}]", quoted.join(", "))
}
