//! What is probably a mistake, though it can be served.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Config, ZoneSource};
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::km_to_country;

/// Where things are defined, by index.
pub(super) struct Places {
    pub(super) nodes: Vec<Span>,
    pub(super) pools: Vec<Span>,
    /// Those of tables; probes in shorthand have none.
    pub(super) probes: Vec<Span>,
}

/// A place so many km from every city of the stated country is hardly in it.
const FAR_KM: f64 = 500.0;

/// Looks at a configuration without errors.
pub(super) fn look(config: &Config, at: &Places, found: &mut Diagnostics) {
    nodes(config, at, found);
    same_addresses(config, at, found);
    for (index, span) in at.probes.iter().enumerate() {
        let canary = config.health.canaries.iter().any(|c| c.probe == index);
        if !canary && !config.pools.iter().any(|p| p.probes.contains(&index)) {
            let name = &config.probes[index].name;
            found.warning(*span, format!("probe \"{name}\" is used by no pool"));
        }
    }
    for (pool, span) in config.pools.iter().zip(&at.pools) {
        let votes = |p: &usize| !config.probes[*p].shadow;
        if !pool.probes.is_empty() && !pool.probes.iter().any(votes) {
            let message = format!(
                "no probe of pool \"{}\" has a vote: its nodes always count as up",
                pool.name
            );
            found.warning(*span, message);
        }
        if pool.probes.is_empty() {
            found
                .warning(
                    *span,
                    format!(
                        "pool \"{}\" has no probes: its nodes always count as up",
                        pool.name
                    ),
                )
                .note("add a line such as probe = \"https:/\"");
        }
    }
    unreached(config, at, found);
}

fn nodes(config: &Config, at: &Places, found: &mut Diagnostics) {
    for ((index, node), span) in config.nodes.iter().enumerate().zip(&at.nodes) {
        if !config.pools.iter().any(|p| p.nodes.contains(&index)) {
            found.warning(*span, format!("node \"{}\" is in no pool", node.name));
        }
        if let (Some(point), Some(country)) = (node.at, node.country)
            && let Some(km) = km_to_country(point, country)
            && km > FAR_KM
        {
            let place =
                crate::geo::nearest_city(point).map(|(city, _)| format!("; {city} is nearest"));
            let message = format!(
                "node \"{}\" stands {km:.0} km from any city of {country}{}",
                node.name,
                place.unwrap_or_default()
            );
            found.warning(*span, message);
        }
    }
}

fn same_addresses(config: &Config, at: &Places, found: &mut Diagnostics) {
    let mut first: HashMap<IpAddr, usize> = HashMap::new();
    for (index, node) in config.nodes.iter().enumerate() {
        for ip in &node
            .all_addresses()
            .collect::<std::collections::BTreeSet<_>>()
        {
            let other = *first.entry(*ip).or_insert(index);
            if other != index {
                found
                    .warning(
                        at.nodes[index],
                        format!(
                            "node \"{}\" has the address {ip} of another node",
                            node.name
                        ),
                    )
                    .note_at(at.nodes[other], "that node");
            }
        }
    }
}

/// Pools that no name leads to, and no zone at all. What zone files say is not known here.
fn unreached(config: &Config, at: &Places, found: &mut Diagnostics) {
    if config.zones.is_empty() {
        found.warning(None, "there is no zone: every question will be refused");
        return;
    }
    let mut reached = Vec::new();
    for zone in &config.zones {
        match &zone.source {
            ZoneSource::File(_) => return,
            // It holds no pools of ours.
            ZoneSource::Primary(_) => {}
            ZoneSource::Made { pools, .. } => reached.extend(pools.iter().map(|p| p.1)),
        }
    }
    let pools = &config.pools;
    let stand_ins = reached.iter().flat_map(|at| pools[*at].stand_ins(pools));
    let stand_ins: Vec<&str> = stand_ins.map(|pool| pool.name.as_str()).collect();
    for (index, span) in at.pools.iter().enumerate() {
        if !reached.contains(&index) && !stand_ins.contains(&pools[index].name.as_str()) {
            found.warning(
                *span,
                format!("no name leads to pool \"{}\"", config.pools[index].name),
            );
        }
    }
}
