//! The command line: one file per verb.
//!
//! Exit codes: 0 fine, 1 the answer is "no" or "unhealthy" or there is none, 2 usage, 78 bad configuration.

mod check;
mod completions;
mod demo;
mod explain;
mod fetch;
mod geo;
mod health;
mod history;
mod hosts;
mod import;
mod init;
mod keys;
mod log;
mod man;
mod moves;
mod order;
mod reload;
mod running;
mod serve;
mod status;
mod systemd;
mod table;
mod token;
mod upgrade;
mod watch;
mod whatif;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::control::{Loaded, Parts, load};
use crate::diagnostic::{Diagnostics, Sources};

/// An authoritative DNS server that sends every client to the nearest healthy mirror, and can say why.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration [default: ./nearmost.toml, then /etc/nearmost/nearmost.toml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 the answer is \"no\" or \"unhealthy\" or there is none, 2 usage, 78 bad configuration.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer questions
    Serve(serve::Serve),
    /// Try it: small mirrors on this machine, a server for them, and questions to ask it
    Demo(demo::Demo),
    /// Say what is wrong with the files
    Check(check::Check),
    /// Show the running server: zones, pools, counters
    Status(status::StatusVerb),
    /// Show what is thought of every node, since when, and why
    Health(health::Health),
    /// Show what a client is answered, and why
    Explain(explain::Explain),
    /// Show where an address is, and who says so
    Geo(geo::Geo),
    /// Take nodes out of service, so that they can be stopped
    Drain(order::Drain),
    /// Take back what was ordered for nodes
    Undrain(order::Undrain),
    /// Put nodes in service or out of it, whatever their probes say
    Force(order::Force),
    /// Show what happened to nodes, and why
    History(history::History),
    /// Make a token for the admin API over TCP
    Token(token::TokenVerb),
    /// Write a first configuration, and say how to have the parent zone delegate to it
    Init(init::Init),
    /// Write a configuration from that of another name server, and say what did not carry over
    Import(import::Import),
    /// Keys of signed zones: make them, show the DS, replace them
    Keys(keys::Keys),
    /// Print what makes a shell complete the words of this command
    Completions(completions::Completions),
    /// Print the manual page, or write a page for each verb into a folder
    Man(man::Man),
    /// Have the running server read its files again, and say what that changes
    Reload(reload::ReloadVerb),
    /// Have the running server ask the primaries of a zone that comes from others, now
    Fetch(fetch::Fetch),
    /// Have a new process of the program on disk take over from the running one, without a lost question
    Upgrade(upgrade::Upgrade),
    /// Show who would be sent elsewhere if nodes were down, or if there were others
    Whatif(whatif::WhatIf),
}

/// What all verbs that print a table take.
#[derive(Clone, Copy, Debug, Args)]
struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    let result = match arguments.verb {
        Verb::Serve(verb) => verb.run(config),
        Verb::Demo(verb) => verb.run(config),
        Verb::Check(verb) => verb.run(config),
        Verb::Status(verb) => verb.run(config),
        Verb::Health(verb) => verb.run(config),
        Verb::Explain(verb) => verb.run(config),
        Verb::Geo(verb) => verb.run(config),
        Verb::Drain(verb) => verb.run(config),
        Verb::Undrain(verb) => verb.run(config),
        Verb::Reload(verb) => verb.run(config),
        Verb::Fetch(verb) => verb.run(config),
        Verb::Upgrade(verb) => verb.run(config),
        Verb::Whatif(verb) => verb.run(config),
        Verb::Force(verb) => verb.run(config),
        Verb::History(verb) => verb.run(config),
        Verb::Token(verb) => verb.run(),
        Verb::Init(verb) => verb.run(config),
        Verb::Import(verb) => verb.run(config),
        Verb::Keys(verb) => verb.run(config),
        Verb::Completions(verb) => verb.run(),
        Verb::Man(verb) => verb.run(),
    };
    match result {
        Ok(code) => code,
        Err(stop) => {
            if !stop.message.is_empty() {
                let _ = writeln!(std::io::stderr(), "{}", stop.message);
            }
            ExitCode::from(stop.code)
        }
    }
}

/// Why a verb ends early.
struct Stop {
    message: String,
    code: u8,
}

/// The answer is no, or there is none.
const NO: u8 = 1;
/// sysexits.h: EX_CONFIG.
const BAD_CONFIGURATION: u8 = 78;

impl Stop {
    fn no(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: NO,
        }
    }

    fn configuration(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: BAD_CONFIGURATION,
        }
    }
}

/// The configuration's path: as told, else the first of the usual places that exists.
fn config_path(told: Option<&Path>) -> Result<PathBuf, Stop> {
    if let Some(path) = told {
        return Ok(path.into());
    }
    let usual = ["nearmost.toml", "/etc/nearmost/nearmost.toml"].map(PathBuf::from);
    usual.into_iter().find(|path| path.exists()).ok_or_else(|| {
        Stop::configuration(
            "there is no nearmost.toml here and none in /etc/nearmost: name one with -c FILE",
        )
    })
}

/// Loads everything or tells all that is wrong with it.
fn load_parts(path: &Path) -> Result<Parts, Stop> {
    let Loaded {
        sources,
        found,
        parts,
        ..
    } = load(path);
    complain(&sources, &found);
    parts.ok_or_else(|| Stop::configuration(verdict(&found)))
}

/// Prints errors and warnings.
fn complain(sources: &Sources, found: &Diagnostics) {
    let _ = write!(
        std::io::stderr(),
        "{}",
        found.render(sources, colour(&std::io::stderr()))
    );
}

/// Nothing is overwritten: that none of these files is there.
fn none_is_there(files: impl Iterator<Item = PathBuf>) -> Result<(), Stop> {
    let taken = files.filter(|path| path.symlink_metadata().is_ok());
    let taken: Vec<String> = taken.map(|path| path.display().to_string()).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let taken = taken.join(", ");
    Err(Stop::no(format!(
        "nothing was written, as there is {taken} already"
    )))
}

/// `2 errors, 1 warning`.
fn verdict(found: &Diagnostics) -> String {
    format!(
        "{}, {}",
        plural(found.errors(), "error"),
        plural(found.warnings(), "warning")
    )
}

/// `1 node`, `2 nodes`.
fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Whether to paint: on a terminal, unless `NO_COLOR` says no.
fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Prints text to standard output; a reader that has gone away is no error. Whether there is one.
fn print(text: &str) -> bool {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).is_ok() && out.flush().is_ok()
}

fn print_json(value: &impl Serialize) {
    print(&json(value));
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// How long ago, in at most two units: `3 m 20 s`.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
