//! The keys of signed zones: where each is on its way, and how long it stays there.

use std::fmt;

use super::page::Page;
use super::received::float;
use crate::control::{Handle, KeyState};

fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Published => "published",
        KeyState::Ready => "ready",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
    }
}

pub(super) fn write(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    let lines = handle.key_lines();
    let tags: Vec<String> = lines.iter().map(|line| line.key.to_string()).collect();
    let keys = || lines.iter().zip(&tags);
    page.gauges(
        "nearmost_zone_key",
        "1 for each key of a signed zone, with where it is on its way; one that is ready and no zsk waits for its DS.",
        keys().map(|(line, tag)| {
            let labels = [
                ("zone", line.zone.as_str()),
                ("key", tag.as_str()),
                ("role", line.role.as_str()),
                ("state", word(line.state)),
            ];
            (labels, 1.0)
        }),
    )?;
    page.gauges(
        "nearmost_zone_key_left_seconds",
        "Seconds until a key moves on by itself; one that waits for its DS, or for nothing, is left out.",
        keys().filter_map(|(line, tag)| {
            let labels = [("zone", line.zone.as_str()), ("key", tag.as_str())];
            Some((labels, float(line.left?)))
        }),
    )
}
