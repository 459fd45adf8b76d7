//! Other records of zones of others in service, and with those of a catalog other zones: one generation for all that wait.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError, mpsc};

use super::members::{self, Lists, Settled, Spare, owners, relist, settled};
use super::received::{Filled, follow};
use super::theirs::Theirs;
use crate::config::Zone;
use crate::control::handle::Handle;
use crate::control::hosts::put_parts;
use crate::control::load::Parts;
use crate::control::reload::Basis;
use crate::transfer::{Kind, Member};
use crate::zone::version::Version;
use crate::zone::{Name, Record};

/// What is to be put in service.
#[derive(Debug)]
pub(in crate::control) struct Arrival {
    apex: Name,
    records: Vec<Record>,
    /// What it lists, if it is a catalog.
    members: Option<Arc<[Member]>>,
    /// Whence it came; none: it has expired.
    fetched: Option<Fetched>,
    /// Told how it ended.
    done: Option<mpsc::Sender<Result<(), String>>>,
}

/// A version that a primary gave.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) version: Arc<Version>,
    pub(super) from: SocketAddr,
    pub(super) how: Kind,
}

impl Arrival {
    /// A version has come, with these records.
    pub(super) fn of(
        fetched: Fetched,
        records: Vec<Record>,
        members: Option<Arc<[Member]>>,
    ) -> Self {
        Self {
            apex: fetched.version.apex.clone(),
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
            members: None,
            fetched: None,
            done: None,
        }
    }

    fn tell(self, result: &Result<(), String>) {
        if let Some(done) = self.done {
            let _ = done.send(result.clone());
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

    /// Puts other records of zones in service, and what those list that are catalogs; how each ended. For a thread that may wait: whoever
    /// builds next takes all that have come until then.
    pub(super) fn put_zones(&self, mut zones: Vec<Arrival>) -> Vec<Result<(), String>> {
        let wait = |arrival: &mut Arrival| {
            let (done, is_done) = mpsc::channel();
            arrival.done = Some(done);
            is_done
        };
        let waiting: Vec<_> = zones.iter_mut().map(wait).collect();
        self.arrivals().append(&mut zones);
        let mut basis = self.basis();
        // Whoever built before may have taken them.
        let all = mem::take(&mut *self.arrivals());
        if !all.is_empty() {
            self.put_all(&mut basis, all);
        }
        drop(basis);
        let ended = |done: mpsc::Receiver<Result<(), String>>| {
            let result = done.recv();
            result.unwrap_or_else(|_| Err("the build has panicked".into()))
        };
        waiting.into_iter().map(ended).collect()
    }

    fn put_all(&self, basis: &mut Basis, all: Vec<Arrival>) {
        let tell = |all: Vec<Arrival>, result: &Result<(), String>| {
            all.into_iter().for_each(|arrival| arrival.tell(result));
        };
        let Some(parts) = Arc::get_mut(&mut basis.parts) else {
            return tell(all, &Err("the last build still runs".into()));
        };
        let known: BTreeSet<&Name> = parts.zones.iter().map(|(name, _)| name).collect();
        let (here, gone): (Vec<_>, _) = all.into_iter().partition(|a| known.contains(&a.apex));
        tell(gone, &Err("there is no such zone any more".into()));
        // A primary may have been heard since.
        let now = self.now();
        let (mut here, alive): (Vec<_>, _) = self.with_theirs(|all| {
            let old = |name: &Name| {
                let end = all.get(name).and_then(Theirs::expires);
                end.is_none_or(|at| at <= now)
            };
            let stays = |a: &Arrival| a.fetched.is_some() || old(&a.apex);
            here.into_iter().partition(stays)
        });
        tell(alive, &Ok(()));
        if here.is_empty() {
            return;
        }
        let (undo, listed) = self.change(parts, &mut here);
        let done = put_parts(self, Arc::clone(&basis.parts));
        match (&done, Arc::get_mut(&mut basis.parts)) {
            (Ok(()), _) => {
                if let Some((lists, settled)) = listed {
                    // What came for a member just when that went or was to begin anew is not in service.
                    let (late, taken) = here.into_iter().partition(|arrival| {
                        let zone = &arrival.apex;
                        settled.gone.contains(zone) || settled.fresh.contains(zone)
                    });
                    tell(late, &Err("its catalog has changed meanwhile".into()));
                    here = taken;
                    self.take_members(lists, &settled);
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
                    Some(fetched) => theirs.take(fetched, now),
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

    /// Goes on with the zones of another generation, which are asked for at once: their primaries may be others.
    pub(in crate::control) fn take_theirs(&self, filled: Filled) {
        let now = self.now();
        let Filled { theirs, settled } = filled;
        self.with_theirs(|known| {
            known.retain(|name, _| theirs.contains_key(name));
            for (name, next) in theirs {
                let own = known.entry(name).or_insert_with(|| next.clone());
                // What the generation was built of, which nobody has changed since; the rest goes on.
                (own.version, own.expired) = (next.version, next.expired);
                (own.from, own.foreign) = (next.from, next.foreign);
                own.is_catalog = next.is_catalog;
                (own.members, own.catalog) = (next.members, next.catalog);
                own.want(now);
            }
        });
        self.take_members(Lists::new(), &settled);
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
