//! `[querylog]`: where questions and their answers are written down, and how many of them.

use std::fmt;
use std::path::PathBuf;

use super::table::{Keys, Table, Value};
use crate::diagnostic::Diagnostics;

static QUERYLOG: Keys = Keys {
    known: &["to", "sample"],
    later: &[],
};

/// What a path is written behind.
const FILE: &str = "file:";

/// The query log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLog {
    /// Where it goes. Default: nowhere.
    pub to: LogTo,
    /// One of so many questions is in it. Default 1.
    pub sample: u32,
}

/// Where the query log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Default for QueryLog {
    fn default() -> Self {
        Self {
            to: LogTo::Off,
            sample: 1,
        }
    }
}

impl fmt::Display for LogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "{FILE}{}", path.display()),
        }
    }
}

/// Reads the table.
pub(super) fn read(top: &Table<'_>, found: &mut Diagnostics) -> QueryLog {
    let usual = QueryLog::default();
    let table = top
        .get("querylog")
        .and_then(|v| v.table(top.key_span("querylog")?, &QUERYLOG, found));
    let Some(table) = table else { return usual };
    let to = table.get("to").and_then(|v| to(&v, &table, found));
    let sample = table.get("sample");
    QueryLog {
        to: to.unwrap_or(usual.to),
        sample: sample
            .and_then(|v| v.whole(1..=1_000_000u32, found))
            .unwrap_or(usual.sample),
    }
}

fn to(value: &Value<'_>, table: &Table<'_>, found: &mut Diagnostics) -> Option<LogTo> {
    let text = value.text(found)?;
    match text {
        "off" => return Some(LogTo::Off),
        "stdout" => return Some(LogTo::Stdout),
        _ => {}
    }
    let path = text
        .strip_prefix(FILE)
        .filter(|path| !path.is_empty() && !path.contains('\0'));
    let Some(path) = path else {
        value
            .error(format!("\"{text}\" is no place for a query log"), found)
            .suggest(text, ["off", "stdout"])
            .note("write \"file:PATH\", \"stdout\" or \"off\"");
        return None;
    };
    Some(LogTo::File(table.file.folder.join(path)))
}
