//! The zones of others: how fetching them goes, and until when they may be answered.

use std::fmt;

use super::page::Page;
use crate::control::{Handle, ReceivedLine, RefreshCounts};

/// The number of a way that asking ends.
type OfRefreshes = fn(&RefreshCounts) -> u64;

pub(super) fn write(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    let zones = handle.received();
    let results: [(&str, OfRefreshes); 4] = [
        ("axfr", |counts| counts.whole),
        ("ixfr", |counts| counts.differences),
        ("current", |counts| counts.current),
        ("failed", |counts| counts.failed),
    ];
    page.counters(
        "nearmost_zone_refreshes",
        "How often the primaries of a zone were asked for it, and what came of it.",
        zones.iter().flat_map(|line| {
            results.iter().map(move |(result, number)| {
                let labels = [("zone", line.zone.as_str()), ("result", *result)];
                (labels, number(&line.counts))
            })
        }),
    )?;
    let times = |time: fn(&ReceivedLine) -> Option<u64>| {
        zones
            .iter()
            .filter_map(move |line| Some(([("zone", line.zone.as_str())], float(time(line)?))))
    };
    page.gauges(
        "nearmost_zone_checked_timestamp_seconds",
        "When a primary said last that what we have of a zone is the newest, in seconds since 1970.",
        times(|line| line.checked),
    )?;
    page.gauges(
        "nearmost_zone_expiry_timestamp_seconds",
        "When a zone is answered with SERVFAIL unless a primary gives it again, in seconds since 1970.",
        times(|line| line.expires),
    )?;
    page.gauges(
        "nearmost_zone_signed_until_timestamp_seconds",
        "When the first signature of a zone that its primary signs ends, in seconds since 1970.",
        times(|line| line.signed_until),
    )?;
    page.gauges(
        "nearmost_zone_expired",
        "1 if a zone of others is answered with SERVFAIL: it is too old, or has not come.",
        zones.iter().map(|line| {
            (
                [("zone", line.zone.as_str())],
                f64::from(u8::from(line.expired)),
            )
        }),
    )?;
    let catalogs = |number: fn(&ReceivedLine) -> usize| {
        let catalogs = zones.iter().filter(|line| line.members.is_some());
        catalogs.map(move |line| {
            (
                [("catalog", line.zone.as_str())],
                float(number(line) as u64),
            )
        })
    };
    page.gauges(
        "nearmost_catalog_members",
        "Zones that are here because a catalog lists them.",
        catalogs(|line| line.members.unwrap_or(0)),
    )?;
    page.gauges(
        "nearmost_catalog_refused_members",
        "Zones that a catalog lists and that are not taken.",
        catalogs(|line| line.problems.len()),
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "fewer than 2^53, seconds as zones"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
