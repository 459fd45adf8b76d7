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
//! If the new one fails before it answers, nothing has happened: until then all files are the old one's, which waits as long as the new one runs.
//! The way is a Unix socket beside the control socket, for the same user only.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::handed::{Bound, Handed, IN_ONE, Kind, receive, room};
use super::reach::Landlock;

/// So long one process waits for what the other need only send or take.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long the end of a process takes whose end of the stream is closed: what it knows it writes to disk before.
pub(super) const ENDING: Duration = Duration::from_secs(30);

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

    /// Has another control socket.
    pub(super) fn renew(&mut self, control: &impl AsFd) -> io::Result<()> {
        self.control = control.as_fd().try_clone_to_owned()?;
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
        // Its first round takes as long as the slowest probe may. If it ends before, so does the stream.
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

    /// Says that we answer, and waits until the other does not any more. If it does not wait for us, it has so long to end.
    ///
    /// # Errors
    /// In words: it answers on, and does not wait for us any more. Both would answer for ever, each with orders of its own.
    pub(super) fn answer(&mut self, ending: Duration) -> Result<(), String> {
        let told = self.stream.write_all(b"a");
        let told = told.and_then(|()| self.stream.read_exact(&mut [0]));
        let pid = self.pid;
        match told {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::warn!("process {pid} knows that we answer, and takes long to stop");
            }
            Err(error) if has_ended(pid, ending) => {
                tracing::warn!("process {pid} has ended without a word: {error}");
            }
            Err(error) => {
                return Err(format!(
                    "process {pid} answers on and does not wait for us any more: {error}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a process has ended, or does within this time; also where nobody has asked for its exit code yet.
fn has_ended(pid: u32, within: Duration) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(Ok(process)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return true;
    };
    let within = Timespec::try_from(within).ok();
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    poll(&mut ends, within.as_ref()) != Ok(0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What has taken from a process that has closed its end.
    fn taken(pid: u32) -> Taken {
        let (stream, _closed) = UnixStream::pair().unwrap();
        Taken {
            stream,
            pid,
            held: Held::default(),
        }
    }

    #[test]
    fn who_does_not_wait_any_more_is_gone_only_if_its_process_is() {
        let mut other = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let error = taken(other.id()).answer(Duration::ZERO).unwrap_err();
        assert!(error.contains("answers on"), "{error}");
        // It ends as nobody writes to it any more, and nobody has waited for it.
        drop(other.stdin.take());
        assert_eq!(taken(other.id()).answer(ENDING), Ok(()));
        other.wait().unwrap();
        assert_eq!(taken(other.id()).answer(Duration::ZERO), Ok(()));
    }
}
