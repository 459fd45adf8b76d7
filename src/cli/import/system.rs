//! The system that an import makes: nodes, pools, probes and zones, before they are text.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::name;
use crate::config::quote;
use crate::diagnostic::Span;
use crate::zone::Name;

/// All that will be written.
#[derive(Debug, Default)]
pub(super) struct System {
    pub(super) nodes: Vec<Node>,
    pub(super) pools: Vec<Pool>,
    pub(super) probes: Vec<Probe>,
    /// Zone files and what they include, by their paths in the folder.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// How many of these are zones.
    pub(super) zones: usize,
    /// Lines of the table `[server]`, comments among them.
    pub(super) server: Vec<String>,
    /// Lines of the table `[limits]`.
    pub(super) limits: Vec<String>,
    /// Databases of the peer that can be read here.
    pub(super) databases: Vec<PathBuf>,
}

/// One machine or site.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) reached: Reached,
    pub(super) weight: Option<u32>,
    pub(super) at: Option<At>,
    pub(super) tags: Vec<String>,
    /// Where the peer speaks of it.
    pub(super) span: Span,
    /// It is chosen by where it stands.
    pub(super) by_distance: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Addresses(Vec<IpAddr>),
    /// Clients are given this name.
    Name(String),
}

/// A place, and who says so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At {
    pub(super) lat: f64,
    pub(super) lon: f64,
    pub(super) why: String,
}

/// How nodes are chosen where several are equally good by all that stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// For each question anew.
    Random,
    /// The same clients keep the same.
    Sticky,
}

/// One pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    /// Why it looks as it does: a line each.
    pub(super) notes: Vec<String>,
    pub(super) probes: Vec<String>,
    /// Nodes of an answer; none: all that serve.
    pub(super) answer: Option<u32>,
    pub(super) draw: Draw,
    /// Only the nearest of a choice, not all of it by lot.
    pub(super) nearest: bool,
    /// The first that means a client holds; the last is for everybody.
    pub(super) arms: Vec<Arm>,
    /// What clients get of whom nothing is known: choices in order; empty: what everybody gets.
    pub(super) unknown: Vec<Choice>,
    /// What is answered when nobody is left.
    pub(super) none: String,
    /// The names that lead to it.
    pub(super) led: Vec<Name>,
}

/// Which nodes some clients get.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    /// Selectors of clients; empty: everybody.
    pub(super) from: Vec<String>,
    /// In order of preference.
    pub(super) uses: Vec<Choice>,
}

/// Nodes that are equally good, but for their distance and weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// What the peer calls them.
    pub(super) label: String,
    /// Their numbers, each once.
    pub(super) nodes: Vec<usize>,
}

/// One probe.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
    /// It asks a page by the pool's name, as the peer gives none.
    pub(super) by_pool_name: bool,
}

impl System {
    /// The number of the node that is reached so and has this weight; a new one gets the first free of the names.
    pub(super) fn node(
        &mut self,
        names: &[String],
        reached: Reached,
        weight: Option<u32>,
        span: Span,
    ) -> usize {
        // A spare (weight 0) is one only beside others at its place, so it may stand anywhere else too.
        let fits = |there: Option<u32>| there == weight || weight.is_none() && there == Some(0);
        let same = |node: &Node| node.reached == reached && fits(node.weight);
        if let Some(number) = self.nodes.iter().position(same) {
            return number;
        }
        let taken = |name: &str| {
            self.nodes
                .iter()
                .any(|node| node.name.eq_ignore_ascii_case(name))
        };
        let name = name::free(names, taken);
        self.nodes.push(Node {
            name,
            reached,
            weight,
            at: None,
            tags: Vec::new(),
            span,
            by_distance: false,
        });
        self.nodes.len() - 1
    }

    /// Adds a pool under the first free of the names; its name.
    pub(super) fn pool(&mut self, names: &[String], mut pool: Pool) -> String {
        let taken = |name: &str| {
            self.pools
                .iter()
                .any(|pool| pool.name.eq_ignore_ascii_case(name))
        };
        pool.name = name::free(names, taken);
        if pool.nearest {
            for choice in pool.arms.iter().flat_map(|arm| &arm.uses) {
                for &node in choice.nodes.iter().filter(|_| choice.nodes.len() > 1) {
                    self.nodes[node].by_distance = true;
                }
            }
        }
        self.pools.push(pool);
        self.pools
            .last()
            .map(|p| p.name.clone())
            .unwrap_or_default()
    }

    /// The name of the probe with these lines; a new one gets the first free of the names.
    pub(super) fn probe(
        &mut self,
        names: &[String],
        lines: Vec<String>,
        by_pool_name: bool,
    ) -> String {
        if let Some(probe) = self.probes.iter().find(|p| p.lines == lines) {
            return probe.name.clone();
        }
        let taken = |name: &str| {
            self.probes
                .iter()
                .any(|p| p.name.eq_ignore_ascii_case(name))
        };
        let name = name::free(names, taken);
        self.probes.push(Probe {
            name: name.clone(),
            lines,
            by_pool_name,
        });
        name
    }

    /// Remembers that a name leads to a pool.
    pub(super) fn lead(&mut self, pool: &str, name: Option<&Name>) {
        let pool = self.pools.iter_mut().find(|p| p.name == pool);
        if let (Some(pool), Some(name)) = (pool, name) {
            pool.led.push(name.clone());
        }
    }

    /// A probe that asks by the name of a pool needs another where that may be a wildcard.
    pub(super) fn name_probes(&mut self) {
        for pool in self
            .pools
            .iter()
            .filter(|p| p.led.iter().any(Name::is_wildcard))
        {
            let plain = pool.led.iter().find(|name| !name.is_wildcard()).cloned();
            let Some(host) = plain.or_else(|| pool.led.iter().find_map(Name::parent)) else {
                continue;
            };
            let asks = |p: &&mut Probe| p.by_pool_name && pool.probes.contains(&p.name);
            for probe in self.probes.iter_mut().filter(asks) {
                let host = host.to_string();
                let host = quote(host.trim_end_matches('.'));
                probe.lines.push(format!(
                    "host = {host}   # a name of the pool {} that is no wildcard",
                    pool.name
                ));
                probe.by_pool_name = false;
            }
        }
    }

    /// Puts a file under the first free path; equal files are one.
    pub(super) fn file(&mut self, path: &Path, text: Vec<u8>) -> PathBuf {
        let mut free = path.to_owned();
        for number in 2u32.. {
            match self.files.get(&free) {
                None => break,
                Some(there) if *there == text => return free,
                Some(_) => {
                    free = path.with_file_name(format!(
                        "{}-{number}",
                        path.file_name().unwrap_or_default().to_string_lossy()
                    ));
                }
            }
        }
        self.files.insert(free.clone(), text);
        free
    }
}
