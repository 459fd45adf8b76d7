//! Asking one primary for a zone, and putting in service and on the disk what it gives.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::fetch::{Fault, fetch};
use super::kept::{self, Kept, RECEIVED};
use super::put::{Arrival, Fetched, NotPut, room};
use super::received::{checked, listed};
use super::tell::source_for;
use super::theirs::Life;
use crate::control::handle::Handle;
use crate::snapshot::Peer;
use crate::transfer::{Kind, Received};
use crate::wire::tsig::Key;
use crate::zone::Name;
use crate::zone::version::{Journal, is_newer};

/// What a primary had.
pub(super) enum Came {
    /// Another version, which is in service.
    Newer,
    /// The one that we have.
    Current,
}

/// Asks a primary: for what differs, and if that leads nowhere for all of the zone.
pub(super) async fn ask(
    handle: &Handle,
    (apex, life): (&Name, &Life),
    (peer, most): (&Peer, Option<usize>),
    (key, limit): (Option<Arc<Key>>, usize),
) -> Result<Came, Fault> {
    let from = source_for(handle.listen(), peer);
    let known = handle.with_zone((apex, life), |theirs| theirs.known());
    let mut known = known.ok_or(GONE)?;
    let room = handle.with_theirs(|all| room(all, apex, limit));
    loop {
        let differences = known.is_some();
        let mut whole = false;
        let came = match fetch(apex, (peer.at, from), (known.take(), room), key.clone()).await {
            Ok(received) => {
                whole = matches!(received, Received::Version(_, Kind::Whole));
                take(handle, (apex, life), (peer, most), received).await
            }
            Err(fault) => Err(fault),
        };
        match came {
            Err(Fault::Failed(why)) if differences && !whole => {
                tracing::debug!("zone {apex}: {}: {why}; all of it is asked for", peer.at);
            }
            other => return other,
        }
    }
}

const GONE: Fault = Fault::Late("the zone is gone");

/// Puts in service what a primary gave; a catalog lists `most` zones at most.
async fn take(
    handle: &Handle,
    (apex, life): (&Name, &Life),
    (peer, most): (&Peer, Option<usize>),
    received: Received,
) -> Result<Came, Fault> {
    let own = handle.with_zone((apex, life), |theirs| {
        (theirs.version.clone(), theirs.takes_any())
    });
    let (known, takes_any) = own.ok_or(GONE)?;
    let behind = |serial: u32| {
        let ours = known.as_ref().map_or(0, |known| known.serial());
        format!("its serial {serial} is older than ours, {ours}")
    };
    let (version, how) = match received {
        Received::Current if !takes_any => return Ok(Came::Current),
        // One that had expired is good again.
        Received::Current => (
            known.clone().ok_or("there is nothing to go on with")?,
            Kind::Current,
        ),
        // All of it is asked for.
        Received::Older(serial) if takes_any => return Err(behind(serial).into()),
        Received::Older(serial) => return Err(Fault::Older(behind(serial))),
        Received::Version(version, how) => (Arc::new(version), how),
    };
    let members = most.map(|most| listed(&version, most)).transpose()?;
    let serial = version.serial();
    if let Some(ours) = known.as_ref().filter(|_| !takes_any).map(|v| v.serial()) {
        if serial == ours {
            return Ok(Came::Current);
        }
        if !is_newer(serial, ours) {
            return Err(Fault::Older(behind(serial)));
        }
    }
    let fetched = Fetched {
        version,
        from: peer.at,
        how,
        life: life.clone(),
    };
    let taker = handle.clone();
    let work = move || {
        let records = checked(&fetched.version, None).map_err(NotPut::Failed)?;
        let apex = fetched.version.apex.clone();
        let arrival = Arrival::of(fetched, records, members);
        taker
            .put_zones(vec![arrival])
            .into_iter()
            .collect::<Result<(), _>>()?;
        keep(&taker, &apex);
        Ok(())
    };
    match spawn_blocking(work).await.map_err(|e| e.to_string())? {
        Ok(()) => {}
        Err(NotPut::Late(why)) => return Err(Fault::Late(why)),
        Err(NotPut::Full(why)) => return Err(Fault::Full(why)),
        Err(NotPut::Failed(why)) => return Err(Fault::Failed(why)),
    }
    let word = match how {
        Kind::Whole => "all of it",
        Kind::Differences => "what differs",
        Kind::Current => "it is what was there",
    };
    tracing::info!("zone {apex}: serial {serial} from {}, {word}", peer.at);
    Ok(Came::Newer)
}

/// Writes what has come of a zone to the state folder.
pub(super) fn keep(handle: &Handle, apex: &Name) {
    let own = handle.with_theirs(|all| {
        let theirs = all.get(apex)?;
        Some((theirs.version.clone()?, theirs.from))
    });
    let (Some(state), Some((version, from))) = (handle.state(), own) else {
        return;
    };
    let journal = Journal {
        version: Arc::clone(&version),
        steps: Vec::new(),
    };
    let done = kept::write(state, RECEIVED, &Kept { journal, from });
    let gone = handle.with_theirs(|all| match all.get_mut(apex) {
        Some(theirs) => {
            let own = theirs.version.as_ref();
            theirs.unkept = !done;
            theirs.kept = done && own.is_some_and(|own| Arc::ptr_eq(own, &version));
            false
        }
        None => true,
    });
    // Its catalog has let go of it meanwhile.
    if gone {
        kept::remove(state, RECEIVED, apex);
    }
}
