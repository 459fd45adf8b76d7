//! The server itself: its version, its generations and what they were built of.

use std::fmt;
use std::time::UNIX_EPOCH;

use super::page::Page;
use crate::admin::strangers::Strangers;
use crate::control::Handle;

pub(super) fn write(page: &mut Page<'_>, handle: &Handle, strangers: &Strangers) -> fmt::Result {
    let snapshot = handle.current().get();
    page.gauges(
        "nearmost_build_info",
        "1, with the version of the program.",
        [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    )?;
    let (began, took) = snapshot.built;
    #[expect(
        clippy::cast_precision_loss,
        reason = "no server sees 2^53 generations"
    )]
    let generation = snapshot.generation as f64;
    page.gauge(
        "nearmost_generation",
        "The number of the generation that answers; the first is 1.",
        generation,
    )?;
    page.gauge(
        "nearmost_generation_build_timestamp_seconds",
        "When building it began, in seconds since 1970.",
        began.as_secs_f64(),
    )?;
    page.gauge(
        "nearmost_generation_build_seconds",
        "How long building it took, without reading files and databases.",
        took.as_secs_f64(),
    )?;
    // A start is a reading too, and ends where it fails.
    let failed = handle
        .last_reload()
        .is_some_and(|last| last.error.is_some());
    page.gauge(
        "nearmost_last_reload_successful",
        "1 if the files were read without an error the last time.",
        if failed { 0.0 } else { 1.0 },
    )?;
    page.gauges(
        "nearmost_own_certificate_expiry_timestamp_seconds",
        "When a certificate ends that this server shows, in seconds since 1970.",
        handle
            .own_certificates()
            .map(|(table, ends)| ([("for", table)], ends.as_secs_f64())),
    )?;
    page.counters(
        "nearmost_admin_unauthenticated_requests",
        "Requests over TCP without a valid token.",
        [([], strangers.requests())],
    )?;
    page.counters(
        "nearmost_admin_closed_connections",
        "Connections over TCP that were closed as there were too many.",
        [([], strangers.connections())],
    )?;
    page.gauges(
        "nearmost_database_build_timestamp_seconds",
        "When a GeoIP database was made, in seconds since 1970.",
        snapshot.databases.iter().filter_map(|database| {
            let labels = [("database", &*database.name), ("kind", &*database.kind)];
            let at = database.built?.duration_since(UNIX_EPOCH).ok()?;
            Some((labels, at.as_secs_f64()))
        }),
    )
}
