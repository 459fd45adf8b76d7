//! `probe = "https:/lastupdate"`: a probe in one word of a pool.

use super::kind::{self, KINDS, LATER, a, own_port, path_of};
use super::{expect, probe};
use crate::diagnostic::{Diagnostics, Span};
use crate::health::{Expect, HttpCheck, Kind, Probe};

/// Reads `kind[:port][/path]`, such as `https:/lastupdate`, `http:8080/x` or `tcp:873`; its name is the text itself, with
/// what it leaves out after a bare kind (`https:/`, `rsync:873`, `icmp:`), so that it always differs from the name of a table. None,
/// without a finding, if it does not start as a shorthand does.
pub(super) fn read(text: &str, span: Span, found: &mut Diagnostics) -> Option<Option<Probe>> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let known = KINDS.contains(&word);
    if !known && (rest.is_empty() && !LATER.contains(&word)) {
        return None;
    }
    if !known {
        kind::unknown(word, span, found);
        return Some(None);
    }
    Some(of_kind(text, word, rest, span, found))
}

fn of_kind(
    text: &str,
    word: &str,
    rest: &str,
    span: Span,
    found: &mut Diagnostics,
) -> Option<Probe> {
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (digits, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match digits.parse::<u16>().ok().filter(|p| *p > 0) {
        None if !digits.is_empty() => {
            found
                .error(span, format!("\"{digits}\" is no port"))
                .note("write kind[:port][/path]");
            return None;
        }
        given => given.or(own_port(word)),
    };
    let kind = match word {
        "http" | "https" => Kind::Http(HttpCheck {
            tls: word == "https",
            path: match path {
                "" => "/".to_owned(),
                path => path_of(path, span, found)?,
            },
            expect: Expect {
                status: vec![expect::GOOD],
                ..Expect::default()
            },
            ..HttpCheck::default()
        }),
        "dns" | "exec" | "file" => {
            let needs = match word {
                "dns" => "question",
                "exec" => "command",
                other => other,
            };
            found
                .error(
                    span,
                    format!("{} probe needs a {needs}, and has no shorthand", a(word)),
                )
                .note(format!("write a [probe.NAME] with kind = \"{word}\""));
            return None;
        }
        _ if !path.is_empty() => {
            found.error(span, format!("{} probe has no path", a(word)));
            return None;
        }
        "icmp" if !digits.is_empty() => {
            found.error(span, "an icmp probe has no port");
            return None;
        }
        "icmp" => Kind::Icmp,
        "rsync" => Kind::Rsync,
        _ => Kind::Tcp,
    };
    let Some(port) = port.or(matches!(kind, Kind::Icmp).then_some(0)) else {
        found
            .error(span, format!("{word} has no port of its own"))
            .note("write \"tcp:873\"");
        return None;
    };
    let name = match (&kind, text == word) {
        (_, false) => text.to_owned(),
        (Kind::Http(_), true) => format!("{word}:/"),
        (Kind::Icmp, true) => format!("{word}:"),
        (_, true) => format!("{word}:{port}"),
    };
    Some(Probe {
        name,
        kind,
        port,
        host: None,
        every: probe::EVERY,
        timeout: probe::TIMEOUT,
        down: probe::DOWN,
        ok: probe::OK,
        up: probe::UP,
        shadow: false,
    })
}
