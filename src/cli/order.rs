//! `drain`, `undrain`, `force`: what an operator orders for nodes, whatever their probes say.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::running::Running;
use super::{Format, Stop, ago, print, print_json};
use crate::clock::{Clock, from_utc, utc};
use crate::config::duration;
use crate::control::{Done, Wanted};
use crate::health::{Forced, Time};

/// What all orders take.
#[derive(Debug, Args)]
struct Common {
    /// Names of nodes; `*` stands for any letters, `?` for one
    #[arg(required = true)]
    nodes: Vec<String>,
    /// Why, for those who wonder
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    format: Format,
}

/// When an order ends by itself.
#[derive(Debug, Args)]
struct End {
    /// When it ends by itself: a time from now like `2h`, or `2026-11-24 18:00` in UTC
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// What may be overruled.
#[derive(Clone, Copy, Debug, Args)]
struct Guard {
    /// Do it even if a pool is left with less than its `keep`
    #[arg(long)]
    anyway: bool,
}

#[derive(Debug, Args)]
pub(super) struct Drain {
    /// Take it out at once, also of pools with a `slow_start`
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    end: End,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Undrain {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Force {
    /// In service, out of it, or as the probes say again
    state: Wish,
    #[command(flatten)]
    end: End,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wish {
    Up,
    Down,
    Clear,
}

impl Drain {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let until = until(&self.end)?;
        let forced = Some(Forced::Drained);
        order(
            config,
            &self.common,
            forced,
            until,
            (self.guard.anyway, self.now),
        )
    }
}

impl Undrain {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        order(config, &self.common, None, None, (false, false))
    }
}

impl Force {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let forced = match self.state {
            Wish::Up => Some(Forced::Up),
            Wish::Down => Some(Forced::Down),
            Wish::Clear => None,
        };
        let until = until(&self.end)?;
        order(
            config,
            &self.common,
            forced,
            until,
            (self.guard.anyway, false),
        )
    }
}

fn order(
    config: Option<&Path>,
    common: &Common,
    forced: Option<Forced>,
    until: Option<Time>,
    (anyway, at_once): (bool, bool),
) -> Result<ExitCode, Stop> {
    let wanted = Wanted {
        nodes: common.nodes.clone(),
        state: forced.map(|f| f.word().into()),
        why: common.why.clone(),
        who: who(),
        until: until.map(|t| t.as_secs()),
        anyway,
        at_once,
    };
    let done: Done = Running::of(config)?.tell("/v1/order", &wanted)?;
    if common.format.json {
        print_json(&done);
    } else {
        print(&text(&done, forced, until));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(done: &Done, forced: Option<Forced>, until: Option<Time>) -> String {
    let mut out = String::new();
    for broken in &done.broken {
        out += &format!("anyway: {broken}\n");
    }
    let word = forced.map_or("as its probes say", Forced::word);
    for node in &done.nodes {
        out += &format!("{node}: {word}");
        out += &until.map_or(String::new(), |t| format!(", until {} UTC", utc(t)));
        out += "\n";
    }
    if matches!(forced, Some(Forced::Drained | Forced::Down)) {
        let safe = utc(Time::from_secs(done.safe_at));
        let left = done.safe_at.saturating_sub(done.now);
        out += &match left {
            0 => "safe to stop now: no cache has an answer with it\n".to_owned(),
            left => format!(
                "safe to stop at {safe} UTC, in {}: no cache has an older answer then\n",
                ago(left)
            ),
        };
    }
    if forced.is_some() && !done.kept {
        out +=
            "not kept over a restart: no `state` folder is configured, or it cannot be written\n";
    }
    out
}

/// The one behind `sudo`, else the one who is logged in; empty where nobody says so: the server knows the user's number.
pub(super) fn who() -> String {
    let told = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    let mut told = told.filter_map(|name| std::env::var(name).ok());
    told.find(|name| !name.is_empty()).unwrap_or_default()
}

fn until(end: &End) -> Result<Option<Time>, Stop> {
    let Some(text) = &end.until else {
        return Ok(None);
    };
    let from_now = || duration(text).map(|d| Clock::start().now() + d);
    match from_utc(text).or_else(from_now) {
        Some(time) => Ok(Some(time)),
        None => Err(Stop {
            message: format!(
                "--until {text}: neither a time from now like `2h` nor one like `2026-11-24 18:00`"
            ),
            code: 2,
        }),
    }
}
