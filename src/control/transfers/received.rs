//! Zones of others: what is known of each, until when it may be served (RFC 1035 3.3.13), and its records for a generation.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kept::{self, RECEIVED};
use crate::config::ZoneSource;
use crate::control::handle::Handle;
use crate::control::hosts::put_parts;
use crate::control::load::Parts;
use crate::diagnostic::{Diagnostics, Severity, Span};
use crate::health::Time;
use crate::zone::version::Version;
use crate::zone::{Data, Name, Record, file, rtype};

/// Times that an SOA may ask for, however it is written.
const REFRESH: (u32, u32) = (5, 7 * 86_400);
/// Until the first has come: this, twice as long each time, up to the last.
const BEGIN: (u32, u32) = (2, 300);

/// What is known of a zone of others.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Theirs {
    /// The newest that has come, expired or not.
    pub(super) version: Option<Arc<Version>>,
    /// When a primary said last that this is the newest.
    pub(super) checked: Time,
    /// When it was fetched.
    pub(super) fetched: Option<Time>,
    pub(super) next: Time,
    pub(super) failures: u32,
    pub(super) error: Option<String>,
    pub(super) running: bool,
    /// A primary has said that there is more while it was being asked.
    pub(super) again: bool,
    pub(super) expired: bool,
}

/// What is known of all of them, by their names.
pub(in crate::control) type AllTheirs = HashMap<Name, Theirs>;

/// A zone of others, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// Its name.
    pub zone: String,
    /// The serial; none: nothing has come yet.
    pub serial: Option<u32>,
    /// Whether it is answered with SERVFAIL, as it is too old or has not come.
    pub expired: bool,
    /// When it was fetched, since the start.
    pub fetched: Option<u64>,
    /// When a primary said last that this is the newest.
    pub checked: Option<u64>,
    /// When it is asked for next.
    pub next: u64,
    /// When it expires.
    pub expires: Option<u64>,
    /// Why the last try failed; none: it did not.
    pub error: Option<String>,
}

impl Theirs {
    /// A number of the SOA: refresh, retry or expire.
    fn timer(&self, number: usize, (least, most): (u32, u32)) -> Option<Duration> {
        let soa = &self.version.as_ref()?.soa;
        let at = soa.len().checked_sub(16)? + 4 * number;
        let octets = soa.get(at..at + 4)?.first_chunk()?;
        let seconds = u32::from_be_bytes(*octets).clamp(least, most);
        Some(Duration::from_secs(seconds.into()))
    }

    pub(super) fn expires(&self) -> Option<Time> {
        Some(self.checked + self.timer(2, (REFRESH.0, u32::MAX))?)
    }

    /// Up to a tenth sooner, so that not all zones of a primary come at once.
    fn soon(time: Duration) -> Duration {
        let draw = RandomState::new().hash_one(time) % 100;
        time - time * u32::try_from(draw).unwrap_or(0) / 1000
    }

    pub(super) fn has_come(&mut self, now: Time) {
        (self.checked, self.failures, self.error) = (now, 0, None);
        let refresh = self.timer(0, REFRESH).unwrap_or_default();
        let again = mem::take(&mut self.again);
        self.next = if again {
            now
        } else {
            now + Self::soon(refresh)
        };
    }

    pub(super) fn has_failed(&mut self, why: String, now: Time) {
        let begin = Duration::from_secs((BEGIN.0 << self.failures.min(10)).min(BEGIN.1).into());
        let retry = self.timer(1, REFRESH).unwrap_or(begin);
        self.failures += 1;
        self.next = now + Self::soon(retry);
        self.error = Some(why);
    }
}

/// Gives parts the records of the zones of others that are known: at a start from the state folder.
pub(in crate::control) fn fill(parts: &mut Parts, known: &AllTheirs, now: Time) -> AllTheirs {
    let mut all = AllTheirs::new();
    let state = parts.config.server.state.as_deref();
    for (zone, (name, records)) in parts.config.zones.iter().zip(&mut parts.zones) {
        if !matches!(zone.source, ZoneSource::Primary(_)) {
            continue;
        }
        let restored = || {
            let (journal, checked) =
                state.and_then(|state| kept::read_dated(state, RECEIVED, name))?;
            Some(Theirs {
                version: Some(journal.version),
                checked,
                next: now,
                ..Theirs::default()
            })
        };
        let mut theirs = known
            .get(name)
            .cloned()
            .or_else(restored)
            .unwrap_or_default();
        theirs.expired = theirs.expires().is_none_or(|at| at <= now);
        if let Some(version) = theirs.version.as_ref().filter(|_| !theirs.expired) {
            match checked(version, zone.span) {
                Ok(fine) => *records = fine,
                Err(why) => tracing::error!("zone {name}: what is kept of it is wrong: {why}"),
            }
        }
        all.insert(name.clone(), theirs);
    }
    all
}

/// The records of a version, through the checks of a file.
pub(super) fn checked(version: &Version, span: Option<Span>) -> Result<Vec<Record>, String> {
    let span = span.unwrap_or(Span::new(0, 0, 0));
    let soa = (
        version.apex.wire(),
        rtype::SOA,
        version.ttl,
        &version.soa[..],
    );
    let others = version
        .records
        .iter()
        .map(|rr| (rr.owner, rr.rtype, rr.ttl, rr.rdata));
    let record = |(owner, rtype, ttl, rdata): (&[u8], u16, u32, &[u8])| {
        Some(Record {
            owner: Name::from_wire(owner).ok()?,
            ttl,
            data: Data::Plain {
                rtype,
                rdata: rdata.into(),
            },
            span,
        })
    };
    let records = std::iter::once(soa)
        .chain(others)
        .filter_map(record)
        .collect();
    let mut found = Diagnostics::default();
    let records = file::check(&version.apex, records, &[], &mut found);
    let mut errors = found.list.iter().filter(|d| d.severity == Severity::Error);
    match errors.next() {
        Some(error) => Err(error.message.clone()),
        None => Ok(records),
    }
}

impl Handle {
    /// Goes on with the zones of another generation, which are asked for at once: their primaries may be others.
    pub(in crate::control) fn take_theirs(&self, mut next: AllTheirs) {
        let now = self.now();
        self.with_theirs(|known| {
            known.retain(|name, _| next.contains_key(name));
            next.retain(|name, _| !known.contains_key(name));
            known.extend(next);
            known.values_mut().for_each(|theirs| theirs.next = now);
        });
    }

    pub(in crate::control) fn with_theirs<T>(&self, look: impl FnOnce(&mut AllTheirs) -> T) -> T {
        let all = self.0.theirs.lock();
        look(&mut all.unwrap_or_else(PoisonError::into_inner))
    }

    /// The zones of others.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedLine> {
        let line = |(name, theirs): (&Name, &Theirs)| ReceivedLine {
            zone: name.to_string(),
            serial: theirs.version.as_ref().map(|v| v.serial()),
            expired: theirs.expired,
            fetched: theirs.fetched.map(|at| at.as_secs()),
            checked: theirs.version.as_ref().map(|_| theirs.checked.as_secs()),
            next: theirs.next.as_secs(),
            expires: theirs.expires().map(|at| at.as_secs()),
            error: theirs.error.clone(),
        };
        let mut lines: Vec<ReceivedLine> = self.with_theirs(|all| all.iter().map(line).collect());
        lines.sort_by(|a, b| a.zone.cmp(&b.zone));
        lines
    }

    /// Puts other records of a zone in service.
    pub(super) fn put_zone(&self, apex: &Name, records: Vec<Record>) -> Result<(), String> {
        let mut basis = self.basis();
        let mut give = |records: Vec<Record>| {
            let parts = Arc::get_mut(&mut basis.parts).ok_or("the last build still runs")?;
            let own = parts.zones.iter_mut().find(|(name, _)| name == apex);
            let own = own.ok_or("there is no such zone any more")?;
            let before = mem::replace(&mut own.1, records);
            Ok::<_, String>((before, Arc::clone(&basis.parts)))
        };
        let (before, parts) = give(records)?;
        let done = put_parts(self, parts);
        if done.is_err() {
            give(before)?;
        }
        done
    }
}
