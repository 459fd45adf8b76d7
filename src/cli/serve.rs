//! `serve`: answer questions until told to stop.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use tokio::task::{JoinHandle, spawn_blocking};

use super::log::{Aside, keep_telling_lost, log, log_aside};
use super::{Stop, config_path, load_parts, systemd};
use crate::admin;
use crate::config::LogFormat;
use crate::control::{
    Handed, Handle, Landlock, Parts, Running, StartError, Taken, prepare, process_of, start,
};
use crate::dnssec::random;
use crate::zone::hash_by;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// How the log is written: text, json, or journal [default: as `log` of [server] says]
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    log_format: Option<LogFormat>,
    /// Take the sockets of the server that runs with this configuration, and its place once this one answers
    #[arg(long)]
    take_over: bool,
}

fn log_format(word: &str) -> Result<LogFormat, String> {
    let words: Vec<&str> = LogFormat::words().collect();
    LogFormat::of(word).ok_or_else(|| format!("there are {}", words.join(", ")))
}

impl Serve {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        // They would end a process that has no ear for them yet; each waits until it has. While there is one thread, as threads inherit it.
        let _ = later().thread_block();
        // As it is named now: when it is replaced on disk, the new one has the name.
        let program = std::env::current_exe();
        hash_by(u64::from_ne_bytes(
            random().first_chunk().copied().unwrap_or_default(),
        ));
        let path = config_path(config)?;
        let parts = load_parts(&path)?;
        let server = &parts.config.server;
        log(self.log_format.or(server.log), &server.log_level);
        let taken = match self.take_over {
            true => Some(take(&server.control)?),
            false => None,
        };
        let (_log, mut running) = up(&path, parts, taken)?;
        systemd::ready(running.handle());
        let telling = systemd::keep_telling(running.handle().clone());
        running.runtime().spawn(telling);
        match until_told(&mut running, program.ok().as_deref()) {
            End::Stop => {
                tracing::info!("stopping");
                systemd::stopping();
                drop(running);
            }
            End::Replaced(to) => {
                tracing::info!("another process answers: finishing what is open, then ending");
                if let Some(process) = process_of(&to) {
                    systemd::replaced_by(process);
                }
                running.give_way(&to);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The signals that a server is told to go on with.
fn later() -> SigSet {
    [Signal::SIGHUP, Signal::SIGUSR2].into_iter().collect()
}

fn take(control: &Path) -> Result<(Taken, Handed), Stop> {
    let taken = Taken::from(control).map_err(|e| {
        let control = control.display();
        Stop::no(format!(
            "no server with the control socket {control} gives its sockets away: {e}"
        ))
    })?;
    tracing::info!("taking over from process {}", taken.0.pid());
    Ok(taken)
}

/// The sockets that the service manager has opened for us, if it has any.
fn by_manager() -> Result<Handed, Stop> {
    let descriptors = systemd::descriptors().map_err(|e| Stop::no(e.to_string()))?;
    Handed::by_manager(&descriptors).map_err(Stop::no)
}

/// Starts the server and its control socket; returns once it answers. Lines of the log are written as long as the first is held.
pub(super) fn up(
    path: &Path,
    parts: Parts,
    taken: Option<(Taken, Handed)>,
) -> Result<(Aside, Running), Stop> {
    if parts.config.geo.databases.is_empty() {
        tracing::info!(
            "no GeoIP database is configured: using the small one that ships with nearmost (IP Geolocation by DB-IP, https://db-ip.com)"
        );
    }
    let control = parts.config.server.control.clone();
    let tls = parts.config.admin.tls.is_some();
    let (mut taken, handed) = match taken {
        Some((taken, handed)) => (Some(taken), handed),
        None => (None, by_manager()?),
    };
    let no = |e: StartError| Stop::no(e.to_string());
    let prepared = prepare(path, &parts, handed, taken.as_ref()).map_err(no)?;
    let log = log_aside();
    let (running, doors) = start(path, parts, prepared, taken.as_mut()).map_err(no)?;
    let addresses = {
        let _inside = running.runtime().enter();
        let serving = admin::serve(doors, running.handle());
        serving.map_err(|e| Stop::no(format!("the admin API cannot be served: {e}")))?
    };
    let scheme = if tls { "https" } else { "http" };
    running.runtime().spawn(keep_telling_lost());
    for address in addresses {
        tracing::info!("the admin API is on {scheme}://{address}");
    }
    for address in running.handle().listen() {
        tracing::info!(
            "answering on {address}, UDP and TCP; control socket {}",
            control.display()
        );
    }
    for (transport, address) in running.handle().encrypted() {
        tracing::info!("answering {} on {address}", transport.name());
    }
    Ok((log, running))
}

/// Why a server ends.
pub(super) enum End {
    /// It was told to.
    Stop,
    /// Another process answers, and waits for a word.
    Replaced(UnixStream),
}

/// Waits for SIGTERM or SIGINT, or until another process has taken over. At SIGHUP files are read again; at SIGUSR2, or when somebody asks for
/// an upgrade, `program` is started to take over.
pub(super) fn until_told(running: &mut Running, program: Option<&Path>) -> End {
    use tokio::signal::unix::{SignalKind, signal};
    let replaced = running.replaced();
    let handle = running.handle().clone();
    running.runtime().block_on(async {
        let [term, interrupt, hangup, user] = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::user_defined2(),
        ]
        .map(signal);
        let (Ok(mut term), Ok(mut interrupt), Ok(mut hangup), Ok(mut user)) =
            (term, interrupt, hangup, user)
        else {
            return End::Stop;
        };
        let _ = later().thread_unblock();
        let mut replaced = std::pin::pin!(replaced);
        // It may take as long as the first round of new checks.
        let mut reloading: Option<JoinHandle<()>> = None;
        let mut again = false;
        loop {
            if again && reloading.is_none() {
                again = false;
                systemd::reloading();
                let handle = handle.clone();
                // What comes out of it is logged.
                reloading = Some(spawn_blocking(move || drop(handle.reload(false, "SIGHUP"))));
            }
            tokio::select! {
                _ = term.recv() => return End::Stop,
                _ = interrupt.recv() => return End::Stop,
                to = &mut replaced => return End::Replaced(to),
                _ = user.recv() => successor(&handle, program),
                () = handle.upgrade_wanted() => successor(&handle, program),
                _ = hangup.recv() => again = true,
                () = ended(&mut reloading) => {
                    reloading = None;
                    systemd::ready(&handle);
                }
            }
        }
    })
}

/// Waits for its end, for ever if there is none.
async fn ended(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

/// Starts a process that is to take over, unless there is one. That it fails is told, and nothing else happens.
fn successor(handle: &Handle, program: Option<&Path>) {
    if let Err(why) = handle.needs_successor() {
        tracing::warn!("no other process is started: {why}");
        return;
    }
    let failed = |handle: &Handle, why: String| {
        tracing::error!("no other process has taken over: {why}");
        handle.upgrade_failed(why);
    };
    // Its end would be the container's, whoever else answers there.
    if std::process::id() == 1 {
        let why = "process 1 of a container cannot be replaced: start another container";
        return failed(handle, why.into());
    }
    let Some(program) = program else {
        return failed(handle, "this program does not know its own name".into());
    };
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(handle.config())
        .args(["serve", "--take-over"])
        .stdin(Stdio::null());
    for name in systemd::OURS {
        command.env_remove(name);
    }
    let started = command.spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return failed(handle, format!("{}: {error}", program.display())),
    };
    handle.upgrade_started(child.id());
    tracing::info!("process {} is to take over", child.id());
    let handle = handle.clone();
    let more = match handle.rights().landlock {
        Landlock::Holds { .. } => {
            ". Landlock holds for it too: other files than those of the start need a restart"
        }
        Landlock::Off | Landlock::Lacking => "",
    };
    // If all goes well this process ends first.
    std::thread::spawn(move || {
        let why = match child.wait() {
            Ok(status) => format!("it has ended with {status}; its log says why{more}"),
            Err(error) => error.to_string(),
        };
        failed(&handle, why);
    });
}
