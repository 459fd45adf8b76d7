//! Starts what answers over connections, in all its ways.

use std::io;
use std::net::{self, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::handle::Shared;
use super::sockets::{Either, Encrypted};
use crate::answer::Transport;
use crate::server::quic::Knock;
use crate::server::tcp::{Limits, Way};
use crate::server::{h3, quic, tcp};

/// Connections over QUIC that wait to be admitted.
const KNOCKS: usize = 64;

/// That we stop, and for how long open connections may go on all the same.
pub(super) type Stopped = watch::Receiver<Option<Duration>>;

/// Sockets whose connections no two processes can read together: they wait until no other does.
#[derive(Debug)]
pub(super) struct Later {
    quic: Vec<UdpSocket>,
    h3: Vec<UdpSocket>,
    knocks: mpsc::Sender<Knock>,
    stopped: Stopped,
    limits: Limits,
}

/// Starts those that may begin at once; `plain` are the listeners of TCP.
pub(super) fn start(
    runtime: &Runtime,
    shared: &Shared,
    plain: Vec<net::TcpListener>,
    encrypted: Vec<Encrypted>,
    (stopped, limits): (Stopped, Limits),
) -> io::Result<(JoinHandle<()>, Later)> {
    let _inside = runtime.enter();
    let (knocks, knocked) = mpsc::channel(KNOCKS);
    let doq = Way {
        knocks: Some(knocked),
        ..way(shared, Transport::Doq)
    };
    let listening = [Transport::Tcp, Transport::Dot, Transport::Doh];
    let mut ways = listening.map(|transport| way(shared, transport));
    let mut later = Later {
        quic: Vec::new(),
        h3: Vec::new(),
        knocks,
        stopped: stopped.clone(),
        limits: limits.clone(),
    };
    let plain = plain.into_iter().map(Either::Tcp);
    let plain = plain.map(|socket| (Transport::Tcp, socket));
    let encrypted = encrypted.into_iter().map(|e| (e.transport, e.socket));
    for (transport, socket) in plain.chain(encrypted) {
        let way = ways.iter_mut().find(|way| way.transport == transport);
        match (socket, way) {
            (Either::Tcp(tcp), Some(way)) => way.listeners.push(TcpListener::from_std(tcp)?),
            (Either::Udp(udp), _) if transport == Transport::Doq => later.quic.push(udp),
            (Either::Udp(udp), _) => later.h3.push(udp),
            (Either::Tcp(_), None) => {}
        }
    }
    let ways = ways.into_iter().chain([doq]).collect();
    let current = Arc::clone(&shared.current);
    let serving = tcp::serve(ways, current, limits, stop(stopped));
    Ok((runtime.spawn(serving), later))
}

impl Later {
    /// Starts them too.
    pub(super) fn begin(self, runtime: &Runtime, shared: &Shared) -> io::Result<()> {
        let _inside = runtime.enter();
        let Some(shown) = &shared.shown else {
            return Ok(());
        };
        for socket in self.quic {
            let (knocks, stop) = (self.knocks.clone(), stop(self.stopped.clone()));
            runtime.spawn(quic::listen(socket, shown, &self.limits, knocks, stop)?);
        }
        if !self.h3.is_empty() {
            let (way, current) = (way(shared, Transport::Doh3), Arc::clone(&shared.current));
            let stop = stop(self.stopped);
            h3::serve(self.h3, way, current, self.limits, stop)?;
        }
        Ok(())
    }
}

/// What is counted is apart for each: the last counters are theirs.
fn way(shared: &Shared, transport: Transport) -> Way {
    let ways = Transport::STREAMS;
    let place = ways.iter().position(|way| *way == transport);
    let number = shared.counters.len() - ways.len() + place.unwrap_or_default();
    Way {
        transport,
        listeners: Vec::new(),
        knocks: None,
        counters: Arc::clone(&shared.counters[number]),
        number,
        shown: shared.shown.clone(),
    }
}

async fn stop(mut stopped: Stopped) -> Duration {
    let linger = stopped.wait_for(Option::is_some).await;
    linger.map_or(None, |linger| *linger).unwrap_or_default()
}
