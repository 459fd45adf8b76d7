//! `man`: manual pages, made of what `--help` says.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use super::{Arguments, Stop, print};

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where to write nearmost.1 and a page for each verb, as nearmost-serve.1; without it nearmost.1 is printed
    folder: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> Result<ExitCode, Stop> {
        let written = match &self.folder {
            Some(folder) => write(folder),
            None => page(),
        };
        written.map_err(|e| match &self.folder {
            Some(folder) => Stop::no(format!("{}: {e}", folder.display())),
            None => Stop::no(e.to_string()),
        })
    }
}

fn page() -> io::Result<ExitCode> {
    let mut text = Vec::new();
    Page::new(Arguments::command()).render(&mut text)?;
    print(&String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path) -> io::Result<ExitCode> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)?;
    Ok(ExitCode::SUCCESS)
}
