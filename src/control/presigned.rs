//! Zones that are signed elsewhere: what is wrong with such a file, and what an operator is told of one that comes.

use std::collections::HashMap;
use std::time::Duration;

use super::load::Parts;
use crate::clock::{utc, wall};
use crate::config::ZoneSource;
use crate::diagnostic::Diagnostics;
use crate::dnssec::Presigned;
use crate::health::Time;
use crate::snapshot::Snapshot;
use crate::zone::{Data, Name, Record, Zone, rtype};

/// Looks at a zone of a file that has keys and signatures already.
pub(super) fn check(name: &Name, records: &[Record], found: &mut Diagnostics) {
    let key = |record: &&Record| match &record.data {
        Data::Plain { rtype, .. } => record.owner == *name && *rtype == rtype::DNSKEY,
        Data::Pool { .. } => false,
    };
    // Its own name comes first.
    let mut own = records.iter().take_while(|record| record.owner == *name);
    let Some(key) = own.find(key) else {
        return;
    };
    let Some(stored) = Presigned::of(&Zone::build(name, records, &HashMap::new())) else {
        return;
    };
    let pools = records.iter();
    for record in pools.filter(|record| matches!(record.data, Data::Pool { .. })) {
        let message = format!(
            "a POOL in zone \"{name}\", which is signed elsewhere: its addresses have no signature"
        );
        let error = found.error(record.span, message);
        error.note_at(key.span, "the zone's key is here");
        error.note(
            "give the zone without its signatures and let it be signed here (`signed = true`)",
        );
    }
    for doubt in stored.doubts(wall()) {
        let message = format!("zone \"{name}\" is signed elsewhere, but {doubt}");
        found.warning(key.span, message);
    }
}

/// Tells of the zones of others that are signed otherwise than before.
pub(super) fn tell(parts: &Parts, next: &Snapshot, last: Option<&Snapshot>, now: Time) {
    let now = now.as_secs();
    let zones = parts.config.zones.iter();
    for zone in zones.filter(|zone| matches!(zone.source, ZoneSource::Primary(_))) {
        let Some(stored) = next.presigned(&zone.name) else {
            continue;
        };
        let (until, doubts) = (stored.until(now), stored.doubts(now));
        let before = last.and_then(|last| last.presigned(&zone.name));
        let same = |before: &Presigned| {
            before.until(now) == until && before.doubts(now).len() == doubts.len()
        };
        if before.is_some_and(same) {
            continue;
        }
        for doubt in &doubts {
            tracing::warn!("zone {}: signed by its primary, but {doubt}", zone.name);
        }
        if doubts.is_empty() {
            let until = utc(Duration::from_secs(until));
            tracing::info!(
                "zone {}: signed by its primary, until {until} UTC",
                zone.name
            );
        }
    }
}
