//! `fetch`: the running server asks for a zone of others, when it is not due.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::order::who;
use super::running::Running;
use super::{Format, Stop, print, print_json};
use crate::admin::FetchWanted;

#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// The zone's name
    zone: String,
    /// Take all of it, whatever its serial is
    #[arg(long)]
    whole: bool,
    #[command(flatten)]
    format: Format,
}

impl Fetch {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let wanted = FetchWanted {
            zone: self.zone.clone(),
            whole: self.whole,
            who: who(),
        };
        let done: FetchWanted = Running::of(config)?.tell("/v1/fetch", &wanted)?;
        if self.format.json {
            print_json(&done);
        } else {
            let zone = done.zone;
            print(&format!(
                "the primaries of {zone} are asked; `nearmost status` shows what has come\n"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
