//! The control socket's file: made so that nobody opens it before it has its group and its mode, and removed at the end.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, getegid};
use rustix::fs::{AtFlags, Mode, OFlags, Uid, chownat};
use socket2::{Domain, SockAddr, Socket, Type};

use super::rights::{Target, group};
use crate::config::Admin;

/// Removes the file when it is dropped, unless somebody else has it from now on.
#[derive(Debug)]
pub(super) struct SocketFile(Option<PathBuf>);

impl SocketFile {
    /// One that is ours.
    pub(super) fn ours(path: &Path) -> Self {
        Self(Some(path.to_owned()))
    }

    /// One that is somebody else's.
    pub(super) fn theirs() -> Self {
        Self(None)
    }

    /// Another process has left it to us.
    pub(super) fn take(&mut self, path: &Path) {
        self.0 = Some(path.to_owned());
    }

    /// Another process has it.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes the control socket, of the user that we become if there is one. It does not listen yet.
pub(super) fn make(
    path: &Path,
    admin: &Admin,
    target: Option<&Target>,
) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server answers on it",
        ));
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            ));
        }
        // A server that was killed left it behind.
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    let owner = target.map(|target| target.uid.as_raw());
    let group = match &admin.group {
        Some(name) => Some(group(name)?),
        None => target.map(|target| target.gid),
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    // The socket's own mode is what its file is made with.
    let socket = File::from(OwnedFd::from(socket));
    socket.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&SockAddr::unix(path)?)?;
    give(path, admin.mode, owner, group)?;
    Ok(OwnedFd::from(socket).into())
}

/// Gives a control socket that was handed on the mode and the group that the configuration has now, as far as it is ours.
pub(super) fn dress(path: &Path, admin: &Admin) -> io::Result<()> {
    let group = match &admin.group {
        Some(name) => group(name)?,
        None => getegid(),
    };
    give(path, admin.mode, None, Some(group))
}

/// Gives the socket's file what it does not have yet of this. Its folder may be of a user who is not us: no link that comes in its place is followed.
fn give(path: &Path, mode: u32, owner: Option<u32>, group: Option<Gid>) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let about = file.metadata()?;
    if !about.file_type().is_socket() {
        return Err(io::Error::other("another file has come in its place"));
    }
    let owner = owner.filter(|owner| *owner != about.uid());
    let group = group.map(Gid::as_raw).filter(|id| *id != about.gid());
    if owner.is_some() || group.is_some() {
        let (owner, group) = (
            owner.map(Uid::from_raw),
            group.map(rustix::fs::Gid::from_raw),
        );
        chownat(&file, "", owner, group, AtFlags::EMPTY_PATH)?;
    }
    if about.mode() & 0o7777 == mode {
        return Ok(());
    }
    // A descriptor that only names a file can change its mode by this name alone.
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(name, Permissions::from_mode(mode))
}
