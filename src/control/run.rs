//! A running server: sockets bound, probers started, the first round waited for, then questions answered.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc, watch};

use super::audience::{self, Audience};
use super::build::{Generation, build};
use super::collect::collect;
use super::expiry::{self, Expiries};
use super::history::{Entry, History};
use super::hosts::{self, HostLine, Hosts, keep_resolving};
use super::load::Parts;
use super::orders;
use super::probed::{self, Probed};
use super::reload::{Basis, LastReload};
use super::replace::{Runs, Swap};
use super::shares::{self, Shares};
use super::sockets::{Sockets, cores, tcp_limits};
use super::states::{self, States};
use super::watch::{Files, keep_watching};
use crate::clock::Clock;
use crate::health::{Board, Outcome, Probe, Time};
use crate::metrics::Questions;
use crate::probe::Prober;
use crate::server::{tcp, udp};
use crate::snapshot::{Current, Snapshot};

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    stop: Arc<AtomicBool>,
    stopping: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    /// TCP and the control socket.
    runtime: Option<Runtime>,
    /// Probes have a runtime of their own: a thousand nodes that hang must not delay an answer.
    probing: Option<Runtime>,
}

/// What others may ask of a running server.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: Arc<Current>,
    board: Arc<Mutex<Board>>,
    clock: Clock,
    /// How often the collector has looked at all states.
    looks: AtomicU64,
    started: Time,
    config: PathBuf,
    listen: Vec<SocketAddr>,
    probed: Mutex<Probed>,
    counters: Vec<Arc<Questions>>,
    shares: Mutex<Shares>,
    audience: Mutex<Audience>,
    expiries: Mutex<Expiries>,
    history: Mutex<History>,
    swaps: mpsc::Sender<Swap>,
    hosts: Mutex<Hosts>,
    /// Told when the hosts are others.
    other_hosts: Notify,
    /// Held by whoever builds a generation.
    basis: Mutex<Basis>,
    last_reload: Mutex<Option<LastReload>>,
    /// The runtime of probes and of names.
    probing: runtime::Handle,
    /// Held by whoever writes states.
    writing: Mutex<()>,
    /// The folder for orders and history.
    state: Option<PathBuf>,
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

    /// The folder for orders and history; none: they end with the process.
    #[must_use]
    pub fn state(&self) -> Option<&Path> {
        self.0.state.as_deref()
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
    async fn keep_states(self) {
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

    fn write_states(&self) {
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
    async fn look(self) {
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
    async fn look_at_ttls(self) {
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

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// A generation cannot be built.
    Build(String),
    /// An address cannot be listened on.
    Listen(SocketAddr, &'static str, io::Error),
    /// The system lacks something: threads, a certificate store.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(why) | Self::System(why) => f.write_str(why),
            Self::Listen(address, protocol, why) => {
                write!(f, "cannot listen on {address} ({protocol}): {why}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// Starts a server and returns once it answers: after the first round of all probes. Databases and records are let go
/// as soon as the generation is built, as they are larger than all that is kept; records only where no node is known by a name.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub fn start(path: &Path, mut parts: Parts) -> Result<Running, StartError> {
    let clock = Clock::start();
    let system = |e: io::Error| StartError::System(e.to_string());
    let probing = runtime("probe", 1).map_err(system)?;
    let mut hosts = Hosts::of(&mut parts.config, clock.now());
    hosts::first(&mut hosts, &mut parts.config, probing.handle(), || {
        clock.now()
    });
    parts.audience = Audience::restore(parts.config.server.state.as_deref());
    let audience = parts.audience.clone();
    let Generation {
        mut snapshot,
        mut board,
    } = build(&parts, 1, clock.now()).map_err(|errors| StartError::Build(errors.join("\n")))?;
    let config = parts.config.clone();
    parts.let_go(hosts.is_empty());
    let workers = config.server.workers.unwrap_or_else(cores);
    let runtime = runtime("server", cores()).map_err(system)?;
    let sockets = {
        let _inside = runtime.enter();
        let bind = |address: &SocketAddr| Sockets::bind(*address, workers);
        config
            .server
            .listen
            .iter()
            .map(bind)
            .collect::<Result<Vec<_>, _>>()?
    };
    // One for each UDP socket, and one for all of TCP.
    let counters: Vec<Arc<Questions>> = (0..=sockets.iter().map(|s| s.udp.len()).sum())
        .map(|_| Arc::default())
        .collect();
    snapshot.count_given(counters.len());
    if let Some(state) = &config.server.state {
        orders::restore(&mut board, state);
        let resumed = states::restore(&mut board, state, clock.now());
        if resumed > 0 {
            tracing::info!("going on from {resumed} states that were known before");
        }
    }
    let (swaps, swapped) = mpsc::channel(1);
    let handle = Handle(Arc::new(Shared {
        current: Arc::new(Current::new(snapshot)),
        board: Arc::new(Mutex::new(board)),
        clock,
        looks: AtomicU64::new(0),
        started: clock.now(),
        // Whoever asks may stand in another folder.
        config: std::path::absolute(path).unwrap_or_else(|_| path.into()),
        listen: sockets.iter().map(|s| s.address).collect(),
        probed: Mutex::default(),
        counters,
        shares: Mutex::default(),
        audience: Mutex::new(audience),
        expiries: Mutex::default(),
        history: Mutex::new(History::open(config.server.state.as_deref())),
        swaps,
        hosts: Mutex::new(hosts),
        other_hosts: Notify::new(),
        basis: Mutex::new(Basis::new(parts)),
        last_reload: Mutex::default(),
        probing: probing.handle().clone(),
        writing: Mutex::default(),
        state: config.server.state.clone(),
    }));
    let (stopping, stopped) = watch::channel(false);
    let mut running = Running {
        handle,
        stop: Arc::default(),
        stopping,
        workers: Vec::new(),
        runtime: Some(runtime),
        probing: Some(probing),
    };
    running.probe(swapped)?;
    running.go_on();
    running
        .serve(sockets, stopped, tcp_limits(&config.limits))
        .map_err(system)?;
    Ok(running)
}

fn runtime(name: &str, threads: usize) -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
}

impl Running {
    /// What others may ask of it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The runtime of connections, for the control socket.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "taken only by drop")]
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only by drop")
    }

    /// Starts the probers and waits for their first round, or until the slowest of it must have timed out.
    fn probe(&mut self, swaps: mpsc::Receiver<Swap>) -> Result<(), StartError> {
        let Some(probing) = &self.probing else {
            return Ok(());
        };
        let checks = self.handle.board().checks().to_vec();
        let longest = checks
            .iter()
            .map(|c| c.probe.timeout)
            .max()
            .unwrap_or_default();
        let (results, received) = mpsc::channel(1024);
        let prober = Prober::start(&checks, probing.handle(), &results)
            .map_err(|e| StartError::System(e.to_string()))?;
        let (first_round, done) = std::sync::mpsc::channel();
        let handle = self.handle.clone();
        let runs = Runs::new(prober, checks.len());
        probing.spawn(collect(runs, received, swaps, handle, first_round));
        if !checks.is_empty() {
            tracing::info!("waiting for the first round of {} checks", checks.len());
            // An error means the collector is gone or late; what it has found so far is what there is.
            let _ = done.recv_timeout(longest + GRACE);
        }
        Ok(())
    }

    /// Does what is to be done from time to time.
    fn go_on(&self) {
        let (runtime, handle) = (self.runtime(), &self.handle);
        runtime.spawn(handle.clone().look());
        runtime.spawn(handle.clone().look_at_ttls());
        runtime.spawn(keep_resolving(handle.clone()));
        runtime.spawn(keep_watching(handle.clone()));
        if handle.state().is_some() {
            runtime.spawn(handle.clone().keep_states());
        }
    }

    fn serve(
        &mut self,
        sockets: Vec<Sockets>,
        stopped: watch::Receiver<bool>,
        limits: tcp::Limits,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.handle.0);
        let mut counters = shared.counters.iter().map(Arc::clone);
        let mut listeners = Vec::new();
        for Sockets { udp, tcp, .. } in sockets {
            listeners.push(tcp);
            for socket in udp {
                let (current, stop) = (Arc::clone(&shared.current), Arc::clone(&self.stop));
                let (counters, number) = (counters.next().unwrap_or_default(), self.workers.len());
                self.workers
                    .push(udp::spawn(socket, current, counters, stop, number)?);
            }
        }
        let current = Arc::clone(&shared.current);
        // The last counters are TCP's.
        let counters = (counters.next().unwrap_or_default(), self.workers.len());
        let mut stopped = stopped;
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        self.runtime()
            .spawn(tcp::serve(listeners, current, limits, counters, stop));
        Ok(())
    }
}

/// What the first round may take beyond the longest timeout.
const GRACE: Duration = Duration::from_secs(2);

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.stopping.send(true);
        self.handle.write_states();
        self.handle.write_clients();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        for runtime in [self.runtime.take(), self.probing.take()]
            .into_iter()
            .flatten()
        {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}
