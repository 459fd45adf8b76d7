//! `health`: what is thought of every node, since when, and why.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::hosts::hosts;
use super::running::Running;
use super::table::table;
use super::watch::watch;
use super::{Format, NO, Stop, ago, json, print};
use crate::admin::{CheckLine, Status};
use crate::control::HostLine;

/// Time between two looks of `--watch`.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Show these nodes only
    nodes: Vec<String>,
    /// Show it again every second, until interrupted; on a terminal what is out of service comes first, with what happened last
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    format: Format,
}

/// What the server thinks of nodes.
pub(super) struct Seen {
    pub(super) checks: Vec<CheckLine>,
    pub(super) named: Vec<HostLine>,
    pub(super) status: Status,
}

impl Health {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        if self.watch && !self.format.json && std::io::stdout().is_terminal() {
            return watch(config, &self.nodes, AGAIN);
        }
        let server = Running::of(config)?;
        loop {
            let seen = Seen::of(&server, &self.nodes)?;
            let text = match self.format.json {
                true => json(&seen.checks),
                false => text(&seen.checks, seen.status.now) + &hosts(&seen.named, seen.status.now),
            };
            let end = if self.watch { "---\n" } else { "" };
            if !print(&(text + end)) || !self.watch {
                return Ok(seen.code());
            }
            std::thread::sleep(AGAIN);
        }
    }
}

impl Seen {
    /// What is thought of these nodes, of all if there are none.
    pub(super) fn of(server: &Running, nodes: &[String]) -> Result<Self, Stop> {
        let mut checks: Vec<CheckLine> = server.ask("/v1/health")?;
        let mut status: Status = server.ask("/v1/status")?;
        let mut named = std::mem::take(&mut status.hosts);
        // One whose name was never resolved has no address to be checked.
        let known = checks.iter().map(|c| c.node.as_str());
        let known: Vec<&str> = known.chain(named.iter().map(|h| h.node.as_str())).collect();
        if let Some(unknown) = nodes.iter().find(|n| !known.contains(&n.as_str())) {
            let mut message = format!("there is no node \"{unknown}\"");
            if let Some(near) = crate::diagnostic::nearest(unknown, known.iter().copied()) {
                message += &format!(": did you mean \"{near}\"?");
            }
            return Err(Stop { message, code: 2 });
        }
        let asked = |node: &String| nodes.is_empty() || nodes.contains(node);
        checks.retain(|c| asked(&c.node));
        named.retain(|h| asked(&h.node));
        Ok(Self {
            checks,
            named,
            status,
        })
    }

    /// Whether something is out of service that nobody has ordered.
    fn code(&self) -> ExitCode {
        let nobody = |host: &HostLine| host.lost || host.addresses.is_empty();
        match self.checks.iter().any(CheckLine::is_down) || self.named.iter().any(nobody) {
            true => ExitCode::from(NO),
            false => ExitCode::SUCCESS,
        }
    }
}

pub(super) fn text<'c>(checks: impl IntoIterator<Item = &'c CheckLine>, now: u64) -> String {
    let rows = checks.into_iter().map(|c| {
        let since = |at: u64| ago(now.saturating_sub(at));
        let error = match (&c.last_error, c.last_error_at) {
            (Some(error), Some(at)) if c.last_ok == Some(true) => {
                format!("{error} ({} ago)", since(at))
            }
            (Some(error), _) => error.clone(),
            _ => "-".into(),
        };
        let error = match &c.order {
            Some(order) => {
                let why = if order.why.is_empty() {
                    "-"
                } else {
                    &order.why
                };
                format!("{}: {why}; probe: {error}", order.who)
            }
            None => error,
        };
        let error = match c.draining_until {
            Some(until) => format!("out in {}; {error}", ago(until.saturating_sub(now))),
            None => error,
        };
        let error = match &c.damped {
            Some(damped) => format!("{damped}; {error}"),
            None => error,
        };
        let error = c
            .progress
            .as_ref()
            .map_or(error.clone(), |p| format!("{error}; {p}"));
        let error = match &c.warning {
            Some(warning) if error == "-" => warning.clone(),
            Some(warning) => format!("{error}; {warning}"),
            None => error,
        };
        vec![
            c.node.clone(),
            c.place.clone(),
            c.address.to_string(),
            match c.shadow {
                true => format!("{} (shadow)", c.probe),
                false => c.probe.clone(),
            },
            match (&c.order, &c.counts_as) {
                (Some(_), _) if c.draining_until.is_some() => format!("draining ({})", c.state),
                (Some(order), _) => format!("{} ({})", order.state, c.state),
                (None, Some(frozen)) => format!("{frozen}, frozen ({})", c.state),
                (None, None) if c.damped.is_some() => format!("damped ({})", c.state),
                (None, None) => c.state.clone(),
            },
            since(c.since),
            c.latency_ms.map_or("-".into(), |ms| format!("{ms:.1} ms")),
            c.next.map_or("-".into(), |s| format!("{s} s")),
            c.share
                .map_or("-".into(), |share| format!("{:.1} %", 100.0 * share)),
            error,
        ]
    });
    table(
        &[
            "node",
            "near",
            "address",
            "probe",
            "state",
            "since",
            "took",
            "next",
            "share",
            "last error",
        ],
        rows,
    )
}
