//! Fetching zones of others when they are due: by the times of their SOA, or as a primary has told.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::fetch::fetch;
use super::kept::{self, RECEIVED};
use super::received::{checked, listed};
use crate::control::handle::Handle;
use crate::snapshot::Peer;
use crate::transfer::{Kind, Received};
use crate::zone::Name;
use crate::zone::version::{Journal, Version, is_newer};

/// Time between looks.
const EVERY: Duration = Duration::from_secs(1);
/// So many are fetched at once.
const AT_ONCE: usize = 8;

/// Fetches what is due, for ever.
pub(in crate::control) async fn keep_fetching(handle: Handle) {
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let (now, snapshot) = (handle.now(), handle.current().get());
        let told: Vec<Name> = snapshot
            .zones
            .list()
            .iter()
            .zip(&snapshot.primaries)
            .filter(|(_, own)| {
                own.as_ref()
                    .is_some_and(|own| own.told.swap(false, Ordering::Relaxed))
            })
            .map(|(zone, _)| zone.apex().clone())
            .collect();
        let room = AT_ONCE.saturating_sub(tasks.len());
        let (due, old) = handle.with_theirs(|all| {
            for name in &told {
                if let Some(theirs) = all.get_mut(name) {
                    (theirs.next, theirs.again) = (now, theirs.running);
                }
            }
            let due = all.iter_mut().filter(|(_, t)| !t.running && t.next <= now);
            let due = due.take(room).map(|(name, theirs)| {
                theirs.running = true;
                // A catalog that could not be read comes again.
                let readable = !theirs.is_catalog || theirs.members.is_some();
                (name.clone(), theirs.version.clone().filter(|_| readable))
            });
            let due: Vec<_> = due.collect();
            let old = all.iter().filter(|(_, t)| {
                !t.expired && !t.running && t.expires().is_some_and(|at| at <= now)
            });
            (due, old.map(|(name, _)| name.clone()).collect::<Vec<_>>())
        });
        for (name, version) in due {
            tasks.spawn(refresh(handle.clone(), name, version));
        }
        for name in old {
            tracing::error!(
                "zone {name} has expired: it is answered with SERVFAIL until a primary gives it"
            );
            let handle = handle.clone();
            handle.with_theirs(|all| {
                if let Some(theirs) = all.get_mut(&name) {
                    theirs.expired = true;
                }
            });
            let _ =
                tokio::task::spawn_blocking(move || handle.put_zone(&name, Vec::new(), None)).await;
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            // There is room for another.
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Asks the primaries of a zone, one after the other.
async fn refresh(handle: Handle, apex: Name, known: Option<Arc<Version>>) {
    let snapshot = handle.current().get();
    let own = snapshot
        .zone_named(&apex)
        .and_then(|n| snapshot.primaries.get(n)?.as_ref());
    let primaries = own.map_or_else(Vec::new, |own| own.peers.clone());
    let most = own.and_then(|own| own.members);
    let keys = snapshot.keys.clone();
    drop(snapshot);
    let mut error = "no primary is named".to_owned();
    let mut done = false;
    for peer in primaries {
        let key = peer.key.and_then(|key| keys.list.get(key)).cloned();
        let from = super::tell::source_for(handle.listen(), peer.at.ip());
        let came = match fetch(&apex, (peer.at, from), known.clone(), key).await {
            Ok(received) => take(&handle, &apex, (&peer, most), received).await,
            Err(why) => Err(why),
        };
        match came {
            Ok(()) => {
                done = true;
                break;
            }
            Err(why) => error = format!("{}: {why}", peer.at),
        }
    }
    let now = handle.now();
    handle.with_theirs(|all| {
        let Some(theirs) = all.get_mut(&apex) else {
            return;
        };
        theirs.running = false;
        if !done {
            // Said once, not at every try.
            if theirs.error.as_ref() != Some(&error) {
                tracing::warn!("zone {apex} is not refreshed: {error}");
            }
            theirs.has_failed(error, now);
        }
    });
}

/// Puts in service what a primary gave; a catalog lists `most` zones at most.
async fn take(
    handle: &Handle,
    apex: &Name,
    (peer, most): (&Peer, Option<usize>),
    received: Received,
) -> Result<(), String> {
    let known = handle.with_theirs(|all| all.get(apex).map(|t| (t.version.clone(), t.expired)));
    let (known, expired) = known.ok_or("the zone is gone")?;
    let (version, how) = match received {
        // One that had expired is good again.
        None if expired => (
            known.clone().ok_or("there is nothing to go on with")?,
            Kind::Current,
        ),
        None => {
            let now = handle.now();
            handle.with_theirs(|all| {
                if let Some(theirs) = all.get_mut(apex) {
                    theirs.has_come(now);
                    theirs.counts.current += 1;
                }
            });
            let (state, apex) = (handle.state().map(Path::to_owned), apex.clone());
            let touch = move || {
                if let Some(state) = state {
                    kept::touch(&state, RECEIVED, &apex);
                }
            };
            let _ = tokio::task::spawn_blocking(touch).await;
            return Ok(());
        }
        Some((version, how)) => (Arc::new(version), how),
    };
    let members = most.map(|most| listed(&version, most)).transpose()?;
    if let Some(known) = known.filter(|_| !expired)
        && !is_newer(version.serial(), known.serial())
    {
        return Err(format!(
            "its serial {} is not newer than ours, {}",
            version.serial(),
            known.serial()
        ));
    }
    let (taker, name, put) = (handle.clone(), apex.clone(), Arc::clone(&version));
    let work = move || {
        let records = checked(&put, None)?;
        taker.put_zone(&name, records, members)?;
        // Its catalog may have let go of it since.
        let is_here = taker.with_theirs(|all| all.contains_key(&name));
        if let Some(state) = taker.state().filter(|_| is_here) {
            kept::write(
                state,
                RECEIVED,
                &Journal {
                    version: put,
                    steps: Vec::new(),
                },
            );
        }
        Ok::<_, String>(())
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| e.to_string())??;
    let (now, serial) = (handle.now(), version.serial());
    let word = match how {
        Kind::Whole => "all of it",
        Kind::Differences => "what differs",
        Kind::Current => "it is what was there",
    };
    tracing::info!("zone {apex}: serial {serial} from {}, {word}", peer.at);
    handle.with_theirs(|all| {
        let Some(theirs) = all.get_mut(apex) else {
            return;
        };
        let count = match how {
            Kind::Whole => &mut theirs.counts.whole,
            Kind::Differences => &mut theirs.counts.differences,
            Kind::Current => &mut theirs.counts.current,
        };
        *count += 1;
        (theirs.version, theirs.expired, theirs.fetched) = (Some(version), false, Some(now));
        theirs.has_come(now);
    });
    Ok(())
}
