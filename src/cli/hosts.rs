//! Nodes that are known by a name, as tables of several verbs show them.

use super::ago;
use super::table::table;
use crate::control::HostLine;

/// A table of them, after an empty line; nothing where there are none.
pub(super) fn hosts(hosts: &[HostLine], now: u64) -> String {
    if hosts.is_empty() {
        return String::new();
    }
    let rows = hosts.iter().map(|h| {
        let addresses: Vec<String> = h.addresses.iter().map(ToString::to_string).collect();
        vec![
            h.node.clone(),
            h.host.clone(),
            if addresses.is_empty() {
                "-".into()
            } else {
                addresses.join(" ")
            },
            h.resolved.map_or("never".into(), |at| {
                format!("{} ago", ago(now.saturating_sub(at)))
            }),
            format!("{} s", h.next.saturating_sub(now)),
            error(h, now),
        ]
    });
    let head = [
        "node",
        "name",
        "addresses",
        "resolved",
        "next",
        "last error",
    ];
    format!("\n{}", table(&head, rows))
}

fn error(host: &HostLine, now: u64) -> String {
    let error = match (&host.last_error, host.last_error_at) {
        (Some(error), Some(at)) => Some(format!("{error} ({} ago)", ago(now.saturating_sub(at)))),
        _ => None,
    };
    let lost = "given to nobody: no database knows its place, so it needs `at`";
    let lost = host.lost.then(|| lost.to_owned());
    let all: Vec<String> = lost.into_iter().chain(error).collect();
    if all.is_empty() {
        return "-".into();
    }
    all.join("; ")
}

/// One of them in a line.
pub(super) fn about(host: &HostLine, now: u64) -> String {
    let resolved = match host.resolved {
        Some(at) => format!("resolved {} ago", ago(now.saturating_sub(at))),
        None => "never resolved".into(),
    };
    let mut line = format!("{} is {}, {resolved}", host.node, host.host);
    if !host.ok || host.lost {
        line += &format!("; {}", error(host, now));
    }
    line
}
