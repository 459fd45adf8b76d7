//! Takes the probers' results, tells what changed, and publishes the table that follows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::build::aside;
use super::handle::Handle;
use super::ramp::{Job, Ramps};
use super::replace::{Runs, Swap};
use super::warn::Warned;
use crate::health::{Board, Notice, Outcome, Table};
use crate::policy::Steering;
use crate::snapshot::Snapshot;

/// Results that come within this time are published together.
const TOGETHER: Duration = Duration::from_millis(50);
/// Time alone changes words too: the first minute of a state ends.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Runs until the prober ends. `first_round` is told once when all checks have a result.
pub(super) async fn collect(
    mut runs: Runs,
    mut results: mpsc::Receiver<(usize, Outcome)>,
    mut swaps: mpsc::Receiver<Swap>,
    handle: Handle,
    first_round: std::sync::mpsc::Sender<()>,
) {
    let mut first_round = Some(first_round);
    let mut publisher = Publisher {
        handle,
        none_left: HashSet::new(),
        spilled: HashMap::new(),
        warned: Warned::default(),
        ramps: Ramps::default(),
        compiling: Arc::default(),
    };
    let mut due = Instant::now() + AT_LEAST;
    loop {
        tokio::select! {
            result = results.recv() => {
                let Some((number, outcome)) = result else { break };
                if let Some(check) = runs.check(number) && publisher.observe(check, outcome) {
                    due = due.min(Instant::now() + TOGETHER);
                }
            }
            Some(swap) = swaps.recv() => {
                if let Some(known) = runs.swap(&publisher.handle, swap) {
                    publisher.warned.go_on(&known);
                }
            }
            () = sleep_until(due) => {
                if publisher.publish() && let Some(first_round) = first_round.take() {
                    let _ = first_round.send(());
                }
                due = Instant::now() + AT_LEAST;
            }
        }
    }
}

struct Publisher {
    handle: Handle,
    /// Pools without a node in service, as they were told last.
    none_left: HashSet<(String, bool)>,
    /// Why nodes serve that do not otherwise, as it was told last.
    spilled: HashMap<(String, bool), String>,
    warned: Warned,
    ramps: Ramps,
    /// Whether maps of slow starts are being compiled.
    compiling: Arc<AtomicBool>,
}

impl Publisher {
    /// Takes a result; whether the table may be another one by it. One more success of what has long been up, which is nearly
    /// every result, changes nothing but in a freeze, which it may end.
    fn observe(&mut self, check: usize, outcome: Outcome) -> bool {
        let mut board = self.handle.board();
        let failed = outcome.result.is_err();
        let known = |board: &Board| {
            let status = board.statuses().get(check);
            status.map(|status| (status.counter, status.last.is_some()))
        };
        let before = known(&board);
        if let Some(check) = board.checks().get(check) {
            self.handle.count_probe(&check.probe, &outcome);
        }
        if let Some(event) = board.observe(check, outcome, self.handle.now()) {
            let notice = Notice::State(event);
            self.handle.tell(&board, &notice, self.handle.now());
        }
        self.warned.look(&board, check, self.handle.now());
        failed || known(&board) != before || board.frozen().iter().any(Option::is_some)
    }

    /// Publishes the table if it changed; whether all checks have a result.
    fn publish(&mut self) -> bool {
        let (all_checked, over) = {
            let (mut board, now) = (self.handle.board(), self.handle.now());
            let over = self.handle.end_orders(&mut board, now);
            for notice in board.look(now) {
                self.handle.tell(&board, &notice, now);
            }
            self.handle.publish(&board, now);
            (board.all_checked(), over)
        };
        if over {
            let handle = self.handle.clone();
            // A disk may be slow.
            spawn_blocking(move || handle.keep_orders());
        }
        if all_checked {
            let snapshot = self.handle.current().get();
            self.tell_pools(&snapshot);
            self.ramp(&snapshot);
        }
        self.handle.has_looked();
        all_checked
    }

    /// Has the maps of slow starts compiled that are not there; those that are still missing then are found the next time.
    fn ramp(&mut self, snapshot: &Snapshot) {
        let jobs = {
            let board = self.handle.board();
            self.ramps.look(snapshot, &board, self.handle.now())
        };
        if jobs.is_empty() || self.compiling.swap(true, Ordering::AcqRel) {
            return;
        }
        let compiling = Arc::clone(&self.compiling);
        let started = aside(move || {
            jobs.into_iter().for_each(Job::run);
            compiling.store(false, Ordering::Release);
        });
        if let Err(error) = started {
            tracing::error!("no thread for a slow start: {error}");
            self.compiling.store(false, Ordering::Release);
        }
    }

    /// Says once when a pool has no node in service any more, and once when it has.
    fn tell_pools(&mut self, snapshot: &Snapshot) {
        let table = snapshot.table.load();
        for pool in &snapshot.pools {
            for (family, v4) in [(&pool.v4, true), (&pool.v6, false)] {
                let Some(family) = family else { continue };
                let key = (pool.name.clone(), v4);
                let word = if v4 { "IPv4" } else { "IPv6" };
                let spilled = family.steering.spill.as_ref();
                match spilled.and_then(|s| s.words(&table)) {
                    Some(why) if self.spilled.get(&key) != Some(&why) => {
                        tracing::warn!("pool {}, {word}: {why}", pool.name);
                        self.spilled.insert(key.clone(), why);
                    }
                    None if self.spilled.remove(&key).is_some() => {
                        tracing::info!("pool {}, {word}: enough is in service again", pool.name);
                    }
                    _ => {}
                }
                if any_in_service(&family.steering, &table) {
                    if self.none_left.remove(&key) {
                        tracing::info!(
                            "pool {}: there are {word} nodes in service again",
                            pool.name
                        );
                    }
                } else if self.none_left.insert(key) {
                    tracing::warn!(
                        "pool {}: no {word} node is in service, it answers: {}",
                        pool.name,
                        family.steering.none
                    );
                }
            }
        }
    }
}

/// Whether a pool has any node in service.
pub(super) fn any_in_service(steering: &Steering, table: &Table) -> bool {
    steering
        .addresses
        .iter()
        .any(|address| table.word(address.slot).in_service())
}
