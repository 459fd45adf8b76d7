//! Resources of the plugins that name addresses themselves: multifo, simplefo, weighted.

use std::net::IpAddr;

use super::plan::Plan;
use super::vscf::{Key, Value};
use super::weighted::weighted;
use crate::cli::import::Work;
use crate::cli::import::system::{At, Choice, Reached};
use crate::diagnostic::Span;

/// Keys that are no labels of addresses.
const PARAMETERS: [&str; 5] = [
    "service_types",
    "up_thresh",
    "multi",
    "ignore_health",
    "plugin",
];

/// Tables within each other, the outermost first: what is not said in one holds as the one around it says.
#[derive(Clone)]
pub(super) struct Scope<'v>(pub(super) Vec<&'v Value>);

impl<'v> Scope<'v> {
    pub(super) fn with(&self, table: &'v Value) -> Self {
        let mut tables = self.0.clone();
        tables.push(table);
        Self(tables)
    }

    pub(super) fn find(&self, key: &str) -> Option<&'v Value> {
        self.0.iter().rev().find_map(|table| table.get(key))
    }

    /// The service types that hold here.
    pub(super) fn services(&self) -> Vec<(String, Span)> {
        let value = self.find("service_types");
        let items = value.map(Value::items).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| Some((item.text()?.to_owned(), item.span)))
            .collect()
    }
}

/// Where a resource stands.
pub(super) struct Site<'s> {
    /// The resource's name.
    pub(super) name: &'s str,
    /// Of a datacenter: its name. Its addresses are then one node.
    pub(super) datacenter: Option<&'s str>,
    /// Where the datacenter is.
    pub(super) at: Option<At>,
    pub(super) span: Span,
}

impl Site<'_> {
    /// What a node of this label may be called.
    fn names(&self, label: &str) -> Vec<String> {
        let numbered = label.bytes().all(|b| b.is_ascii_digit());
        match self.datacenter {
            Some(dc) if label.is_empty() => vec![dc.to_owned(), format!("{}-{dc}", self.name)],
            Some(dc) => vec![
                format!("{dc}-{label}"),
                format!("{}-{dc}-{label}", self.name),
            ],
            None if numbered => vec![format!("{}-{label}", self.name)],
            None => vec![label.to_owned(), format!("{}-{label}", self.name)],
        }
    }

    pub(super) fn node(
        &self,
        label: &str,
        ips: Vec<IpAddr>,
        weight: Option<u32>,
        work: &mut Work,
    ) -> usize {
        let number = work.system.node(
            &self.names(label),
            Reached::Addresses(ips.clone()),
            weight,
            self.span,
        );
        if let Some(at) = &self.at {
            let node = &mut work.system.nodes[number];
            node.at.get_or_insert_with(|| at.clone());
            for ip in ips {
                work.known.entry(ip).or_insert_with(|| at.clone());
            }
        }
        number
    }

    /// The label of a choice of several.
    pub(super) fn label(&self) -> String {
        self.datacenter.unwrap_or(self.name).to_owned()
    }
}

/// One address, or the name that is given instead.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) label: String,
    pub(super) group: Option<String>,
    pub(super) to: To,
    pub(super) weight: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum To {
    Ip(IpAddr),
    Name(String),
}

/// A resource of one of these plugins; none of another.
pub(super) fn plan(
    plugin: &str,
    site: &Site<'_>,
    scope: &Scope<'_>,
    work: &mut Work,
) -> Option<Plan> {
    let table = *scope.0.last()?;
    let items = items(plugin, site, table, work);
    if items.is_empty() {
        work.report.lost(
            site.span,
            format!("resource {} has no address", site.name),
            "leave it out",
        );
        return None;
    }
    let mut plan = match plugin {
        "multifo" => multifo(site, &items, work),
        "simplefo" => simplefo(site, &items, work),
        "weighted" => weighted(site, &items, scope, work),
        _ => return None,
    };
    plan.services = services(table, scope, work);
    let of = |v4: bool| {
        let fits = |item: &&Item| !matches!(item.to, To::Ip(ip) if ip.is_ipv4() != v4);
        items.iter().filter(fits).count()
    };
    let count = of(true).max(of(false));
    thresholds(site, table, scope, count, &mut plan, work);
    Some(plan)
}

/// The service types; of families that differ those of the first.
fn services(table: &Value, scope: &Scope<'_>, work: &mut Work) -> Vec<(String, Span)> {
    let families = ["addrs_v4", "addrs_v6"]
        .iter()
        .filter_map(|key| table.get(key));
    let mut all = families.map(|family| scope.with(family).services());
    let Some(first) = all.next() else {
        return scope.services();
    };
    let names = |list: &[(String, Span)]| {
        list.iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    if let Some(other) = all.find(|other| names(other) != names(&first)) {
        let at = other
            .first()
            .or(first.first())
            .map_or(table.span, |(_, span)| *span);
        work.report.lost(
            at,
            "service types that differ by family: those of IPv4 hold for both",
            "make a pool for each family's name if that matters",
        );
    }
    first
}

fn items(plugin: &str, site: &Site<'_>, table: &Value, work: &mut Work) -> Vec<Item> {
    let mut out = Vec::new();
    for (key, value) in table.entries() {
        if PARAMETERS.contains(&key.text.as_str()) {
            continue;
        }
        if key.text == "addrs_v4" || key.text == "addrs_v6" {
            if value.is_table() {
                for (key, value) in value.entries() {
                    if !PARAMETERS.contains(&key.text.as_str()) {
                        entry(plugin, None, key, value, &mut out, work);
                    }
                }
            } else {
                for (number, item) in (1..).zip(value.items()) {
                    let key = Key {
                        text: format!("{number}"),
                        span: item.span,
                    };
                    entry(plugin, None, &key, item, &mut out, work);
                }
            }
        } else {
            entry(plugin, None, key, value, &mut out, work);
        }
    }
    // A list of addresses in the place of a table.
    if !table.is_table() {
        for (number, item) in (1..).zip(table.items()) {
            match item.text().and_then(|t| t.parse().ok()) {
                Some(ip) => out.push(Item {
                    label: format!("{number}"),
                    group: None,
                    to: To::Ip(ip),
                    weight: 1,
                }),
                None => work.report.lost(
                    item.span,
                    format!(
                        "\"{}\" in {} is no address",
                        item.text().unwrap_or(""),
                        site.name
                    ),
                    "leave it out",
                ),
            }
        }
    }
    out
}

/// `label => address`, `label => [address, weight]`, or `group => { … }`.
fn entry(
    plugin: &str,
    group: Option<&str>,
    key: &Key,
    value: &Value,
    out: &mut Vec<Item>,
    work: &mut Work,
) {
    if value.is_table() && group.is_none() && plugin == "weighted" {
        for (label, value) in value.entries() {
            entry(plugin, Some(&key.text), label, value, out, work);
        }
        return;
    }
    let (to, weight) = match value.items() {
        [to, weight] if plugin == "weighted" => (to, weight.number().unwrap_or(1)),
        [to] => (to, 1),
        _ => {
            work.report.lost(
                key.span,
                format!("{}, which is no address", key.text),
                "leave it out",
            );
            return;
        }
    };
    let Some(text) = to.text() else {
        work.report.lost(
            key.span,
            format!("{}, which is no address", key.text),
            "leave it out",
        );
        return;
    };
    let to = match text.parse() {
        Ok(ip) => To::Ip(ip),
        Err(_) if plugin == "weighted" => To::Name(text.to_owned()),
        Err(_) => {
            work.report
                .lost(to.span, format!("\"{text}\" is no address"), "leave it out");
            return;
        }
    };
    out.push(Item {
        label: key.text.clone(),
        group: group.map(str::to_owned),
        to,
        weight,
    });
}

/// A label without what only says the family: `lb01_v6` is the same machine as `lb01`.
fn machine(label: &str) -> &str {
    ["_v4", "_v6", ".v4", ".v6", "-v4", "-v6"]
        .iter()
        .find_map(|end| label.strip_suffix(end))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(label)
}

/// Items of one machine together: one label, one weight, at most one address of a family.
pub(super) fn machines(items: &[Item]) -> Vec<(String, Vec<To>, u32)> {
    let mut out: Vec<(String, Vec<To>, u32)> = Vec::new();
    for item in items {
        let label = match &item.group {
            Some(group) => format!("{group}-{}", machine(&item.label)),
            None => machine(&item.label).to_owned(),
        };
        let fits = |have: &[To]| match (have, &item.to) {
            ([To::Ip(there)], To::Ip(ip)) => there.is_ipv4() != ip.is_ipv4(),
            _ => false,
        };
        match out
            .iter_mut()
            .find(|(known, have, weight)| *known == label && *weight == item.weight && fits(have))
        {
            Some((_, have, _)) => have.push(item.to.clone()),
            None => out.push((label, vec![item.to.clone()], item.weight)),
        }
    }
    out
}

pub(super) fn addresses(items: &[Item]) -> Vec<IpAddr> {
    let mut out = Vec::new();
    for item in items {
        if let To::Ip(ip) = item.to
            && !out.contains(&ip)
        {
            out.push(ip);
        }
    }
    out
}

/// All addresses that are up. Of a datacenter they are one node, of which the same is given.
pub(super) fn multifo(site: &Site<'_>, items: &[Item], work: &mut Work) -> Plan {
    if site.datacenter.is_some() {
        let node = site.node("", addresses(items), None, work);
        return Plan::of(vec![Choice {
            label: site.label(),
            nodes: vec![node],
        }]);
    }
    let mut nodes = Vec::new();
    for (label, to, _) in machines(items) {
        let node = node(site, &label, &to, None, work);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    let mut plan = Plan::of(vec![Choice {
        label: site.label(),
        nodes,
    }]);
    plan.answer = None;
    plan.none = "all".to_owned();
    plan
}

fn simplefo(site: &Site<'_>, items: &[Item], work: &mut Work) -> Plan {
    let mut uses = Vec::new();
    for role in ["primary", "secondary"] {
        let of: Vec<Item> = items.iter().filter(|i| i.label == role).cloned().collect();
        if !of.is_empty() {
            let names = match site.datacenter {
                Some(_) => role.to_owned(),
                None => format!("{}-{role}", site.name),
            };
            uses.push(Choice {
                label: role.to_owned(),
                nodes: vec![site.node(&names, addresses(&of), None, work)],
            });
        }
    }
    Plan::of(uses)
}

/// The node of a machine: of addresses, or of the one name.
pub(super) fn node(
    site: &Site<'_>,
    label: &str,
    to: &[To],
    weight: Option<u32>,
    work: &mut Work,
) -> usize {
    let ips: Vec<IpAddr> = to
        .iter()
        .filter_map(|to| match to {
            To::Ip(ip) => Some(*ip),
            To::Name(_) => None,
        })
        .collect();
    match to.first() {
        Some(To::Name(name)) => {
            let reached = Reached::Name(name.trim_end_matches('.').to_owned());
            work.system
                .node(&site.names(label), reached, weight, site.span)
        }
        _ => site.node(label, ips, weight, work),
    }
}

/// `up_thresh`: gdnsd gives up a whole resource when too little of it is up. Where one that is up is enough, it is the same here.
fn thresholds(
    site: &Site<'_>,
    table: &Value,
    scope: &Scope<'_>,
    count: usize,
    plan: &mut Plan,
    work: &mut Work,
) {
    let families = ["addrs_v4", "addrs_v6"]
        .iter()
        .filter_map(|key| table.get(key)?.get("up_thresh"));
    let stated = families.chain(scope.find("up_thresh")).collect::<Vec<_>>();
    let enough = |threshold: f64| {
        (threshold * f64::from(u32::try_from(count).unwrap_or(u32::MAX))).ceil() <= 1.0
    };
    for value in &stated {
        if !enough(value.number().unwrap_or(0.5)) {
            let what = format!(
                "up_thresh of {}: a node serves as long as any of its addresses is up",
                site.label()
            );
            work.report.lost(
                value.span,
                what,
                "`low` of the pool lets others help earlier, where they are of a higher `tier`",
            );
        }
    }
    if stated.is_empty() && !enough(0.5) {
        plan.notes.push(format!(
            "gdnsd gives up {} when less than half of it is up (up_thresh); here whatever is up is given.",
            site.label()
        ));
    }
    if let Some(value) = scope.find("ignore_health").filter(|v| v.is_true()) {
        work.report.lost(
            value.span,
            format!("ignore_health of {}", site.label()),
            "make its probes a `shadow`, which decides nothing",
        );
    }
}
