//! `completions`: what makes a shell complete the words of this command.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments, Stop, print};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<ExitCode, Stop> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        generate(self.shell, &mut command, "nearmost", &mut script);
        print(&String::from_utf8_lossy(&script));
        Ok(ExitCode::SUCCESS)
    }
}
