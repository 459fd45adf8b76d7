//! Where addresses are: the GeoIP databases of a configuration, opened, laid over each other and let go. A database is opened again
//! only where its file is another one than last time.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::{About, Database, Override, World};

/// Where every address is, and what that was made of.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// Where every address is.
    pub world: Arc<World>,
    /// The databases, the first on top.
    pub databases: Arc<[About]>,
    sources: Arc<[Source]>,
    overrides: Vec<Override>,
}

/// A database that was opened.
#[derive(Clone, Debug)]
struct Source {
    /// Its file, and what that was; none: the database that ships with nearmost.
    file: Option<(PathBuf, Option<Stamp>)>,
    ranges: usize,
}

/// What tells one content of a file from another without reading it: device, inode, octets, time of change. A file that is renamed
/// into its place has another inode, one that is written in place another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    /// Of a file that is there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self(
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.ctime(),
            meta.ctime_nsec(),
        ))
    }
}

/// A database with less than this part of the ranges that the one in use has is not believed: its making has failed half-way.
const LEAST: (usize, usize) = (1, 2);

impl Atlas {
    /// The databases that a configuration names, else the one that ships with nearmost. Where `last` was made of the same files and
    /// overrides, it is that.
    pub(super) fn of(
        config: &Config,
        last: Option<&Self>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let listed = &config.geo.databases;
        // Before it is read: a file that changes meanwhile is another one next time.
        let stamped: Vec<_> = listed
            .iter()
            .map(|(path, _)| (path, Stamp::of(path)))
            .collect();
        if let Some(last) = last.filter(|last| last.is_of(&stamped, &config.geo.overrides)) {
            return Some(last.clone());
        }
        let (mut opened, mut sources) = (Vec::new(), Vec::new());
        for ((path, stamp), (_, span)) in stamped.into_iter().zip(listed) {
            let database = match Database::open(path) {
                Ok(database) => database,
                Err(error) => {
                    found.error(*span, error.message);
                    continue;
                }
            };
            let source = Source {
                file: Some((path.clone(), stamp)),
                ranges: database.about().ranges,
            };
            if let Some(last) = last {
                last.shrunk(&source, *span, found);
            }
            sources.push(source);
            opened.push(database);
        }
        // Where one could not be opened there is an error anyway.
        if opened.len() == listed.len() && !opened.iter().any(|d| d.about().knows_places) {
            match Database::shipped() {
                Ok(database) => {
                    sources.push(Source {
                        file: None,
                        ranges: database.about().ranges,
                    });
                    opened.push(database);
                }
                Err(error) => {
                    found.error(None, error.to_string());
                }
            }
        }
        let overrides = config.geo.overrides.clone();
        (opened.len() >= listed.len()).then(|| Self {
            world: Arc::new(World::build(&opened, &overrides)),
            databases: opened.iter().map(|d| d.about().clone()).collect(),
            sources: sources.into(),
            overrides,
        })
    }

    fn is_of(&self, files: &[(&PathBuf, Option<Stamp>)], overrides: &[Override]) -> bool {
        let own = self.sources.iter().filter_map(|s| s.file.as_ref());
        let own = own.map(|(path, stamp)| (path, *stamp));
        self.overrides == overrides
            && own.eq(files.iter().copied())
            && files.iter().all(|(_, stamp)| stamp.is_some())
    }

    /// An error where a file has become much smaller.
    fn shrunk(&self, source: &Source, span: Span, found: &mut Diagnostics) {
        let path = |s: &Source| s.file.as_ref().map(|f| f.0.clone());
        let before = self.sources.iter().find(|s| path(s) == path(source));
        let Some(before) = before.filter(|b| source.ranges * LEAST.1 < b.ranges * LEAST.0) else {
            return;
        };
        let message = format!(
            "it tells {} ranges of addresses apart, the file in use {}: less than half",
            source.ranges, before.ranges
        );
        found
            .error(span, message)
            .note("if that is meant, a restart takes it");
    }
}
