//! What is settled at the start: sockets, for each address one of TCP and one of UDP for each worker, and the limits of connections.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use tokio::net::TcpListener;

use super::run::StartError;
use super::takeover::{Own, Taken};
use crate::config::Limits;
use crate::server::{tcp, udp};

/// The sockets of one address.
pub(super) struct Sockets {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

impl Sockets {
    /// Those of all addresses: what another process has of them, the others new.
    pub(super) fn all(
        listen: &[SocketAddr],
        workers: usize,
        mut taken: Option<&mut Taken>,
    ) -> Result<Vec<Self>, StartError> {
        let bind = |address: &SocketAddr| {
            let given = taken.as_mut().and_then(|taken| taken.of(*address));
            match given {
                Some(given) => Self::taken(given).map_err(|e| StartError::System(e.to_string())),
                None => Self::bind(*address, workers),
            }
        };
        listen.iter().map(bind).collect()
    }

    /// What another process may have of them.
    pub(super) fn own(all: &[Self]) -> io::Result<Own> {
        let mut own = Own::default();
        for Self { address, udp, tcp } in all {
            udp.iter().try_for_each(|udp| own.udp(*address, udp))?;
            own.tcp(*address, tcp)?;
        }
        Ok(own)
    }

    /// Those of another process.
    fn taken((udp, tcp): (Vec<UdpSocket>, std::net::TcpListener)) -> io::Result<Self> {
        Ok(Self {
            address: tcp.local_addr()?,
            udp,
            tcp: TcpListener::from_std(tcp)?,
        })
    }

    /// Binds them; port 0 means any that is free.
    fn bind(address: SocketAddr, workers: usize) -> Result<Self, StartError> {
        let tcp = tcp::bind(address).map_err(|e| StartError::Listen(address, "TCP", e))?;
        // Port 0 means any, but the same for all.
        let address = tcp
            .local_addr()
            .map_err(|e| StartError::Listen(address, "TCP", e))?;
        let udp = (0..workers.max(1))
            .map(|_| udp::bind(address, workers > 1))
            .collect::<io::Result<_>>();
        Ok(Self {
            address,
            udp: udp.map_err(|e| StartError::Listen(address, "UDP", e))?,
            tcp,
        })
    }
}

/// What TCP connections may use.
pub(super) fn tcp_limits(limits: &Limits) -> tcp::Limits {
    tcp::Limits {
        connections: limits.tcp_connections,
        per_client: limits.tcp_per_client,
        idle: limits.tcp_idle,
        total: limits.tcp_total,
        ..tcp::Limits::default()
    }
}

/// Threads that this machine runs at one time.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
