//! What is settled at the start: sockets, for each address one of TCP and one of UDP for each worker, those of encrypted questions and of the
//! admin API, and the limits of connections.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use socket2::{Domain, Socket, Type};

use super::handed::{Handed, Kind};
use super::rights::Target;
use super::run::StartError;
use super::socket_file::{SocketFile, dress, make};
use super::takeover::Own;
use crate::answer::Transport;
use crate::config::{Config, Limits};
use crate::server::{bind_to, tcp, udp};

/// Connections of the admin API that the system keeps waiting.
const BACKLOG: i32 = 64;

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

/// Where questions come encrypted.
#[derive(Debug)]
pub(super) struct Encrypted {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    pub(super) socket: Either,
}

/// A socket of TCP or of UDP.
#[derive(Debug)]
pub(super) enum Either {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Where the server is told what to do.
#[derive(Debug)]
pub struct Doors {
    /// The control socket; it need not listen yet.
    pub control: UnixListener,
    /// The admin API over TCP.
    pub admin: Vec<TcpListener>,
}

/// All sockets of a server.
#[derive(Debug)]
pub(super) struct All {
    pub(super) dns: Vec<Sockets>,
    pub(super) encrypted: Vec<Encrypted>,
    pub(super) doors: Doors,
    pub(super) file: SocketFile,
    /// The control socket's file is the service manager's.
    pub(super) managed: bool,
}

impl All {
    /// What others have of them, the others new; for the user that we become.
    pub(super) fn open(
        config: &Config,
        mut handed: Handed,
        target: Option<&Target>,
    ) -> Result<Self, StartError> {
        let server = &config.server;
        let workers = server.workers.unwrap_or_else(cores).max(1);
        let dns = server.listen.iter();
        let dns = dns.map(|address| Sockets::open(*address, workers, &mut handed));
        let dns = dns.collect::<Result<_, _>>()?;
        let tls = &config.tls;
        let kinds = [
            (Transport::Dot, Kind::Dot, &tls.dot),
            (Transport::Doh, Kind::Doh, &tls.doh),
            (Transport::Doq, Kind::Doq, &tls.doq),
            (Transport::Doh3, Kind::Doh3, &tls.doh3),
        ];
        let mut encrypted = Vec::new();
        for (transport, kind, addresses) in kinds {
            for address in addresses {
                encrypted.push(Encrypted::open(transport, kind, *address, &mut handed)?);
            }
        }
        let admin = config.admin.listen.iter();
        let admin = admin.map(|address| {
            let socket = match handed.listener(*address, Kind::Admin) {
                Some(socket) => tcp::adopt(socket),
                None => bind_admin(*address),
            };
            socket.map_err(|e| StartError::Listen(*address, "admin API", e))
        });
        let admin = admin.collect::<Result<_, _>>()?;
        let path = &server.control;
        let cannot =
            |e: io::Error| StartError::System(format!("cannot listen on {}: {e}", path.display()));
        let managed = handed.managed;
        let (control, file) = match handed.control(path) {
            Some(control) if managed => (control, SocketFile::theirs()),
            // The process that answers on it has its file until it leaves it to us.
            Some(control) => {
                dress(path, &config.admin).map_err(cannot)?;
                (control, SocketFile::theirs())
            }
            None => {
                let control = make(path, &config.admin, target).map_err(cannot)?;
                (control, SocketFile::ours(path))
            }
        };
        let encrypted_at = encrypted.iter().map(|e| e.address);
        let all = server.listen.iter().chain(&config.admin.listen).copied();
        let all: BTreeSet<IpAddr> = all.chain(encrypted_at).map(|a| a.ip()).collect();
        all.into_iter().for_each(tell_absent);
        if let Some(why) = handed.left_over() {
            return Err(StartError::System(why));
        }
        control.set_nonblocking(true).map_err(cannot)?;
        Ok(Self {
            dns,
            encrypted,
            doors: Doors { control, admin },
            file,
            managed,
        })
    }

    /// Another descriptor of each, for a process that takes over.
    pub(super) fn add_to(&self, own: &mut Own) -> io::Result<()> {
        for Sockets { address, udp, tcp } in &self.dns {
            for udp in udp {
                own.add(*address, Kind::Udp, udp)?;
            }
            own.add(*address, Kind::Tcp, tcp)?;
        }
        for Encrypted {
            transport,
            address,
            socket,
        } in &self.encrypted
        {
            let kind = match transport {
                Transport::Doh => Kind::Doh,
                Transport::Doq => Kind::Doq,
                Transport::Doh3 => Kind::Doh3,
                _ => Kind::Dot,
            };
            match socket {
                Either::Tcp(tcp) => own.add(*address, kind, tcp)?,
                Either::Udp(udp) => own.add(*address, kind, udp)?,
            }
        }
        for admin in &self.doors.admin {
            own.add(admin.local_addr()?, Kind::Admin, admin)?;
        }
        Ok(())
    }
}

impl Encrypted {
    /// How and where.
    pub(super) fn places(all: &[Self]) -> Vec<(Transport, SocketAddr)> {
        all.iter().map(|e| (e.transport, e.address)).collect()
    }

    fn open(
        transport: Transport,
        kind: Kind,
        address: SocketAddr,
        handed: &mut Handed,
    ) -> Result<Self, StartError> {
        let cannot = |e| StartError::Listen(address, transport.name(), e);
        let (socket, address) = match transport {
            Transport::Doq | Transport::Doh3 => {
                let udp = match handed.datagrams(address, kind) {
                    Some(udp) => udp::adopt(udp),
                    None => udp::bind(address, false),
                };
                let udp = udp.map_err(cannot)?;
                let address = udp.local_addr();
                (Either::Udp(udp), address)
            }
            _ => {
                let tcp = match handed.listener(address, kind) {
                    Some(tcp) => tcp::adopt(tcp),
                    None => tcp::bind(address),
                };
                let tcp = tcp.map_err(cannot)?;
                let address = tcp.local_addr();
                (Either::Tcp(tcp), address)
            }
        };
        Ok(Self {
            transport,
            // Port 0 means any.
            address: address.map_err(cannot)?,
            socket,
        })
    }
}

impl Sockets {
    /// Those of an address: what others have bound, and what is lacking; port 0 means any that is free. Fewer sockets of UDP than workers are
    /// shared by them.
    fn open(address: SocketAddr, workers: usize, handed: &mut Handed) -> Result<Self, StartError> {
        let (given, tcp) = handed.of(address);
        let cannot = |kind| move |e| StartError::Listen(address, kind, e);
        let tcp = match tcp {
            Some(tcp) => tcp::adopt(tcp),
            None => tcp::bind(address),
        };
        let tcp = tcp.map_err(cannot("TCP"))?;
        // Port 0 means any, but the same for all.
        let address = tcp.local_addr().map_err(cannot("TCP"))?;
        let udp = match given.len() {
            0 => (0..workers)
                .map(|_| udp::bind(address, workers > 1))
                .collect(),
            some => {
                let adopted = given.into_iter().map(udp::adopt);
                adopted.collect::<io::Result<Vec<_>>>().and_then(|mut all| {
                    for worker in some..workers {
                        all.push(all[worker % some].try_clone()?);
                    }
                    Ok(all)
                })
            }
        };
        let udp = udp.map_err(cannot("UDP"))?;
        Ok(Self { address, udp, tcp })
    }
}

/// Tells of an address that this machine does not have (yet).
fn tell_absent(ip: IpAddr) {
    let bound = UdpSocket::bind((ip, 0));
    if bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable) {
        tracing::warn!(
            "this machine does not have the address {ip}: it is listened on, for when it has"
        );
    }
}

/// Listens on an address of the admin API. IPv6 is IPv6 alone, as the other sockets are.
fn bind_admin(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    bind_to(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What TCP connections may use, where there is room for so many.
pub(super) fn tcp_limits(limits: &Limits, connections: usize) -> tcp::Limits {
    tcp::Limits {
        connections,
        per_client: limits.tcp_per_client,
        per_network: limits.tcp_per_network,
        idle: limits.tcp_idle,
        total: limits.tcp_total,
        ..tcp::Limits::default()
    }
}

/// Threads that this machine runs at one time.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
