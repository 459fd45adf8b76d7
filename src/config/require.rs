//! `require` of a pool: how many of its probes an address must pass.

use super::table::{Keys, Value};
use crate::diagnostic::Diagnostics;
use crate::health::Require;

/// The keys of `require` as a table.
pub(super) static REQUIRE: Keys = Keys {
    known: &["at_least"],
    later: &[],
};

/// More probes than that have not been seen.
const MOST: u8 = 100;

/// Reads it. `votes` is how many probes of the pool have a vote, if that is known.
pub(super) fn read(
    value: &Value<'_>,
    votes: Option<usize>,
    found: &mut Diagnostics,
) -> Option<Require> {
    let Some(word) = value.as_text() else {
        return at_least(value, votes, found);
    };
    match word {
        "all" => Some(Require::All),
        "any" => Some(Require::Any),
        _ => {
            value
                .error(format!("\"{word}\" is no number of probes"), found)
                .suggest(word, ["all", "any"])
                .note("write \"all\", \"any\" or { at_least = 2 }");
            None
        }
    }
}

fn at_least(value: &Value<'_>, votes: Option<usize>, found: &mut Diagnostics) -> Option<Require> {
    if !value.is_table() {
        value
            .error("\"require\" must be \"all\", \"any\" or a table", found)
            .note("write { at_least = 2 }");
        return None;
    }
    let table = value.table(value.span(), &REQUIRE, found)?;
    let Some(count) = table.get("at_least") else {
        table.missing("\"require\" has no \"at_least\"".into(), found);
        return None;
    };
    let number = count.whole(1..=MOST, found)?;
    if let Some(votes) = votes.filter(|votes| usize::from(number) > *votes) {
        let probes = if votes == 1 {
            "probe has"
        } else {
            "probes have"
        };
        count.error(
            format!("{number} cannot be up: {votes} {probes} a vote"),
            found,
        );
    }
    Some(Require::AtLeast(number))
}
