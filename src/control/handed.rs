//! Sockets that somebody else has bound: the process before this one ([`super::takeover`]), or the service manager (sd_listen_fds(3)).
//! Whose they are does not matter: each belongs to the address that it is bound to, whatever its name or number.

use std::fmt::Write as _;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::{Deserialize, Serialize};
use socket2::{Socket, Type};

/// The system passes no more descriptors in one message (`SCM_MAX_FD` of unix(7)).
pub(super) const IN_ONE: usize = 250;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Udp,
    Tcp,
    /// TCP of the admin API; the service manager does not tell it, and the next two, from the other.
    Admin,
    /// TLS.
    Dot,
    /// HTTPS.
    Doh,
    /// QUIC; the service manager does not tell it, and the next, from UDP.
    Doq,
    /// HTTP/3.
    Doh3,
}

/// A socket that is bound to an address.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    pub(super) kind: Kind,
    pub(super) socket: OwnedFd,
}

/// Sockets that somebody else has bound.
#[derive(Debug, Default)]
pub struct Handed {
    sockets: Vec<Bound>,
    /// The control socket; it listens already.
    control: Option<UnixListener>,
    /// The control socket's file is the service manager's.
    pub(super) managed: bool,
    /// They are the service manager's: each must be of use.
    strict: bool,
}

impl Handed {
    /// Those of another process. Some may be of no use: it was started with another configuration.
    pub(super) fn by_process(
        sockets: Vec<Bound>,
        control: Option<UnixListener>,
        managed: bool,
    ) -> Self {
        Self {
            sockets,
            control,
            managed,
            strict: false,
        }
    }

    /// Takes the descriptors that the service manager has opened for this process, each with its name there.
    ///
    /// # Errors
    /// One is nothing that a server of ours could listen on.
    pub fn by_manager(descriptors: &[(RawFd, String)]) -> Result<Self, String> {
        let mut handed = Self {
            strict: true,
            ..Self::default()
        };
        let numbers: Vec<RawFd> = descriptors.iter().map(|(fd, _)| *fd).collect();
        let owned = owned(&numbers)
            .map_err(|e| format!("the sockets of the service manager cannot be taken: {e}"))?;
        for (socket, (_, name)) in owned.into_iter().zip(descriptors) {
            let given = handed.sort(socket.into());
            given.map_err(|e| format!("the service manager's \"{name}\" is of no use: {e}"))?;
        }
        Ok(handed)
    }

    fn sort(&mut self, socket: Socket) -> io::Result<()> {
        let at = socket.local_addr()?;
        let (kind, address) = (socket.r#type()?, at.as_socket());
        let listens = kind == Type::STREAM && socket.is_listener()?;
        let kind = match (address, kind) {
            (_, Type::STREAM) if !listens => {
                return Err(io::Error::other("it is a connection"));
            }
            (Some(_), Type::DGRAM) => Kind::Udp,
            (Some(_), Type::STREAM) => Kind::Tcp,
            (None, Type::STREAM) if at.is_unix() && self.control.is_none() => {
                self.control = Some(OwnedFd::from(socket).into());
                self.managed = true;
                return Ok(());
            }
            _ => return Err(io::Error::other("it is no socket of UDP, TCP or control")),
        };
        if let Some(address) = address {
            let socket = socket.into();
            self.sockets.push(Bound {
                address,
                kind,
                socket,
            });
        }
        Ok(())
    }

    /// Those of UDP and of TCP for an address of `listen`.
    pub(super) fn of(&mut self, address: SocketAddr) -> (Vec<UdpSocket>, Option<TcpListener>) {
        let mut udp = Vec::new();
        while let Some(socket) = self.take(address, Kind::Udp) {
            udp.push(socket.into());
        }
        (udp, self.take(address, Kind::Tcp).map(Into::into))
    }

    /// The one of TCP for an address of another kind than those of `listen`.
    pub(super) fn listener(&mut self, address: SocketAddr, kind: Kind) -> Option<TcpListener> {
        let own = self.take(address, kind);
        let manager = || self.strict.then(|| self.take(address, Kind::Tcp)).flatten();
        own.or_else(manager).map(Into::into)
    }

    /// The one of UDP for an address of another kind than those of `listen`.
    pub(super) fn datagrams(&mut self, address: SocketAddr, kind: Kind) -> Option<UdpSocket> {
        let own = self.take(address, kind);
        let manager = || self.strict.then(|| self.take(address, Kind::Udp)).flatten();
        own.or_else(manager).map(Into::into)
    }

    fn take(&mut self, wanted: SocketAddr, kind: Kind) -> Option<OwnedFd> {
        let same = |has: &Bound| {
            // Port 0 means any, and that of the other is one.
            let any = wanted.port() == 0 && wanted.ip() == has.address.ip();
            has.kind == kind && (any || wanted == has.address)
        };
        let found = self.sockets.iter().position(same)?;
        Some(self.sockets.remove(found).socket)
    }

    /// The control socket, if it is the one at `path`.
    pub(super) fn control(&mut self, path: &Path) -> Option<UnixListener> {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
        self.control.take_if(|control| {
            let at = control.local_addr();
            // `/var/run` and `/run` are one.
            at.is_ok_and(|at| at.as_pathname().is_some_and(|at| real(at) == real(path)))
        })
    }

    /// What the service manager has opened in vain: questions would wait there for ever.
    pub(super) fn left_over(&self) -> Option<String> {
        let mut out = String::new();
        for Bound { address, kind, .. } in self.sockets.iter().filter(|_| self.strict) {
            let kind = if *kind == Kind::Udp { "UDP" } else { "TCP" };
            let _ = write!(out, "\n  {kind} {address}");
        }
        if let Some(control) = self.control.as_ref().filter(|_| self.strict) {
            let at = control.local_addr().ok();
            let at = at.as_ref().and_then(|at| at.as_pathname());
            let _ = write!(out, "\n  {}", at.unwrap_or(Path::new("?")).display());
        }
        (!out.is_empty()).then(|| {
            format!(
                "the service manager has opened sockets that are of no use: each must be an address of \"listen\", TCP once, or \"control\":{out}"
            )
        })
    }
}

/// Descriptors of this process that nothing here knows of, as such that close themselves. They are sent to ourselves, as another process would
/// send them: that way it is checked that they exist, and all of it is safe code. The numbers are closed then.
fn owned(numbers: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    let (here, there) = UnixStream::pair()?;
    let mut out = Vec::new();
    for some in numbers.chunks(IN_ONE) {
        let rights = [ControlMessage::ScmRights(some)];
        let (fd, octet) = (here.as_raw_fd(), [IoSlice::new(b"s")]);
        sendmsg::<()>(fd, &octet, &rights, MsgFlags::empty(), None)?;
        out.extend(receive(&there, some.len())?);
    }
    for number in numbers {
        nix::unistd::close(*number)?;
    }
    Ok(out)
}

/// So many descriptors that come through a socket.
pub(super) fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut descriptors = Vec::new();
    while descriptors.len() < count {
        let mut space = vec![MaybeUninit::uninit(); room()];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut octet = [0];
        let mut into = [IoSliceMut::new(&mut octet)];
        let came = recvmsg(stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        if came.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(descriptors)
}

/// Octets for the descriptors of one message.
pub(super) fn room() -> usize {
    rustix::cmsg_space!(ScmRights(IN_ONE))
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    /// As the service manager hands them: bare numbers.
    fn handed(sockets: Vec<OwnedFd>) -> Result<Handed, String> {
        let numbers: Vec<(RawFd, String)> = sockets
            .into_iter()
            .map(|fd| (fd.into_raw_fd(), "nearmost.socket".to_owned()))
            .collect();
        Handed::by_manager(&numbers)
    }

    #[test]
    fn each_belongs_to_its_address() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = one.local_addr().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = tcp.local_addr().unwrap();
        let mut all = handed(vec![
            tcp.into(),
            one.try_clone().unwrap().into(),
            one.into(),
        ])
        .unwrap();
        assert!(all.listener(address, Kind::Admin).is_none(), "that is UDP");
        let (udp, none) = all.of(address);
        assert_eq!((udp.len(), none.is_none()), (2, true));
        assert_eq!(udp[0].local_addr().unwrap(), address);
        let left = all.left_over().unwrap();
        assert!(left.ends_with(&format!("\n  TCP {other}")), "{left}");
        assert!(all.listener(other, Kind::Admin).is_some());
        assert_eq!(all.left_over(), None);
    }

    #[test]
    fn what_is_no_listener_is_told() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = handed(vec![file.into()]).unwrap_err();
        assert!(
            error.starts_with("the service manager's \"nearmost.socket\" is of no use: "),
            "{error}"
        );
        let (one, _other) = UnixStream::pair().unwrap();
        let error = handed(vec![one.into()]).unwrap_err();
        assert!(error.ends_with("it is a connection"), "{error}");
        let error = Handed::by_manager(&[(RawFd::MAX, "x".into())]).unwrap_err();
        assert!(error.contains("cannot be taken"), "{error}");
    }
}
