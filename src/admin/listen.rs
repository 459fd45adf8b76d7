//! The connections of the admin API: how many, and how long they may take.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net as unix;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::guard::{LONGEST, Peer};
use super::room::{Known, Room};
use super::strangers::Strangers;
use super::timely::Timely;
use crate::control::Handle;

/// Connections of the control socket at one time; TCP has room of its own, so that strangers keep no operator out. More wait.
const CONNECTIONS: usize = 64;
/// For a TLS handshake, and for the head of a request; a connection that waits for its next request ends after as long.
const HEAD: Duration = Duration::from_secs(10);
/// Some of what is sent must be taken within this time.
const TAKEN: Duration = Duration::from_secs(30);
/// So long a connection goes on that is to end: for what was asked to come whole, to be answered and to be taken.
const LAST: Duration = LONGEST.saturating_add(Duration::from_secs(60));
/// Octets of a request's head, and how many lines.
const HEAD_OCTETS: usize = 16 << 10;
const HEAD_LINES: usize = 64;
/// Connections that the system keeps waiting.
const BACKLOG: i32 = 64;
/// After the system could give no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The control socket from now on listens.
pub(super) fn control(socket: unix::UnixListener) -> io::Result<UnixListener> {
    SockRef::from(&socket).listen(BACKLOG)?;
    UnixListener::from_std(socket)
}

/// Answers on the control socket, until another process does.
pub(super) async fn serve_control(listener: UnixListener, handle: Handle, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            biased;
            () = handle.retires() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = (Peer::Local(user(&stream)), Known::default());
                let stream = Timely::new(stream, TAKEN);
                let (handle, router) = (handle.clone(), router.clone());
                tokio::spawn(async move {
                    talk(stream, peer, router, handle.retires()).await;
                    drop(permit);
                });
            }
            Err(error) => failed(&error).await,
        }
    }
}

/// The user at the other end (SO_PEERCRED).
fn user(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|cred| cred.uid())
}

/// Answers over TCP, until another process does; with TLS where the server has an identity. All listeners share `room`.
pub(super) async fn serve_tcp(
    listener: TcpListener,
    handle: Handle,
    router: Router,
    (room, strangers): (Room, Strangers),
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = handle.retires() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let seat = room.seat(address.ip());
                if seat.as_ref().is_none_or(|seat| seat.pushed) {
                    strangers.crowded(address, handle.now());
                }
                let Some(seat) = seat else { continue };
                let (handle, router) = (handle.clone(), router.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = greet(stream, (address, seat.known()), handle, router) => {}
                        () = seat.is_lost() => {}
                    }
                });
            }
            Err(error) => failed(&error).await,
        }
    }
}

async fn failed(error: &io::Error) {
    tracing::debug!("admin: no connection: {error}");
    tokio::time::sleep(PAUSE).await;
}

async fn greet(
    stream: TcpStream,
    (address, known): (SocketAddr, &Known),
    handle: Handle,
    router: Router,
) -> io::Result<()> {
    // Who is gone, with all that the system has still to send, is told by the system.
    SockRef::from(&stream).set_tcp_user_timeout(Some(TAKEN))?;
    stream.set_nodelay(true)?;
    let stream = Timely::new(stream, TAKEN);
    let mut access = handle.access_changes();
    let identity = access.borrow_and_update().identity.clone();
    // What was shown in the handshake may count no more, or another process answers: who still may ask connects again.
    let end = async {
        tokio::select! {
            _ = access.changed() => {}
            () = handle.retires() => {}
        }
    };
    let who = |plain| (Peer::Remote { address, plain }, known.clone());
    let Some(identity) = identity else {
        talk(stream, who(true), router, end).await;
        return Ok(());
    };
    let acceptor = TlsAcceptor::from(identity.config());
    let stream = timeout(HEAD, acceptor.accept(stream)).await??;
    if stream.get_ref().1.peer_certificates().is_some() {
        known.admit();
    }
    talk(stream, who(false), router, end).await;
    Ok(())
}

/// Answers all requests of a connection, until `end` those that come.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (peer, known): (Peer, Known),
    router: Router,
    end: impl Future<Output = ()>,
) {
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(known.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_OCTETS)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whoever is at the other end knows how it has ended.
        _ = connection.as_mut() => {}
        () = end => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(LAST, connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::routing::get;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answers_is_let_go() {
        let (ours, mut theirs) = duplex(1 << 10);
        let asked = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(30);
        theirs.write_all(asked.as_bytes()).await.unwrap();
        let router = Router::new().route("/", get(|| async { "x".repeat(1 << 16) }));
        let ours = Timely::new(ours, TAKEN);
        let who = (Peer::Local(None), Known::default());
        let talk = talk(ours, who, router, pending());
        timeout(TAKEN * 100, talk).await.expect("it ends");
    }
}
