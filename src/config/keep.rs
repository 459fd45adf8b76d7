//! `keep` of a pool: what operators may not go below when they take nodes out.

use super::low;
use super::table::{Keys, Value};
use crate::diagnostic::Diagnostics;
use crate::policy::{Below, Keep};

static KEEP: Keys = Keys {
    known: &["nodes", "capacity"],
    later: &[],
};

/// Reads it, of a pool of so many nodes.
pub(super) fn read(value: &Value<'_>, of: usize, found: &mut Diagnostics) -> Option<Keep> {
    if !value.is_table() {
        value
            .error("\"keep\" must be a table", found)
            .note("write { nodes = 2 } or { capacity = \"50%\" }");
        return None;
    }
    let table = value.table(value.span(), &KEEP, found)?;
    let (nodes, capacity) = (table.get("nodes"), table.get("capacity"));
    if nodes.is_none() && capacity.is_none() {
        table.missing(
            "\"keep\" says neither \"nodes\" nor \"capacity\"".into(),
            found,
        );
    }
    let count = nodes.and_then(|v| v.whole(1..=30_000u32, found));
    if let (Some(count), Some(nodes)) = (count, nodes)
        && of > 0
        && count as usize > of
    {
        nodes.error(format!("{count} cannot be kept of a pool of {of}"), found);
    }
    let share = capacity.and_then(|v| match v.as_text() {
        Some(_) => low::below(&v, found),
        None => {
            v.error("\"capacity\" must be like \"50%\"", found);
            None
        }
    });
    let capacity = match share {
        Some(Below::Share(share)) => f64::from(share) / 100.0,
        _ => 0.0,
    };
    Some(Keep {
        nodes: count.unwrap_or(0),
        capacity,
    })
}
