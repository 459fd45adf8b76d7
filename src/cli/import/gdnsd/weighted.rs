//! gdnsd's weighted: addresses, or groups of them, by lot.

use super::leaf::{Item, Scope, Site, addresses, machines, multifo, node};
use super::plan::Plan;
use super::vscf::Value;
use crate::cli::import::Work;
use crate::cli::import::system::Choice;

/// A plan of the items of a weighted resource.
pub(super) fn weighted(
    site: &Site<'_>,
    items: &[Item],
    scope: &Scope<'_>,
    work: &mut Work,
) -> Plan {
    let multi = scope.find("multi");
    let is_multi = multi.is_some_and(Value::is_true);
    let span = multi.map_or(site.span, |m| m.span);
    let grouped = items.iter().any(|i| i.group.is_some());
    let even = |items: &[&Item]| {
        items
            .windows(2)
            .all(|pair| pair[0].weight == pair[1].weight)
    };
    let all: Vec<&Item> = items.iter().collect();
    if grouped && !is_multi {
        let mut groups: Vec<&str> = Vec::new();
        for item in items {
            let group = item.group.as_deref().unwrap_or(&item.label);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let mut nodes = Vec::new();
        for group in groups {
            let of: Vec<&Item> = items
                .iter()
                .filter(|i| i.group.as_deref().unwrap_or(&i.label) == group)
                .collect();
            if !even(&of) {
                let what = format!(
                    "weights within the group {group} of weighted {}: all its addresses are given, always",
                    site.name
                );
                work.report.lost(
                    site.span,
                    what,
                    "make a node of each address if one of them is enough",
                );
            }
            let weight = of.iter().map(|i| i.weight).sum();
            let of: Vec<Item> = of.into_iter().cloned().collect();
            nodes.push(site.node(group, addresses(&of), Some(weight), work));
        }
        return Plan::of(vec![Choice {
            label: site.label(),
            nodes,
        }]);
    }
    // Of one weight each is always added.
    let whole = even(&all) && !grouped;
    if is_multi && !whole {
        let what = format!(
            "multi of weighted {}: addresses are not added to an answer by chance",
            site.name
        );
        work.report.lost(
            span,
            what,
            "`answer` of the pool says how many nodes an answer has; weights say how often each",
        );
    }
    if is_multi && site.datacenter.is_some() {
        return multifo(site, items, work);
    }
    let mut nodes = Vec::new();
    for (label, to, weight) in machines(items) {
        let node = node(site, &label, &to, Some(weight), work);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    let count = nodes.len();
    let mut plan = Plan::of(vec![Choice {
        label: site.label(),
        nodes,
    }]);
    if is_multi {
        plan.answer = match whole {
            true => None,
            false => u32::try_from(count.min(32)).ok(),
        };
    }
    plan
}
