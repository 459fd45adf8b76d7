//! `low` of a pool: nodes that join the others while too few of those are in service.

use super::pool::{Known, matching_among};
use super::table::{Keys, Table, Value};
use super::unit;
use crate::diagnostic::Diagnostics;
use crate::policy::{Below, Low, Use};

static LOW: Keys = Keys {
    known: &["below", "use"],
    later: &[],
};

/// Reads one step or a list of them; `among` are the pool's nodes.
pub(super) fn read(
    value: &Value<'_>,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Vec<Low> {
    let items = if value.is_table() {
        Vec::new()
    } else {
        value.items(found).unwrap_or_default()
    };
    let one = value.is_table().then_some(value);
    let mut out: Vec<Low> = Vec::new();
    for item in one.into_iter().chain(&items) {
        let Some(table) = item.table(item.span(), &LOW, found) else {
            continue;
        };
        let Some(low) = step(&table, among, known, found) else {
            continue;
        };
        out.push(low);
        let reserved = |n: &usize| {
            out.iter()
                .any(|l| l.uses.nodes.iter().flatten().any(|m| m == n))
        };
        if !among.is_empty() && among.iter().all(reserved) {
            found.error(
                table.span,
                "no node of the pool is left to serve before those of \"low\"",
            );
        }
    }
    out
}

fn step(
    table: &Table<'_>,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Option<Low> {
    for key in ["below", "use"] {
        if table.get(key).is_none() {
            table.missing(format!("\"low\" needs \"{key}\""), found);
        }
    }
    let below = below(&table.get("below")?, found);
    let value = table.get("use")?;
    let text = value.text(found)?;
    let nodes = matching_among(text, value.span(), among, known, found);
    Some(Low {
        below: below?,
        uses: Use {
            text: text.to_owned(),
            nodes: Some(nodes),
        },
    })
}

/// `"50%"` of the capacity, or a number of nodes.
pub(super) fn below(value: &Value<'_>, found: &mut Diagnostics) -> Option<Below> {
    let Some(text) = value.as_text() else {
        return value.whole(1..=30_000u32, found).map(Below::Nodes);
    };
    let share = unit::percent(text).filter(|s| (1..=100).contains(s));
    let Some(share) = share else {
        value.error(
            format!("\"{text}\" is no part of a pool: \"1%\" to \"100%\", or a number of nodes"),
            found,
        );
        return None;
    };
    Some(Below::Share(share))
}
