//! What the service manager is told (sd_notify(3)): that we answer, that we read our files, that we stop, and that we are alive; and
//! what it has opened for us. Where nobody asks to be told nothing is said.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;

use super::plural;
use crate::control::Handle;

/// How often the line of what goes on is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Another process is the service's from now on. It is told by the one that is so far: the service manager believes no other.
pub(super) fn replaced_by(process: u32) {
    say(&[NotifyState::MainPid(process)]);
}

/// It answers, with what it has read last.
pub(super) fn ready(handle: &Handle) {
    say(&[NotifyState::Ready, NotifyState::Status(&status(handle))]);
}

/// It reads its files again; [`ready`] says that this is over.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // A manager that has sent the signal itself knows by the time which of them this answers (`Type=notify-reload`).
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager is not told: {error}"),
    }
}

/// It stops.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// The descriptors that it has opened for us (sd_listen_fds(3)), each with the name that it has there.
pub(super) fn descriptors() -> io::Result<Vec<(RawFd, String)>> {
    Ok(sd_notify::listen_fds_with_names()?.collect())
}

/// What names one process alone in its environment: another would stay silent and be killed for that (sd_watchdog_enabled(3)), or look for
/// descriptors that it does not have.
pub(super) const OURS: [&str; 4] = ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!("the service manager is not told: {error}");
    }
}

/// Tells it from time to time that we are alive, if it asks for that, and what goes on; for ever.
pub(super) async fn keep_telling(handle: Handle) {
    let lines = async {
        let mut told = status(&handle);
        loop {
            sleep(EVERY).await;
            let now = status(&handle);
            if now != told {
                say(&[NotifyState::Status(&now)]);
                told = now;
            }
        }
    };
    let alive = async {
        if let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) {
            let looks = || handle.looks();
            watchdog(limit, looks, || say(&[NotifyState::Watchdog])).await;
        }
    };
    tokio::join!(lines, alive);
}

/// Says that we are alive twice within each `limit`, but only if whoever publishes states has looked at them since the last time: a server
/// whose states stand still sends clients to dead nodes, however well it answers.
async fn watchdog(limit: Duration, looks: impl Fn() -> u64, mut alive: impl FnMut()) {
    let mut last = None;
    loop {
        let now = looks();
        if last != Some(now) {
            alive();
        }
        last = Some(now);
        sleep(limit / 2).await;
    }
}

/// What goes on, in a line.
fn status(handle: &Handle) -> String {
    let snapshot = handle.current().get();
    let table = snapshot.table.load();
    let mut serving = BTreeMap::new();
    for pool in &snapshot.pools {
        let families = [&pool.v4, &pool.v6].into_iter().flatten();
        for address in families.flat_map(|family| family.steering.addresses.iter()) {
            *serving.entry(address.number).or_insert(false) |=
                table.word(address.slot).in_service();
        }
    }
    let up = serving.values().filter(|up| **up).count();
    format!(
        "answering for {}, generation {}; in service: {up} of {}",
        plural(snapshot.zones.list().len(), "zone"),
        snapshot.generation,
        addresses(serving.len()),
    )
}

fn addresses(n: usize) -> String {
    match n {
        1 => "1 address".into(),
        n => format!("{n} addresses"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_whoever_looks_is_alive() {
        let (looks, said) = (AtomicU64::new(0), AtomicU64::new(0));
        let look = || looks.load(Ordering::Relaxed);
        let dog = watchdog(Duration::from_secs(30), look, || {
            said.fetch_add(1, Ordering::Relaxed);
        });
        let story = async {
            // It looks every second, then it hangs for an hour, then it looks again.
            for _ in 0..300 {
                looks.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
            }
            let before = said.load(Ordering::Relaxed);
            assert!((20..=21).contains(&before), "{before}");
            sleep(Duration::from_secs(3600)).await;
            let hanging = said.load(Ordering::Relaxed) - before;
            assert!(hanging <= 1, "{hanging}");
            looks.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(16)).await;
            assert_eq!(said.load(Ordering::Relaxed), before + hanging + 1);
        };
        tokio::select! {
            () = dog => {}
            () = story => {}
        }
    }
}
