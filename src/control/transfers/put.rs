//! Other records of zones of others in service, and with those of a catalog other zones: one generation for all that wait.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError, mpsc};
use std::thread::sleep;
use std::time::Duration;

use super::members::{self, Lists, Settled, Spare, owners, relist, settled};
use super::others::asked;
use super::received::{Filled, follow};
use super::theirs::{AllTheirs, Life, Theirs};
use crate::config::{Config, Zone};
use crate::control::handle::Handle;
use crate::control::hosts::put_parts;
use crate::control::load::Parts;
use crate::control::reload::Basis;
use crate::health::Time;
use crate::transfer::{Kind, Member};
use crate::zone::file::memory;
use crate::zone::version::Version;
use crate::zone::{Name, Record};

/// Until the parts are looked at again while somebody reads them.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be put in service.
#[derive(Debug)]
pub(in crate::control) struct Arrival {
    apex: Name,
    records: Vec<Record>,
    /// Octets that these take, about.
    memory: usize,
    /// What it lists, if it is a catalog.
    members: Option<Arc<[Member]>>,
    /// Whence it came; none: it has expired.
    fetched: Option<Fetched>,
    /// Told how it ended.
    done: Option<mpsc::Sender<Put>>,
}

/// How it ended.
pub(super) type Put = Result<(), NotPut>;

/// Why something is not in service.
#[derive(Clone, Debug)]
pub(super) enum NotPut {
    /// Something else has changed here meanwhile: whoever gave it is not at fault.
    Late(&'static str),
    /// All of them together would be too much.
    Full(String),
    /// It cannot be.
    Failed(String),
}

impl fmt::Display for NotPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(why) => f.write_str(why),
            Self::Full(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A version that a primary gave.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) version: Arc<Version>,
    pub(super) from: SocketAddr,
    pub(super) how: Kind,
    /// Of which zone.
    pub(super) life: Life,
}

impl Arrival {
    /// A version has come, with these records.
    pub(super) fn of(
        fetched: Fetched,
        records: Vec<Record>,
        members: Option<Arc<[Member]>>,
    ) -> Self {
        let apex = fetched.version.apex.clone();
        Self {
            memory: memory(&apex, &records),
            apex,
            records,
            members,
            fetched: Some(fetched),
            done: None,
        }
    }

    /// The zone has expired.
    pub(super) fn end(apex: Name) -> Self {
        Self {
            apex,
            records: Vec::new(),
            memory: 0,
            members: None,
            fetched: None,
            done: None,
        }
    }

    fn tell(self, result: &Put) {
        if let Some(done) = self.done {
            let _ = done.send(result.clone());
        }
    }

    /// How it has ended before anything was built; none: it is to be put in service. `zone` is what the configuration says now.
    fn ended(&self, zone: Option<&Zone>, theirs: Option<&Theirs>, now: Time) -> Option<Put> {
        let late = |why| Some(Err(NotPut::Late(why)));
        let (Some(zone), Some(theirs)) = (zone, theirs) else {
            return late("there is no such zone any more");
        };
        let has = |from| zone.source.primaries().iter().any(|peer| peer.at == from);
        match &self.fetched {
            // A primary may have been heard since.
            None => {
                let alive = theirs.expires().is_some_and(|at| at > now);
                alive.then_some(Ok(()))
            }
            Some(fetched) if fetched.life != theirs.life => late("it has begun anew meanwhile"),
            Some(fetched) if !has(fetched.from) => late("its primaries have changed meanwhile"),
            Some(_) => None,
        }
    }
}

/// What differs in the parts, to go back.
#[derive(Default)]
struct Undo {
    /// Records of zones as they were.
    records: HashMap<Name, Vec<Record>>,
    /// The members as they were, and the records of those that went.
    members: Option<(Vec<Zone>, Spare)>,
}

impl Handle {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        let arrivals = self.0.arrivals.lock();
        arrivals.unwrap_or_else(PoisonError::into_inner)
    }

    /// The basis, to change its parts. For a thread that may wait.
    pub(in crate::control) fn own_basis(&self) -> MutexGuard<'_, Basis> {
        unshared(|| self.basis(), || sleep(AGAIN))
    }

    /// Puts other records of zones in service, and what those list that are catalogs; how each ended. For a thread that may wait: whoever
    /// builds next takes all that have come until then.
    pub(super) fn put_zones(&self, mut zones: Vec<Arrival>) -> Vec<Put> {
        let wait = |arrival: &mut Arrival| {
            let (done, is_done) = mpsc::channel();
            arrival.done = Some(done);
            is_done
        };
        let waiting: Vec<_> = zones.iter_mut().map(wait).collect();
        self.arrivals().append(&mut zones);
        let mut basis = self.own_basis();
        // Whoever built before may have taken them.
        let all = mem::take(&mut *self.arrivals());
        if !all.is_empty() {
            self.put_all(&mut basis, all);
        }
        drop(basis);
        let ended = |done: mpsc::Receiver<Put>| {
            let result = done.recv();
            result.unwrap_or_else(|_| Err(NotPut::Failed("the build has panicked".into())))
        };
        waiting.into_iter().map(ended).collect()
    }

    fn put_all(&self, basis: &mut Basis, all: Vec<Arrival>) {
        let tell = |all: Vec<Arrival>, result: &Put| {
            all.into_iter().for_each(|arrival| arrival.tell(result));
        };
        let Some(parts) = Arc::get_mut(&mut basis.parts) else {
            return tell(all, &Err(NotPut::Late("the last build still runs")));
        };
        let zones = parts.zones.iter().zip(&parts.config.zones);
        let zones: HashMap<&Name, &Zone> = zones.map(|((name, _), zone)| (name, zone)).collect();
        let (now, mut here) = (self.now(), Vec::new());
        self.with_theirs(|known| {
            let most = parts.config.limits.received_memory;
            let mut sum: usize = known.values().map(|theirs| theirs.memory).sum();
            for arrival in all {
                let (zone, theirs) = (zones.get(&arrival.apex), known.get(&arrival.apex));
                let before = theirs.map_or(0, |theirs| theirs.memory);
                // One that expires may come back.
                let own = arrival.fetched.as_ref().map_or(before, |_| arrival.memory);
                let after = (sum + own).saturating_sub(before);
                if let Some(ended) = arrival.ended(zone.copied(), theirs, now) {
                    arrival.tell(&ended);
                } else if own > before && after > most {
                    arrival.tell(&Err(NotPut::Full(too_much(after, most))));
                } else {
                    sum = after;
                    here.push(arrival);
                }
            }
        });
        if here.is_empty() {
            return;
        }
        let (undo, listed) = self.change(parts, &mut here);
        let done = put_parts(self, Arc::clone(&basis.parts)).map_err(NotPut::Failed);
        match (&done, Arc::get_mut(&mut basis.parts)) {
            (Ok(()), _) => {
                if let Some((lists, settled)) = listed {
                    // What came for a member just when that went or was to begin anew is not in service.
                    let (late, taken) = here.into_iter().partition(|arrival| {
                        let zone = &arrival.apex;
                        settled.gone.contains(zone) || settled.fresh.contains(zone)
                    });
                    tell(
                        late,
                        &Err(NotPut::Late("its catalog has changed meanwhile")),
                    );
                    here = taken;
                    self.take_members(lists, &settled);
                    self.judge(&basis.parts.config);
                }
                self.go_on_with(&here);
            }
            (Err(_), Some(parts)) => undo.undo(parts),
            (Err(_), None) => {}
        }
        tell(here, &done);
    }

    /// What is known of zones follows what is served, before anybody builds the next generation of it.
    fn go_on_with(&self, all: &[Arrival]) {
        let now = self.now();
        self.with_theirs(|known| {
            for arrival in all {
                let Some(theirs) = known.get_mut(&arrival.apex) else {
                    continue;
                };
                match &arrival.fetched {
                    None => theirs.expired = true,
                    Some(fetched) => {
                        theirs.memory = arrival.memory;
                        theirs.take(fetched, now);
                    }
                }
            }
        });
    }

    /// Gives the parts what has come.
    fn change(&self, parts: &mut Parts, all: &mut [Arrival]) -> (Undo, Option<(Lists, Settled)>) {
        let mut undo = Undo::default();
        let mut lists = Lists::new();
        for arrival in all {
            let mut zones = parts.zones.iter_mut();
            if let Some((_, own)) = zones.find(|(name, _)| *name == arrival.apex) {
                let before = mem::replace(own, mem::take(&mut arrival.records));
                undo.records.entry(arrival.apex.clone()).or_insert(before);
            }
            if let Some(members) = &arrival.members {
                lists.insert(arrival.apex.clone(), Arc::clone(members));
            }
        }
        if lists.is_empty() {
            return (undo, None);
        }
        let before = owners(parts);
        let settled = self.with_theirs(|all| settled(parts, all, &lists, &before));
        let was = parts
            .config
            .zones
            .iter()
            .filter(|zone| zone.member.is_some());
        let was: Vec<Zone> = was.cloned().collect();
        let mut spare = Spare::new();
        let zones = members::zones(&parts.config, &settled);
        relist(parts, zones, &settled.fresh, &mut spare);
        undo.members = Some((was, spare));
        (undo, Some((lists, settled)))
    }

    /// Goes on with what catalogs list.
    fn take_members(&self, lists: Lists, settled: &Settled) {
        let now = self.now();
        self.with_theirs(|all| {
            for (catalog, list) in lists {
                if let Some(theirs) = all.get_mut(&catalog) {
                    theirs.members = Some(list);
                }
            }
            follow(all, settled, now);
        });
        if let Some(state) = self.state() {
            members::write(state, settled);
        }
    }

    /// Members may have other primaries, which are asked at once.
    fn judge(&self, config: &Config) {
        let now = self.now();
        self.with_theirs(|all| {
            for zone in &config.zones {
                let theirs = all.get_mut(&zone.name);
                if let Some(theirs) = theirs.filter(|theirs| !theirs.foreign)
                    && theirs.judge(zone.source.primaries())
                {
                    theirs.want(now);
                }
            }
        });
    }

    /// Goes on with the zones of another generation; those that are new, or have other primaries than `before`, are asked for at once.
    pub(in crate::control) fn take_theirs(&self, filled: Filled, before: &Config, after: &Config) {
        let now = self.now();
        let more = after.limits.received_memory > before.limits.received_memory;
        let (before, after) = (asked(before), asked(after));
        let Filled { theirs, settled } = filled;
        self.with_theirs(|known| {
            known.retain(|name, _| theirs.contains_key(name));
            for (name, next) in theirs {
                let same = known.contains_key(&name) && before.get(&name) == after.get(&name);
                let own = known.entry(name).or_insert_with(|| next.clone());
                // What the generation was built of, which nobody has changed since; the rest goes on.
                (own.version, own.expired) = (next.version, next.expired);
                own.memory = next.memory;
                own.from = next.from;
                // Somebody may have asked for all of it since.
                own.foreign |= next.foreign;
                own.is_catalog = next.is_catalog;
                (own.members, own.catalog) = (next.members, next.catalog);
                if own.foreign || !same || more && own.error.is_some() {
                    own.want(now);
                }
            }
        });
        self.take_members(Lists::new(), &settled);
    }
}

/// Octets that a zone of others may take beside the others, where all may take so many.
pub(super) fn room(all: &AllTheirs, apex: &Name, most: usize) -> usize {
    let others = all.iter().filter(|(name, _)| *name != apex);
    let others: usize = others.map(|(_, theirs)| theirs.memory).sum();
    let own = all.get(apex).map_or(0, |theirs| theirs.memory);
    most.saturating_sub(others).max(own)
}

fn too_much(octets: usize, most: usize) -> String {
    let mebibytes = |octets: usize| octets.div_ceil(1 << 20);
    let (octets, most) = (mebibytes(octets), mebibytes(most));
    format!(
        "with it the zones of others would take {octets} MiB, more than `received_memory` of [limits], {most} MiB"
    )
}

/// The basis, once nobody reads its parts any more: `wait` is for until then.
fn unshared<'b>(
    basis: impl Fn() -> MutexGuard<'b, Basis>,
    mut wait: impl FnMut(),
) -> MutexGuard<'b, Basis> {
    loop {
        let mut free = basis();
        if Arc::get_mut(&mut free.parts).is_some() {
            return free;
        }
        drop(free);
        wait();
    }
}

impl Undo {
    fn undo(self, parts: &mut Parts) {
        if let Some((zones, mut spare)) = self.members {
            relist(parts, zones, &BTreeSet::new(), &mut spare);
        }
        let mut records = self.records;
        for (name, own) in &mut parts.zones {
            if let Some(before) = records.remove(name) {
                *own = before;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::control::load::load_text;

    #[test]
    fn who_reads_the_parts_is_waited_for() {
        let parts = load_text(Path::new("/nearmost.toml"), "").parts.unwrap();
        let basis = Mutex::new(Basis::new(parts));
        let mut read = vec![Arc::clone(&basis.lock().unwrap().parts)];
        read.push(Arc::clone(&read[0]));
        let mut waits = 0;
        let wait = || {
            waits += 1;
            read.pop();
        };
        let mut free = unshared(|| basis.lock().unwrap(), wait);
        assert!(Arc::get_mut(&mut free.parts).is_some());
        drop(free);
        assert_eq!(waits, 2);
    }
}
