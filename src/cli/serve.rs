//! `serve`: answer questions until told to stop.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::log::log;
use super::{Stop, config_path, load_parts, systemd};
use crate::admin;
use crate::config::LogFormat;
use crate::control::{Parts, Running, start};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// How the log is written: text, json, or journal [default: as `log` of [server] says]
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    log_format: Option<LogFormat>,
}

fn log_format(word: &str) -> Result<LogFormat, String> {
    let words: Vec<&str> = LogFormat::words().collect();
    LogFormat::of(word).ok_or_else(|| format!("there are {}", words.join(", ")))
}

impl Serve {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let path = config_path(config)?;
        let parts = load_parts(&path)?;
        let server = &parts.config.server;
        log(self.log_format.or(server.log), &server.log_level);
        let control = parts.config.server.control.clone();
        let running = up(&path, parts)?;
        systemd::ready(running.handle());
        let telling = systemd::keep_telling(running.handle().clone());
        running.runtime().spawn(telling);
        until_told(&running);
        tracing::info!("stopping");
        systemd::stopping();
        drop(running);
        let _ = std::fs::remove_file(control);
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts the server and its control socket; returns once it answers.
pub(super) fn up(path: &Path, parts: Parts) -> Result<Running, Stop> {
    if parts.config.geo.databases.is_empty() {
        tracing::info!(
            "no GeoIP database is configured: using the small one that ships with nearmost (IP Geolocation by DB-IP, https://db-ip.com)"
        );
    }
    let control = parts.config.server.control.clone();
    // Found out before anybody is answered: that server keeps answering, and keeps its socket.
    if std::os::unix::net::UnixStream::connect(&control).is_ok() {
        let control = control.display();
        return Err(Stop::no(format!(
            "cannot listen on {control}: another server answers on it"
        )));
    }
    let running = start(path, parts).map_err(|e| Stop::no(e.to_string()))?;
    let serving = running
        .runtime()
        .block_on(admin::serve(&control, running.handle().clone()));
    let serving =
        serving.map_err(|e| Stop::no(format!("cannot listen on {}: {e}", control.display())))?;
    running.runtime().spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!("the control socket has failed: {error}");
        }
    });
    for address in running.handle().listen() {
        tracing::info!(
            "answering on {address}, UDP and TCP; control socket {}",
            control.display()
        );
    }
    Ok(running)
}

/// Waits for SIGTERM or SIGINT; at SIGHUP files are read again.
pub(super) fn until_told(running: &Running) {
    use tokio::signal::unix::{SignalKind, signal};
    running.runtime().block_on(async {
        let term = signal(SignalKind::terminate());
        let interrupt = signal(SignalKind::interrupt());
        let hangup = signal(SignalKind::hangup());
        let (Ok(mut term), Ok(mut interrupt), Ok(mut hangup)) = (term, interrupt, hangup) else {
            return;
        };
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    let handle = running.handle().clone();
                    // What comes out of it is logged.
                    let reload = move || handle.reload(false, "SIGHUP");
                    let _ = tokio::task::spawn_blocking(reload).await;
                }
            }
        }
    });
}
