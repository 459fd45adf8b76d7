//! `reload`: the running server reads its files again.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::moves::moves;
use super::order::who;
use super::running::Running;
use super::{Format, Stop, print, print_json};
use crate::admin::ReloadWanted;
use crate::config::Difference;
use crate::control::{Reloaded, ZoneChange};

#[derive(Debug, Args)]
pub(super) struct ReloadVerb {
    /// Change nothing: only say what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

impl ReloadVerb {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let wanted = ReloadWanted {
            dry_run: self.dry_run,
            who: who(),
        };
        let done: Reloaded = Running::of(config)?.tell("/v1/reload", &wanted)?;
        if self.format.json {
            print_json(&done);
        } else {
            print(&text(&done));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(done: &Reloaded) -> String {
    let mut out = match done.dry_run {
        true => format!(
            "nothing was changed; generation {} goes on. It would be:\n",
            done.generation
        ),
        false => format!("generation {} answers\n", done.generation),
    };
    for warning in &done.warnings {
        out += &format!("{warning}\n");
    }
    out += &format!("{} ({:.1} s)\n", done.words(), done.took);
    done.tables.iter().for_each(|t| out += &table(t));
    done.zones.iter().for_each(|z| out += &zone(z));
    for database in &done.databases {
        out += &format!("  places from {database}\n");
    }
    if done.certificate {
        out += "  the admin API shows another certificate\n";
    }
    if done.tls_certificate {
        out += "  who asks encrypted is shown another certificate\n";
    }
    out + &moves(&done.moves)
}

/// A line for a table, and one for each key that differs.
fn table(difference: &Difference) -> String {
    let mut out = format!("  {} {}\n", mark(&difference.what), difference.table);
    for key in &difference.keys {
        let [from, to] = [&key.from, &key.to].map(|v| v.as_deref().unwrap_or("not set"));
        out += &format!("      {}: {from} -> {to}\n", key.key);
    }
    out
}

fn zone(zone: &ZoneChange) -> String {
    let serial = match (zone.from_serial, zone.to_serial) {
        (Some(from), Some(to)) if from != to => format!(", serial {from} -> {to}"),
        _ => String::new(),
    };
    let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
    let counts = [
        count(zone.added, "added"),
        count(zone.removed, "removed"),
        count(zone.changed, "changed"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let mut out = format!(
        "  {} zone {}: names {}{serial}\n",
        mark(&zone.what),
        zone.zone,
        counts.join(", ")
    );
    for name in &zone.names {
        out += &format!("      {name}\n");
    }
    out
}

fn mark(what: &str) -> char {
    match what {
        "added" => '+',
        "removed" => '-',
        _ => '~',
    }
}
