//! A new process takes the place of this one, and no question is lost.
//!
//! ```text
//!   old                                          new (`serve --take-over`)
//!   answers, offers its sockets                  reads files, builds, asks for the sockets: they are the very same
//!   answers                                      runs the first round of its probes
//!   answers                                      answers too: each question comes to one of both
//!                          <-- "I answer" ---
//!   stops after its last batch, keeps states
//!                          --- "I am done" -->
//!   lets its TCP connections end                 takes what was ordered last, answers on the control socket
//! ```
//! All sockets are handed on, that of control and those of the admin API too: the new process need not have the rights to bind them.
//! If the new one fails before it answers, nothing has happened. The way is a Unix socket beside the control socket, for the same user only.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};

use super::handed::{Bound, Handed, IN_ONE, Kind, receive, room};
use super::reach::Landlock;

/// A process that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a server with this control socket offers its sockets.
fn place(control: &Path) -> PathBuf {
    control.with_extension("takeover")
}

/// Nothing is offered any more.
pub(super) fn withdraw(control: &Path) {
    let _ = fs::remove_file(place(control));
}

/// What comes behind it, in its order.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    /// The process.
    pid: u32,
    sockets: Vec<(SocketAddr, Kind)>,
    /// The control socket's file is the service manager's. The socket comes last.
    managed: bool,
    /// Whether that process has restricted itself, and with it all that it starts.
    landlock: Landlock,
    /// The same of system calls.
    #[serde(default)]
    calls: bool,
}

/// What others may take of a server that runs.
#[derive(Debug)]
pub(super) struct Own {
    sockets: Vec<Bound>,
    control: OwnedFd,
    managed: bool,
    held: Held,
}

/// What a process is held to, and with it all that it starts.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Files.
    pub(super) landlock: Landlock,
    /// System calls.
    pub(super) calls: bool,
}

impl Own {
    /// So far with the control socket alone.
    pub(super) fn new(control: &impl AsFd, managed: bool, held: Held) -> io::Result<Self> {
        Ok(Self {
            sockets: Vec::new(),
            control: control.as_fd().try_clone_to_owned()?,
            managed,
            held,
        })
    }

    /// Another descriptor of a socket.
    pub(super) fn add(
        &mut self,
        address: SocketAddr,
        kind: Kind,
        socket: impl AsFd,
    ) -> io::Result<()> {
        self.sockets.push(Bound {
            address,
            kind,
            socket: socket.as_fd().try_clone_to_owned()?,
        });
        Ok(())
    }

    /// Offers them until somebody who has taken them answers; the way to tell that one that we are done. For a thread of its own.
    pub(super) fn offer(&self, control: &Path) -> io::Result<UnixStream> {
        let path = place(control);
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        loop {
            let (stream, _) = listener.accept()?;
            match self.give(&stream) {
                Ok(()) => return Ok(stream),
                Err(error) => tracing::warn!("nobody has taken over: {error}"),
            }
        }
    }

    fn give(&self, mut stream: &UnixStream) -> io::Result<()> {
        let theirs = rustix::net::sockopt::socket_peercred(stream)?;
        let ours = rustix::process::geteuid();
        if theirs.uid != ours && !theirs.uid.is_root() {
            return Err(io::Error::other(format!(
                "user {} may not have our sockets",
                theirs.uid.as_raw()
            )));
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let offer = Offer {
            pid: std::process::id(),
            sockets: self.sockets.iter().map(|s| (s.address, s.kind)).collect(),
            managed: self.managed,
            landlock: self.held.landlock.clone(),
            calls: self.held.calls,
        };
        let words = serde_json::to_vec(&offer)?;
        let length = u32::try_from(words.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&words)?;
        let sockets = self.sockets.iter().map(|s| s.socket.as_fd());
        let all: Vec<BorrowedFd<'_>> = sockets.chain([self.control.as_fd()]).collect();
        for some in all.chunks(IN_ONE) {
            let mut space = vec![MaybeUninit::uninit(); room()];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(some));
            sendmsg(
                stream,
                &[IoSlice::new(b"s")],
                &mut control,
                SendFlags::empty(),
            )?;
        }
        let mut answers = [0];
        stream.read_exact(&mut answers)
    }
}

/// The process at the other end.
#[must_use]
pub fn process_of(stream: &UnixStream) -> Option<u32> {
    let theirs = rustix::net::sockopt::socket_peercred(stream).ok()?;
    u32::try_from(theirs.pid.as_raw_nonzero().get()).ok()
}

/// The sockets of a server that runs on.
#[derive(Debug)]
pub struct Taken {
    stream: UnixStream,
    /// Its process.
    pid: u32,
    /// What we are held to already, as it has started us; nothing if somebody else has.
    pub(super) held: Held,
}

impl Taken {
    /// Takes the sockets of the server with this control socket.
    ///
    /// # Errors
    /// None runs, it is another user's, or it does not understand us.
    pub fn from(control: &Path) -> io::Result<(Self, Handed)> {
        let mut stream = UnixStream::connect(place(control))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length).min(1 << 20);
        let mut words = vec![0; length as usize];
        stream.read_exact(&mut words)?;
        let offer: Offer = serde_json::from_slice(&words)?;
        let mut descriptors = receive(&stream, offer.sockets.len() + 1)?;
        let control = descriptors.pop().map(UnixListener::from);
        let sockets = offer.sockets.into_iter().zip(descriptors);
        let sockets = sockets.map(|((address, kind), socket)| Bound {
            address,
            kind,
            socket,
        });
        let handed = Handed::by_process(sockets.collect(), control, offer.managed);
        let held = Held {
            landlock: offer.landlock,
            calls: offer.calls,
        };
        let ours = process_of(&stream) == Some(std::os::unix::process::parent_id());
        let taken = Self {
            stream,
            pid: offer.pid,
            held: if ours { held } else { Held::default() },
        };
        Ok((taken, handed))
    }

    /// The process that we take over from.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Says that we answer, and waits until the other does not any more.
    ///
    /// # Errors
    /// The other has gone without a word; its sockets are ours all the same.
    pub(super) fn answer(&mut self) -> io::Result<()> {
        self.stream.write_all(b"a")?;
        self.stream.read_exact(&mut [0])
    }
}
