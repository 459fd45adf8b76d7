//! `history`: what happened to nodes, and why.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::running::Running;
use super::table::table;
use super::{Format, Stop, print, print_json};
use crate::clock::utc;
use crate::control::Entry;
use crate::health::Time;

#[derive(Debug, Args)]
pub(super) struct History {
    /// Show these nodes only
    nodes: Vec<String>,
    /// Show so many of the newest events
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    last: usize,
    #[command(flatten)]
    format: Format,
}

impl History {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let nodes = self.nodes.join(",");
        let page = format!("/v1/history?count={}&nodes={nodes}", self.last);
        let events: Vec<Entry> = Running::of(config)?.ask(&page)?;
        if self.format.json {
            print_json(&events);
        } else {
            print(&lines(&events));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for each.
pub(super) fn lines(events: &[Entry]) -> String {
    let rows = events.iter().map(|e| {
        let why = match &e.who {
            Some(who) if e.why.is_empty() => who.clone(),
            Some(who) => format!("{who}: {}", e.why),
            None => e.why.clone(),
        };
        vec![
            utc(Time::from_secs(e.at)),
            e.node.clone(),
            e.address.map_or("-".into(), |a| a.to_string()),
            format!("{} -> {}", e.from, e.to),
            why,
        ]
    });
    table(&["UTC", "node", "address", "what", "why"], rows)
}
