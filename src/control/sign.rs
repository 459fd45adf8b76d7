//! Signatures of a generation: made when it is built, made anew before they end; and keys that move on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use super::handle::Handle;
use super::keyring::{Keyring, ZoneKeys};
use super::load::Parts;
use super::rollover::advance;
use crate::clock;
use crate::dnssec::{Presigned, SignedZone, Signing};
use crate::health::Time;
use crate::snapshot::{Signatures, Signed, Snapshot};
use crate::zone::{NameKey, Zone};

/// Time between ticks of the signer's clock, a new budget each, and between looks whether anything is due.
const TICK: Duration = Duration::from_secs(1);
/// Time between looks for signatures that are old and keys that may move on.
const LOOK: Duration = Duration::from_secs(60);
/// Seconds by which the system's clock is set at least for another look at once.
const STEP: u64 = 10;

/// Signs the zones that are to be signed, and lays out those that are signed elsewhere; none: no zone is signed.
pub(super) fn sign(
    parts: &Parts,
    zones: &[Zone],
    last: Option<&Snapshot>,
    now: Time,
) -> Option<Signed> {
    let ours = ours(parts, last, now);
    let all = zones
        .iter()
        .map(|zone| match (&ours, parts.keys.get(zone.apex())) {
            (Some(ours), Some(keys)) => ours.sign(zone, keys).map(Signatures::Made),
            _ => Presigned::of(zone).map(|stored| Signatures::Stored(Arc::new(stored))),
        });
    let zones: Box<[_]> = all.collect();
    let signing = ours.map(|ours| ours.signing);
    let any = signing.is_some() || zones.iter().any(Option::is_some);
    any.then_some(Signed { signing, zones })
}

/// What the zones share that we sign.
struct Ours<'l> {
    signing: Arc<Signing>,
    /// Signatures that still hold.
    last: Option<&'l Snapshot>,
}

/// Of the zones that have keys here; none: no zone has.
fn ours<'l>(parts: &Parts, last: Option<&'l Snapshot>, now: Time) -> Option<Ours<'l>> {
    if parts.keys.is_empty() {
        return None;
    }
    let settings = parts.config.dnssec.settings;
    let before = last.and_then(|last| last.signed.as_ref()?.signing.as_ref());
    let same = before.filter(|before| before.settings() == settings);
    let made = || Arc::new(Signing::new(settings, seconds(now)));
    Some(Ours {
        signing: same.map_or_else(made, Arc::clone),
        last: last.filter(|_| same.is_some()),
    })
}

impl Ours<'_> {
    fn sign(&self, zone: &Zone, keys: &ZoneKeys) -> Option<Arc<SignedZone>> {
        let before = self.last.and_then(|last| {
            let (number, known) = last.zones.find(&NameKey::new(zone.apex().wire()), false)?;
            last.signed(number).filter(|_| known.apex() == zone.apex())
        });
        let (zsk, signing) = (keys.zsk()?, Arc::clone(&self.signing));
        let signed = SignedZone::new(zone, keys.ksks(), zsk, signing, before);
        Some(Arc::new(signed))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "times in signatures have 32 bits and wrap (RFC 4034 3.1.5)"
)]
pub(super) fn seconds(now: Time) -> u32 {
    now.as_secs() as u32
}

/// Keeps the clocks of the signer and of cookies, for ever.
pub(super) async fn keep_ticking(handle: Handle) {
    loop {
        let current = handle.current().get();
        // The system's clock as it is now: it may have been set right since the start, and signatures are of the world's time.
        let now = seconds(Duration::from_secs(clock::wall()));
        if let Some(signing) = current.signed.as_ref().and_then(|s| s.signing.as_ref()) {
            signing.tick(now);
        }
        if let Some(cookies) = &current.settings.cookies {
            cookies.tick(now);
        }
        drop(current);
        tokio::time::sleep(TICK).await;
    }
}

/// Signs anew what is old, and moves keys on, for ever.
pub(super) async fn keep_signing(handle: Handle) {
    handle.restore_keys();
    let mut next = Next::after(handle.now(), clock::wall());
    // A look may wait for a reload, and sign for seconds: what is due then waits.
    let mut looking: Option<JoinHandle<()>> = None;
    loop {
        tokio::time::sleep(TICK).await;
        let current = handle.current().get();
        let wall = clock::wall();
        let signing = current.signed.as_ref().and_then(|s| s.signing.as_ref());
        let idle = looking.as_ref().is_none_or(JoinHandle::is_finished);
        if next.is_due(handle.now(), wall) && signing.is_some() && idle {
            next = Next::after(handle.now(), wall);
            let handle = handle.clone();
            looking = Some(spawn_blocking(move || look(&handle, wall)));
        }
    }
}

/// When to look again.
struct Next {
    at: Time,
    /// Seconds by which the system's clock was ahead of that of the process.
    ahead: i64,
}

impl Next {
    /// After a look at this time. `wall` is the system's clock, seconds.
    fn after(now: Time, wall: u64) -> Self {
        Self {
            at: now + LOOK,
            ahead: ahead(now, wall),
        }
    }

    /// By a clock that was set what holds may have ended, or not have begun.
    fn is_due(&self, now: Time, wall: u64) -> bool {
        now >= self.at || self.ahead.abs_diff(ahead(now, wall)) > STEP
    }
}

fn ahead(now: Time, wall: u64) -> i64 {
    wall.cast_signed() - now.as_secs().cast_signed()
}

/// `wall` is the system's clock, seconds.
fn look(handle: &Handle, wall: u64) {
    let (keys, keyring, current) = {
        // Who holds it has what the current generation was built of. Parts are not held on to: who builds meanwhile changes them.
        let basis = handle.basis();
        let keyring = Keyring::at(&basis.parts.config.dnssec.keys);
        (basis.parts.keys.clone(), keyring, handle.current().get())
    };
    handle.note_keys(&keys);
    for (_, zone, signed) in signed_here(&current) {
        if signed.refresh(zone) {
            tracing::info!("zone {}: signed anew", zone.apex());
        }
    }
    if move_on(handle, &current, &keyring, wall)
        && let Err(why) = handle.reload(false, "keys")
    {
        tracing::error!("keys have moved on, and the reload failed: {why}");
    }
}

/// The zones that we sign, with their numbers.
fn signed_here(current: &Snapshot) -> impl Iterator<Item = (usize, &Zone, &SignedZone)> {
    let all = current.signed.iter().flat_map(|s| s.zones.iter());
    let zones = current.zones.list().iter().zip(all).enumerate();
    zones.filter_map(|(number, (zone, signed))| match signed {
        Some(Signatures::Made(signed)) => Some((number, zone, &**signed)),
        Some(Signatures::Stored(_)) | None => None,
    })
}

/// Moves keys on as far as time has; whether any has moved.
fn move_on(handle: &Handle, current: &Snapshot, keyring: &Keyring, wall: u64) -> bool {
    let mut moved = false;
    for (number, zone, _) in signed_here(current) {
        if handle.is_retired() {
            break;
        }
        let now = handle.now();
        let waits = (longest_ttl(zone), spread(current, number));
        let done = keyring.try_change(zone.apex(), |keys| {
            let answered = |entry: &_| handle.answered(zone.apex(), entry, now);
            Ok(advance(&mut keys.list.keys, wall, waits, answered))
        });
        match done {
            Ok(Some(done)) => {
                moved |= !done.is_empty();
                for what in done {
                    tracing::info!("zone {}: {what}", zone.apex());
                }
            }
            Ok(None) => {
                tracing::warn!("keys do not move on: somebody else holds their folder");
                break;
            }
            Err(why) => tracing::error!("zone {}: keys do not move on: {why}", zone.apex()),
        }
    }
    moved
}

/// Seconds.
pub(super) fn longest_ttl(zone: &Zone) -> u32 {
    let sets = zone
        .nodes()
        .flat_map(|at| zone.rrsets(at).map(|set| set.ttl));
    let pools = zone.pools().iter().map(|used| used.max_ttl);
    sets.chain(pools).max().unwrap_or_default()
}

/// Seconds that secondaries of a zone may stay behind us where no notice reaches them (RFC 7583 3.2.1); 0: it has none.
pub(super) fn spread(current: &Snapshot, zone: usize) -> u64 {
    let own = current.secondaries.get(zone).filter(|own| own.is_served);
    let timers = own.and_then(|_| current.zones.list().get(zone)?.numbers());
    timers.map_or(0, |[_, refresh, retry, ..]| {
        u64::from(refresh) + u64::from(retry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_each_minute_and_when_the_clock_was_set() {
        let begun = 1_800_000_000;
        let at = |seconds: u64| Duration::from_secs(begun + seconds);
        let next = Next::after(at(0), begun + 3600);
        let is_due = |seconds: u64, ahead: u64| next.is_due(at(seconds), begun + seconds + ahead);
        assert!(!is_due(59, 3600));
        assert!(is_due(60, 3600));
        // It is drawn near to the right time.
        assert!(!is_due(1, 3605));
        assert!(!is_due(1, 3595));
        assert!(is_due(1, 0));
        assert!(is_due(1, 7200));
    }
}
