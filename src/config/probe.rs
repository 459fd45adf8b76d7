//! `[probe.NAME]`: what is checked, how often and the thresholds.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::files::Definition;
pub(super) use super::shorthand::read as shorthand;
use super::table::{Keys, Table, Value};
use super::{kind, unit};
use crate::diagnostic::Diagnostics;
use crate::health::Probe;
use crate::zone::Name;

/// The keys of a probe.
pub(super) static KEYS: Keys = Keys {
    known: &[
        "kind",
        "question",
        "command",
        "file",
        "max_age",
        "port",
        "path",
        "host",
        "expect",
        "redirects",
        "http2",
        "ca",
        "warn_cert",
        "every",
        "timeout",
        "down",
        "ok",
        "up",
        "shadow",
    ],
    later: &[
        "format", "lag", "grace", "soft_lag", "max_lag", "master", "marker", "manifest", "sample",
        "of", "need", "query", "module",
    ],
};

pub(super) const EVERY: Duration = Duration::from_secs(10);
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);
pub(super) const DOWN: u32 = 3;
pub(super) const OK: u32 = 6;
pub(super) const UP: u32 = 6;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// What `max_age` may be: its default is ten times `every`.
pub(super) const AGES: RangeInclusive<Duration> = SECOND..=Duration::from_secs(864_000);

/// Reads a probe.
pub(super) fn read(definition: &Definition<'_>, found: &mut Diagnostics) -> Probe {
    let Definition { name, table, .. } = definition;
    let (every, timeout) = times(table, found);
    let mut count = |key, default| {
        table
            .get(key)
            .and_then(|v| v.whole(1..=100, found))
            .unwrap_or(default)
    };
    let (down, ok, up) = (count("down", DOWN), count("ok", OK), count("up", UP));
    let (kind, port) = kind::read(name, table, every, found);
    let host = table.get("host").and_then(|v| host(&v, found));
    Probe {
        name: (*name).to_owned(),
        kind,
        port,
        host,
        every,
        timeout,
        down,
        ok,
        up,
        shadow: table
            .get("shadow")
            .and_then(|v| v.truth(found))
            .unwrap_or(false),
    }
}

/// `every` and `timeout`. Without a timeout it is 4 s, but at most half of the interval.
fn times(table: &Table<'_>, found: &mut Diagnostics) -> (Duration, Duration) {
    let every = table
        .get("every")
        .and_then(|v| v.duration(SECOND..=DAY, found))
        .unwrap_or(EVERY);
    let Some(value) = table.get("timeout") else {
        return (every, TIMEOUT.min(every / 2));
    };
    let timeout = value
        .duration(Duration::from_millis(10)..=DAY, found)
        .unwrap_or(TIMEOUT);
    if timeout >= every {
        let [timeout, every] = [timeout, every].map(unit::duration_text);
        value.error(
            format!("a timeout of {timeout} is not shorter than the interval of {every}"),
            found,
        );
    }
    (every, timeout)
}

/// A name that is asked for.
pub(super) fn host(value: &Value<'_>, found: &mut Diagnostics) -> Option<String> {
    let text = value.text(found)?;
    let fine = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if text.is_empty() || !fine || Name::absolute(text).is_err() {
        value.error(format!("\"{text}\" is no host name"), found);
        return None;
    }
    Some(text.trim_end_matches('.').to_owned())
}
