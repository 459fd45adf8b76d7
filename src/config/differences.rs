//! What differs between two configurations, table by table and key by key, as the operator writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Config, show};

/// A table that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its header without brackets, such as `node.kcl`.
    pub table: String,
    /// `added`, `removed` or `changed`.
    pub what: String,
    /// The keys that differ, of a table that was changed.
    pub keys: Vec<Key>,
}

/// A key that differs. Values as in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub key: String,
    /// Before; none: it was not there.
    pub from: Option<String>,
    /// Now; none: it is not there.
    pub to: Option<String>,
}

/// What differs between two configurations, in the order of the later one; tables that went come last.
#[must_use]
pub fn differences(before: &Config, after: &Config) -> Vec<Difference> {
    let (before, after) = (show(before), show(after));
    let (before, after) = (tables(&before), tables(&after));
    let known: BTreeMap<&str, &Table<'_>> = before.iter().map(|t| (&*t.name, t)).collect();
    let mut out = Vec::new();
    for table in &after {
        match known.get(&*table.name) {
            None => out.push(table.whole("added")),
            Some(old) if old.keys == table.keys => {}
            Some(old) => out.push(table.changed(old)),
        }
    }
    let gone = |old: &&Table<'_>| !after.iter().any(|t| t.name == old.name);
    out.extend(before.iter().filter(gone).map(|old| old.whole("removed")));
    out
}

/// Keys and values of a table.
struct Table<'a> {
    name: String,
    keys: BTreeMap<&'a str, String>,
}

impl Table<'_> {
    fn whole(&self, what: &str) -> Difference {
        Difference {
            table: self.name.clone(),
            what: what.into(),
            keys: Vec::new(),
        }
    }

    fn changed(&self, old: &Self) -> Difference {
        let all: BTreeSet<&str> = old.keys.keys().chain(self.keys.keys()).copied().collect();
        let key = |key: &str| Key {
            key: key.into(),
            from: old.keys.get(key).cloned(),
            to: self.keys.get(key).cloned(),
        };
        let keys = all.into_iter().map(key);
        Difference {
            table: self.name.clone(),
            what: "changed".into(),
            keys: keys.filter(|k| k.from != k.to).collect(),
        }
    }
}

/// The tables of a text as [`show`] writes it: a value a line. Those of a list are told apart by their number.
fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_start_matches('[').trim_end_matches(']');
            let count = counts.entry(header).or_default();
            *count += 1;
            let name = match line.starts_with("[[") {
                true => format!("{header} {count}"),
                false => header.to_owned(),
            };
            tables.push(Table {
                name,
                keys: BTreeMap::new(),
            });
        } else if let Some((key, value)) = line.split_once(" = ")
            && let Some(table) = tables.last_mut()
            && !line.starts_with('#')
        {
            // Behind a place stands what is near.
            let value = value.split_once("  # ").map_or(value, |(value, _)| value);
            table.keys.insert(key, value.to_owned());
        }
    }
    tables
}
