//! DNS over TCP (RFC 7766), TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250): accepts connections, keeps their number within limits, and hands each to a task
//! of its own. Whatever is spoken, they are in one table: who has many of one kind has few of the others.

use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::connections::{Activity, Connections, Room};
use super::quic::{self, Knock};
use super::service::Service;
use super::stream::Talk;
use super::tls::Shown;
use super::{bind_to, https, only_its_own};
use crate::answer::Transport;
use crate::metrics::Questions;
use crate::snapshot::Current;

/// What clients may take of us. No limit turns a client away: each closes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all, at least one. At the limit the one of least use is closed for the new one.
    pub connections: usize,
    /// Open connections of one client, an IPv4 address or an IPv6 /64, at least one. At the limit it loses its own.
    pub per_client: usize,
    /// Open connections of one network, an IPv4 /24 or an IPv6 /56, at least one. At the limit it loses its own, those that are waiting first.
    pub per_network: usize,
    /// Time between messages.
    pub idle: Duration,
    /// Time for a whole message after its first octet.
    pub message: Duration,
    /// Age at which a connection is closed, its replies written.
    pub total: Duration,
    /// Time for the client to take a batch of replies, at most 80 KiB.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2000,
            per_client: 50,
            per_network: 200,
            idle: Duration::from_secs(10),
            message: Duration::from_secs(5),
            total: Duration::from_secs(300),
            write: Duration::from_secs(5),
        }
    }
}

/// One way that questions come.
pub struct Way {
    /// Which.
    pub transport: Transport,
    /// Where.
    pub listeners: Vec<TcpListener>,
    /// Who comes over QUIC.
    pub knocks: Option<mpsc::Receiver<Knock>>,
    /// What is counted.
    pub counters: Arc<Questions>,
    /// Whose counters of given addresses in the generation are its own.
    pub number: usize,
    /// Whom TLS shows; none only where there is no TLS.
    pub shown: Option<Arc<Shown>>,
}

/// Connections that may wait to be accepted; the system's own limit may be lower.
const BACKLOG: i32 = 4096;
/// Octets that the system keeps for a connection in each direction. It would go up to megabytes on its own, also for a
/// client that does not read.
const KERNEL_BUFFER: usize = 128 * 1024;
/// Age below which a connection is not closed for another client's. Together with [`Limits::connections`] it bounds how
/// fast connections can push each other out: with 2000, at 40 000 a second.
const GRACE: Duration = Duration::from_millis(50);
/// For a TLS handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// That it cannot is told no more often than this.
const AGAIN: Duration = Duration::from_secs(60);
/// Rest after the system could not give a connection.
const PAUSE: Duration = Duration::from_millis(20);

/// Listens on an address; port 0 takes a free one.
///
/// # Errors
/// What the system says: no such address, in use, not permitted.
pub fn bind(address: SocketAddr) -> io::Result<net::TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    bound_buffers(&socket)?;
    bind_to(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Makes a listener that somebody else has bound as [`bind`] makes them.
///
/// # Errors
/// As the system says; or it takes IPv4 too.
pub fn adopt(listener: net::TcpListener) -> io::Result<net::TcpListener> {
    let address = listener.local_addr()?;
    let socket = Socket::from(listener);
    only_its_own(&socket, address)?;
    socket.set_nonblocking(true)?;
    bound_buffers(&socket)?;
    Ok(socket.into())
}

/// Connections inherit both.
fn bound_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_send_buffer_size(KERNEL_BUFFER)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER)
}

/// Answers in all `ways` until `stop`, then closes everything; connections that are open may go on for as long as `stop` says, if
/// they are asked something again and again. The limits hold for all of them together.
pub async fn serve(
    ways: Vec<Way>,
    current: Arc<Current>,
    limits: Limits,
    stop: impl Future<Output = Duration>,
) {
    let mut connections = Connections::new(Room {
        in_all: limits.connections,
        per_client: limits.per_client,
        per_network: limits.per_network,
        grace: GRACE,
    });
    let (mut doors, mut knocks) = (Vec::new(), None);
    for way in ways {
        let service = Arc::new(Service {
            current: Arc::clone(&current),
            limits: limits.clone(),
            transport: way.transport,
            counters: way.counters,
            number: way.number,
            shown: way.shown,
        });
        knocks = way.knocks.map(|own| (own, Arc::clone(&service))).or(knocks);
        let own = way.listeners.into_iter();
        doors.extend(own.map(|listener| (listener, Arc::clone(&service))));
    }
    let mut stop = pin!(stop);
    let mut told: Option<Instant> = None;
    for turn in 0.. {
        tokio::select! {
            biased;
            linger = &mut stop => {
                drop(doors);
                let _ = timeout(linger, connections.all_ended()).await;
                return;
            }
            () = connections.ended() => {}
            (knock, service) = knock(&mut knocks) => {
                // While there is room nobody has to come twice; then spoofed addresses get no part of it.
                let crowded = connections.crowded(knock.from().ip());
                if let Some(knock) = if crowded { knock.validated() } else { Some(knock) } {
                    let (from, own) = (knock.from(), Arc::clone(&service));
                    let talk = |activity| quic::talk(own, knock, activity);
                    admit(&service, &mut connections, from, talk).await;
                }
            }
            (accepted, service) = accept(&doors, turn) => match accepted {
                Ok((stream, peer)) => {
                    // Without it replies are only later.
                    let _: io::Result<()> = stream.set_nodelay(true);
                    let own = Arc::clone(service);
                    let talk = |activity| talk(own, stream, peer, activity);
                    admit(service, &mut connections, peer, talk).await;
                }
                Err(error) if of_one_connection(&error) => tokio::task::yield_now().await,
                Err(error) => {
                    // Between two that are not, others are: that is no end of it.
                    if told.is_none_or(|at| at.elapsed() >= AGAIN) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "TCP connections cannot be accepted");
                    }
                    make_room(service, &mut connections).await;
                }
            },
        }
    }
}

/// A listener, and who answers those that come.
type Door = (TcpListener, Arc<Service>);

/// The next connection of any listener, each the first in its turn.
async fn accept(
    doors: &[Door],
    turn: usize,
) -> (io::Result<(TcpStream, SocketAddr)>, &Arc<Service>) {
    poll_fn(|cx| {
        let (before, from) = doors.split_at(turn % doors.len().max(1));
        for (listener, service) in from.iter().chain(before) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready((accepted, service));
            }
        }
        Poll::Pending
    })
    .await
}

/// Who comes next over QUIC; for ever nobody where that is not spoken.
async fn knock(
    knocks: &mut Option<(mpsc::Receiver<Knock>, Arc<Service>)>,
) -> (Knock, Arc<Service>) {
    if let Some((knocks, service)) = knocks
        && let Some(knock) = knocks.recv().await
    {
        return (knock, Arc::clone(service));
    }
    pending().await
}

async fn admit<F: Future<Output = ()> + Send + 'static>(
    service: &Service,
    connections: &mut Connections,
    peer: SocketAddr,
    talk: impl FnOnce(Activity) -> F,
) {
    service.counters.connections.count();
    if connections.admit(peer.ip(), talk).await {
        service.counters.evicted.count();
    }
    // The new connection's task comes first: what is already there of its question is read before others can push it out.
    tokio::task::yield_now().await;
}

async fn talk(service: Arc<Service>, mut stream: TcpStream, peer: SocketAddr, activity: Activity) {
    let shown = service.shown.as_ref();
    match shown.and_then(|shown| shown.config(service.transport)) {
        None => {
            let talk = Talk::new(&service, peer.ip(), activity);
            talk.run(&mut stream).await;
        }
        // What TLS needs is much, and a plain connection's task is not to have room for it.
        Some(config) => {
            Box::pin(encrypted(service, config.into(), stream, peer, activity)).await;
        }
    }
}

async fn encrypted(
    service: Arc<Service>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    activity: Activity,
) {
    // A failed handshake has told its client why, and concerns nobody else.
    let Ok(Ok(mut stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    if service.transport == Transport::Doh {
        return https::talk(service, peer.ip(), activity, stream).await;
    }
    Talk::new(&service, peer.ip(), activity)
        .run(&mut stream)
        .await;
    // So that the client knows that nobody cut off what it was sent.
    let _ = timeout(service.limits.write, stream.shutdown()).await;
}

/// What happened to one connection before it was accepted says nothing of the next.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::Interrupted
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut
    )
}

/// The system is short of something, most likely of file descriptors: one connection gives back what it has, and a moment
/// passes, as the error would come again at once.
async fn make_room(service: &Service, connections: &mut Connections) {
    if connections.evict() {
        service.counters.evicted.count();
    }
    tokio::time::sleep(PAUSE).await;
}
