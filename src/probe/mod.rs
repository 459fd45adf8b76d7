//! Running the checks: what is done to each address, when, and what is said about it.

mod ask;
mod dns;
mod exec;
mod file;
mod http;
mod icmp;
mod resolve;
mod rsync;
mod schedule;
mod tcp;
mod words;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::health::{Check, Kind, Outcome, Probe, Seen};

pub use self::resolve::{Found, MOST, Resolved, resolve};
pub use self::schedule::FIRST_ROUND;
use self::schedule::{Turns, keep_running};

/// Runs checks for ever, each on its own: a node that hangs delays nobody. Dropping it stops all.
#[derive(Debug)]
pub struct Prober {
    runtime: Handle,
    results: Sender<(usize, Outcome)>,
    tasks: JoinSet<()>,
    /// Those that run, by their numbers.
    running: HashMap<usize, AbortHandle>,
    /// The number of the next check. None is given twice: a result that comes late can be taken for nobody else's.
    next: usize,
}

impl Prober {
    /// Starts the checks on `runtime`; results go to `results` with the number of their check, none is lost while
    /// somebody takes them. Every check has its first result [`FIRST_ROUND`] and its timeout after this call.
    ///
    /// # Errors
    ///
    /// When a check cannot be prepared; then nothing has been started.
    pub fn start(
        checks: &[Check],
        runtime: &Handle,
        results: &Sender<(usize, Outcome)>,
    ) -> Result<Self, Error> {
        let prepared = prepare(checks)?;
        let mut prober = Self {
            runtime: runtime.clone(),
            results: results.clone(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            next: 0,
        };
        let count = prepared.len();
        for (place, prepared) in prepared.into_iter().enumerate() {
            let turns = Turns::new(place, (place, count), prepared.probe.every);
            prober.spawn(turns, prepared.into());
        }
        Ok(prober)
    }

    /// Starts more checks, each of which has just run once ([`first_round`]); the others are not disturbed. Their numbers follow each other.
    pub fn add(&mut self, prepared: Vec<Arc<Prepared>>) -> Range<usize> {
        let first = self.next;
        for prepared in prepared {
            let turns = Turns::new(self.next, (0, 1), prepared.probe.every);
            self.spawn(turns.without_first(), prepared);
        }
        first..self.next
    }

    fn spawn(&mut self, turns: Turns, prepared: Arc<Prepared>) {
        let run = move || {
            let prepared = Arc::clone(&prepared);
            async move { prepared.run().await }
        };
        let runs = keep_running(turns, Instant::now(), self.results.clone(), run);
        let task = self.tasks.spawn_on(runs, &self.runtime);
        self.running.insert(self.next, task);
        self.next += 1;
    }

    /// Stops a check. Results that are on their way still come.
    pub fn stop(&mut self, number: usize) {
        if let Some(task) = self.running.remove(&number) {
            task.abort();
        }
        // What has ended is let go.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// A check that is ready to run: files are read, roots are shared.
#[derive(Debug)]
pub struct Prepared {
    probe: Arc<Probe>,
    node: SocketAddr,
    ready: Ready,
}

/// Runs each check once, a moment apart; what came out of it, in their order. It takes [`FIRST_ROUND`] and the longest timeout at most.
pub async fn first_round(checks: &[Arc<Prepared>]) -> Vec<Outcome> {
    let started = Instant::now();
    let mut runs = JoinSet::new();
    for (place, check) in checks.iter().enumerate() {
        let turns = Turns::new(place, (place, checks.len()), check.probe.every);
        let check = Arc::clone(check);
        runs.spawn(async move {
            turns.first(started).await;
            (place, check.run().await)
        });
    }
    let mut outcomes: Vec<Option<Outcome>> = checks.iter().map(|_| None).collect();
    while let Some(done) = runs.join_next().await {
        if let Ok((place, outcome)) = done {
            outcomes[place] = Some(outcome);
        }
    }
    let not_run = || Outcome {
        result: Err("it was not run".into()),
        latency: Duration::ZERO,
        seen: Seen::default(),
    };
    outcomes
        .into_iter()
        .map(|o| o.unwrap_or_else(not_run))
        .collect()
}

/// What a kind needs at each run, made once.
#[derive(Debug)]
enum Ready {
    Tcp,
    Rsync,
    Dns(dns::Question),
    Icmp,
    File(file::State),
    Exec(exec::Exec),
    Page(http::Page),
}

/// Makes checks ready to run, in their order. Roots are read here, each file once; HTTPS checks with the same roots
/// share them.
///
/// # Errors
///
/// When a file of roots cannot be used, this machine has no roots and an HTTPS check needs them, or a host cannot
/// be asked for.
pub fn prepare(checks: &[Check]) -> Result<Vec<Prepared>, Error> {
    let mut makers = Makers::default();
    checks
        .iter()
        .map(|check| {
            let probe = &check.probe;
            let ready = makers.make_ready(check);
            Ok(Prepared {
                probe: Arc::clone(probe),
                node: SocketAddr::new(check.address, probe.port),
                ready: ready.map_err(|problem| Error {
                    probe: probe.name.clone(),
                    problem,
                })?,
            })
        })
        .collect()
}

/// What checks share.
#[derive(Default)]
struct Makers {
    clients: http::Clients,
    files: file::Files,
}

impl Makers {
    fn make_ready(&mut self, check: &Check) -> Result<Ready, Problem> {
        Ok(match &check.probe.kind {
            Kind::Tcp => Ready::Tcp,
            Kind::Rsync => Ready::Rsync,
            Kind::Exec { command } => Ready::Exec(exec::Exec::new(check, command)),
            Kind::Dns(dns) => Ready::Dns(dns::Question::new(dns)?),
            Kind::Icmp => {
                icmp::allowed(check.address)?;
                Ready::Icmp
            }
            Kind::File { path, max_age } => Ready::File(self.files.state(check, path, *max_age)),
            Kind::Http(http) => Ready::Page(self.clients.page(check, http)?),
        })
    }
}

/// Octets that a stranger does not guess: the standard library's hasher has a secret key.
fn random() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_be_bytes()
}

impl Prepared {
    /// Runs the check once; it takes no longer than the probe's timeout.
    pub async fn run(&self) -> Outcome {
        let (started, patience) = (Instant::now(), self.probe.timeout);
        let mut seen = Seen::default();
        let result = match &self.ready {
            Ready::Tcp => tcp::connect(self.node, patience, &mut seen).await,
            Ready::Rsync => rsync::greeted(self.node, patience, &mut seen).await,
            Ready::Dns(question) => question.ask(self.node, patience).await,
            Ready::Icmp => icmp::echoed(self.node.ip(), patience).await,
            Ready::File(state) => state.read(patience).await,
            Ready::Exec(command) => command.run(patience).await,
            Ready::Page(page) => page.fetch(self.node, patience, &mut seen).await,
        };
        let outcome = Outcome {
            result: result.map_err(|error| words::line(&error)),
            latency: started.elapsed(),
            seen,
        };
        let (name, took) = (&self.probe.name, outcome.latency.as_millis());
        match &outcome.result {
            Ok(()) => tracing::debug!("{name} of {}: good, {took} ms", self.node),
            Err(why) => tracing::debug!("{name} of {}: {why}, {took} ms", self.node),
        }
        outcome
    }
}

/// Why a probe cannot run at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// The probe's name.
    pub probe: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a probe.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// A file of roots: its path, and why it cannot be used.
    Ca(PathBuf, String),
    /// This machine has no roots; the errors met while looking for them.
    NoRoots(String),
    /// The host or path cannot be part of a request.
    Host(String),
    /// This user may not send echo requests, or cannot; in the kernel's words.
    Ping(String),
    /// The HTTP client itself, in its own words.
    Client(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe {:?}: ", self.probe)?;
        match &self.problem {
            Problem::Ca(file, why) => write!(f, "CA file {}: {why}", file.display()),
            Problem::NoRoots(why) => write!(
                f,
                "this machine has no root certificates{why}; install them (package ca-certificates) or name a file with `ca`"
            ),
            Problem::Ping(why) => write!(
                f,
                "this user may not send ICMP echo requests ({why}); let a range of groups that it is in do so: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""
            ),
            Problem::Host(why) | Problem::Client(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
