//! What others may ask of a running server, and what its parts share.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{Notify, mpsc, watch};

use super::access::Access;
use super::answered::Answered;
use super::audience::{self, Audience};
use super::expiry::{self, Expiries};
use super::history::{Entry, History};
use super::hosts::{HostLine, Hosts};
use super::prepare::Rights;
use super::probed::{self, Probed};
use super::reload::{Basis, LastReload};
use super::replace::Swap;
use super::shares::{self, Shares};
use super::states::{self, States};
use super::transfers::{AllTheirs, Arrival, Serving, Settled, Unkept, keep_members};
use super::watch::Files;
use crate::answer::Transport;
use crate::clock::Clock;
use crate::health::{Board, Outcome, Probe, Time};
use crate::metrics::Questions;
use crate::server::tls::Shown;
use crate::snapshot::{Current, Snapshot};

/// What others may ask of a running server.
#[derive(Clone, Debug)]
pub struct Handle(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) current: Arc<Current>,
    pub(super) board: Arc<Mutex<Board>>,
    pub(super) clock: Clock,
    /// How often the collector has looked at all states.
    pub(super) looks: AtomicU64,
    pub(super) started: Time,
    pub(super) config: PathBuf,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) encrypted: Vec<(Transport, SocketAddr)>,
    pub(super) probed: Mutex<Probed>,
    pub(super) counters: Vec<Arc<Questions>>,
    pub(super) shares: Mutex<Shares>,
    pub(super) audience: Mutex<Audience>,
    pub(super) expiries: Mutex<Expiries>,
    pub(super) history: Mutex<History>,
    pub(super) swaps: mpsc::Sender<Swap>,
    pub(super) hosts: Mutex<Hosts>,
    /// Told when the hosts are others.
    pub(super) other_hosts: Notify,
    /// Held by whoever builds a generation.
    pub(super) basis: Mutex<Basis>,
    pub(super) last_reload: Mutex<Option<LastReload>>,
    pub(super) access: watch::Sender<Access>,
    /// Whom those see who ask encrypted.
    pub(super) shown: Option<Arc<Shown>>,
    /// The runtime of probes and of names.
    pub(super) probing: runtime::Handle,
    /// Held by whoever writes states, orders or clients. Whether the orders were kept when they were written last.
    pub(super) writing: Mutex<bool>,
    /// Since when keys are answered with.
    pub(super) answered: Mutex<Answered>,
    /// The folder for orders and history.
    pub(super) state: Option<PathBuf>,
    /// What the process may do.
    pub(super) rights: Rights,
    /// Whether the files are ours: not while the process before this one answers.
    pub(super) owns: AtomicBool,
    /// Another process has taken over: files are its.
    pub(super) retired: AtomicBool,
    /// Told when that is so.
    pub(super) retiring: Notify,
    /// Told when another process is to take over.
    pub(super) upgrade: Notify,
    /// Held by whoever changes what secondaries know.
    pub(super) serving: Mutex<Serving>,
    /// What of that is to be on the disk and is not.
    pub(super) unkept: Mutex<Unkept>,
    /// The zones of others.
    pub(super) theirs: Mutex<AllTheirs>,
    /// What has come of them, for whoever builds next.
    pub(super) arrivals: Mutex<Vec<Arrival>>,
    /// Told when that is another.
    pub(super) zones_changed: Notify,
    /// The last one that was to.
    pub(super) successor: Mutex<Successor>,
}

/// How it stands with a process that is to take over.
#[derive(Debug, Default)]
pub(super) enum Successor {
    /// There was none.
    #[default]
    Nobody,
    /// It lives: its number.
    Lives(u32),
    /// It did not, and why.
    Failed(String),
}

impl Handle {
    /// The current generation.
    #[must_use]
    pub fn current(&self) -> &Current {
        &self.0.current
    }

    /// The board of the current generation. Whoever holds it has that generation too: no other takes its place meanwhile. It holds up
    /// the probers' results, never an answer.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        // A panic elsewhere leaves a board that is as good as before its last result.
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes what follows from the board if that has changed. Whoever does holds the board, so that no older table comes after
    /// a newer one.
    pub(super) fn publish(&self, board: &Board, now: Time) {
        let snapshot = self.current().get();
        let table = snapshot.judge(board.table(now));
        if **snapshot.table.load() != table {
            snapshot.table.publish(table);
        }
    }

    /// Time since 1970.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// How often all states were looked at and published: about once a second at least, as long as whoever does that is alive.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.0.looks.load(Ordering::Relaxed)
    }

    pub(super) fn has_looked(&self) {
        self.0.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// When the server was started.
    #[must_use]
    pub fn started(&self) -> Time {
        self.0.started
    }

    /// The file it was started from.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.0.config
    }

    /// The addresses that it answers on, UDP and TCP.
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.0.listen
    }

    /// The addresses that it answers on encrypted, and how.
    #[must_use]
    pub fn encrypted(&self) -> &[(Transport, SocketAddr)] {
        &self.0.encrypted
    }

    /// What the process may do.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Waits until another process has taken over.
    pub async fn retires(&self) {
        let mut told = std::pin::pin!(self.0.retiring.notified());
        // Whoever is told so after this line wakes us.
        told.as_mut().enable();
        if !self.is_retired() {
            told.await;
        }
    }

    /// Whether another process has taken over: what is ordered here is lost.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.0.retired.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self) {
        // Whoever gives an order holds the board: it is on it by now and goes on in the other process, or is refused. A version that is being
        // raised is on the disk before.
        self.keep_last_orders(|| {
            let _board = self.board();
            let _serving = self.serving();
            self.0.retired.store(true, Ordering::Relaxed);
        });
        self.0.retiring.notify_waiters();
    }

    /// The databases in use, in words.
    #[must_use]
    pub fn databases(&self) -> Vec<String> {
        let snapshot = self.current().get();
        snapshot.databases.iter().map(ToString::to_string).collect()
    }

    /// What the current generation was built of, to build the next; waits for whoever builds one.
    pub(super) fn basis(&self) -> MutexGuard<'_, Basis> {
        self.0.basis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read last, and whether it is to be read again when it changes; none while somebody builds a generation.
    pub(super) fn known_files(&self) -> Option<(Files, bool)> {
        if self.is_retired() {
            return None;
        }
        let basis = self.0.basis.try_lock().ok()?;
        Some((basis.files.clone(), basis.parts.config.server.watch))
    }

    pub(super) fn probing(&self) -> &runtime::Handle {
        &self.0.probing
    }

    /// How the last reload that was no dry run has ended; none: there was none.
    #[must_use]
    pub fn last_reload(&self) -> Option<LastReload> {
        self.lock_last_reload().clone()
    }

    pub(super) fn set_last_reload(&self, last: LastReload) {
        *self.lock_last_reload() = Some(last);
    }

    fn lock_last_reload(&self) -> MutexGuard<'_, Option<LastReload>> {
        let last = self.0.last_reload.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    /// What the probers found since the start.
    #[must_use]
    pub fn probed(&self) -> Probed {
        self.lock_probed().clone()
    }

    pub(super) fn count_probe(&self, probe: &Probe, outcome: &Outcome) {
        probed::count(&mut self.lock_probed(), probe, outcome);
    }

    fn lock_probed(&self) -> MutexGuard<'_, Probed> {
        self.0.probed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For each address of a generation, by its number, its share of all that were given in the last five minutes; none
    /// where none was.
    #[must_use]
    pub fn shares(&self, snapshot: &Snapshot) -> Option<Vec<f64>> {
        self.lock_shares().of(snapshot)
    }

    /// The folder for orders and history; none: they end with the process, or the files are another one's.
    #[must_use]
    pub fn state(&self) -> Option<&Path> {
        self.0.state.as_deref().filter(|_| self.is_ours())
    }

    /// Whether the files are ours.
    pub(super) fn is_ours(&self) -> bool {
        self.0.owns.load(Ordering::Relaxed) && !self.is_retired()
    }

    /// The files are ours from now on. `settled` says whose members of catalogs are.
    pub(super) fn own(&self, settled: &Settled) {
        self.0.owns.store(true, Ordering::Relaxed);
        *self.lock_history() = History::open(self.state());
        if let Some(state) = self.state() {
            keep_members(state, settled);
        }
    }

    /// Has a new process of the program as it is on disk now take over.
    ///
    /// # Errors
    /// In words: another is to do so already.
    pub fn upgrade(&self) -> Result<(), String> {
        let mut successor = self.successor();
        successor.gives_way()?;
        *successor = Successor::Nobody;
        self.0.upgrade.notify_one();
        Ok(())
    }

    /// Whether a process that is to take over may be started.
    ///
    /// # Errors
    /// In words: there is one.
    pub fn needs_successor(&self) -> Result<(), String> {
        self.successor().gives_way()
    }

    /// Waits until a new process is wanted.
    pub async fn upgrade_wanted(&self) {
        self.0.upgrade.notified().await;
    }

    /// Why the process that was to take over did not; none: nothing is known against it.
    #[must_use]
    pub fn upgrade_error(&self) -> Option<String> {
        match &*self.successor() {
            Successor::Failed(why) => Some(why.clone()),
            Successor::Nobody | Successor::Lives(_) => None,
        }
    }

    /// Keeps why.
    pub fn upgrade_failed(&self, why: String) {
        *self.successor() = Successor::Failed(why);
    }

    /// Keeps which process is to take over.
    pub fn upgrade_started(&self, process: u32) {
        *self.successor() = Successor::Lives(process);
    }

    fn successor(&self) -> MutexGuard<'_, Successor> {
        let successor = self.0.successor.lock();
        successor.unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest events, of these nodes only if there are any; the oldest of them first.
    #[must_use]
    pub fn history(&self, nodes: &[String], count: usize) -> Vec<Entry> {
        self.lock_history().newest(nodes, count)
    }

    /// How many events there were so far, and those that came after the first `seen` of them; the newest thousands are kept.
    #[must_use]
    pub fn history_after(&self, seen: u64) -> (u64, Vec<Entry>) {
        self.lock_history().after(seen)
    }

    /// Keeps the states of all checks from time to time, for ever.
    pub(super) async fn keep_states(self) {
        for turn in 1u32.. {
            tokio::time::sleep(states::EVERY).await;
            let handle = self.clone();
            // A disk may be slow.
            let write = move || {
                handle.write_states();
                if turn.is_multiple_of(audience::WRITTEN) {
                    handle.write_clients();
                }
            };
            let _ = tokio::task::spawn_blocking(write).await;
        }
    }

    /// Has all that is known on disk, for the process that comes after this one.
    pub(super) fn keep_all(&self) {
        self.write_states();
        self.write_clients();
        self.keep_orders();
        self.lock_history().end();
    }

    /// Goes on from the states that the process before has kept at its end.
    pub(super) fn take_states(&self) {
        let Some(folder) = self.state() else { return };
        let mut board = self.board();
        let others = states::catch_up(&mut board, folder, self.0.started);
        if others > 0 {
            tracing::info!("going on from states of the process before that differ: {others}");
            self.publish(&board, self.now());
        }
    }

    pub(super) fn write_states(&self) {
        let Some(folder) = self.state() else { return };
        // The end may come while they are written from time to time: both would be to the same file.
        let _alone = self.0.writing.lock();
        let states = States::of(&self.board(), self.now());
        if let Err(error) = states.write(folder) {
            tracing::warn!("states are not kept in {}: {error}", folder.display());
        }
    }

    /// The nodes that are known by a name.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostLine> {
        let mut lines = self.with_hosts(|hosts| hosts.lines());
        let snapshot = self.current().get();
        for line in &mut lines {
            let node = snapshot.nodes.iter().find(|n| n.name == line.node);
            line.lost = !line.addresses.is_empty() && node.is_some_and(|n| n.at.is_none());
        }
        lines
    }

    pub(super) fn with_hosts<T>(&self, look: impl FnOnce(&mut Hosts) -> T) -> T {
        let hosts = self.0.hosts.lock();
        look(&mut hosts.unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes those of another generation.
    pub(super) fn take_hosts(&self, next: Hosts) {
        self.with_hosts(|hosts| *hosts = next);
        self.0.other_hosts.notify_one();
    }

    /// Waits until the hosts are others.
    pub(super) async fn hosts_changed(&self) {
        self.0.other_hosts.notified().await;
    }

    /// Keeps the answers for nodes' names.
    pub(super) fn write_hosts(&self) {
        let Some(folder) = self.state() else { return };
        let hosts = self.with_hosts(|hosts| hosts.clone());
        if let Err(error) = hosts.write(folder) {
            tracing::warn!("addresses are not kept in {}: {error}", folder.display());
        }
    }

    /// Adds an event.
    pub(super) fn remember(&self, entry: Entry) {
        self.lock_history().add(entry);
    }

    fn lock_history(&self) -> MutexGuard<'_, History> {
        let history = self.0.history.lock();
        history.unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody looks at what is counted meanwhile.
    pub(super) fn counting(&self, change: impl FnOnce(&mut Shares)) {
        change(&mut self.lock_shares());
    }

    /// The way of a new generation to the collector.
    pub(super) fn swaps(&self) -> &mpsc::Sender<Swap> {
        &self.0.swaps
    }

    pub(super) fn with_audience<T>(&self, look: impl FnOnce(&mut Audience) -> T) -> T {
        let audience = self.0.audience.lock();
        look(&mut audience.unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_shares(&self) -> MutexGuard<'_, Shares> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is counted from time to time, for ever.
    pub(super) async fn look(self) {
        loop {
            tokio::time::sleep(shares::EVERY).await;
            {
                let mut shares = self.lock_shares();
                // While nobody replaces it.
                shares.look(&self.current().get());
            }
            self.look_at_clients(&self.current().get());
        }
    }

    /// Looks at the TTLs that were handed out from time to time, for ever.
    pub(super) async fn look_at_ttls(self) {
        loop {
            tokio::time::sleep(expiry::EVERY).await;
            self.expires(&[]);
        }
    }

    /// Looks at the TTLs that a generation handed out which is not the current one any more.
    pub(super) fn look_back(&self, last: &Snapshot) {
        self.lock_expiries().look(last, self.now());
    }

    fn lock_expiries(&self) -> MutexGuard<'_, Expiries> {
        let expiries = self.0.expiries.lock();
        expiries.unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last answer with an address of these nodes ends in caches, as far as this process has given it.
    fn expires(&self, nodes: &[String]) -> Time {
        let snapshot = self.current().get();
        let mut expiries = self.lock_expiries();
        expiries.look(&snapshot, self.now());
        let named = |node: &u32| nodes.contains(&snapshot.nodes[*node as usize].name);
        let own = snapshot.addresses.iter().filter(|(node, _)| named(node));
        expiries.of(own.map(|(_, ip)| *ip))
    }

    /// When no cache can hold an answer with an address of these nodes any more, if they are out of service now or in a slow drain: the
    /// largest TTL really handed out. Whatever ran before this process may have given them with the longest there is.
    #[must_use]
    pub fn safe_at(&self, nodes: &[String]) -> Time {
        let snapshot = self.current().get();
        let (longest, least) = snapshot.longest_ttls(nodes);
        let before = self.started() + Duration::from_secs(longest.into());
        let known = self.expires(nodes).max(before).max(self.now());
        // A slow drain gives it for a while still, with the least TTL.
        let slow = snapshot.slow_start(nodes);
        let board = self.board();
        let orders = nodes.iter().filter_map(|node| board.orders().get(node));
        let slowly = orders.filter(|order| order.takes_hold(slow) > order.since);
        let end = slowly.map(|order| order.takes_hold(slow)).max();
        known.max(end.map_or(known, |end| end + Duration::from_secs(least.into())))
    }

    /// The counters of all workers.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Questions>] {
        &self.0.counters
    }
}

impl Successor {
    /// Whether there may be another.
    fn gives_way(&self) -> Result<(), String> {
        match self {
            Self::Lives(process) => Err(format!("process {process} is to take over already")),
            Self::Nobody | Self::Failed(_) => Ok(()),
        }
    }
}
