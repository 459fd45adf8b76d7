//! Small mirror nodes that behave as a test tells them to, and can be told otherwise while they run.
//!
//! ```ignore
//! let node = Node::start("127.0.1.1:0", Does::ok()).await;   // http; `Node::tls` for https
//! probe(node.address);
//! node.now(Does::Hang).await;      // from the next connection on
//! node.now(Does::Refuse).await;    // nothing listens any more when this returns
//! node.now(Does::ok()).await;      // listens again, on the same port, when this returns
//! assert_eq!(node.served(), 2);
//! ```
//! A node ends when it is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What a node does with a connection.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Answers 302 with this Location.
    Redirect(String),
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Accepts, reads, and says nothing for ever.
    Hang,
    /// Reads the question and resets the connection.
    Reset,
    /// Does not listen at all.
    Refuse,
    /// Sends one octet of an endless header every 10 ms.
    DripHeader,
    /// Sends a good header, and one octet of the body every 10 ms.
    DripBody,
    /// Sends a good header and a body without end, as fast as it is taken.
    Endless,
    /// 200 and 500 in turn, beginning with 200.
    Flap,
}

impl Does {
    /// Answers 200 with the body `ok`.
    pub fn ok() -> Self {
        Self::Answer(200, "ok\n".into())
    }
}

/// A node on a loopback address.
pub struct Node {
    pub address: SocketAddr,
    orders: mpsc::UnboundedSender<(Does, oneshot::Sender<()>)>,
    log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Node {
    /// An HTTP node; port 0 is any port. It listens when this returns, unless it refuses.
    pub async fn start(at: &str, does: Does) -> Self {
        Self::serve(at, does, None).await
    }

    /// An HTTPS node. What it does begins after the handshake; for a handshake that hangs take [`Node::start`].
    pub async fn tls(at: &str, does: Does, tls: Arc<ServerConfig>) -> Self {
        Self::serve(at, does, Some(tls.into())).await
    }

    async fn serve(at: &str, does: Does, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (orders, taken) = mpsc::unbounded_channel();
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&log), taken));
        let node = Self {
            address,
            orders,
            log,
            task,
        };
        node.now(does).await;
        node
    }

    /// From now on does something else. Connections that are open go on as they were.
    pub async fn now(&self, does: Does) {
        let (done, is_done) = oneshot::channel();
        self.orders.send((does, done)).unwrap();
        is_done.await.unwrap();
    }

    /// How many connections it has accepted.
    pub fn served(&self) -> usize {
        *self.log.served.borrow()
    }

    /// The heads of all requests, from the first line to the empty one.
    pub fn questions(&self) -> Vec<String> {
        self.log.questions.lock().unwrap().clone()
    }

    /// Waits until so many clients have gone while the node was not done with them.
    pub async fn left_by(&self, clients: usize) {
        let mut left = self.log.left.subscribe();
        left.wait_for(|left| *left >= clients).await.unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Log {
    served: watch::Sender<usize>,
    left: watch::Sender<usize>,
    questions: Mutex<Vec<String>>,
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    log: Arc<Log>,
    mut orders: mpsc::UnboundedReceiver<(Does, oneshot::Sender<()>)>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut does = Does::Hang;
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.unwrap().0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((next, done)) = order else { return };
                does = next;
                listener = match (&does, listener.take()) {
                    (Does::Refuse, _) => None,
                    (_, Some(listener)) => Some(listener),
                    (_, None) => Some(TcpListener::bind(address).await.unwrap()),
                };
                _ = done.send(());
            }
            stream = accepted => {
                let turn = *log.served.borrow();
                log.served.send_replace(turn + 1);
                let does = match &does {
                    Does::Flap if turn.is_multiple_of(2) => Does::ok(),
                    Does::Flap => Does::Answer(500, "flap\n".into()),
                    other => other.clone(),
                };
                connections.spawn(connection(stream, tls.clone(), does, Arc::clone(&log)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, does: Does, log: Arc<Log>) {
    if matches!(does, Does::Reset) {
        // Pending octets or none: closing is a reset.
        stream.set_zero_linger().unwrap();
    }
    match tls {
        None => talk(stream, does, &log).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => talk(stream, does, &log).await,
            // The client did not like the certificate.
            Err(_) => log.left.send_modify(|left| *left += 1),
        },
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, does: Does, log: &Log) {
    let Some(head) = head(&mut stream).await else {
        return log.left.send_modify(|left| *left += 1);
    };
    log.questions.lock().unwrap().push(head);
    let done = match does {
        Does::Answer(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            send(&mut stream, (head + &body).as_bytes()).await
        }
        Does::Redirect(to) => {
            let head = format!("HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            send(&mut stream, head.as_bytes()).await
        }
        Does::Raw(bytes) => send(&mut stream, &bytes).await,
        Does::Reset => Ok(()),
        Does::Hang | Does::Refuse | Does::Flap => hang(&mut stream).await,
        Does::DripHeader => drip(&mut stream, b"HTTP/1.1 200 X\r\nX-Slow: ").await,
        Does::DripBody => {
            drip(
                &mut stream,
                b"HTTP/1.1 200 X\r\nContent-Length: 9999999\r\n\r\n",
            )
            .await
        }
        Does::Endless => endless(&mut stream).await,
    };
    if done.is_err() {
        log.left.send_modify(|left| *left += 1);
    }
}

/// The head of a request; none if the client left before its end.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

/// Ends in an error when the client leaves.
async fn hang<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    loop {
        stream.read_u8().await?;
    }
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S, first: &[u8]) -> io::Result<()> {
    stream.write_all(first).await?;
    loop {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn endless<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 X\r\nContent-Length: 999999999999\r\n\r\n")
        .await?;
    loop {
        stream.write_all(&[b'x'; 16_384]).await?;
    }
}
