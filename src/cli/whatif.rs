//! `whatif`: who would be sent elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::moves::moves;
use super::running::Running;
use super::{Format, Stop, print, print_json};
use crate::config::Extra;
use crate::control::{If, Outlook};

/// Nothing is changed: the running server reckons it on its maps, by the states that hold now.
#[derive(Debug, Args)]
pub(super) struct WhatIf {
    /// These nodes are out of service; `*` stands for any letters, `?` for one
    #[arg(long, value_name = "NODE", num_args = 1..)]
    down: Vec<String>,
    /// The same: what is left of them is what a drain ends with
    #[arg(long, value_name = "NODE", num_args = 1..)]
    drain: Vec<String>,
    /// These nodes are in service, whatever is thought of them
    #[arg(long, value_name = "NODE", num_args = 1..)]
    up: Vec<String>,
    /// There is this node: a file like those in nodes/, in the place of the node of that name if there is one
    #[arg(long, value_name = "FILE", num_args = 1..)]
    add: Vec<PathBuf>,
    /// A pool is as this file says, one like those in pools/
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pool: Vec<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl WhatIf {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let nodes = self.add.iter().map(|path| extra(path, false));
        let pools = self.pool.iter().map(|path| extra(path, true));
        let supposed = If {
            down: [&self.down[..], &self.drain].concat(),
            up: self.up.clone(),
            files: nodes.chain(pools).collect::<Result<_, _>>()?,
        };
        if supposed.down.is_empty() && supposed.up.is_empty() && supposed.files.is_empty() {
            return Err(Stop {
                message: "what if what? Say --down, --drain, --up, --add or --pool".into(),
                code: 2,
            });
        }
        let outlook: Outlook = Running::of(config)?.tell("/v1/whatif", &supposed)?;
        if self.format.json {
            print_json(&outlook);
        } else {
            print(&text(&outlook));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(outlook: &Outlook) -> String {
    let mut out = String::new();
    for warning in &outlook.warnings {
        out += &format!("{warning}\n");
    }
    if outlook.moves.is_empty() {
        out += "nobody is sent elsewhere\n";
    }
    let moved = moves(&outlook.moves);
    out + moved.strip_prefix('\n').unwrap_or(&moved)
}

fn extra(path: &Path, pool: bool) -> Result<Extra, Stop> {
    let wrong = |why: String| Stop {
        message: format!("{}: {why}", path.display()),
        code: 2,
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_suffix(".toml"));
    let name = name.ok_or_else(|| wrong("its name does not end in .toml".into()))?;
    Ok(Extra {
        pool,
        name: name.into(),
        path: path.display().to_string(),
        text,
    })
}
