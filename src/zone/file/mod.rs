//! Master files (RFC 1035 5): read, with everything they include, and checked as a zone.
//!
//! A file is cut into tokens that borrow from its text (`token`); an entry is a directive (`directive`) or a record
//! (`record`), whose data go to wire form by a table (`rdata`). After an error reading goes on with the next entry, so
//! that one load shows them all.

mod check;
mod directive;
mod folder;
mod generate;
mod problem;
mod rdata;
mod reader;
mod record;
mod token;
mod words;

use std::path::Path;

pub use check::{check, memory};
pub use reader::Contents;
pub use words::{Entry, Word, entries};

use self::folder::Folder;
use self::reader::Reader;
use super::Name;
use crate::diagnostic::{Diagnostics, Sources};

/// Reads a master file and everything it includes. `origin` is the zone's name unless the file says otherwise. Errors go
/// to `found`, all of them: reading goes on after each.
pub fn read(
    path: &Path,
    origin: &Name,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Contents {
    sources.look_at(path);
    match folder::read_file(path) {
        Ok(text) => read_text(path, text, origin, sources, found),
        Err(why) => {
            found.error(None, format!("{}: {why}", path.display()));
            Contents {
                records: Vec::new(),
                origin: origin.clone(),
            }
        }
    }
}

/// As [`read`], of a text in memory that pretends to be the file `path`: what it includes is looked for in that file's
/// folder.
pub fn read_text(
    path: &Path,
    text: impl Into<Box<[u8]>>,
    origin: &Name,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Contents {
    let file = sources.add(path.display().to_string(), text);
    Reader::new(origin, Folder::of(path), found).read(file, sources)
}

/// Whether octets that somebody else has written are what a type's fields allow; a type that is not known may be anything.
#[must_use]
pub fn check_rdata(rtype: u16, rdata: &[u8]) -> bool {
    rdata::check(rtype, rdata).is_ok()
}

#[cfg(test)]
mod tests;
