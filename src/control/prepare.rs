//! From files that were read to a process that may answer: what needs rights is done, then the rights are given up.
//!
//! ```text
//!   open files   as many as connections need
//!   sockets      bound, or taken from whoever has bound them
//!   folders      of state and control, made for the user; nobody else may write in those of state and keys
//!   the user     is entered, capabilities are let go
//!   seccomp      system calls that are not needed are refused
//!   Landlock     files that nobody has named are out of reach
//! ```
//! There is one thread until here, and nothing was read from the network.

use std::fs;
use std::path::Path;

use super::calls;
use super::descriptors;
use super::handed::Handed;
use super::load::Parts;
use super::reach::{Landlock, Reach};
use super::rights::{self, Target};
use super::run::StartError;
use super::sockets::{All, cores};
use super::takeover::{Held, Own, Taken};

/// A process that has what it needs, and no more.
#[derive(Debug)]
pub struct Prepared {
    pub(super) sockets: All,
    pub(super) own: Own,
    pub(super) rights: Rights,
    /// Connections of clients that there may be at one time.
    pub(super) connections: usize,
}

/// What the process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Who it is.
    pub user: String,
    /// Whether files that were not named are out of its reach.
    pub landlock: Landlock,
    /// Whether system calls that it has no use for are refused to it.
    pub calls: bool,
}

/// Opens what the configuration at `path` asks for, as far as it was not handed on, and gives up the rights that this takes. To be called
/// while there is one thread: rights are a thread's.
///
/// # Errors
/// Who or what there is not: an address, a user, a folder that the user may write in.
pub fn prepare(
    path: &Path,
    parts: &Parts,
    handed: Handed,
    taken: Option<&Taken>,
) -> Result<Prepared, StartError> {
    let (config, system) = (&parts.config, StartError::System);
    let server = &config.server;
    let target = Target::of(server).map_err(system)?;
    let control = server
        .control
        .parent()
        .filter(|p| !p.as_os_str().is_empty());
    let folders: Vec<&Path> = server.state.as_deref().into_iter().chain(control).collect();
    match &target {
        Some(target) => {
            let mut all = folders.iter();
            all.try_for_each(|folder| target.make(folder))
                .map_err(system)?;
        }
        // Whoever writes there tells why it cannot.
        None => drop(server.state.as_deref().map(fs::create_dir_all)),
    }
    let keys = config.dnssec.keys.as_path();
    let mut own = server.state.as_deref().into_iter().chain([keys]);
    own.try_for_each(rights::is_ours)
        .map_err(|(wrong, way_out)| system(format!("{wrong}\n  = {way_out}")))?;
    // One of UDP for each worker and one of TCP, and each once more for whoever takes over.
    let workers = server.workers.unwrap_or_else(cores).max(1);
    let sockets = 2 * server.listen.len() * (workers + 1);
    let connections = descriptors::room_for(config.limits.tcp_connections, sockets);
    let sockets = All::open(config, handed, target.as_ref())?;
    if let Some(target) = &target {
        target.enter().map_err(system)?;
        let mut all = folders.iter();
        all.try_for_each(|folder| target.writes(folder, path))
            .map_err(system)?;
        target.reads(parts.files.paths());
    }
    // What filters system calls, as a unit may, can forbid it: the server then has what it was given, as before.
    if let Err(error) = rights::let_go() {
        tracing::warn!("rights of root that were given to us cannot be let go of: {error}");
    }
    let mut calls = taken.is_some_and(|taken| taken.held.calls);
    if !calls {
        match calls::refuse() {
            Ok(()) => calls = true,
            Err(error) => {
                tracing::warn!("system calls that are not needed stay allowed: {error}");
            }
        }
    }
    let landlock = hold(path, parts, taken)?;
    let held = Held {
        landlock: landlock.clone(),
        calls,
    };
    let mut own = Own::new(&sockets.doors.control, sockets.managed, held)
        .map_err(|e| system(e.to_string()))?;
    sockets
        .add_to(&mut own)
        .map_err(|e| system(e.to_string()))?;
    let user = rights::who();
    Ok(Prepared {
        sockets,
        own,
        rights: Rights {
            user,
            landlock,
            calls,
        },
        connections,
    })
}

fn hold(path: &Path, parts: &Parts, taken: Option<&Taken>) -> Result<Landlock, StartError> {
    // What held for the process that has started us holds for this one, whatever it wants: a kernel lays no more than 16 of them over each other.
    if let Some(taken) = taken.filter(|taken| taken.held.landlock.reach().is_some()) {
        return Ok(taken.held.landlock.clone());
    }
    if !parts.config.server.landlock {
        return Ok(Landlock::Off);
    }
    let reach = Reach::beside(path).and(Reach::named_in(&parts.config));
    let landlock = reach
        .hold()
        .map_err(|e| StartError::System(format!("Landlock: {e}")))?;
    match &landlock {
        Landlock::Lacking => {
            tracing::warn!(
                "Landlock is not available, as the kernel lacks it or system calls are filtered: files are as much in reach as before"
            );
        }
        _ => tracing::info!("Landlock: {}", landlock.words()),
    }
    Ok(landlock)
}
