//! The control socket's file: made so that nobody opens it before it has its group and its mode, and removed at the end.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::Gid;
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
    if owner.is_some() || group.is_some() {
        chown(path, owner, group.map(Gid::as_raw))?;
    }
    fs::set_permissions(path, Permissions::from_mode(admin.mode))?;
    Ok(OwnedFd::from(socket).into())
}

/// Gives a control socket that was handed on the mode and the group that the configuration has now, as far as it is ours.
pub(super) fn dress(path: &Path, admin: &Admin) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(admin.mode))?;
    match &admin.group {
        Some(name) => chown(path, None, Some(group(name)?.as_raw())),
        None => Ok(()),
    }
}
