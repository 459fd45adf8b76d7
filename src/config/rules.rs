//! `rules` of a pool: other nodes, or another order of them, for some clients.

use super::pool::{Known, matching_among};
use super::selector;
use super::table::{Keys, Table, Value};
use crate::diagnostic::Diagnostics;
use crate::policy::{Rule, Use};

static RULE: Keys = Keys {
    known: &["from", "use"],
    later: &[],
};

/// Reads the rules; `among` are the pool's nodes.
pub(super) fn read(
    value: &Value<'_>,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Vec<Rule> {
    let items = value.items(found).unwrap_or_default();
    let tables: Vec<Table<'_>> = items
        .iter()
        .filter_map(|item| item.table(item.span(), &RULE, found))
        .collect();
    tables
        .iter()
        .filter_map(|table| rule(table, among, known, found))
        .collect()
}

fn rule(
    table: &Table<'_>,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Option<Rule> {
    let from = table.get("from").map(|v| selector::read(&v, found));
    let Some(value) = table.get("use") else {
        table.missing("a rule needs \"use\"".to_owned(), found);
        return None;
    };
    let mut uses: Vec<Use> = Vec::new();
    let texts = value.texts(found)?;
    if value.items(found).is_some_and(|i| i.is_empty()) {
        value.error("the list of nodes is empty", found);
    }
    for (text, span) in texts {
        if uses.iter().any(|u| u.text == text) {
            found.error(span, format!("\"{text}\" is used twice"));
        }
        let nodes = (text != "*").then(|| matching_among(text, span, among, known, found));
        uses.push(Use {
            text: text.to_owned(),
            nodes,
        });
    }
    Some(Rule {
        from: from.unwrap_or_default(),
        uses,
    })
}
