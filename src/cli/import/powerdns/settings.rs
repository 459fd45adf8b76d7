//! What holds for a whole pool made of LUA records: how it picks, checks, and answers with nobody left.

use super::pick::{Pick, Which};
use super::pools::{Declared, Named};
use super::probe::Checked;
use crate::cli::import::Work;
use crate::diagnostic::Span;

/// How a pool chooses and checks.
pub(super) struct Settings {
    pub(super) which: Which,
    pub(super) none: &'static str,
    pub(super) probe: Option<Checked>,
    pub(super) notes: Vec<String>,
}

/// What holds for the whole pool: that of the first part. Parts that differ are told of.
pub(super) fn read(named: &Named<'_>, records: &[Declared], work: &mut Work) -> Settings {
    let all = records
        .iter()
        .flat_map(|r| r.parts.iter().map(|(_, pick)| (pick, r.span)));
    let all: Vec<(Pick, Span)> = all.map(|(pick, span)| (pick.clone(), span)).collect();
    let chief = all
        .iter()
        .find(|(pick, _)| !is_single(pick))
        .or(all.first());
    // Where each client has one value, there is nothing to pick.
    let which = match chief {
        Some((pick, _)) if !is_single(pick) => pick.which,
        _ => Which::Random(1),
    };
    let probe = all.iter().find_map(|(pick, _)| pick.checked.clone());
    let mut notes = Vec::new();
    differences(named, &all, (which, &probe), work);
    match which {
        Which::Hashed => notes.push(
            "PowerDNS hashes the client's address; here all clients of a place keep the same node."
                .to_owned(),
        ),
        Which::Nearest => notes.push(
            "The nearest; PowerDNS draws among those that are equally near, and so is it here."
                .to_owned(),
        ),
        Which::All
            if probe.is_some()
                && chief.is_some_and(|(pick, _)| pick.backup != Some(Which::All)) =>
        {
            notes.push(
                "With nobody left PowerDNS gives one of all; here it is the one that served last."
                    .to_owned(),
            );
        }
        Which::Random(_) | Which::All => {}
    }
    let backup = chief.and_then(|(pick, _)| pick.backup);
    Settings {
        which,
        none: match (which, backup) {
            (_, Some(Which::All)) => "all",
            // PowerDNS draws one of all.
            (Which::All, _) if probe.is_some() => "least-bad",
            (Which::All, _) => "all",
            _ => "nearest",
        },
        probe,
        notes,
    }
}

/// A value that stands alone may be picked in any way.
fn is_single(pick: &Pick) -> bool {
    pick.sets.iter().all(|set| set.len() == 1) && pick.which == Which::All
}

/// Tells of what is not as it is in the whole pool, and of what has no like.
fn differences(
    named: &Named<'_>,
    all: &[(Pick, Span)],
    (which, probe): (Which, &Option<Checked>),
    work: &mut Work,
) {
    for (pick, span) in all {
        if pick.which != which && !is_single(pick) {
            work.report.lost(
                *span,
                format!(
                    "{}: not all of it is picked in the same way; the whole pool is by the first",
                    named.owner
                ),
                "make pools of their own, led to by names of their own",
            );
        }
        if pick.checked != *probe {
            work.report.lost(
                *span,
                format!(
                    "{}: not all of it is checked in the same way; the whole pool is by the first",
                    named.owner
                ),
                "make pools of their own, led to by names of their own",
            );
        }
        for (what, instead) in &pick.lost {
            work.report
                .lost(*span, format!("{}: {what}", named.owner), instead.as_str());
        }
        if let Some(backup) = pick
            .backup
            .filter(|b| *b != pick.which && *b != Which::All && pick.which != Which::All)
        {
            let word = match backup {
                Which::Random(_) => "random",
                Which::Hashed => "hashed",
                Which::Nearest => "pickclosest",
                Which::All => "all",
            };
            work.report.lost(
                *span,
                format!(
                    "{}: backupSelector {word}: with nobody left it is picked as ever",
                    named.owner
                ),
                "`none` of the pool says what is answered then",
            );
        }
    }
}
