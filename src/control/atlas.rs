//! Where addresses are: the GeoIP databases of a configuration, opened, laid over each other and let go. A database is opened again
//! only where its file is another one than last time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::diagnostic::{Diagnostics, Span, Stamp};
use crate::geo::{About, Database, Override, World};

/// Where every address is, and what that was made of.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// Where every address is.
    pub world: Arc<World>,
    /// The databases, the first on top.
    pub databases: Arc<[About]>,
    /// Their files; the database that ships with nearmost, which would be the last, has none.
    files: Arc<[Opened]>,
    overrides: Vec<Override>,
}

/// A file, and what it was when it was opened.
type Opened = (PathBuf, Option<Stamp>);

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
        let files = listed.iter();
        let files: Vec<Opened> = files
            .map(|(path, _)| (path.clone(), Stamp::of(path)))
            .collect();
        if let Some(last) = last.filter(|last| last.is_of(&files, &config.geo.overrides)) {
            return Some(last.clone());
        }
        let mut opened = Vec::new();
        for (path, span) in listed {
            let database = match Database::open(path) {
                Ok(database) => database,
                Err(error) => {
                    found.error(*span, error.message);
                    continue;
                }
            };
            if let Some(last) = last {
                last.shrunk(path, database.about().ranges, *span, found);
            }
            opened.push(database);
        }
        // Where one could not be opened there is an error anyway.
        if opened.len() == listed.len() && !opened.iter().any(|d| d.about().knows_places) {
            match Database::shipped() {
                Ok(database) => opened.push(database),
                Err(error) => {
                    found.error(None, error.to_string());
                }
            }
        }
        let overrides = config.geo.overrides.clone();
        (opened.len() >= listed.len()).then(|| Self {
            world: Arc::new(World::build(&opened, &overrides)),
            databases: opened.iter().map(|d| d.about().clone()).collect(),
            files: files.into(),
            overrides,
        })
    }

    fn is_of(&self, files: &[Opened], overrides: &[Override]) -> bool {
        self.overrides == overrides
            && *self.files == *files
            && files.iter().all(|(_, stamp)| stamp.is_some())
    }

    /// An error where a file has become much smaller.
    fn shrunk(&self, path: &Path, ranges: usize, span: Span, found: &mut Diagnostics) {
        let mut known = self.files.iter().zip(&*self.databases);
        let Some((_, before)) = known.find(|((file, _), _)| file == path) else {
            return;
        };
        if ranges * LEAST.1 >= before.ranges * LEAST.0 {
            return;
        }
        let message = format!(
            "it tells {ranges} ranges of addresses apart, the file in use {}: less than half",
            before.ranges
        );
        found
            .error(span, message)
            .note("if that is meant, a restart takes it");
    }
}
