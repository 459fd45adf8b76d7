//! Fetching zones of others when they are due: by the times of their SOA, or as a primary has told.
//!
//! All primaries of a zone are asked, those first that have told of another version, until one gives it: another may have what the first
//! has not got yet. Only the serial that we have renews its time; who has an older one is passed over, and told of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::ask::{Came, ask, keep};
use super::fetch::Fault;
use super::kept::{self, RECEIVED};
use super::put::Arrival;
use super::theirs::{AllTheirs, Life};
use super::turns::{Silent, Turn, Turns};
use crate::control::handle::Handle;
use crate::health::Time;
use crate::snapshot::{Primaries, Snapshot};
use crate::zone::{Name, NameKey};

/// Time between looks.
const EVERY: Duration = Duration::from_secs(1);
/// When zones that could not be ended are ended again.
const AGAIN: Duration = Duration::from_secs(30);

/// A zone whose primaries are to be asked.
#[derive(Debug)]
struct Due {
    apex: Name,
    life: Life,
    /// Those that have told of another version, a bit each.
    told: u64,
    since: Time,
}

/// Fetches what is due, for ever.
pub(in crate::control) async fn keep_fetching(handle: Handle) {
    let (mut turns, silent) = (Turns::default(), Arc::<Silent>::default());
    let (mut asking, mut ending) = (JoinSet::new(), JoinSet::new());
    loop {
        while asking.try_join_next().is_some() || ending.try_join_next().is_some() {}
        let (now, snapshot) = (handle.now(), handle.current().get());
        let (given, old) = handle.with_theirs(|all| {
            hear(all, &snapshot, now);
            let given = turns.give(due(all, now), |due| first(&snapshot, due));
            for (due, _) in &given {
                if let Some(theirs) = all.get_mut(&due.apex) {
                    theirs.begin(now);
                }
            }
            (given, old(all, now))
        });
        for (due, turn) in given {
            asking.spawn(refresh(handle.clone(), due, turn, Arc::clone(&silent)));
        }
        if ending.is_empty() && !old.is_empty() {
            ending.spawn(end(handle.clone(), old));
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            // There is room for another.
            Some(_) = asking.join_next() => {}
        }
    }
}

/// Takes what primaries have told.
fn hear(all: &mut AllTheirs, snapshot: &Snapshot, now: Time) {
    let zones = snapshot.zones.list().iter().zip(&snapshot.primaries);
    for (zone, own) in zones {
        let told = own
            .as_ref()
            .map_or(0, |own| match own.told.load(Ordering::Relaxed) {
                0 => 0,
                _ => own.told.swap(0, Ordering::Relaxed),
            });
        if told != 0
            && let Some(theirs) = all.get_mut(zone.apex())
        {
            theirs.hear(told, now);
        }
    }
}

/// The zones that are due, in the order in which they are asked for.
fn due(all: &AllTheirs, now: Time) -> Vec<Due> {
    let due = all.iter().filter(|(_, t)| !t.running && t.next <= now);
    let due = due.map(|(name, theirs)| Due {
        apex: name.clone(),
        life: theirs.life.clone(),
        told: theirs.told,
        since: theirs.next,
    });
    let mut due: Vec<Due> = due.collect();
    due.sort_by_key(|due| (due.told == 0, due.since));
    due
}

/// The zones that are too old to be served, and are.
fn old(all: &AllTheirs, now: Time) -> Vec<Name> {
    let old = all.iter().filter(|(_, theirs)| {
        !theirs.expired && !theirs.running && theirs.expires().is_some_and(|at| at <= now)
    });
    old.map(|(name, _)| name.clone()).collect()
}

/// The primaries of a zone.
fn primaries<'s>(snapshot: &'s Snapshot, apex: &Name) -> Option<&'s Primaries> {
    let (number, zone) = snapshot.zones.find(&NameKey::new(apex.wire()), false)?;
    let own = snapshot.primaries.get(number as usize)?.as_ref();
    own.filter(|_| zone.apex() == apex)
}

/// In which order they are asked, by their numbers.
fn order(own: &Primaries, told: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..own.peers.len()).collect();
    order.sort_by_key(|number| told & Primaries::bit(*number) == 0);
    order
}

fn first(snapshot: &Snapshot, due: &Due) -> Option<SocketAddr> {
    let own = primaries(snapshot, &due.apex)?;
    let first = *order(own, due.told).first()?;
    Some(own.peers[first].at)
}

/// What came of asking all primaries of a zone.
#[derive(Debug, Default)]
struct Answers {
    /// One has given another version.
    newer: bool,
    /// One has the version that we have.
    current: bool,
    /// What one gave was too late.
    late: bool,
    /// One has an older one.
    older: Option<String>,
    /// One that has told of another version could not be asked.
    unheard: Option<String>,
    /// Any other could not.
    failed: Option<String>,
}

/// Asks the primaries of a zone, one after the other.
async fn refresh(handle: Handle, due: Due, _turn: Option<Turn>, silent: Arc<Silent>) {
    let Due {
        apex, life, told, ..
    } = due;
    let snapshot = handle.current().get();
    let (keys, limit) = (snapshot.keys.clone(), snapshot.received_memory);
    let (mut asked, mut most) = (Vec::new(), None);
    if let Some(own) = primaries(&snapshot, &apex) {
        let peer = |number: usize| {
            (
                own.peers[number].clone(),
                told & Primaries::bit(number) != 0,
            )
        };
        asked = order(own, told).into_iter().map(peer).collect();
        most = own.members;
    }
    drop(snapshot);
    let mut answers = Answers::default();
    if asked.is_empty() {
        answers.failed = Some("no primary is named".to_owned());
    }
    for (peer, has_told) in asked {
        let key = peer.key.and_then(|key| keys.list.get(key)).cloned();
        let passed = silent.why(peer.at, handle.now()).filter(|_| !has_told);
        let came = match passed {
            Some(why) => Err(Fault::Unreached(why)),
            None => ask(&handle, (&apex, &life), (&peer, most), (key, limit)).await,
        };
        match &came {
            Err(Fault::Silent(why)) => silent.add(peer.at, why.clone(), handle.now()),
            Err(Fault::Unreached(_)) => {}
            _ => silent.remove(peer.at),
        }
        let words = |why: String| Some(format!("{}: {why}", peer.at));
        match came {
            Ok(Came::Newer) => {
                answers.newer = true;
                break;
            }
            Ok(Came::Current) => answers.current = true,
            Err(Fault::Late(why)) => {
                tracing::info!("zone {apex}: {}: it is not taken: {why}", peer.at);
                answers.late = true;
                break;
            }
            Err(Fault::Full(why)) => {
                answers.failed = words(why);
                break;
            }
            Err(Fault::Older(why)) => answers.older = words(why),
            Err(Fault::Unreached(why) | Fault::Silent(why) | Fault::Failed(why)) => {
                let place = match has_told {
                    true => &mut answers.unheard,
                    false => &mut answers.failed,
                };
                *place = words(why);
            }
        }
    }
    conclude(&handle, (&apex, &life), answers).await;
}

/// Goes on with what came of it.
async fn conclude(handle: &Handle, (apex, life): (&Name, &Life), answers: Answers) {
    let Answers {
        newer,
        current,
        late,
        older,
        unheard,
        failed,
    } = answers;
    let now = handle.now();
    let kept = handle.with_zone((apex, life), |theirs| {
        if late {
            theirs.is_late(now);
            theirs.end();
            return None;
        }
        let good = newer || current;
        let trouble = match good {
            true => unheard.clone().or(older),
            false => unheard.clone().or(older).or(failed),
        };
        if let Some(why) = trouble
            .as_ref()
            .filter(|why| theirs.error.as_ref() != Some(*why))
        {
            // Said once, not at every try.
            match good {
                true => tracing::warn!("zone {apex}: {why}"),
                false => tracing::warn!("zone {apex} is not refreshed: {why}"),
            }
        }
        match (trouble, good) {
            (why, false) => theirs.has_failed(why.unwrap_or_default(), now),
            (why, true) => {
                if current && !newer {
                    theirs.has_come(now);
                    theirs.counts.current += 1;
                }
                match unheard {
                    Some(why) => theirs.has_come_partly(why, now),
                    None => theirs.error = why,
                }
            }
        }
        theirs.end();
        (current && !newer).then_some(theirs.kept)
    });
    let Some(kept) = kept.flatten() else { return };
    let (handle, apex) = (handle.clone(), apex.clone());
    let stays = move || {
        let touch = |state| kept::touch(state, RECEIVED, &apex);
        // Somebody may have taken it away.
        if !(kept && handle.state().is_some_and(touch)) {
            keep(&handle, &apex);
        }
    };
    let _ = spawn_blocking(stays).await;
}

/// Serves zones no more that are too old.
async fn end(handle: Handle, zones: Vec<Name>) {
    let (ender, names) = (handle.clone(), zones.clone());
    let work = move || ender.put_zones(names.into_iter().map(Arrival::end).collect());
    let done = spawn_blocking(work).await.unwrap_or_default();
    let has_ended =
        |name: &Name| handle.with_theirs(|all| all.get(name).is_some_and(|t| t.expired));
    for name in zones.iter().filter(|name| has_ended(name)) {
        tracing::error!(
            "zone {name} has expired: it is answered with SERVFAIL until a primary gives it"
        );
    }
    if let Some(why) = done.into_iter().find_map(Result::err) {
        tracing::error!("zones that have expired are still answered: {why}");
        sleep(AGAIN).await;
    }
}
