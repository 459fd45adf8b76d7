//! What is settled at the start: sockets, for each address one of TCP and one of UDP for each worker, and the limits of connections.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use tokio::net::TcpListener;

use super::run::StartError;
use crate::config::Limits;
use crate::server::{tcp, udp};

/// The sockets of one address.
pub(super) struct Sockets {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

impl Sockets {
    /// Binds them; port 0 means any that is free.
    pub(super) fn bind(address: SocketAddr, workers: usize) -> Result<Self, StartError> {
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
