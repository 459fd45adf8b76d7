//! Landlock (landlock(7)): once it is started, the process may open nothing but what its configuration speaks of.
//!
//! Folders are what is let through, not files: files are replaced by others of the same name. The kernel takes nothing back, and all that the
//! process starts is held to it too, a process that takes over included: what is to be reached later must be known at the start.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use serde::{Deserialize, Serialize};

use crate::config::{Config, FOLDERS, LogTo, ZoneSource};
use crate::health::Kind;

/// What is handled, where the kernel knows it: files as of Linux 6.10. An older one handles less.
const KNOWN: ABI = ABI::V5;

/// What every server reads: names, resolvers, users and certificates; what it is told of itself; and how many cores it may use.
const READ: [&str; 5] = [
    "/etc",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/proc",
    "/sys/fs/cgroup",
];
/// What a program needs to be started.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// What the commands of `exec` probes are let reach besides: scripts call other programs.
const COMMANDS: [&str; 4] = ["/usr", "/bin", "/sbin", "/etc"];
const NULL: &str = "/dev/null";

/// Folders, and what may be done below each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Read.
    read: BTreeSet<PathBuf>,
    /// Read, written and made.
    write: BTreeSet<PathBuf>,
    /// Read, and run as programs.
    run: BTreeSet<PathBuf>,
}

/// Whether it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Landlock {
    /// The configuration does not ask for it.
    #[default]
    Off,
    /// It holds; `whole` with all that we ask for.
    Holds {
        /// What is let through.
        reach: Reach,
        /// The kernel knows all that was asked for.
        whole: bool,
    },
    /// The kernel does not have it, or a filter of system calls keeps it from us.
    Lacking,
}

impl Landlock {
    /// What is let through; none: everything.
    pub(super) fn reach(&self) -> Option<&Reach> {
        match self {
            Self::Holds { reach, .. } => Some(reach),
            Self::Off | Self::Lacking => None,
        }
    }

    /// In a word or some.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Holds { whole: true, .. } => "on",
            Self::Holds { whole: false, .. } => "on, as far as this kernel has it",
            Self::Lacking => "not available",
        }
    }
}

impl Reach {
    /// What has to be read before anything of the configuration is known: its file, the folders beside it, and what links in these lead to.
    pub(super) fn beside(path: &Path) -> Self {
        let mut reach = Self::default();
        reach.read.insert(folder_of(path));
        let beside = path.parent().unwrap_or(Path::new(""));
        for folder in FOLDERS.map(|name| beside.join(name)) {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            reach.read.insert(real(&folder));
            let files = entries.flatten().map(|entry| folder_of(&entry.path()));
            reach.read.extend(files);
        }
        reach
    }

    /// What a configuration names.
    pub(super) fn named_in(config: &Config) -> Self {
        let mut reach = Self::default();
        let server = &config.server;
        reach.write.extend(server.state.as_deref().map(real));
        reach.write.insert(folder_of(&server.control));
        if config.zones.iter().any(|zone| zone.signed.is_some()) {
            reach.write.insert(real(&config.dnssec.keys));
        }
        if let LogTo::File(path) = &config.querylog.to {
            reach.write.insert(folder_of(path));
        }
        let geo = config.geo.databases.iter().chain(&config.geo.latency);
        let mut files: Vec<&Path> = geo.map(|(path, _)| path.as_path()).collect();
        files.extend(config.keys.iter().filter_map(|key| key.file.as_deref()));
        files.extend(config.certificates());
        files.extend(config.zones.iter().filter_map(|zone| match &zone.source {
            ZoneSource::File(path) => Some(path.as_path()),
            ZoneSource::Made { .. } | ZoneSource::Primary(_) => None,
        }));
        for probe in &config.probes {
            match &probe.kind {
                Kind::File { path, .. } => files.push(path),
                Kind::Http(http) => files.extend(http.ca.as_deref()),
                Kind::Exec { command } => {
                    reach
                        .run
                        .extend(COMMANDS.iter().map(|folder| real(Path::new(folder))));
                    let program = command.first().map(Path::new);
                    // A bare name is looked for in PATH.
                    let program = program.filter(|p| p.components().count() > 1);
                    reach.run.extend(program.map(folder_of));
                }
                Kind::Tcp | Kind::Rsync | Kind::Dns(_) | Kind::Icmp => {}
            }
        }
        reach.read.extend(files.into_iter().map(folder_of));
        reach
    }

    /// Both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.read.extend(other.read);
        self.write.extend(other.write);
        self.run.extend(other.run);
        self
    }

    /// What of `wanted` is not within this.
    pub(super) fn lacks(&self, wanted: &Self) -> Vec<PathBuf> {
        let within = |path: &Path, sets: &[&BTreeSet<PathBuf>]| {
            let mut folders = sets.iter().flat_map(|set| set.iter());
            folders.any(|folder| path.starts_with(folder))
        };
        let (read, write, run) = (&self.read, &self.write, &self.run);
        let unread = wanted
            .read
            .iter()
            .filter(|p| !within(p, &[read, write, run]));
        let unwritten = wanted.write.iter().filter(|p| !within(p, &[write]));
        let not_run = wanted.run.iter().filter(|p| !within(p, &[run]));
        let all: BTreeSet<&PathBuf> = unread.chain(unwritten).chain(not_run).collect();
        all.into_iter().cloned().collect()
    }

    /// What every server needs, and what a new version of this program needs to be started.
    fn with_system(mut self) -> Self {
        let here = |path: &&&str| Path::new(path).exists();
        // It may be a link that leads out of there.
        self.read.insert(folder_of(Path::new("/etc/resolv.conf")));
        self.read
            .extend(READ.iter().filter(here).map(|path| real(Path::new(path))));
        let libraries = LIBRARIES
            .iter()
            .filter(here)
            .map(|path| real(Path::new(path)));
        self.run.extend(libraries);
        let program = std::env::current_exe().ok();
        self.run.extend(program.as_deref().map(folder_of));
        self
    }

    /// Restricts the calling thread, and all that it starts from now on: before there are others.
    pub(super) fn hold(self) -> io::Result<Landlock> {
        let reach = self.with_system();
        let all = AccessFs::from_all(KNOWN);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let run = read | AccessFs::Execute;
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
        let write: BitFlags<AccessFs> = all & !(devices | AccessFs::Execute);
        let null = AccessFs::ReadFile | AccessFs::WriteFile;
        let held = Ruleset::default()
            .handle_access(all)
            .and_then(Ruleset::create)
            .and_then(|rules| rules.add_rules(path_beneath_rules(&reach.read, read)))
            .and_then(|rules| rules.add_rules(path_beneath_rules(&reach.run, run)))
            .and_then(|rules| rules.add_rules(path_beneath_rules(&reach.write, write)))
            .and_then(|rules| rules.add_rules(path_beneath_rules([NULL], null)))
            .and_then(landlock::RulesetCreated::restrict_self)
            .map_err(io::Error::other)?;
        let whole = held.ruleset == RulesetStatus::FullyEnforced;
        Ok(match held.ruleset {
            RulesetStatus::NotEnforced => Landlock::Lacking,
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
                Landlock::Holds { reach, whole }
            }
        })
    }
}

/// The folder that a file is in, once links are followed.
fn folder_of(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(file) => file.parent().unwrap_or(&file).to_owned(),
        Err(_) => real(path.parent().unwrap_or(Path::new(""))),
    }
}

/// A folder's own path, as far as there is one.
fn real(folder: &Path) -> PathBuf {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_is_within_is_not_lacking() {
        let has = Reach {
            read: set(&["/srv/zones"]),
            write: set(&["/var/lib/nearmost"]),
            run: set(&["/usr/bin"]),
        };
        let wanted = Reach {
            read: set(&[
                "/srv/zones/a",
                "/srv/zonesb",
                "/usr/bin",
                "/var/lib/nearmost",
            ]),
            write: set(&["/srv/zones"]),
            run: set(&["/usr/bin", "/srv/zones/a"]),
        };
        let lacking = ["/srv/zones", "/srv/zones/a", "/srv/zonesb"];
        assert_eq!(has.lacks(&wanted), lacking.map(PathBuf::from));
        assert!(has.lacks(&has).is_empty());
    }
}
