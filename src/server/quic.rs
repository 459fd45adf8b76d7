//! DNS over QUIC (RFC 9250): each question has a stream of its own, so that none waits for another.
//!
//! ```text
//!   listen   an endpoint for each socket: who knocks goes to the one loop that admits connections (`tcp`)
//!     talk     the handshake, then streams, until idle for too long, too old, or a breach of the protocol
//!       answer   a stream: a question, its end, the reply
//! ```

use std::collections::hash_map::RandomState;
use std::future::ready;
use std::hash::BuildHasher;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig,
    TransportConfig, VarInt,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::connections::Activity;
use super::held::{Held, Question};
use super::service::Service;
use super::tcp::{HANDSHAKE, Limits};
use super::tls::Shown;
use crate::answer::{LONGEST, Transport};
use crate::wire::{HEADER, Query};

/// Streams of a connection at one time.
const STREAMS: u32 = 100;
/// Octets that a client may send of a stream before they are read: a message and its length.
const STREAM: u32 = 2 + 65_535;
/// The same of a connection, and of replies that it has not taken.
const WINDOW: u32 = 256 << 10;
/// Connections that wait to be admitted, and octets of each and of all that wait with them.
const WAITING: usize = 1024;
const WAITING_OCTETS: (u64, u64) = (16 << 10, 8 << 20);
/// For a last word to those who are still connected.
const FAREWELL: Duration = Duration::from_millis(50);

/// Codes of RFC 9250 4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// Somebody who wants to connect.
#[derive(Debug)]
pub struct Knock(Incoming);

/// Passes on who knocks at a socket, until `stop`; then nothing reads the socket any more. Within a runtime.
///
/// # Errors
/// As the system says.
pub fn listen(
    socket: UdpSocket,
    shown: &Shown,
    limits: &Limits,
    knocks: mpsc::Sender<Knock>,
    stop: impl Future<Output = Duration> + Send + 'static,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    socket.set_nonblocking(true)?;
    let config = config(shown, limits).ok_or_else(|| io::Error::other("TLS 1.3 is lacking"))?;
    let tasks = Arc::new(Tasks::default());
    let (own, of) = (EndpointConfig::default(), Arc::clone(&tasks));
    let endpoint = Endpoint::new(own, Some(config), socket, of)?;
    Ok(async move {
        let accept = async {
            while let Some(incoming) = endpoint.accept().await {
                if knocks.send(Knock(incoming)).await.is_err() {
                    return;
                }
            }
            tracing::error!("the socket of questions over QUIC has failed: it is read no more");
        };
        tokio::select! {
            _ = stop => {}
            () = accept => {}
        }
        // Another process may read the socket already: who comes now is to come to that one, which it does when it asks again.
        endpoint.set_server_config(None);
        endpoint.close(NO_ERROR, b"");
        let _ = timeout(FAREWELL, endpoint.wait_idle()).await;
        tasks
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    })
}

/// Those that read and write the socket. On its own the library ends them only when all that it has told is taken.
#[derive(Debug, Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl quinn::Runtime for Tasks {
    fn new_timer(&self, at: std::time::Instant) -> Pin<Box<dyn quinn::AsyncTimer>> {
        quinn::TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        quinn::TokioRuntime.wrap_udp_socket(socket)
    }
}

/// What a connection that begins is told, and how much it may take.
fn config(shown: &Shown, limits: &Limits) -> Option<ServerConfig> {
    let tls = QuicServerConfig::try_from(shown.config(Transport::Doq)?).ok()?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(NO_ERROR)
        .stream_receive_window(STREAM.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(None)
        // What keeps the path open is no question: that is counted below.
        .max_idle_timeout(limits.idle.try_into().ok());
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_OCTETS.0)
        .incoming_buffer_size_total(WAITING_OCTETS.1);
    Some(config)
}

impl Knock {
    /// Who it is, or says it is.
    pub(super) fn from(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// Has those show that they are where they say they are (RFC 9000 8.1.2) who have not; none: they are to come again.
    pub(super) fn validated(self) -> Option<Self> {
        if self.0.remote_address_validated() || !self.0.may_retry() {
            return Some(self);
        }
        // That there was a moment between is nobody's loss: who means it asks again.
        let _ = self.0.retry();
        None
    }
}

/// Answers all questions of a connection.
pub(super) async fn talk(service: Arc<Service>, knock: Knock, activity: Activity) {
    let shown = service.shown.as_ref();
    let Some(config) = shown.and_then(|shown| config(shown, &service.limits)) else {
        return;
    };
    let Ok(connecting) = knock.0.accept_with(Arc::new(config)) else {
        return;
    };
    let Ok(Ok(connection)) = timeout(HANDSHAKE, connecting).await else {
        return;
    };
    let code = streams(&service, &connection, &Held::new(activity)).await;
    connection.close(code, b"");
}

/// Answers until there is a reason to close, and gives it.
async fn streams(service: &Arc<Service>, connection: &Connection, held: &Arc<Held>) -> VarInt {
    let limits = &service.limits;
    let end = Instant::now() + limits.total;
    let (mut open, mut last) = (JoinSet::new(), Instant::now());
    let draws = RandomState::new();
    for number in 0u64.. {
        let until = if open.is_empty() {
            end.min(last + limits.idle)
        } else {
            end
        };
        let stream = tokio::select! {
            biased;
            Some(done) = open.join_next() => {
                last = Instant::now();
                match done {
                    Ok(Ok(())) => continue,
                    Ok(Err(Breach)) => return PROTOCOL_ERROR,
                    Err(_) => return INTERNAL_ERROR,
                }
            }
            stream = connection.accept_bi() => stream,
            () = sleep_until(until) => break,
        };
        let Ok((send, receive)) = stream else { break };
        let (service, held) = (Arc::clone(service), Arc::clone(held));
        let (from, draw) = (connection.remote_address(), draws.hash_one(number));
        open.spawn(async move { answer(&service, from, draw, send, receive, &held).await });
    }
    NO_ERROR
}

/// What RFC 9250 4.3.3 has a connection end for.
struct Breach;

async fn answer(
    service: &Service,
    from: SocketAddr,
    draw: u64,
    mut send: SendStream,
    mut receive: RecvStream,
    held: &Arc<Held>,
) -> Result<(), Breach> {
    let limits = &service.limits;
    let breach = |send: &mut SendStream| {
        // To drop it would be a good end of an empty reply.
        let _ = send.reset(PROTOCOL_ERROR);
        Err(Breach)
    };
    let question = match timeout(limits.message, read(&mut receive, held)).await {
        Ok(Ok(question)) => question,
        Ok(Err(Unread::TooLong)) => return breach(&mut send),
        Ok(Err(Unread::TooMany)) => {
            let _ = send.reset(EXCESSIVE_LOAD);
            return Ok(());
        }
        // The client has changed its mind, or is too slow.
        Ok(Err(Unread::Gone)) | Err(_) => {
            let _ = send.reset(REQUEST_CANCELLED);
            return Ok(());
        }
    };
    let Some(message) = message(question.octets()) else {
        return breach(&mut send);
    };
    // Others may have been answered while it came.
    if timeout(limits.write, held.room()).await.is_err() {
        service.counters.send_errors.count();
        let _ = send.reset(REQUEST_CANCELLED);
        return Ok(());
    }
    let framed = service.turn(|turn| {
        let (reply, _) = turn.answer(from.ip().to_canonical(), message, draw)?;
        let length = u16::try_from(reply.len()).ok()?;
        Some([&length.to_be_bytes(), reply].concat())
    });
    let Some(framed) = framed else {
        let _ = send.reset(INTERNAL_ERROR);
        return Ok(());
    };
    // There is no question without a reply here, as there is with datagrams.
    if framed.len() <= 2 {
        return breach(&mut send);
    }
    drop(question);
    let framed = held.reply(framed);
    let written = {
        let mut write = pin!(send.write_all(framed.as_ref()));
        // Nearly always there is room for all of it.
        tokio::select! {
            biased;
            written = &mut write => written.is_ok(),
            () = ready(()) => {
                held.stalled();
                timeout(limits.write, write).await.is_ok_and(|written| written.is_ok())
            }
        }
    };
    drop(framed);
    if written {
        let _ = send.finish();
    } else {
        held.stalled();
        service.counters.send_errors.count();
        let _ = send.reset(REQUEST_CANCELLED);
    }
    Ok(())
}

/// Why a stream is not read to its end.
enum Unread {
    /// No message is so long.
    TooLong,
    /// The client sends too much at one time.
    TooMany,
    /// It does not come.
    Gone,
}

/// All of a stream.
async fn read<'h>(receive: &mut RecvStream, held: &'h Held) -> Result<Question<'h>, Unread> {
    held.room().await;
    let (mut all, mut came) = (held.question(), 0);
    let most = STREAM as usize;
    while let Some(chunk) = receive
        .read_chunk(most, true)
        .await
        .map_err(|_| Unread::Gone)?
    {
        came += chunk.bytes.len();
        if came > most {
            return Err(Unread::TooLong);
        }
        if !all.push(&chunk.bytes) {
            return Err(Unread::TooMany);
        }
    }
    Ok(all)
}

/// The one message of a stream; none where the client breaks the rules: a length that is not the message's, an ID, a word on idle
/// times, which QUIC has its own for.
fn message(all: &[u8]) -> Option<&[u8]> {
    let (length, message) = all.split_first_chunk()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == message.len();
    let fits = whole && message.len() >= HEADER && message.len() <= LONGEST;
    let nameless = fits && message.starts_with(&[0, 0]);
    let keepalive = |query: Query<'_>| query.edns.is_some_and(|edns| edns.keepalive);
    (nameless && !Query::parse(message).is_ok_and(keepalive)).then_some(message)
}
