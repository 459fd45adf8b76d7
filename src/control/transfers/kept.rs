//! Zones in the state folder: a file each, in `zones`, replaced whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::zone::Name;
use crate::zone::version::Journal;

/// The folder of what is others', as it came.
pub(super) const RECEIVED: &str = "received";
/// The folder of what is ours, and secondaries know.
pub(super) const SERVED: &str = "served";

/// What is kept of a zone; none where there is nothing, or it is broken, which is told.
pub(super) fn read(state: &Path, folder: &str, apex: &Name) -> Option<Journal> {
    let path = path(state, folder, apex);
    let octets = match fs::read(&path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("{} cannot be read: {error}", path.display());
            return None;
        }
    };
    let journal = Journal::of_octets(&octets).filter(|j| j.version.apex == *apex);
    if journal.is_none() {
        let aside = path.with_extension("bad");
        let moved = fs::rename(&path, &aside);
        let told = moved.map_or_else(|e| e.to_string(), |()| aside.display().to_string());
        tracing::error!("{} is broken; set aside: {told}", path.display());
    }
    journal
}

/// The same, and when it was written or touched.
pub(super) fn read_dated(state: &Path, folder: &str, apex: &Name) -> Option<(Journal, Duration)> {
    let journal = read(state, folder, apex)?;
    let at = fs::metadata(path(state, folder, apex)).and_then(|m| m.modified());
    let at = at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Some((journal, at.unwrap_or_default()))
}

/// Says that it is still the newest.
pub(super) fn touch(state: &Path, folder: &str, apex: &Name) {
    let file = fs::File::options()
        .append(true)
        .open(path(state, folder, apex));
    let now = UNIX_EPOCH + Duration::from_secs(crate::clock::wall());
    if let Err(error) = file.and_then(|file| file.set_modified(now)) {
        tracing::warn!("zone {apex}: what is kept of it stays as old as it was: {error}");
    }
}

/// Keeps it.
pub(super) fn write(state: &Path, folder: &str, journal: &Journal) {
    let path = path(state, folder, &journal.version.apex);
    let fresh = path.with_extension("new");
    let done = || {
        fs::create_dir_all(path.parent().unwrap_or(state))?;
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&journal.to_octets())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    if let Err(error) = done() {
        tracing::warn!("{} is not kept: {error}", path.display());
    }
}

/// Forgets it.
pub(super) fn remove(state: &Path, folder: &str, apex: &Name) {
    let path = path(state, folder, apex);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} stays: {error}", path.display());
        }
        _ => {}
    }
}

/// A name may hold any octet; what is no letter, digit, `-`, `_` or `.` is written as `%XX`.
fn path(state: &Path, folder: &str, apex: &Name) -> PathBuf {
    let mut file = String::new();
    for label in apex.to_lower().labels() {
        for octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => file.push(char::from(*octet)),
                _ => file += &format!("%{octet:02X}"),
            }
        }
        file.push('.');
    }
    state.join(folder).join(file + "zone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_out_of_no_folder() {
        let of = |name: &[u8]| path(Path::new("/s"), "served", &Name::from_wire(name).unwrap());
        assert_eq!(
            of(b"\x07Example\x03org\0"),
            Path::new("/s/served/example.org.zone")
        );
        assert_eq!(
            of(b"\x03../\x01.\0"),
            Path::new("/s/served/%2E%2E%2F.%2E.zone")
        );
        assert_eq!(of(b"\0"), Path::new("/s/served/zone"));
    }
}
