//! `[pool.NAME]`: a set of nodes and the policy that chooses among them.

use super::files::Definition;
use super::table::{Keys, Table, Value};
use super::{keep, low, none, prefer, probe, require, rules, share, unit};
use crate::diagnostic::{Diagnostics, Span};
use crate::health::Probe;
use crate::policy::{Answer, Near, Node, NoneLeft, Pool, UnknownClient};

/// The keys of a pool.
pub(super) static KEYS: Keys = Keys {
    known: &[
        "nodes",
        "probe",
        "probes",
        "require",
        "ttl",
        "damping",
        "keep",
        "answer",
        "near",
        "prefer",
        "rules",
        "spread",
        "sticky",
        "low",
        "max_share",
        "slow_start",
        "none",
        "unknown_client",
    ],
    later: &["consistent", "shadow", "warn_cert", "max_lag", "soft_lag"],
};

/// An answer of more nodes would not fit the packets that are sent.
const MOST_NODES: u8 = 32;

/// What pools refer to by name.
pub(super) struct Known<'a> {
    pub(super) nodes: &'a [Node],
    /// The names of all pools, by their numbers.
    pub(super) pools: Vec<&'a str>,
    /// Those defined, and after them those that pools gave in shorthand.
    pub(super) probes: Vec<Probe>,
    /// False if a definition may have been lost to a syntax error: unknown names are not complained of then.
    pub(super) whole: bool,
}

/// Reads a pool.
pub(super) fn read(
    definition: &Definition<'_>,
    known: &mut Known<'_>,
    found: &mut Diagnostics,
) -> Pool {
    let Definition { name, table, .. } = definition;
    let all: Vec<usize> = (0..known.nodes.len()).collect();
    let nodes = match table.get("nodes") {
        Some(value) => select(&value, &all, known, found),
        None => {
            if all.is_empty() && known.whole {
                table.missing(
                    format!("pool \"{name}\" has no nodes: none is defined"),
                    found,
                );
            }
            all
        }
    };
    let probes = probes(table, known, found);
    let mut pool = Pool {
        name: (*name).to_owned(),
        require: table
            .get("require")
            .and_then(|v| require::read(&v, votes(&probes, known), found))
            .unwrap_or_default(),
        strict: table.get("ttl").is_some_and(|v| strict(&v, found)),
        damping: truth("damping", false, table, found),
        keep: table
            .get("keep")
            .and_then(|v| keep::read(&v, nodes.len(), found))
            .unwrap_or_default(),
        probes,
        answer: table
            .get("answer")
            .and_then(|v| answer(&v, found))
            .unwrap_or(Answer::Nodes(1)),
        near: table
            .get("near")
            .and_then(|v| near(&v, found))
            .unwrap_or_default(),
        prefer: table
            .get("prefer")
            .map(|v| prefer::read(&v, found))
            .unwrap_or_default(),
        low: table
            .get("low")
            .map(|v| low::read(&v, &nodes, known, found))
            .unwrap_or_default(),
        rules: table
            .get("rules")
            .map(|v| rules::read(&v, &nodes, known, found))
            .unwrap_or_default(),
        spread: table.get("spread").is_some_and(|v| spread(&v, found)),
        sticky: truth("sticky", true, table, found),
        none: table
            .get("none")
            .and_then(|v| none::read(&v, name, known, found))
            .unwrap_or(NoneLeft::LeastBad),
        unknown: table
            .get("unknown_client")
            .and_then(|v| unknown(&v, &nodes, known, found))
            .unwrap_or(UnknownClient::Server),
        max_share: None,
        slow_start: None,
        nodes,
    };
    pool.max_share = table
        .get("max_share")
        .and_then(|v| share::read(&v, &pool, known.nodes, found));
    pool.slow_start = table
        .get("slow_start")
        .and_then(|v| share::slow_start(&v, &pool, found));
    pool
}

/// The probes that judge a pool's nodes, by their numbers.
fn probes(table: &Table<'_>, known: &mut Known<'_>, found: &mut Diagnostics) -> Vec<usize> {
    match (table.get("probe"), table.get("probes")) {
        (Some(_), Some(both)) => {
            both.error(
                "\"probe\" and \"probes\" are given: keep one of them",
                found,
            );
            Vec::new()
        }
        (Some(one), None) => {
            let one = one
                .text(found)
                .and_then(|text| probe_named(text, one.span(), known, found));
            one.into_iter().collect()
        }
        (None, Some(list)) => probe_list(&list, known, found),
        (None, None) => Vec::new(),
    }
}

/// What a key that is true or false says, or what it is by default.
fn truth(key: &'static str, usual: bool, table: &Table<'_>, found: &mut Diagnostics) -> bool {
    let told = table.get(key).and_then(|v| v.truth(found));
    told.unwrap_or(usual)
}

/// Whether `ttl` says so.
fn strict(value: &Value<'_>, found: &mut Diagnostics) -> bool {
    let Some(word) = value.text(found) else {
        return false;
    };
    if !["steady", "strict"].contains(&word) {
        value
            .error(format!("\"{word}\" is no way to reckon the TTL"), found)
            .suggest(word, ["steady", "strict"])
            .note("it is \"steady\" or \"strict\"");
    }
    word == "strict"
}

/// How many of the probes have a vote; none if some may have been lost to a syntax error.
fn votes(probes: &[usize], known: &Known<'_>) -> Option<usize> {
    let votes = probes.iter().filter(|p| !known.probes[**p].shadow);
    known.whole.then(|| votes.count())
}

/// The nodes that a list of names, `tag:x` and `*` means, each once; `among` are those it may mean.
fn select(
    value: &Value<'_>,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Vec<usize> {
    let Some(texts) = value.texts(found) else {
        return Vec::new();
    };
    if value.items(found).is_some_and(|i| i.is_empty()) {
        value
            .error("the list of nodes is empty", found)
            .note("\"*\" means all");
    }
    let mut out: Vec<usize> = Vec::new();
    for (text, span) in texts {
        for index in matching_among(text, span, among, known, found) {
            if !out.contains(&index) {
                out.push(index);
            }
        }
    }
    out
}

/// The nodes that a name, `tag:x` or `*` means.
fn matching(text: &str, span: Span, known: &Known<'_>, found: &mut Diagnostics) -> Vec<usize> {
    let those = |test: &dyn Fn(&Node) -> bool| {
        let nodes = known.nodes.iter().enumerate();
        nodes
            .filter(|(_, n)| test(n))
            .map(|(i, _)| i)
            .collect::<Vec<_>>()
    };
    let (out, problem) = match text.strip_prefix("tag:") {
        _ if text == "*" => (those(&|_| true), "there is no node".to_owned()),
        _ if text.starts_with("tier:") => (
            those(&|n| text.strip_prefix("tier:") == Some(&n.tier.to_string())),
            format!("no node is of {}", text.replace(':', " ")),
        ),
        Some(tag) => (
            those(&|n| n.tags.iter().any(|t| t == tag)),
            format!("no node has the tag \"{tag}\""),
        ),
        None => (
            those(&|n| n.name == text),
            format!("there is no node \"{text}\""),
        ),
    };
    if out.is_empty() && known.whole {
        let tags = known
            .nodes
            .iter()
            .flat_map(|n| &n.tags)
            .map(|t| format!("tag:{t}"));
        let mut words: Vec<String> = known
            .nodes
            .iter()
            .map(|n| n.name.clone())
            .chain(tags)
            .collect();
        words.sort_by_key(|w| w.starts_with("tag:") != text.starts_with("tag:"));
        found
            .error(span, problem)
            .suggest(text, words.iter().map(String::as_str));
    }
    out
}

fn probe_list(value: &Value<'_>, known: &mut Known<'_>, found: &mut Diagnostics) -> Vec<usize> {
    let mut out = Vec::new();
    for (text, span) in value.texts(found).unwrap_or_default() {
        match probe_named(text, span, known, found) {
            Some(index) if !out.contains(&index) => out.push(index),
            _ => {}
        }
    }
    out
}

/// The same among the nodes of a pool, which it must mean some of.
pub(super) fn matching_among(
    text: &str,
    span: Span,
    among: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Vec<usize> {
    let mut meant = matching(text, span, known, found);
    if !meant.is_empty() {
        meant.retain(|index| among.contains(index));
        if meant.is_empty() {
            found.error(span, format!("\"{text}\" means no node of this pool"));
        }
    }
    meant
}

/// The index of a probe that is defined, or that its shorthand defines now.
pub(super) fn probe_named(
    text: &str,
    span: Span,
    known: &mut Known<'_>,
    found: &mut Diagnostics,
) -> Option<usize> {
    let defined = |name: &str| known.probes.iter().position(|p| p.name == name);
    if let Some(index) = defined(text) {
        return Some(index);
    }
    if let Some(made) = probe::shorthand(text, span, found) {
        let made = made?;
        return defined(&made.name).or_else(|| {
            known.probes.push(made);
            Some(known.probes.len() - 1)
        });
    }
    if known.whole {
        found
            .error(span, format!("there is no probe \"{text}\""))
            .suggest(text, known.probes.iter().map(|p| p.name.as_str()))
            .note("write the name of a [probe.NAME], or kind[:port][/path] such as \"https:/lastupdate\"");
    }
    None
}

fn answer(value: &Value<'_>, found: &mut Diagnostics) -> Option<Answer> {
    match value.as_text() {
        Some("all") => Some(Answer::All),
        Some(_) => {
            value.error("\"answer\" must be a number of nodes or \"all\"", found);
            None
        }
        None => value.whole(1..=MOST_NODES, found).map(Answer::Nodes),
    }
}

fn near(value: &Value<'_>, found: &mut Diagnostics) -> Option<Near> {
    let near = unit::near(value.text(found)?);
    near.map_err(|problem| value.error(problem, found).severity)
        .ok()
}

/// `"asn"` is all that nodes can be spread over.
fn spread(value: &Value<'_>, found: &mut Diagnostics) -> bool {
    let text = value.text(found);
    if text.is_some_and(|t| t != "asn") {
        value.error("\"spread\" must be \"asn\"", found);
    }
    text == Some("asn")
}

fn unknown(
    value: &Value<'_>,
    nodes: &[usize],
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Option<UnknownClient> {
    match value.as_text() {
        Some("server") => Some(UnknownClient::Server),
        Some(text) => {
            let error = value.error(
                "\"unknown_client\" must be \"server\" or a list of nodes",
                found,
            );
            if known.nodes.iter().any(|n| n.name == text) {
                error.note(format!("did you mean [\"{text}\"]?"));
            }
            None
        }
        None => Some(UnknownClient::Nodes(select(value, nodes, known, found))),
    }
}
