//! `max_share` and `slow_start` of a pool: of how many of its clients a node may be the first, always and when it has come back.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::table::Value;
use super::unit;
use crate::diagnostic::Diagnostics;
use crate::policy::{Answer, Node, Pool};

/// How long a slow start can be.
const SLOW: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(24 * 3600);

/// Reads `"40%"`; the pool is read but for it.
pub(super) fn read(
    value: &Value<'_>,
    pool: &Pool,
    nodes: &[Node],
    found: &mut Diagnostics,
) -> Option<u8> {
    let text = value.text(found)?;
    let share = unit::percent(text).filter(|s| (1..=99).contains(s));
    let Some(share) = share else {
        value.error(
            format!("\"{text}\" is no share of a pool's clients: \"1%\" to \"99%\""),
            found,
        );
        return None;
    };
    if is_for_all("max_share", value, pool, found) {
        return None;
    }
    let count = serving(pool, nodes);
    // A pool without nodes has an error of its own.
    if count > 0 && count * usize::from(share) < 100 {
        let (nodes, least) = match count {
            1 => ("node", "two nodes are needed".to_owned()),
            _ => (
                "nodes",
                format!("at least \"{}%\"", 100usize.div_ceil(count)),
            ),
        };
        value
            .error(
                format!("{count} {nodes} with {share}% each leave clients without a node"),
                found,
            )
            .note(format!(
                "{least}; nodes of a higher tier and those of \"low\" do not count"
            ));
        return None;
    }
    Some(share)
}

/// Reads `"10m"`; the pool is read but for it.
pub(super) fn slow_start(
    value: &Value<'_>,
    pool: &Pool,
    found: &mut Diagnostics,
) -> Option<Duration> {
    let time = value.duration(SLOW, found)?;
    (!is_for_all("slow_start", value, pool, found)).then_some(time)
}

/// Whether everybody is given all nodes, so that nothing of this decides anything.
fn is_for_all(key: &str, value: &Value<'_>, pool: &Pool, found: &mut Diagnostics) -> bool {
    let all = pool.answer == Answer::All;
    if all {
        let message = format!(
            "\"{key}\" decides nothing with answer = \"all\": everybody is given all nodes"
        );
        value.error(message, found);
    }
    all
}

/// How many nodes serve at first: those of the lowest tier that `low` does not keep back.
fn serving(pool: &Pool, nodes: &[Node]) -> usize {
    let kept = |n: &usize| {
        let mut kept = pool.low.iter().flat_map(|l| l.uses.nodes.iter().flatten());
        kept.any(|k| k == n)
    };
    let first = pool.nodes.iter().filter(|n| !kept(n));
    let tiers: Vec<u8> = first.map(|n| nodes[*n].tier).collect();
    let lowest = tiers.iter().min();
    tiers.iter().filter(|t| Some(*t) == lowest).count()
}
