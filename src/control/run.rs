//! A running server: probers started, the first round waited for, then questions answered.

use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;

use super::access::Access;
use super::audience::Audience;
use super::build::build;
use super::collect::collect;
use super::handle::{Handle, Shared};
use super::hosts::{self, Hosts, keep_resolving};
use super::load::Parts;
use super::orders;
use super::prepare::Prepared;
use super::querylog::{self, Writing};
use super::reload::Basis;
use super::replace::{Runs, Swap};
use super::settings::keep_cookies_fresh;
use super::sign::{keep_signing, keep_ticking};
use super::socket_file::{SocketFile, make};
use super::sockets::{Doors, Encrypted, Sockets, cores, tcp_limits};
use super::states;
use super::streams::{self, Later, Stopped};
use super::takeover::{self, ENDING, Own, Taken};
use super::transfers::{self, Settled, keep_fetching, keep_serving};
use super::trim::keep_trimmed;
use super::watch::keep_watching;
use crate::answer::Transport;
use crate::clock::Clock;
use crate::config::{Admin, QueryLog};
use crate::health::{Board, Time};
use crate::metrics::Questions;
use crate::probe::Prober;
use crate::server::rrl::Limiter;
use crate::server::tls::Shown;
use crate::server::{tcp, udp};
use crate::snapshot::Current;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    stop: Arc<AtomicBool>,
    /// That we stop, and for how long open connections go on all the same.
    stopping: watch::Sender<Option<Duration>>,
    /// The one of TCP.
    tcp: Option<tokio::task::JoinHandle<()>>,
    /// What a new process may take.
    own: Option<Own>,
    file: SocketFile,
    /// The control socket, beside which it is offered.
    control: PathBuf,
    workers: Vec<JoinHandle<()>>,
    /// Ends after all that answer.
    querylog: Option<Writing>,
    /// TCP and the control socket.
    runtime: Option<Runtime>,
    /// Probes have a runtime of their own: a thousand nodes that hang must not delay an answer.
    probing: Option<Runtime>,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// A generation cannot be built.
    Build(String),
    /// An address cannot be listened on.
    Listen(SocketAddr, &'static str, io::Error),
    /// The system lacks something: threads, a certificate store, a user.
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

/// Starts a server on the sockets of a process that is prepared, and returns once it answers: after the first round of all probes; and where
/// it is to be told what to do. If it has taken over it answers in the place of another process, and that one has stopped. Databases and records are let go
/// as soon as the generation is built, as they are larger than all that is kept; records only where no node is known by a name.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub fn start(
    path: &Path,
    mut parts: Parts,
    prepared: Prepared,
    taken: Option<&mut Taken>,
) -> Result<(Running, Doors), StartError> {
    let (all, own, rights) = (prepared.sockets, prepared.own, prepared.rights);
    let (sockets, encrypted, mut doors) = (all.dns, all.encrypted, all.doors);
    let clock = Clock::start();
    let system = |e: io::Error| StartError::System(e.to_string());
    let probing = runtime("probe", 1).map_err(system)?;
    let hosts = first_hosts(&mut parts, &probing, clock);
    let (theirs, members) = transfers::first(&mut parts, clock.now());
    parts.audience = Audience::restore(parts.config.server.state.as_deref());
    let built = build(&parts, 1, clock.now());
    let built = built.map_err(|errors| StartError::Build(errors.join("\n")))?;
    let (mut snapshot, mut board) = (built.snapshot, built.board);
    let config = parts.config.clone();
    parts.let_go(hosts.is_empty());
    let counters = counters(&sockets);
    snapshot.count_given(counters.len());
    snapshot.log = querylog::queue(&config.querylog, counters.len());
    restore(&mut board, config.server.state.as_deref(), clock.now());
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
        encrypted: Encrypted::places(&encrypted),
        probed: Mutex::default(),
        counters,
        shares: Mutex::default(),
        audience: Mutex::new(parts.audience.clone()),
        expiries: Mutex::default(),
        history: Mutex::default(),
        swaps,
        hosts: Mutex::new(hosts),
        other_hosts: Notify::new(),
        access: watch::Sender::new(Access::of(&parts)),
        shown: parts.shown.as_ref().map(|i| Arc::new(Shown::new(i))),
        basis: Mutex::new(Basis::new(parts)),
        last_reload: Mutex::default(),
        probing: probing.handle().clone(),
        writing: Mutex::default(),
        answered: Mutex::default(),
        state: config.server.state.clone(),
        rights,
        retired: AtomicBool::new(false),
        owns: AtomicBool::new(false),
        retiring: Notify::new(),
        upgrade: Notify::new(),
        serving: Mutex::default(),
        unkept: Mutex::default(),
        theirs: Mutex::new(theirs),
        arrivals: Mutex::default(),
        zones_changed: Notify::new(),
        successor: Mutex::default(),
    }));
    let (stopping, stopped) = watch::channel(None);
    let mut running = Running {
        handle,
        stop: Arc::default(),
        stopping,
        tcp: None,
        own: Some(own),
        file: all.file,
        control: config.server.control.clone(),
        workers: Vec::new(),
        querylog: None,
        runtime: Some(runtime("server", cores()).map_err(system)?),
        probing: Some(probing),
    };
    let after = taken.is_some();
    running.come_up(swapped, (!after).then_some(&members), &config.querylog)?;
    let told = (stopped, tcp_limits(&config.limits, prepared.connections));
    let later = running.serve(sockets, encrypted, told).map_err(system)?;
    if let Some(taken) = taken {
        let control = (&config.admin, all.managed);
        running.goes_on_from(taken, &mut doors, control, &members)?;
    }
    running.begin(later, after).map_err(system)?;
    Ok((running, doors))
}

/// The nodes that are known by a name, resolved for the first time.
fn first_hosts(parts: &mut Parts, probing: &Runtime, clock: Clock) -> Hosts {
    let mut hosts = Hosts::of(&mut parts.config, clock.now());
    let now = || clock.now();
    hosts::first(&mut hosts, &mut parts.config, probing.handle(), now);
    hosts
}

/// One for each UDP socket, and one for all that comes in each other way.
fn counters(sockets: &[Sockets]) -> Vec<Arc<Questions>> {
    let udp: usize = sockets.iter().map(|s| s.udp.len()).sum();
    let all = 0..udp + Transport::STREAMS.len();
    all.map(|_| Arc::default()).collect()
}

/// Gives a board what a state folder knows.
fn restore(board: &mut Board, state: Option<&Path>, now: Time) {
    let Some(state) = state else { return };
    orders::restore(board, state);
    let resumed = states::restore(board, state, now);
    if resumed > 0 {
        tracing::info!("going on from {resumed} states that were known before");
    }
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

    /// Answers in the place of the process before, whose files are ours from now on; that of control may be the service manager's.
    fn goes_on_from(
        &mut self,
        taken: &mut Taken,
        doors: &mut Doors,
        (admin, managed): (&Admin, bool),
        members: &Settled,
    ) -> Result<(), StartError> {
        taken.answer(ENDING).map_err(StartError::System)?;
        if !managed {
            self.take_file(&mut doors.control, admin);
        }
        self.handle.own(members);
        self.handle.take_states();
        self.handle.take_orders();
        self.handle.catch_up();
        Ok(())
    }

    /// The control socket's file is ours from now on. A process that was told to end instead of waiting for us has removed it.
    fn take_file(&mut self, control: &mut UnixListener, admin: &Admin) {
        let path = &self.control;
        self.file.take(path);
        if path.exists() {
            return;
        }
        let made = make(path, admin, None).and_then(|made| {
            self.own.iter_mut().try_for_each(|own| own.renew(&made))?;
            Ok(made)
        });
        match made {
            Ok(made) => *control = made,
            Err(error) => tracing::error!("cannot listen on {}: {error}", path.display()),
        }
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

    /// Knows what is to be known before anything is answered, does what is to be done from time to time, and writes the query log. The files
    /// are ours if there is no process before this one: `first` says whose members of catalogs are then.
    fn come_up(
        &mut self,
        swaps: mpsc::Receiver<Swap>,
        first: Option<&Settled>,
        log: &QueryLog,
    ) -> Result<(), StartError> {
        if let Some(members) = first {
            self.handle.own(members);
        }
        self.probe(swaps)?;
        match first {
            Some(_) => self.handle.serve_first(),
            None => self.handle.serve_as_before(),
        }
        self.querylog = querylog::start(log, &self.handle)?;
        let (runtime, handle) = (self.runtime(), &self.handle);
        runtime.spawn(handle.clone().look());
        runtime.spawn(handle.clone().look_at_ttls());
        runtime.spawn(keep_ticking(handle.clone()));
        runtime.spawn(keep_cookies_fresh(handle.clone()));
        runtime.spawn(keep_trimmed());
        Ok(())
    }

    /// Does what waits until the sockets and the files are ours alone: connections, and what changes in the state folder and that of keys;
    /// `after` another process.
    fn begin(&self, later: Later, after: bool) -> io::Result<()> {
        let (runtime, handle) = (self.runtime(), &self.handle);
        let fetching = handle.clone();
        let fetching = async move {
            if after {
                let handle = fetching.clone();
                let _ = spawn_blocking(move || handle.catch_up_received()).await;
            }
            keep_fetching(fetching).await;
        };
        runtime.spawn(while_ours(handle.clone(), keep_serving(handle.clone())));
        runtime.spawn(while_ours(handle.clone(), keep_signing(handle.clone())));
        runtime.spawn(while_ours(handle.clone(), fetching));
        runtime.spawn(keep_resolving(handle.clone()));
        runtime.spawn(keep_watching(handle.clone()));
        if handle.state().is_some() {
            runtime.spawn(handle.clone().keep_states());
        }
        later.begin(runtime, &handle.0)
    }

    fn serve(
        &mut self,
        sockets: Vec<Sockets>,
        encrypted: Vec<Encrypted>,
        told: (Stopped, tcp::Limits),
    ) -> io::Result<Later> {
        let shared = Arc::clone(&self.handle.0);
        let mut counters = shared.counters.iter().map(Arc::clone);
        let mut plain = Vec::new();
        let limiter: Arc<Limiter> = Arc::default();
        for Sockets { udp, tcp, .. } in sockets {
            plain.push(tcp);
            for socket in udp {
                let (current, stop) = (Arc::clone(&shared.current), Arc::clone(&self.stop));
                let (counters, number) = (counters.next().unwrap_or_default(), self.workers.len());
                self.workers.push(udp::spawn(
                    socket,
                    current,
                    counters,
                    Arc::clone(&limiter),
                    stop,
                    number,
                )?);
            }
        }
        let (serving, later) = streams::start(self.runtime(), &shared, plain, encrypted, told)?;
        self.tcp = Some(serving);
        Ok(later)
    }

    /// Waits for a new process that takes over, for ever; the way to tell it that we have stopped.
    pub fn replaced(&mut self) -> impl Future<Output = UnixStream> + use<> {
        let (told, tells) = tokio::sync::oneshot::channel();
        if let Some(own) = self.own.take() {
            let control = self.control.clone();
            let offer = move || match own.offer(&control) {
                Ok(stream) => drop(told.send(stream)),
                Err(error) => tracing::error!("no other process can take over: {error}"),
            };
            let started = std::thread::Builder::new()
                .name("takeover".into())
                .spawn(offer);
            if let Err(error) = started {
                tracing::error!("no other process can take over: {error}");
            }
        }
        async move {
            match tells.await {
                Ok(stream) => stream,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Stops answering, as another process does; TCP connections go on while they are used. What is known is on disk when it is told.
    pub fn give_way(mut self, mut to: &UnixStream) {
        self.stop.store(true, Ordering::Relaxed);
        self.workers
            .drain(..)
            .for_each(|worker| drop(worker.join()));
        let _ = self.stopping.send(Some(LINGER));
        if let Some(probing) = self.probing.take() {
            probing.shutdown_background();
        }
        self.handle.keep_all();
        self.handle.retire();
        self.file.leave();
        let _ = to.write_all(b"d");
        if let Some(tcp) = self.tcp.take() {
            let _ = self.runtime().block_on(tcp);
        }
    }
}

/// Does it until another process has taken over.
async fn while_ours(handle: Handle, work: impl Future<Output = ()>) {
    tokio::select! {
        () = handle.retires() => {}
        () = work => {}
    }
}

/// So long open TCP connections go on when another process has taken over: longer than an idle one is kept.
const LINGER: Duration = Duration::from_secs(15);

/// What the first round may take beyond the longest timeout.
const GRACE: Duration = Duration::from_secs(2);

impl Drop for Running {
    fn drop(&mut self) {
        let ours = self.handle.is_ours();
        if ours {
            takeover::withdraw(&self.control);
        }
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.stopping.send(Some(Duration::ZERO));
        if ours {
            self.handle.keep_all();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        for runtime in [self.runtime.take(), self.probing.take()]
            .into_iter()
            .flatten()
        {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        drop(self.querylog.take());
    }
}
