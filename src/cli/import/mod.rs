//! `import`: a system from the files of another name server, and what of them did not carry over.

mod gdnsd;
mod name;
mod place;
mod powerdns;
mod read;
mod report;
mod system;
mod text;
mod zone;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::place::Known;
use self::report::Report;
use self::system::System;
use super::{NO, Stop, complain, none_is_there, plural, print, verdict};
use crate::control::load;
use crate::diagnostic::{Diagnostics, Sources};

#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    /// From gdnsd: its configuration and its zones with DYNA and DYNC records
    Gdnsd {
        /// gdnsd's folder, with the file `config` and the folder `zones`
        #[arg(default_value = "/etc/gdnsd")]
        folder: PathBuf,
        /// Where to write it; made if it does not exist
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// From PowerDNS: zone files of its BIND backend with LUA records
    PowerdnsLua {
        /// A zone file, as `FILE` or `ZONE=FILE` where the file's name does not say the zone's
        #[arg(required = true, value_name = "ZONEFILE")]
        files: Vec<String>,
        /// Where to write it; made if it does not exist
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
}

/// What an import has read so far, and what is wrong with it.
#[derive(Debug, Default)]
struct Work {
    sources: Sources,
    found: Diagnostics,
    report: Report,
    system: System,
    /// What the peer says of places, by address.
    known: Known,
}

impl Import {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        if config.is_some() {
            return Err(Stop {
                message: "import writes a configuration and reads none: name the folder with --to"
                    .into(),
                code: 2,
            });
        }
        let mut work = Work::default();
        let (to, peer) = match &self.peer {
            Peer::Gdnsd { folder, to } => {
                gdnsd::import(folder, &mut work);
                (to, format!("gdnsd's {}", folder.display()))
            }
            Peer::PowerdnsLua { files, to } => {
                powerdns::import(files, &mut work);
                (to, "zones of PowerDNS".to_owned())
            }
        };
        complain(&work.sources, &work.found);
        if work.found.errors() > 0 {
            let message = format!("{}: nothing was written", verdict(&work.found));
            return Err(Stop::configuration(message));
        }
        finish(work, to, &peer)
    }
}

/// Writes everything, and tells what came of it.
fn finish(mut work: Work, to: &Path, peer: &str) -> Result<ExitCode, Stop> {
    place::settle(&mut work.system, &work.known, &mut work.report);
    work.system.name_probes();
    let System {
        nodes,
        pools,
        probes,
        zones,
        ..
    } = &work.system;
    let mut out = format!(
        "carried over: {}, {} that pools answer, {}, {}, {}\n",
        plural(*zones, "zone"),
        plural(work.report.records, "record"),
        plural(pools.len(), "pool"),
        plural(nodes.len(), "node"),
        plural(probes.len(), "probe"),
    );
    let files = text::files(work.system, peer);
    none_is_there(files.keys().map(|name| to.join(name)))?;
    for (name, text) in &files {
        let path = to.join(name);
        write(&path, text).map_err(|e| Stop::no(format!("{}: {e}", path.display())))?;
    }
    out += &work.report.text(&work.sources);
    let main = to.join("nearmost.toml");
    out += &format!(
        "wrote {} in {}\n",
        plural(files.len(), "file"),
        to.display()
    );
    print(&out);
    // Whatever the peer's files hold, what is said of the new ones is true.
    let checked = load(&main);
    if checked.parts.is_none() {
        complain(&checked.sources, &checked.found);
        let message = format!(
            "{} is not good yet: {}",
            main.display(),
            verdict(&checked.found)
        );
        return Err(Stop::no(message));
    }
    print(&format!(
        "Look at it with: nearmost -c {} check\n",
        main.display()
    ));
    Ok(match work.report.is_whole() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NO),
    })
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text)
}

#[cfg(test)]
mod tests;
