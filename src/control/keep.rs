//! Files that are replaced whole or not at all, also where the machine falls or the folder is another's; what cannot be understood is set
//! aside and never stops a start.
//!
//! Root may write into a folder whose owner means no good: links that wait there are never followed, and what is given away is the file that
//! was made and not whatever has its name by then.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A folder that is open: the same one whatever its name leads to meanwhile.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The one of this name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OFlags::empty())
    }

    fn open_with(path: &Path, more: OFlags) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The one of this name; made for its owner alone where it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Self::open(path);
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        let made = Self::open_with(path, OFlags::NOFOLLOW)?;
        // The server may be another user than who makes keys for it: it owns the folder above.
        Self::open(path.parent().unwrap_or(Path::new("")))?.give(&made.0)?;
        Ok(made)
    }

    /// Waits until nobody else holds it, and holds it until it is closed.
    pub(super) fn lock(&self) -> io::Result<()> {
        let lock = || rustix::fs::flock(&self.0, FlockOperation::LockExclusive);
        Ok(rustix::io::retry_on_intr(lock)?)
    }

    /// Holds it until it is closed if nobody else does; whether that is so.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        let lock = || rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(lock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file in the place of another.
    pub(super) fn put(&self, name: &OsStr, mode: u32, octets: &[u8]) -> io::Result<()> {
        // Nobody can wait at a name that nobody can foresee.
        let fresh = format!(".{:032x}.new", u128::from_ne_bytes(crate::dnssec::random()));
        let written = self.put_as(&fresh, mode, octets).and_then(|()| {
            rustix::fs::renameat(&self.0, &*fresh, &self.0, name)?;
            self.sync()
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.0, &*fresh, AtFlags::empty());
        }
        written
    }

    fn put_as(&self, fresh: &str, mode: u32, octets: &[u8]) -> io::Result<()> {
        let only_new = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | only_new;
        let file = rustix::fs::openat(&self.0, fresh, flags, Mode::from_raw_mode(mode))?;
        let mut file = File::from(file);
        self.give(&file)?;
        file.write_all(octets)?;
        file.sync_all()
    }

    /// Takes a file away.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?;
        self.sync()
    }

    /// A name is on the disk when its folder is.
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// What root has made belongs to whom the folder does: the server. Only root can give files away, and only root needs to.
    fn give(&self, made: impl AsFd) -> io::Result<()> {
        let (folder, own) = (rustix::fs::fstat(&self.0)?, rustix::fs::fstat(&made)?);
        if own.st_uid != 0 || folder.st_uid == 0 {
            return Ok(());
        }
        let owner = rustix::fs::Uid::from_raw(folder.st_uid);
        let group = rustix::fs::Gid::from_raw(folder.st_gid);
        Ok(rustix::fs::fchown(made, Some(owner), Some(group))?)
    }
}

/// Replaces a file.
pub(super) fn write(path: &Path, what: &impl Serialize) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = Folder::open(path.parent().unwrap_or(Path::new("")))?;
    folder.put(name, 0o666, &serde_json::to_vec_pretty(what)?)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn folder(test: &str) -> PathBuf {
        let name = format!("nearmost-keep-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn links_are_replaced_and_not_followed() {
        let path = folder("links");
        let other = path.join("other");
        fs::write(&other, "theirs").unwrap();
        // The name that files were written under before, and their own.
        for name in ["list.json.new", "list.json"] {
            symlink(&other, path.join(name)).unwrap();
        }
        write(&path.join("list.json"), &[1]).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        let list = fs::symlink_metadata(path.join("list.json")).unwrap();
        assert!(list.is_file());
        assert_eq!(read::<Vec<u8>>(&path.join("list.json")), Some(vec![1]));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let path = folder("nothing");
        fs::create_dir(path.join("list.json")).unwrap();
        write(&path.join("list.json"), &[1]).unwrap_err();
        let names = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name());
        assert_eq!(
            names.collect::<BTreeSet<_>>(),
            BTreeSet::from(["list.json".into()])
        );
        fs::remove_dir_all(path).unwrap();
    }
}
