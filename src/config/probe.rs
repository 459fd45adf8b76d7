//! `[probe.NAME]`: what is checked, how often and the thresholds; and the shorthand for it.

use std::time::Duration;

use super::expect;
use super::files::Definition;
use super::table::{Keys, Table, Value, not_yet};
use super::unit;
use crate::diagnostic::{Diagnostics, Span};
use crate::health::{Expect, Kind, Probe};
use crate::zone::Name;

/// The keys of a probe.
pub(super) static KEYS: Keys = Keys {
    known: &[
        "kind", "port", "path", "host", "expect", "ca", "every", "timeout", "down", "ok", "up",
    ],
    later: &[
        "format",
        "lag",
        "grace",
        "soft_lag",
        "max_lag",
        "master",
        "marker",
        "manifest",
        "sample",
        "of",
        "need",
        "query",
        "module",
        "command",
        "file",
        "warn_cert",
        "require",
        "shadow",
    ],
};

const KINDS: [&str; 3] = ["tcp", "http", "https"];
const LATER_KINDS: [&str; 7] = [
    "icmp",
    "dns",
    "rsync",
    "exec",
    "file",
    "freshness",
    "sample",
];

const EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(4);
const DOWN: u32 = 3;
const OK: u32 = 6;
const UP: u32 = 6;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

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
    let (kind, port) = kind(name, table, found);
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

/// The kind with all that belongs to it, and the port. What is wrong becomes a TCP probe, with errors.
fn kind(name: &str, table: &Table<'_>, found: &mut Diagnostics) -> (Kind, u16) {
    let port = table.get("port").and_then(|v| v.whole(1..=u16::MAX, found));
    let bad = (Kind::Tcp, 1);
    let Some(value) = table.get("kind") else {
        if let Some(error) = table.missing(format!("probe \"{name}\" has no kind"), found) {
            error.note("add a line such as kind = \"https\"");
        }
        return bad;
    };
    let Some(word) = value.text(found) else {
        return bad;
    };
    match word {
        "tcp" => {
            for key in ["path", "host", "expect", "ca"] {
                forbid(table, key, "a tcp probe", found);
            }
            if port.is_none() && table.get("port").is_none() {
                table.missing(
                    format!("probe \"{name}\" has no port: tcp has none of its own"),
                    found,
                );
            }
            (Kind::Tcp, port.unwrap_or(1))
        }
        "http" | "https" => {
            let kind = http(word == "https", table, found);
            (kind, port.unwrap_or(if word == "https" { 443 } else { 80 }))
        }
        _ => {
            unknown_kind(word, value.span(), found);
            bad
        }
    }
}

fn unknown_kind(word: &str, span: Span, found: &mut Diagnostics) {
    if LATER_KINDS.contains(&word) {
        found.error(span, not_yet(word));
    } else {
        let error = found.error(span, format!("unknown kind of probe \"{word}\""));
        error.suggest(word, KINDS.into_iter().chain(LATER_KINDS));
    }
}

fn forbid(table: &Table<'_>, key: &'static str, who: &str, found: &mut Diagnostics) {
    if let Some(span) = table.key_span(key) {
        found.error(span, format!("{who} has no \"{key}\""));
    }
}

fn http(tls: bool, table: &Table<'_>, found: &mut Diagnostics) -> Kind {
    if !tls {
        forbid(table, "ca", "an http probe", found);
    }
    let path = table
        .get("path")
        .and_then(|v| Some((v.text(found)?, v.span())));
    let path = path.and_then(|(text, span)| path_of(text, span, found));
    let ca = table.get("ca").and_then(|v| Some((v.path(found)?, v)));
    if let Some((path, value)) = ca.as_ref().filter(|(path, _)| !path.is_file()) {
        value.error(format!("there is no file {}", path.display()), found);
    }
    Kind::Http {
        tls,
        path: path.unwrap_or_else(|| "/".to_owned()),
        expect: expect::read(table, found),
        ca: ca.map(|(path, _)| path),
    }
}

/// A path as it stands in a request line.
fn path_of(text: &str, span: Span, found: &mut Diagnostics) -> Option<String> {
    let problem = if !text.starts_with('/') {
        "must start with \"/\""
    } else if text.starts_with("//") {
        "cannot start with \"//\": the name asked for is the pool's, or \"host\" of a [probe.NAME]"
    } else if text.contains('#') || !text.bytes().all(|b| b.is_ascii_graphic()) {
        "can only hold visible ASCII without \"#\": write others as %XX"
    } else {
        return Some(text.to_owned());
    };
    found.error(span, format!("the path {problem}"));
    None
}

fn host(value: &Value<'_>, found: &mut Diagnostics) -> Option<String> {
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

/// Reads `kind[:port][/path]`, such as `https:/lastupdate`, `http:8080/x` or `tcp:873`; its name is the text itself, with
/// `:/` after a bare `http` or `https`, so that it always differs from the name of a table. None, without a finding, if it does not start as a shorthand does.
pub(super) fn shorthand(text: &str, span: Span, found: &mut Diagnostics) -> Option<Option<Probe>> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let known = KINDS.contains(&word);
    if !known && (rest.is_empty() && !LATER_KINDS.contains(&word)) {
        return None;
    }
    if !known {
        unknown_kind(word, span, found);
        return Some(None);
    }
    Some(shorthand_of(text, word, rest, span, found))
}

fn shorthand_of(
    text: &str,
    word: &str,
    rest: &str,
    span: Span,
    found: &mut Diagnostics,
) -> Option<Probe> {
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match port {
        "" => None,
        digits => match digits.parse::<u16>().ok().filter(|p| *p > 0) {
            Some(port) => Some(port),
            None => {
                found
                    .error(span, format!("\"{digits}\" is no port"))
                    .note("write kind[:port][/path]");
                return None;
            }
        },
    };
    let (kind, port) = match (word, port) {
        ("tcp", Some(_)) if !path.is_empty() => {
            found.error(span, "a tcp probe has no path");
            return None;
        }
        ("tcp", Some(port)) => (Kind::Tcp, port),
        ("tcp", None) => {
            found
                .error(span, "tcp has no port of its own")
                .note("write \"tcp:873\"");
            return None;
        }
        _ => {
            let tls = word == "https";
            let path = if path.is_empty() {
                "/".to_owned()
            } else {
                path_of(path, span, found)?
            };
            let expect = Expect {
                status: vec![expect::GOOD],
                body: None,
            };
            (
                Kind::Http {
                    tls,
                    path,
                    expect,
                    ca: None,
                },
                port.unwrap_or(if tls { 443 } else { 80 }),
            )
        }
    };
    let name = if text == word {
        format!("{word}:/")
    } else {
        text.to_owned()
    };
    Some(Probe {
        name,
        kind,
        port,
        host: None,
        every: EVERY,
        timeout: TIMEOUT,
        down: DOWN,
        ok: OK,
        up: UP,
    })
}
