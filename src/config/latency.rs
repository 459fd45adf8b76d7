//! Latency tables: rows of clients, a node, and the round-trip time between them. A row that is wrong loses only itself.

use std::path::Path;

use super::files::read_octets;
use super::network;
use crate::diagnostic::{Diagnostics, Severity, Sources, Span};
use crate::geo::Subject;
use crate::policy::{LatencyRow, Node};

/// A slower answer is none.
const SLOWEST_MS: f64 = 3000.0;
/// Of a file so many rows are told of: a table of another form is wrong in all of them.
const TOLD: usize = 20;

/// Reads a file that is named at `at`; rows with their places.
pub fn read_latency(
    path: &Path,
    at: Span,
    nodes: &[Node],
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Vec<(LatencyRow, Span)> {
    sources.look_at(path);
    let Some(octets) = read_octets(path, Some(at), found) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&octets).into_owned();
    let file = sources.add(path.display().to_string(), text.clone().into_bytes());
    let (mut rows, mut refused, mut start) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let mut wrong = Diagnostics::default();
        rows.extend(row(line, (file, start), nodes, &mut wrong));
        refused += usize::from(wrong.errors() > 0);
        for mut finding in wrong.list {
            if refused <= TOLD {
                if finding.severity == Severity::Error {
                    finding.note("this row is not used");
                }
                finding.severity = Severity::Warning;
                found.list.push(finding);
            }
        }
        start += line.len();
    }
    if let Some(more) = refused.checked_sub(TOLD).filter(|more| *more > 0) {
        found.warning(
            at,
            format!("{more} more rows of {} are not used", path.display()),
        );
    }
    rows
}

/// A row; none of an empty line, a comment, or where something is wrong.
fn row(
    line: &str,
    (file, start): (u32, usize),
    nodes: &[Node],
    wrong: &mut Diagnostics,
) -> Option<(LatencyRow, Span)> {
    let text = line.split('#').next().unwrap_or_default();
    let at = |field: &str| {
        let first = start + field.as_ptr().addr() - line.as_ptr().addr();
        Span::new(file, first, first + field.len())
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [subject, node, rtt, samples, measured_at] = fields[..] else {
        if !fields.is_empty() {
            wrong.error(
                at(text.trim()),
                "a row has five fields: subject, node, rtt_ms, samples, measured_at",
            );
        }
        return None;
    };
    let subject_at = at(subject);
    let subject = if subject
        .get(..2)
        .is_some_and(|s| s.eq_ignore_ascii_case("AS"))
    {
        network::system(subject, subject_at, wrong)
    } else {
        network::prefix(subject, subject_at, wrong).map(Subject::Net)
    };
    let known = nodes.iter().position(|n| n.name == node);
    if known.is_none() {
        let names = nodes.iter().map(|n| &*n.name);
        wrong
            .error(at(node), format!("there is no node \"{node}\""))
            .suggest(node, names);
    }
    let rtt_ms: Option<f64> = rtt.parse().ok();
    let rtt_ms = rtt_ms.filter(|ms| *ms > 0.0 && *ms <= SLOWEST_MS);
    if rtt_ms.is_none() {
        wrong.error(
            at(rtt),
            format!("a round-trip time is above 0 and at most {SLOWEST_MS} ms"),
        );
    }
    let count: Option<u32> = samples.parse().ok().filter(|n| *n > 0);
    if count.is_none() {
        wrong.error(
            at(samples),
            "the number of samples is a whole number above 0",
        );
    }
    let seconds: Option<u64> = measured_at.parse().ok();
    if seconds.is_none() {
        wrong.error(
            at(measured_at),
            "the time of measuring is in seconds since 1970",
        );
    }
    let row = LatencyRow {
        subject: subject?,
        node: known?,
        rtt_ms: rtt_ms?,
        samples: count?,
        measured_at: seconds?,
    };
    Some((row, at(text.trim())))
}
