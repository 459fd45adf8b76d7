//! Zones of others: what is known of each, until when it may be served (RFC 1035 3.3.13), and its records for a generation.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kept::{self, RECEIVED};
use super::members::{self, Lists, Owned, Settled, Spare};
use crate::config::{self, ZoneSource};
use crate::control::handle::Handle;
use crate::control::load::Parts;
use crate::diagnostic::{Diagnostics, Severity, Span};
use crate::health::Time;
use crate::transfer::{Member, members as members_of};
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
    /// The catalog that lists it.
    pub(super) catalog: Option<Name>,
    pub(super) is_catalog: bool,
    /// What it lists itself; none: nobody knows, or it is no catalog.
    pub(super) members: Option<Arc<[Member]>>,
    /// What of that is refused, and why.
    pub(super) problems: Vec<String>,
    pub(super) counts: RefreshCounts,
}

/// How often primaries were asked, by what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshCounts {
    /// All of the zone came.
    pub whole: u64,
    /// What differs came.
    pub differences: u64,
    /// There was nothing newer.
    pub current: u64,
    /// None of them gave anything that could be taken.
    pub failed: u64,
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
    /// When the first of the signatures that it brings ends; none: it is not signed.
    #[serde(default)]
    pub signed_until: Option<u64>,
    /// Why the last try failed; none: it did not.
    pub error: Option<String>,
    /// The catalog that lists it; none: it stands in the files.
    pub catalog: Option<String>,
    /// How many zones are here because of it, if it is a catalog.
    pub members: Option<usize>,
    /// Its members that are not taken, and why.
    pub problems: Vec<String>,
    /// How often it was asked for; for metrics.
    #[serde(skip)]
    pub counts: RefreshCounts,
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

    fn line(&self, name: &Name) -> ReceivedLine {
        ReceivedLine {
            zone: name.to_string(),
            serial: self.version.as_ref().map(|v| v.serial()),
            expired: self.expired,
            fetched: self.fetched.map(|at| at.as_secs()),
            checked: self.version.as_ref().map(|_| self.checked.as_secs()),
            next: self.next.as_secs(),
            expires: self.expires().map(|at| at.as_secs()),
            signed_until: None,
            error: self.error.clone(),
            catalog: self.catalog.as_ref().map(ToString::to_string),
            members: None,
            problems: self.problems.clone(),
            counts: self.counts,
        }
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
        self.counts.failed += 1;
        self.next = now + Self::soon(retry);
        self.error = Some(why);
    }
}

/// What is known of the zones of others of some parts, and what follows from their catalogs.
#[derive(Debug)]
pub(in crate::control) struct Filled {
    pub(super) theirs: AllTheirs,
    pub(super) settled: Settled,
}

/// As [`fill`] at a start, from the state folder, where that is put in order.
pub(in crate::control) fn first(parts: &mut Parts, now: Time) -> AllTheirs {
    let state = parts.config.server.state.clone();
    let before = members::restore(state.as_deref());
    let Filled {
        mut theirs,
        settled,
    } = fill(parts, &AllTheirs::new(), &before, now);
    follow(&mut theirs, &settled, now);
    if let Some(state) = state {
        members::write(&state, &settled);
    }
    theirs
}

/// Gives parts the zones that their catalogs list, and all zones of others the records that are known. `before` says whose members were.
pub(in crate::control) fn fill(
    parts: &mut Parts,
    known: &AllTheirs,
    before: &Owned,
    now: Time,
) -> Filled {
    let state = parts.config.server.state.clone();
    let resumed = |zone: &config::Zone| {
        let restored = || {
            let (journal, checked) = kept::read_dated(state.as_deref()?, RECEIVED, &zone.name)?;
            Some(Theirs {
                version: Some(journal.version),
                checked,
                next: now,
                ..Theirs::default()
            })
        };
        let theirs = known.get(&zone.name).cloned().or_else(restored);
        let mut theirs = theirs.unwrap_or_default();
        theirs.expired = theirs.expires().is_none_or(|at| at <= now);
        theirs.is_catalog = zone.catalog.is_some();
        theirs.catalog = zone.member.as_ref().map(|of| of.catalog.clone());
        let read = || listed(theirs.version.as_ref()?, usize::MAX).ok();
        let list = theirs.members.clone().or_else(read);
        theirs.members = list.filter(|_| theirs.is_catalog);
        (zone.name.clone(), theirs)
    };
    let of_others = |zone: &&config::Zone| matches!(zone.source, ZoneSource::Primary(_));
    let by_hand = parts.config.zones.iter().filter(of_others);
    let mut theirs: AllTheirs = by_hand.map(&resumed).collect();
    let settled = members::settled(parts, &theirs, &Lists::new(), before);
    let zones = members::zones(&parts.config, &settled);
    let old = zones
        .iter()
        .filter(|zone| !settled.fresh.contains(&zone.name));
    theirs.extend(old.map(&resumed));
    members::relist(parts, zones, &settled.fresh, &mut Spare::new());
    for ((name, records), zone) in parts.zones.iter_mut().zip(&parts.config.zones) {
        let own = theirs.get(name).filter(|theirs| !theirs.expired);
        if let Some(version) = own.and_then(|theirs| theirs.version.as_ref()) {
            match checked(version, zone.span) {
                Ok(fine) => *records = fine,
                Err(why) => tracing::error!("zone {name}: what is kept of it is wrong: {why}"),
            }
        }
    }
    Filled { theirs, settled }
}

/// What a catalog lists, at most so many.
pub(super) fn listed(catalog: &Version, most: usize) -> Result<Arc<[Member]>, String> {
    let members = members_of(catalog).map_err(|why| format!("the catalog is broken: {why}"))?;
    if members.len() > most {
        let count = members.len();
        return Err(format!(
            "the catalog lists {count} zones, more than `catalog_members` of [limits], {most}"
        ));
    }
    Ok(members.into())
}

/// Goes on with the members that follow from what catalogs list, and tells what is new of that.
pub(super) fn follow(all: &mut AllTheirs, settled: &Settled, now: Time) {
    all.retain(|zone, _| !settled.gone.contains(zone) && !settled.fresh.contains(zone));
    for (zone, of) in &settled.zones {
        let theirs = all.entry(zone.clone()).or_insert_with(|| Theirs {
            next: now,
            expired: true,
            ..Theirs::default()
        });
        theirs.catalog = Some(of.catalog.clone());
    }
    for (catalog, theirs) in all.iter_mut().filter(|(_, theirs)| theirs.is_catalog) {
        let problems = settled.problems.get(catalog).cloned().unwrap_or_default();
        for why in problems.iter().filter(|why| !theirs.problems.contains(why)) {
            tracing::warn!("catalog {catalog}: {why}: not taken");
        }
        theirs.problems = problems;
    }
    for zone in settled.fresh.iter().chain(&settled.new) {
        tracing::info!("zone {zone} is a member of a catalog now");
    }
    for zone in &settled.gone {
        tracing::info!("zone {zone} is no member of a catalog any more");
    }
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
    pub(in crate::control) fn with_theirs<T>(&self, look: impl FnOnce(&mut AllTheirs) -> T) -> T {
        let all = self.0.theirs.lock();
        look(&mut all.unwrap_or_else(PoisonError::into_inner))
    }

    /// The zones of others.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedLine> {
        let (snapshot, now) = (self.current().get(), self.now().as_secs());
        let mut lines = self.with_theirs(|all| {
            let mut members: HashMap<&Name, usize> = HashMap::new();
            for catalog in all.values().filter_map(|theirs| theirs.catalog.as_ref()) {
                *members.entry(catalog).or_default() += 1;
            }
            let own = |name: &Name| members.get(name).copied().unwrap_or(0);
            let lines = all.iter().map(|(name, theirs)| ReceivedLine {
                members: theirs.is_catalog.then(|| own(name)),
                signed_until: snapshot.presigned(name).map(|stored| stored.until(now)),
                ..theirs.line(name)
            });
            lines.collect::<Vec<_>>()
        });
        lines.sort_by(|a, b| a.zone.cmp(&b.zone));
        lines
    }
}
