//! How old what is known of the world is.

use std::time::UNIX_EPOCH;

use crate::geo::Database;
use crate::health::Time;

/// A database, and when it was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its file, or what it is instead of a file.
    pub database: String,
    /// What it says it is.
    pub kind: String,
    /// When it was made, if that is known.
    pub at: Option<Time>,
}

impl Made {
    pub(super) fn of(database: &Database) -> Self {
        let at = database
            .built()
            .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        Self {
            database: database.name().into(),
            kind: database.kind().into(),
            at,
        }
    }
}
