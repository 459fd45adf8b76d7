//! What secondaries know of our zones: a version after the other, from generations and from the health of nodes.
//!
//! A new generation brings the versions of its zones with it (`follow`). Between generations the records of zones with pools move, and the
//! signatures of signed ones: `keep_serving` looks whether they did, and lets the serial go up at most once in [`crate::config::Limits::serial_every`], so that a
//! node that comes and goes does not send all secondaries for more each time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::sleep;

use super::kept::{self, Kept, SERVED};
use super::tell::Telling;
use super::unkept::{Key, Unkept};
use crate::control::handle::Handle;
use crate::control::names::hidden;
use crate::health::{Table, Time};
use crate::snapshot::{Current, Secondaries, Snapshot};
use crate::transfer::{flat, sign, sign_soa};
use crate::zone::version::{Journal, Version, is_newer};
use crate::zone::{Name, Zone};

/// Time between looks.
const EVERY: Duration = Duration::from_secs(1);

/// What is held while versions change.
#[derive(Debug, Default)]
pub(in crate::control) struct Serving {
    /// Zones with another version that nobody was told of yet, by their names in lower case; and whether it is on the disk.
    changed: BTreeMap<Key, bool>,
    /// Those of a generation that is not in place yet, and may never be: they are nobody's to tell.
    coming: BTreeMap<Key, bool>,
    /// When serials have gone up last without that of a file.
    moved: BTreeMap<Key, Time>,
}

fn key(apex: &Name) -> Key {
    apex.to_lower().wire().into()
}

impl Handle {
    /// Whoever changes versions holds this.
    pub(in crate::control) fn serving(&self) -> MutexGuard<'_, Serving> {
        self.0
            .serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Apart from [`Self::serving`], which is held for seconds: whoever shows it waits for nobody.
    pub(super) fn with_unkept<T>(&self, look: impl FnOnce(&mut Unkept) -> T) -> T {
        let unkept = self.0.unkept.lock();
        look(&mut unkept.unwrap_or_else(PoisonError::into_inner))
    }

    /// The first versions, once all checks have been made: from the state folder on.
    pub(in crate::control) fn serve_first(&self) {
        let snapshot = self.current().get();
        let mut serving = self.serving();
        serving.follow(None, &snapshot, (true, true), self.state());
        serving.all_are_told(&snapshot);
    }

    /// The first versions while the files are those of the process before, which goes on with them.
    pub(in crate::control) fn serve_as_before(&self) {
        let mut serving = self.serving();
        serving.follow_kept(&self.current().get(), self.0.state.as_deref());
    }

    /// Goes on from what the process before has kept since.
    pub(in crate::control) fn catch_up(&self) {
        let mut serving = self.serving();
        let snapshot = self.current().get();
        catch_up(&snapshot, self.state());
        serving.all_are_told(&snapshot);
    }
}

/// What was a version of the process before must not be another one here: where the serial is not the file's, its newest is ours.
fn catch_up(snapshot: &Snapshot, state: Option<&Path>) {
    for (_, zone, own) in served(snapshot).filter(|(_, _, own)| own.moves) {
        let Some(kept) = known(state, zone) else {
            continue;
        };
        let ours = own.journal.load_full();
        let ahead = |ours: Arc<Journal>| is_newer(ours.version.serial(), kept.version.serial());
        if !ours.is_some_and(ahead) {
            own.journal.store(Some(kept));
        }
    }
}

/// What is kept of a zone.
fn known(state: Option<&Path>, zone: &Zone) -> Option<Arc<Journal>> {
    Some(Arc::new(kept::read(state?, SERVED, zone.apex())?.journal))
}

impl Serving {
    /// Nobody knows what secondaries have missed.
    fn all_are_told(&mut self, snapshot: &Snapshot) {
        for (_, zone, _) in served(snapshot).filter(|(_, _, own)| own.journal.load().is_some()) {
            self.changed.entry(key(zone.apex())).or_default();
        }
    }

    /// Gives zones the versions that are kept, and where a file has a newer serial the next one. Nothing is kept.
    fn follow_kept(&mut self, snapshot: &Snapshot, state: Option<&Path>) {
        for (_, zone, own) in served(snapshot) {
            own.journal.store(known(state, zone));
        }
        self.follow(Some(snapshot), snapshot, (true, true), None);
    }

    /// Gives the zones of a generation their versions, after those of the one before or what is kept on disk: `still`, those of zones
    /// without pools, and `moving`, the others, for whom its health table must be there. Where the serial is ours to raise the version of
    /// before goes on, unless the file's is ahead of it: the next one is for [`look`].
    pub(in crate::control) fn follow(
        &mut self,
        last: Option<&Snapshot>,
        next: &Snapshot,
        (still, moving): (bool, bool),
        state: Option<&Path>,
    ) {
        if still {
            self.coming.clear();
        }
        let table = next.table.load();
        for (number, zone, own) in served(next) {
            let before = last.and_then(|last| journal_of(last, zone.apex()));
            let ahead = |known: &Journal| {
                let written = zone.serial();
                written.is_some_and(|written| is_newer(written, known.version.serial()))
            };
            if let Some(before) = before.as_ref().filter(|b| own.moves && !ahead(b)) {
                if moving {
                    own.journal.store(Some(Arc::clone(before)));
                }
                continue;
            }
            let wanted = if zone.pools().is_empty() {
                still
            } else {
                moving
            };
            if !wanted {
                continue;
            }
            // Of what changed while it did not run nobody has been told.
            let is_known = before.is_some() && !last.is_some_and(|last| std::ptr::eq(last, next));
            let before = before.or_else(|| known(state, zone));
            let last = before.as_ref().map(|journal| &*journal.version);
            let Some(mut version) = made(next, &table, number, last) else {
                own.journal.store(None);
                continue;
            };
            let finish = |version: &mut Version| finish(next, number, version);
            if let Some(before) = last.filter(|_| !is_known && !own.moves)
                && is_hidden(before, &version)
            {
                // Of what changes while it runs a reload says so.
                tracing::warn!("{}", hidden(zone.apex(), version.serial()));
            }
            let journal = match &before {
                None => {
                    finish(&mut version);
                    Some(Journal::new(version))
                }
                Some(before) => before.next(version, own.moves, finish),
            };
            if let Some(journal) = &journal {
                // A serial that is not the file's must not be given out a second time after a crash.
                let kept =
                    !is_known && own.moves && state.is_some_and(|state| keep(state, journal));
                self.coming.insert(key(zone.apex()), kept);
            } else if !is_known {
                self.coming.insert(key(zone.apex()), false);
            }
            own.journal.store(journal.map(Arc::new).or(before));
        }
        // It is in place before this is let go of.
        if moving {
            self.changed.append(&mut self.coming);
        }
    }

    /// Whether a serial has gone up lately, so that the next waits.
    fn rests(&self, apex: &Name, least: Duration, now: Time) -> bool {
        let moved = self.moved.get(&key(apex));
        moved.is_some_and(|moved| *moved + least > now)
    }

    /// Puts another version of a zone of a generation in place, if no other generation has come meanwhile, with versions of its own; whether
    /// that is so.
    fn raise(
        &mut self,
        (current, of): (&Current, &Arc<Snapshot>),
        (zone, own): (&Zone, &Secondaries),
        next: Journal,
        (state, now): (Option<&Path>, Time),
    ) -> bool {
        if !Arc::ptr_eq(of, &current.get()) {
            return false;
        }
        // Before anybody knows of it: no serial may be another version's after a crash.
        let kept = state.is_some_and(|state| keep(state, &next));
        own.journal.store(Some(Arc::new(next)));
        self.changed.insert(key(zone.apex()), kept);
        self.moved.insert(key(zone.apex()), now);
        true
    }
}

/// Lets the serials of zones go up whose pools give others now. Of a large signed zone this takes seconds the first time, so whoever puts another
/// generation in place does not wait for it.
fn look(handle: &Handle, snapshot: &Arc<Snapshot>, now: Time) {
    let table = snapshot.table.load();
    for (number, zone, own) in served(snapshot) {
        let rests = handle
            .serving()
            .rests(zone.apex(), snapshot.serial_every, now);
        let Some(last) = own.journal.load_full().filter(|_| own.moves && !rests) else {
            continue;
        };
        let version = made(snapshot, &table, number, Some(&last.version));
        let finish = |version: &mut Version| finish(snapshot, number, version);
        let Some(next) = version.and_then(|version| last.next(version, true, finish)) else {
            continue;
        };
        let (from, to) = (last.version.serial(), next.version.serial());
        let mut serving = handle.serving();
        // Another process may have taken over meanwhile.
        if handle.is_retired() {
            return;
        }
        let (of, at) = ((handle.current(), snapshot), (handle.state(), now));
        if !serving.raise(of, (zone, own), next, at) {
            return;
        }
        drop(serving);
        let why = match snapshot.signed(number) {
            Some(_) => "its signatures are new or its pools give other nodes",
            None => "its pools give other nodes",
        };
        tracing::info!("zone {}: serial {from} -> {to}, as {why}", zone.apex());
    }
}

/// The zones that others are given, with their numbers.
fn served(snapshot: &Snapshot) -> impl Iterator<Item = (u32, &Zone, &Secondaries)> {
    let both = snapshot.zones.list().iter().zip(&snapshot.secondaries);
    let all = (0..)
        .zip(both)
        .map(|(number, (zone, own))| (number, zone, own));
    all.filter(|(_, _, own)| own.is_served)
}

/// A zone as it is now, with the serial of its file, and all but the SOA signed where it is to be.
fn made(
    snapshot: &Snapshot,
    table: &Table,
    number: u32,
    last: Option<&Version>,
) -> Option<Version> {
    let zone = snapshot.zones.list().get(number as usize)?;
    let mut version = flat(snapshot, table, zone, last.map(|last| &*last.records))?;
    if let Some(signed) = snapshot.signed(number) {
        sign(&mut version, signed, zone.negative_ttl(), last);
    }
    Some(version)
}

/// Whether secondaries that have a version do not take the next.
fn is_hidden(before: &Version, next: &Version) -> bool {
    let (was, is) = (before.serial(), next.serial());
    !is_newer(is, was) && (was != is || !before.is_like(next))
}

/// Signs the SOA of a version whose serial is settled.
fn finish(snapshot: &Snapshot, number: u32, version: &mut Version) {
    if let Some(signed) = snapshot.signed(number) {
        sign_soa(version, signed);
    }
}

/// Keeps it, on the disk when this comes back; whether that is done.
fn keep(state: &Path, journal: &Journal) -> bool {
    let (journal, from) = (journal.clone(), None);
    kept::write(state, SERVED, &Kept { journal, from })
}

fn journal_of(snapshot: &Snapshot, apex: &Name) -> Option<Arc<Journal>> {
    let zones = snapshot.zones.list().iter().zip(&snapshot.secondaries);
    let mut own = zones.filter(|(zone, _)| zone.apex() == apex);
    own.next()?.1.journal.load_full()
}

/// Looks from time to time, and tells secondaries what changed, for ever.
pub(in crate::control) async fn keep_serving(handle: Handle) {
    let (mut telling, mut seen) = (Telling::default(), None);
    loop {
        let (snapshot, now) = (handle.current().get(), handle.now());
        let table = snapshot.table.load_full();
        let same = seen.as_ref().is_some_and(|(known, at)| {
            Arc::ptr_eq(known, &table) && *at + snapshot.serial_every > now
        });
        if !same {
            block_in_place(|| look(&handle, &snapshot, now));
            seen = Some((table, now));
        }
        let changed = {
            let mut serving = handle.serving();
            // In between another generation may have come, with versions of its own.
            match Arc::ptr_eq(&snapshot, &handle.current().get()) {
                true => std::mem::take(&mut serving.changed),
                false => BTreeMap::new(),
            }
        };
        let journal = |apex: &Key| journal_of(&snapshot, &Name::from_wire(apex).ok()?);
        let due = handle
            .with_unkept(|unkept| unkept.due(&changed, now))
            .into_iter();
        let due = due.filter_map(|apex| Some((journal(&apex)?, apex)));
        let mut due: Vec<(Arc<Journal>, Key)> = due.collect();
        if !due.is_empty() {
            let keeper = handle.clone();
            // Before anybody asks: what was handed out must not be forgotten by a restart.
            let write = spawn_blocking(move || {
                let fails = |journal: &Journal| {
                    let state = keeper.state();
                    state.is_some_and(|state| !keep(state, journal))
                };
                due.retain(|(journal, _)| fails(journal));
                due.into_iter().map(|(_, apex)| apex).collect()
            });
            let failed = write.await.unwrap_or_default();
            handle.with_unkept(|unkept| unkept.add(failed));
        }
        for journal in changed.keys().filter_map(journal) {
            telling.tell(&handle, &snapshot, &journal);
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = handle.0.zones_changed.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{build, load_text};
    use crate::zone::version::with_serial;

    #[test]
    fn a_version_of_a_generation_that_went_is_nobodys() {
        let text = "[zone.\"example.org\"]\nns = [\"ns.example.net\"]\npools = { \"@\" = \"p\" }\ntransfer = [\"192.0.2.53\"]\n\
                    [zone.\"still.example\"]\nns = [\"ns.example.net\"]\ntransfer = [\"192.0.2.53\"]\n\
                    [pool.p]\nnodes = [\"a\"]\n[node.a]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n";
        let parts = load_text(Path::new("served.toml"), text).parts.unwrap();
        let generation = |number| build(&parts, number, Time::ZERO).unwrap().snapshot;
        let current = Current::new(generation(1));
        let (first, mut serving) = (current.get(), Serving::default());
        serving.follow(None, &first, (true, false), None);
        assert!(serving.changed.is_empty(), "it may never be in place");
        serving.follow(None, &first, (false, true), None);
        assert_eq!(serving.changed.len(), 2);
        let (_, zone, own) = served(&first).next().unwrap();
        let mut raise = |serial| {
            let last = own.journal.load_full().unwrap();
            let mut version = Version::clone(&last.version);
            version.soa = with_serial(&version.soa, serial);
            let (of, at) = ((&current, &first), (None, Time::ZERO));
            let raised = serving.raise(of, (zone, own), Journal::new(version), at);
            (raised, own.journal.load_full().unwrap().version.serial())
        };
        assert_eq!(raise(7), (true, 7));
        current.publish(generation(2));
        assert_eq!(raise(8), (false, 7));
    }

    #[test]
    fn what_takes_over_goes_on_from_the_last_version() {
        let text = "[zone.\"example.org\"]\nns = [\"ns.example.net\"]\npools = { \"@\" = \"p\" }\ntransfer = [\"192.0.2.53\"]\n\
                    [pool.p]\nnodes = [\"a\"]\n[node.a]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n";
        let folder = std::env::temp_dir().join(format!("nearmost-served-{}", std::process::id()));
        let state = Some(&*folder);
        let generation = |text: &str| {
            let parts = load_text(Path::new("served.toml"), text).parts.unwrap();
            build(&parts, 1, Time::ZERO).unwrap().snapshot
        };
        let journal = |snapshot| {
            let (_, _, own): (u32, &Zone, &Secondaries) = served(snapshot).next().unwrap();
            own.journal.load_full().unwrap()
        };
        let before = Current::new(generation(text));
        let (old, mut serving) = (before.get(), Serving::default());
        serving.follow(None, &old, (true, true), state);
        let first = journal(&old).version.serial();
        // Here its pool gives another node; that is not told before it is ours to.
        let (new, mut next) = (
            generation(&text.replace(".2.1", ".2.2")),
            Serving::default(),
        );
        next.follow_kept(&new, state);
        assert_eq!(journal(&new), journal(&old));
        // Meanwhile a node fails there.
        let mut version = Version::clone(&journal(&old).version);
        version.soa = with_serial(&version.soa, first + 1);
        let (_, zone, own) = served(&old).next().unwrap();
        let raised = Journal::new(version);
        let ours = ((&before, &old), (zone, own));
        assert!(serving.raise(ours.0, ours.1, raised, (state, Time::ZERO)));
        catch_up(&new, state);
        assert_eq!(journal(&new), journal(&old));
        // One whose file is ahead stays.
        let (_, _, own) = served(&new).next().unwrap();
        let mut version = Version::clone(&journal(&new).version);
        version.soa = with_serial(&version.soa, first + 9);
        own.journal.store(Some(Arc::new(Journal::new(version))));
        catch_up(&new, state);
        assert_eq!(journal(&new).version.serial(), first + 9);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
