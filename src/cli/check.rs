//! `check`: what is wrong with the files, as a good compiler says it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{Stop, complain, config_path, plural, print, verdict};
use crate::config;
use crate::control::{Loaded, build, load};
use crate::probe;

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print the configuration as it is understood, defaults and places included
    #[arg(long)]
    show: bool,
}

impl Check {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let path = config_path(config)?;
        let Loaded {
            sources,
            found,
            parts,
            ..
        } = load(&path);
        complain(&sources, &found);
        let Some(parts) = parts else {
            return Err(Stop::configuration(verdict(&found)));
        };
        let now = crate::clock::Clock::start().now();
        let generation =
            build(&parts, 1, now).map_err(|errors| Stop::configuration(errors.join("\n")))?;
        // It may be served elsewhere or by another user: no error of the files.
        if let Err(error) = probe::prepare(generation.board.checks()) {
            let _ = writeln!(
                std::io::stderr(),
                "warning: here and as this user `serve` would not start: {error}"
            );
        }
        if self.show {
            print(&config::show(&parts.config));
            return Ok(ExitCode::SUCCESS);
        }
        let names: usize = generation
            .snapshot
            .zones
            .list()
            .iter()
            .map(crate::zone::Zone::len)
            .sum();
        let parts = &parts.config;
        print(&format!(
            "{} is good: {} with {}, {}, {}, {}; {}\n",
            path.display(),
            plural(parts.zones.len(), "zone"),
            plural(names, "name"),
            plural(parts.pools.len(), "pool"),
            plural(parts.nodes.len(), "node"),
            plural(parts.probes.len(), "probe"),
            verdict(&found),
        ));
        Ok(ExitCode::SUCCESS)
    }
}
