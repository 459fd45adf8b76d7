//! A system as the text of its files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::system::{Choice, Draw, Node, Pool, Probe, Reached, System};
use crate::config::quote;

/// A band that holds every node, however far.
const EVERYWHERE: &str = "20040km";

/// All files by their paths in the folder.
pub(super) fn files(mut system: System, peer: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = std::mem::take(&mut system.files);
    let tags = tags(&mut system);
    out.insert("nearmost.toml".into(), main(&system, peer).into());
    for (pool, tags) in system.pools.iter().zip(&tags) {
        let path = format!("pools/{}.toml", pool.name);
        out.insert(path.into(), pool_text(pool, tags, &system).into());
    }
    for node in &system.nodes {
        out.insert(
            format!("nodes/{}.toml", node.name).into(),
            node_text(node).into(),
        );
    }
    for probe in &system.probes {
        out.insert(
            format!("probes/{}.toml", probe.name).into(),
            probe_text(probe).into(),
        );
    }
    out
}

/// Gives the nodes of each choice of several a tag of its own, by which rules can name them; the choices of each pool with theirs.
fn tags(system: &mut System) -> Vec<Vec<(Choice, String)>> {
    let mut out = Vec::new();
    for pool in &system.pools {
        let mut tags: Vec<(Choice, String)> = Vec::new();
        if !is_plain(pool) {
            let several = pool.arms.iter().flat_map(|arm| &arm.uses);
            for choice in several.filter(|choice| choice.nodes.len() > 1) {
                if tags.iter().any(|(known, _)| known.nodes == choice.nodes) {
                    continue;
                }
                let wanted = [format!("{}-{}", pool.name, choice.label)];
                let tag = super::name::free(&wanted, |tag| tags.iter().any(|(_, t)| t == tag));
                for &node in &choice.nodes {
                    system.nodes[node].tags.push(tag.clone());
                }
                tags.push((choice.clone(), tag));
            }
        }
        out.push(tags);
    }
    out
}

/// Everybody gets the same one choice: nodes without rules.
fn is_plain(pool: &Pool) -> bool {
    matches!(&pool.arms[..], [arm] if arm.from.is_empty() && arm.uses.len() == 1)
}

/// Everybody gets the same nodes, one after the other.
fn is_order(pool: &Pool) -> bool {
    matches!(&pool.arms[..], [arm] if arm.from.is_empty() && arm.uses.iter().all(|u| u.nodes.len() == 1))
}

fn main(system: &System, peer: &str) -> String {
    let mut out = format!(
        "# Made from {peer} by `nearmost import`. Nodes, pools, probes and zones are files of the folders beside this one.\n\n[server]\n"
    );
    lines(&mut out, &system.server);
    if !system.limits.is_empty() {
        out += "\n[limits]\n";
        lines(&mut out, &system.limits);
    }
    if !system.databases.is_empty() {
        let list = list(system.databases.iter().map(|d| d.display().to_string()));
        out += &format!("\n[geo]\ndatabases = {list}\n");
    }
    out
}

fn pool_text(pool: &Pool, tags: &[(Choice, String)], system: &System) -> String {
    let mut out = String::new();
    for note in &pool.notes {
        out += &format!("# {note}\n");
    }
    let name = |number: &usize| system.nodes[*number].name.clone();
    let mut all: Vec<usize> = Vec::new();
    for choice in pool
        .arms
        .iter()
        .flat_map(|arm| &arm.uses)
        .chain(&pool.unknown)
    {
        for &node in &choice.nodes {
            if !all.contains(&node) {
                all.push(node);
            }
        }
    }
    out += &format!("nodes = {}\n", list(all.iter().map(name)));
    match &pool.probes[..] {
        [] => {
            out += "# No probes: the peer checks nothing here, so its nodes always count as up.\n";
        }
        probes => out += &format!("probes = {}\n", list(probes.iter().cloned())),
    }
    match pool.answer {
        None => out += "answer = \"all\"\n",
        Some(1) => {}
        Some(n) => out += &format!("answer = {n}\n"),
    }
    let order = is_order(pool) && !is_plain(pool);
    if order {
        out += "prefer = [\"order\"]\n";
    }
    let drawn = pool
        .arms
        .iter()
        .flat_map(|arm| &arm.uses)
        .any(|c| c.nodes.len() > 1);
    if pool.answer.is_some() && drawn {
        let near = if pool.nearest { "0km" } else { EVERYWHERE };
        out += &format!("near = \"{near}\"\n");
        if pool.draw == Draw::Random {
            out += "sticky = false\n";
        }
    }
    if !is_plain(pool) && !order {
        out += "rules = [\n";
        for arm in &pool.arms {
            let used = |choice: &Choice| match &choice.nodes[..] {
                [one] => name(one),
                _ => {
                    let tag = tags.iter().find(|(c, _)| c.nodes == choice.nodes);
                    format!("tag:{}", tag.map_or("", |(_, tag)| tag))
                }
            };
            let uses = list(arm.uses.iter().map(used));
            let from = match &arm.from[..] {
                [] => String::new(),
                from => format!("from = {}, ", list(from.iter().cloned())),
            };
            out += &format!("    {{ {from}use = {uses} }},\n");
        }
        out += "]\n";
    }
    if pool.answer.is_some() && !pool.unknown.is_empty() {
        let nodes = pool.unknown.iter().flat_map(|c| &c.nodes);
        out += &format!("unknown_client = {}\n", list(nodes.map(name)));
    }
    out + &format!("none = {}\n", quote(&pool.none))
}

fn node_text(node: &Node) -> String {
    let mut out = String::new();
    if let Some(at) = &node.at {
        out += &format!("at = [{:?}, {:?}]   # {}\n", at.lat, at.lon, at.why);
    }
    match &node.reached {
        Reached::Addresses(ips) => {
            out += &format!("ip = {}\n", list(ips.iter().map(ToString::to_string)));
        }
        Reached::Name(host) => {
            out += &format!(
                "host = {}\ncname = true   # given once it has been resolved\n",
                quote(host)
            );
        }
    }
    if let Some(weight) = node.weight {
        out += &format!("weight = {weight}\n");
    }
    if !node.tags.is_empty() {
        out += &format!("tags = {}\n", list(node.tags.iter().cloned()));
    }
    out
}

fn probe_text(probe: &Probe) -> String {
    let mut out = String::new();
    lines(&mut out, &probe.lines);
    out
}

fn lines(out: &mut String, lines: &[String]) {
    for line in lines {
        *out += line;
        out.push('\n');
    }
}

/// `["a", "b"]`.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quote(&item)).collect();
    format!("[{}]", items.join(", "))
}
