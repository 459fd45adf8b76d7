//! Tables of who is sent elsewhere.

use super::table::table;
use crate::control::{CountryShare, Moves, NodeShare};

/// So many countries are shown.
const COUNTRIES: usize = 8;

/// A pool's clients before and after.
pub(super) fn moves(all: &[Moves]) -> String {
    all.iter().map(pool).collect()
}

fn pool(moves: &Moves) -> String {
    let km = moves.km.map_or_else(String::new, |(before, after)| {
        format!("; those have {before:.0} km to their node now, and {after:.0} km then")
    });
    let mut out = format!(
        "\npool {}, IPv{}: {} of its clients move{km}\n",
        moves.pool,
        moves.family,
        percent(moves.moved)
    );
    let row = |node: &NodeShare| {
        let change = node.after - node.before;
        vec![
            node.node.clone(),
            percent(node.before),
            percent(node.after),
            match change.abs() < 0.0005 {
                true => "-".into(),
                false => format!("{:+.1}", change * 100.0),
            },
            match node.before > 0.0 && node.after > 0.0 {
                true => format!("x {:.2}", node.after / node.before),
                false => "-".into(),
            },
            node.capacity.map_or("-".into(), rate),
        ]
    };
    let head = ["node", "before", "after", "change", "load", "capacity"];
    out += &table(&head, moves.nodes.iter().map(row));
    if moves.countries.is_empty() {
        return out;
    }
    let row = |country: &CountryShare| {
        vec![
            country.country.clone(),
            percent(country.share),
            percent(country.moved),
            country.to.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    let head = ["country", "of all clients", "move", "most of them to"];
    let shown = moves.countries.iter().take(COUNTRIES);
    out += "\n";
    out += &table(&head, shown.map(row));
    let more = moves.countries.len().saturating_sub(COUNTRIES);
    if more > 0 {
        out += &format!("and {more} more\n");
    }
    out
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn rate(mbit: u32) -> String {
    if mbit.is_multiple_of(1000) {
        format!("{} Gbit", mbit / 1000)
    } else {
        format!("{mbit} Mbit")
    }
}
