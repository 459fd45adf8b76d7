//! Files of the state folder: replaced whole or not at all; what cannot be understood is set aside and never stops a start.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Replaces a file.
pub(super) fn write(path: &Path, what: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(what)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// What a file holds; none where there is none or it is broken.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let octets = match fs::read(path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("{} cannot be read: {error}", path.display());
            return None;
        }
    };
    let error = match serde_json::from_slice(&octets) {
        Ok(what) => return Some(what),
        Err(error) => error,
    };
    let aside = path.with_extension("json.bad");
    let moved = fs::rename(path, &aside);
    let told = moved.map_or_else(|e| e.to_string(), |()| aside.display().to_string());
    tracing::error!("{}: {error}; set aside: {told}", path.display());
    None
}
