//! Zones of others for a generation: what is known of each, with the zones that their catalogs list, and their records.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::kept::{self, RECEIVED, SERVED};
use super::members::{self, Lists, Owned, Settled, Spare};
use super::put::{Arrival, Fetched};
use super::theirs::{AllTheirs, Life, ReceivedLine, Theirs};
use crate::config::{self, ZoneSource};
use crate::control::handle::Handle;
use crate::control::load::Parts;
use crate::diagnostic::{Diagnostics, Severity, Span};
use crate::health::Time;
use crate::transfer::{Kind, Member, members as members_of};
use crate::zone::version::{Version, is_newer};
use crate::zone::{Data, Name, Record, file, rtype};

/// What is known of the zones of others of some parts, and what follows from their catalogs.
#[derive(Debug)]
pub(in crate::control) struct Filled {
    pub(super) theirs: AllTheirs,
    pub(super) settled: Settled,
}

/// As [`fill`] at a start, from the state folder; it is to be put in order where it is ours.
pub(in crate::control) fn first(parts: &mut Parts, now: Time) -> (AllTheirs, Settled) {
    let before = members::restore(parts.config.server.state.as_deref());
    let Filled {
        mut theirs,
        settled,
    } = fill(parts, &AllTheirs::new(), &before, now);
    follow(&mut theirs, &settled, now);
    (theirs, settled)
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
            let (kept, at) = kept::read_dated(state.as_deref()?, RECEIVED, &zone.name)?;
            Some(Theirs {
                version: Some(kept.journal.version),
                from: kept.from,
                kept: true,
                // A clock that went wrong makes nothing younger.
                checked: at.min(now),
                next: now,
                ..Theirs::default()
            })
        };
        let theirs = known.get(&zone.name).cloned().or_else(restored);
        let mut theirs = theirs.unwrap_or_default();
        theirs.expired = theirs.expires().is_none_or(|at| at <= now);
        theirs.judge(zone.source.primaries());
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
    // What has expired is kept all the same, and may come back.
    for theirs in theirs.values_mut().filter(|theirs| theirs.expired) {
        let octets = theirs.version.iter().map(|v| v.records.octets().len());
        theirs.memory = theirs.memory.max(octets.sum());
    }
    for ((name, records), zone) in parts.zones.iter_mut().zip(&parts.config.zones) {
        let Some(own) = theirs.get_mut(name).filter(|own| !own.expired) else {
            continue;
        };
        if let Some(version) = &own.version {
            match checked(version, zone.span) {
                Ok(fine) => {
                    own.memory = file::memory(name, &fine);
                    *records = fine;
                }
                Err(why) => {
                    tracing::error!("zone {name}: what is kept of it is wrong: {why}");
                    (own.version, own.expired) = (None, true);
                }
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

fn not_kept(zone: &str, folder: &str) -> String {
    format!("zone {zone}: its newest version is not in `{folder}` of the state folder")
}

impl Handle {
    /// Looks at a zone; none: it is gone, or has begun anew.
    pub(super) fn with_zone<T>(
        &self,
        (apex, life): (&Name, &Life),
        look: impl FnOnce(&mut Theirs) -> T,
    ) -> Option<T> {
        self.with_theirs(|all| {
            let theirs = all.get_mut(apex).filter(|theirs| theirs.life == *life);
            theirs.map(look)
        })
    }

    pub(in crate::control) fn with_theirs<T>(&self, look: impl FnOnce(&mut AllTheirs) -> T) -> T {
        let all = self.0.theirs.lock();
        look(&mut all.unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the primaries of a zone of others asked now, all of them; `whole`: what one has is taken, whatever its serial is. The zone's name.
    ///
    /// # Errors
    /// In words: there is no such zone.
    pub fn fetch(&self, zone: &str, whole: bool) -> Result<String, String> {
        let name = Name::absolute(zone).map_err(|e| format!("{zone}: {e}"))?;
        let now = self.now();
        self.with_theirs(|all| {
            let theirs = all.get_mut(&name);
            let theirs =
                theirs.ok_or_else(|| format!("{name} is no zone that comes from others"))?;
            theirs.foreign |= whole;
            theirs.told = u64::MAX;
            theirs.want(now);
            Ok(name.to_string())
        })
    }

    /// Puts in service what the process before has kept of zones of others since we have read them. For a thread that may wait.
    pub(in crate::control) fn catch_up_received(&self) {
        let Some(state) = self.state() else { return };
        let most = self.basis().parts.config.limits.catalog_members;
        let known = |(name, theirs): (&Name, &Theirs)| {
            let serial = theirs.version.as_ref().map(|known| known.serial());
            let catalog = theirs.is_catalog.then_some(most);
            (name.clone(), theirs.life.clone(), serial, catalog)
        };
        let known: Vec<_> = self.with_theirs(|all| all.iter().map(known).collect());
        let (mut newer, mut times) = (Vec::new(), Vec::new());
        for (name, life, serial, catalog) in known {
            let Some((kept, at)) = kept::read_dated(state, RECEIVED, &name) else {
                continue;
            };
            let version = kept.journal.version;
            let ahead = serial.is_none_or(|ours| is_newer(version.serial(), ours));
            let Some(from) = kept.from.filter(|_| ahead) else {
                continue;
            };
            let members = catalog.map(|most| listed(&version, most)).transpose();
            if let (Ok(records), Ok(members)) = (checked(&version, None), members) {
                let fetched = Fetched {
                    version,
                    from,
                    how: Kind::Whole,
                    life,
                };
                newer.push(Arrival::of(fetched, records, members));
                times.push((name, at));
            }
        }
        let (done, now) = (self.put_zones(newer), self.now());
        self.with_theirs(|all| {
            for (_, (name, at)) in done.iter().zip(times).filter(|(done, _)| done.is_ok()) {
                if let Some(theirs) = all.get_mut(&name) {
                    (theirs.kept, theirs.checked, theirs.next) = (true, at.min(now), now);
                }
            }
        });
    }

    /// Zones whose newest version could not be written to the state folder, in words.
    pub fn zones_not_kept(&self) -> Vec<String> {
        let name = |key: &[u8]| Some(Name::from_wire(key).ok()?.to_string());
        let mut lines: Vec<_> = self.with_unkept(|unkept| {
            let served = unkept.zones().filter_map(|key| name(key));
            served.map(|zone| not_kept(&zone, SERVED)).collect()
        });
        self.with_theirs(|all| {
            let unkept = all.iter().filter(|(_, theirs)| theirs.unkept);
            lines.extend(unkept.map(|(name, _)| not_kept(&name.to_string(), RECEIVED)));
        });
        lines.sort();
        lines
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
