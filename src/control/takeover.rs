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
//!   lets its TCP connections end                 takes what was ordered last, opens the control socket
//! ```
//! If the new one fails before it answers, nothing has happened. The way is a Unix socket beside the control socket, for the same user only.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// A process that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(120);
/// The system passes no more descriptors in one message (`SCM_MAX_FD` of unix(7)).
const IN_ONE: usize = 250;

/// Where a server with this control socket offers its sockets.
fn place(control: &Path) -> PathBuf {
    control.with_extension("takeover")
}

/// Nothing is offered any more.
pub(super) fn withdraw(control: &Path) {
    let _ = fs::remove_file(place(control));
}

/// What sockets are, in the order in which they come.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    /// The process.
    pid: u32,
    sockets: Vec<(SocketAddr, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Udp,
    Tcp,
}

/// What others may take of a server that runs.
#[derive(Debug, Default)]
pub(super) struct Own(Vec<(SocketAddr, Kind, OwnedFd)>);

impl Own {
    /// Another descriptor of a socket.
    pub(super) fn udp(&mut self, address: SocketAddr, socket: &UdpSocket) -> io::Result<()> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        self.0.push((address, Kind::Udp, socket));
        Ok(())
    }

    /// Another descriptor of a listener.
    pub(super) fn tcp(&mut self, address: SocketAddr, socket: impl AsFd) -> io::Result<()> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        self.0.push((address, Kind::Tcp, socket));
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
            sockets: self.0.iter().map(|(at, kind, _)| (*at, *kind)).collect(),
        };
        let words = serde_json::to_vec(&offer)?;
        let length = u32::try_from(words.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&words)?;
        for some in self.0.chunks(IN_ONE) {
            let sockets: Vec<BorrowedFd<'_>> = some.iter().map(|s| s.2.as_fd()).collect();
            let mut space = vec![MaybeUninit::uninit(); room()];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&sockets));
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

fn room() -> usize {
    rustix::cmsg_space!(ScmRights(IN_ONE))
}

/// The sockets of a server that runs on.
#[derive(Debug)]
pub struct Taken {
    stream: UnixStream,
    /// Its process.
    pid: u32,
    sockets: Vec<(SocketAddr, Kind, OwnedFd)>,
}

impl Taken {
    /// Takes the sockets of the server with this control socket.
    ///
    /// # Errors
    /// None runs, it is another user's, or it does not understand us.
    pub fn from(control: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(place(control))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length).min(1 << 20);
        let mut words = vec![0; length as usize];
        stream.read_exact(&mut words)?;
        let offer: Offer = serde_json::from_slice(&words)?;
        let mut descriptors = Vec::new();
        while descriptors.len() < offer.sockets.len() {
            let mut space = vec![MaybeUninit::uninit(); room()];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut octet = [0];
            let mut into = [IoSliceMut::new(&mut octet)];
            let came = recvmsg(&stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    descriptors.extend(some);
                }
            }
            if came.bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let sockets = offer.sockets.into_iter().zip(descriptors);
        Ok(Self {
            stream,
            pid: offer.pid,
            sockets: sockets
                .map(|((at, kind), socket)| (at, kind, socket))
                .collect(),
        })
    }

    /// The process that we take over from.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Those of an address; none: the other does not listen there.
    pub(super) fn of(&mut self, address: SocketAddr) -> Option<(Vec<UdpSocket>, TcpListener)> {
        let same = |wanted: SocketAddr, has: SocketAddr| {
            // Port 0 means any, and that of the other is one.
            wanted == has || (wanted.port() == 0 && wanted.ip() == has.ip())
        };
        let own = self.sockets.extract_if(.., |(at, _, _)| same(address, *at));
        let (mut udp, mut tcp) = (Vec::new(), None);
        for (_, kind, socket) in own {
            match kind {
                Kind::Udp => udp.push(UdpSocket::from(socket)),
                Kind::Tcp => tcp = Some(TcpListener::from(socket)),
            }
        }
        Some((udp, tcp?))
    }

    /// Says that we answer, and waits until the other does not any more.
    ///
    /// # Errors
    /// The other has gone without a word; its sockets are ours all the same.
    pub(super) fn answer(&mut self) -> io::Result<()> {
        self.sockets.clear();
        self.stream.write_all(b"a")?;
        self.stream.read_exact(&mut [0])
    }
}
