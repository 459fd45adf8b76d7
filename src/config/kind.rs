//! `kind` of a probe: what belongs to each, and what does not.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::expect;
use super::probe::AGES;
use super::table::{Table, not_yet};
use crate::diagnostic::{Diagnostics, Span};
use crate::health::{DnsCheck, HttpCheck, Kind};
use crate::zone::{Name, RecordType};

/// The kinds there are.
pub(super) const KINDS: [&str; 8] = [
    "tcp", "http", "https", "icmp", "rsync", "dns", "exec", "file",
];
/// Those that are planned.
pub(super) const LATER: [&str; 2] = ["freshness", "sample"];

/// Keys that only some kinds have, and these kinds.
const OWN: [(&str, &[&str]); 12] = [
    ("port", &["tcp", "http", "https", "rsync", "dns", "exec"]),
    ("path", &["http", "https"]),
    ("host", &["http", "https", "exec"]),
    ("expect", &["http", "https", "dns"]),
    ("question", &["dns"]),
    ("command", &["exec"]),
    ("redirects", &["http", "https"]),
    ("ca", &["https"]),
    ("http2", &["https"]),
    ("warn_cert", &["https"]),
    ("file", &["file"]),
    ("max_age", &["file"]),
];

/// The port of a kind, if it has one of its own.
pub(super) fn own_port(word: &str) -> Option<u16> {
    match word {
        "http" => Some(80),
        "https" => Some(443),
        "rsync" => Some(873),
        "dns" => Some(53),
        _ => None,
    }
}

/// The kind with all that belongs to it, and the port. What is wrong becomes a TCP probe, with errors.
pub(super) fn read(
    name: &str,
    table: &Table<'_>,
    every: Duration,
    found: &mut Diagnostics,
) -> (Kind, u16) {
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
    if !KINDS.contains(&word) {
        unknown(word, value.span(), found);
        return bad;
    }
    for (key, kinds) in OWN {
        if !kinds.contains(&word)
            && let Some(span) = table.key_span(key)
        {
            found.error(span, format!("{} probe has no \"{key}\"", a(word)));
        }
    }
    if word == "tcp" && table.get("port").is_none() {
        table.missing(
            format!("probe \"{name}\" has no port: tcp has none of its own"),
            found,
        );
    }
    let kind = match word {
        "http" | "https" => http(word == "https", table, found),
        "rsync" => Kind::Rsync,
        "icmp" => Kind::Icmp,
        "file" => file(name, table, every, found).unwrap_or(Kind::Tcp),
        "exec" => exec(name, table, found).map_or(Kind::Tcp, |command| Kind::Exec { command }),
        "dns" => dns(name, table, found).map_or(Kind::Tcp, Kind::Dns),
        _ => Kind::Tcp,
    };
    (kind, port.or(own_port(word)).unwrap_or(0))
}

/// `a tcp`, `an http`.
pub(super) fn a(word: &str) -> String {
    let article = if word.starts_with(['e', 'h', 'i', 'r']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {word}")
}

/// Reports a kind that there is not.
pub(super) fn unknown(word: &str, span: Span, found: &mut Diagnostics) {
    if LATER.contains(&word) {
        found.error(span, not_yet(word));
    } else {
        let error = found.error(span, format!("unknown kind of probe \"{word}\""));
        error.suggest(word, KINDS.into_iter().chain(LATER));
    }
}

fn exec(name: &str, table: &Table<'_>, found: &mut Diagnostics) -> Option<Vec<String>> {
    let Some(value) = table.get("command") else {
        let error = table.missing(format!("probe \"{name}\" has no command"), found);
        error.map(|e| e.note("add a line such as command = [\"/usr/lib/check\", \"{address}\"]"));
        return None;
    };
    let mut words = Vec::new();
    for item in value.items(found)? {
        let text = item.text(found)?;
        if text.contains('\0') {
            item.error("a word of a command holds no NUL", found);
            return None;
        }
        if !words.is_empty() && text.contains("{port}") && table.get("port").is_none() {
            item.error("there is no \"port\" to put in", found);
        }
        words.push(text.to_owned());
    }
    match words.first() {
        Some(program) if program.starts_with('/') => Some(words),
        Some(_) => {
            value.error("the program must be an absolute path", found);
            None
        }
        None => {
            value.error("the command is empty", found);
            None
        }
    }
}

/// So many intervals without a word from the writer of a file are too many, unless told otherwise.
const MAX_AGE: u32 = 10;

fn file(name: &str, table: &Table<'_>, every: Duration, found: &mut Diagnostics) -> Option<Kind> {
    let max_age = table
        .get("max_age")
        .map_or(Some(every * MAX_AGE), |v| v.duration(AGES, found));
    let Some(value) = table.get("file") else {
        let error = table.missing(format!("probe \"{name}\" has no file"), found);
        error.map(|e| e.note("add a line such as file = \"/run/monitor/states\""));
        return None;
    };
    Some(Kind::File {
        path: value.path(found)?,
        max_age: max_age?,
    })
}

fn dns(name: &str, table: &Table<'_>, found: &mut Diagnostics) -> Option<DnsCheck> {
    let (rcode, answer) = expect::read_dns(table, found);
    let Some(value) = table.get("question") else {
        let error = table.missing(format!("probe \"{name}\" has no question"), found);
        error.map(|e| e.note("add a line such as question = \"example.org SOA\""));
        return None;
    };
    let mut words = value.text(found)?.split_whitespace();
    let (Some(asked), Some(rtype), None) = (words.next(), words.next(), words.next()) else {
        value.error(
            "a question is a name and a type: \"example.org SOA\"",
            found,
        );
        return None;
    };
    let Ok(asked) = Name::absolute(asked) else {
        value.error(format!("\"{asked}\" is no name"), found);
        return None;
    };
    let Some(rtype) = RecordType::named(rtype.as_bytes()) else {
        value
            .error(format!("\"{rtype}\" is no type of records"), found)
            .suggest(rtype, RecordType::mnemonics());
        return None;
    };
    if rtype.is_meta() {
        value.error(format!("a probe cannot ask for {rtype}"), found);
        return None;
    }
    Some(DnsCheck {
        name: asked.to_string(),
        rtype: rtype.0,
        rcode: rcode.unwrap_or(0),
        answer,
    })
}

/// How early a certificate's end may be warned of.
const WARNINGS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(366 * 86_400);

fn http(tls: bool, table: &Table<'_>, found: &mut Diagnostics) -> Kind {
    let path = table
        .get("path")
        .and_then(|v| Some((v.text(found)?, v.span())));
    let path = path.and_then(|(text, span)| path_of(text, span, found));
    let ca = table.get("ca").and_then(|v| Some((v.path(found)?, v)));
    if let Some((path, value)) = ca.as_ref().filter(|(path, _)| !path.is_file()) {
        value.error(format!("there is no file {}", path.display()), found);
    }
    let mut truth = |key| table.get(key).and_then(|v| v.truth(found)).unwrap_or(false);
    let (http2, redirects) = (truth("http2"), truth("redirects"));
    let warn_cert = table.get("warn_cert");
    Kind::Http(HttpCheck {
        tls,
        path: path.unwrap_or_else(|| "/".to_owned()),
        expect: expect::read(table, found),
        ca: ca.map(|(path, _)| path),
        http2,
        redirects,
        warn_cert: warn_cert.and_then(|v| v.duration(WARNINGS, found)),
    })
}

/// A path as it stands in a request line.
pub(super) fn path_of(text: &str, span: Span, found: &mut Diagnostics) -> Option<String> {
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
