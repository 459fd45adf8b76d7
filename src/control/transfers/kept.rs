//! Zones in the state folder: a file each, in `zones`, replaced whole or not at all.
//!
//! ```text
//!   MAGIC | sum of all that follows u64 | length u64, where it came from, as text | journal
//! ```

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::control::keep;
use crate::zone::Name;
use crate::zone::version::Journal;

/// The folder of what is others', as it came.
pub(super) const RECEIVED: &str = "received";
/// The folder of what is ours, and secondaries know.
pub(super) const SERVED: &str = "served";

/// What such files begin with.
const MAGIC: &[u8] = b"nearmost kept 1\n";

/// What is kept of a zone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) journal: Journal,
    /// The primary that gave it; none: it is ours.
    pub(super) from: Option<SocketAddr>,
}

impl Kept {
    fn to_octets(&self) -> Vec<u8> {
        let from = self.from.map(|from| from.to_string()).unwrap_or_default();
        let mut out = [MAGIC, &[0; 8], &(from.len() as u64).to_be_bytes()].concat();
        out.extend_from_slice(from.as_bytes());
        self.journal.append_to(&mut out);
        let (head, rest) = out.split_at_mut(MAGIC.len() + 8);
        head[MAGIC.len()..].copy_from_slice(&sum(rest).to_be_bytes());
        out
    }

    fn of_octets(octets: &[u8]) -> Option<Self> {
        let (told, rest) = octets.strip_prefix(MAGIC)?.split_first_chunk()?;
        if u64::from_be_bytes(*told) != sum(rest) {
            return None;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (from, journal) = rest.split_at_checked(length)?;
        Some(Self {
            journal: Journal::of_octets(journal)?,
            from: std::str::from_utf8(from).ok()?.parse().ok(),
        })
    }
}

/// FNV-1a: tells what a disk has spoiled, not what somebody has forged.
fn sum(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What is kept of a zone; none where there is nothing, or it is broken, which is told.
pub(super) fn read(state: &Path, folder: &str, apex: &Name) -> Option<Kept> {
    let path = path(state, folder, apex);
    let octets = match fs::read(&path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("{} cannot be read: {error}", path.display());
            return None;
        }
    };
    let kept = Kept::of_octets(&octets).filter(|kept| kept.journal.version.apex == *apex);
    if kept.is_none() {
        let aside = path.with_extension("bad");
        let moved = fs::rename(&path, &aside);
        let told = moved.map_or_else(|e| e.to_string(), |()| aside.display().to_string());
        tracing::error!("{} is broken; set aside: {told}", path.display());
    }
    kept
}

/// The same, and when it was written or touched.
pub(super) fn read_dated(state: &Path, folder: &str, apex: &Name) -> Option<(Kept, Duration)> {
    let kept = read(state, folder, apex)?;
    let at = fs::metadata(path(state, folder, apex)).and_then(|m| m.modified());
    let at = at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Some((kept, at.unwrap_or_default()))
}

/// Says that it is still the newest; whether that is done.
pub(super) fn touch(state: &Path, folder: &str, apex: &Name) -> bool {
    let file = fs::File::options()
        .append(true)
        .open(path(state, folder, apex));
    let now = UNIX_EPOCH + Duration::from_secs(crate::clock::wall());
    file.and_then(|file| file.set_modified(now)).is_ok()
}

/// Keeps it, on the disk when this comes back; whether that is done.
pub(super) fn write(state: &Path, folder: &str, kept: &Kept) -> bool {
    let path = path(state, folder, &kept.journal.version.apex);
    let name = path.file_name().unwrap_or_default();
    let folder = keep::Folder::make(&state.join(folder));
    let done = folder.and_then(|folder| folder.put(name, 0o666, &kept.to_octets()));
    if let Err(error) = &done {
        tracing::warn!("{} is not kept: {error}", path.display());
    }
    done.is_ok()
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
    use std::sync::Arc;

    use super::*;
    use crate::zone::version::Version;

    fn version() -> Version {
        Version {
            apex: Name::absolute("x.example").unwrap(),
            ttl: 60,
            soa: vec![0; 22].into(),
            records: Arc::default(),
        }
    }

    #[test]
    fn two_processes_write_no_file_together_and_leave_none() {
        let name = format!("nearmost-kept-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        let own = path(&state, SERVED, &version().apex);
        // Another process is in the middle of the same, under a name that this one could use; and the last step fails.
        fs::create_dir_all(&own).unwrap();
        let others = own.with_extension("new");
        fs::write(&others, "theirs").unwrap();
        let kept = Kept {
            journal: Journal::new(version()),
            from: None,
        };
        assert!(!write(&state, SERVED, &kept));
        assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
        let files = fs::read_dir(state.join(SERVED)).unwrap().count();
        assert_eq!(files, 2);
        fs::remove_dir(&own).unwrap();
        assert!(write(&state, SERVED, &kept));
        assert_eq!(read(&state, SERVED, &version().apex), Some(kept));
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn what_a_disk_has_spoiled_is_nothing() {
        for from in [None, Some("[2001:db8::1]:53".parse().unwrap())] {
            let kept = Kept {
                journal: Journal::new(version()),
                from,
            };
            let octets = kept.to_octets();
            for at in 0..octets.len() {
                let mut spoiled = octets.clone();
                spoiled[at] ^= 1;
                assert_eq!(Kept::of_octets(&spoiled), None, "{at}");
                assert_eq!(Kept::of_octets(&octets[..at]), None, "{at}");
            }
            assert_eq!(Kept::of_octets(&octets), Some(kept));
        }
    }

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
