//! Clients that hold on to connections: an octet a second, nothing at all, or questions whose answers they never read.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::{A, Doors, LARGE, NAME, POOL, TXT, framed, frames, question};

/// Between octets of those who are slow.
const DRIP: Duration = Duration::from_secs(1);
/// Until one whose connection was closed comes again.
const AGAIN: Duration = Duration::from_millis(200);
/// For a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// An octet a second, of a question.
    Slow,
    /// An octet a second, of the first words of TLS.
    SlowHello,
    /// Nothing.
    Silent,
    /// Questions without end, and no answer is read.
    Deaf,
}

/// Over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tcp,
    Dot,
    Doh,
}

/// What happened to their connections.
#[derive(Debug, Default)]
pub struct Seen {
    pub opened: AtomicU64,
    pub closed: AtomicU64,
}

/// Some of them; they go when dropped. Who is sent away comes again.
pub struct Crowd {
    doors: Doors,
    dot: Arc<ClientConfig>,
    doh: Arc<ClientConfig>,
    tasks: JoinSet<()>,
    pub seen: Arc<Seen>,
}

impl Crowd {
    pub fn new(doors: Doors, authority: &str) -> Self {
        Self {
            doors,
            dot: super::trust(authority, &[b"dot"]),
            doh: super::trust(authority, &[b"h2"]),
            tasks: JoinSet::new(),
            seen: Arc::default(),
        }
    }

    /// One more, from an address of 127/8.
    pub fn add(&mut self, runtime: &Handle, habit: Habit, way: Way, from: Ipv4Addr) {
        let (at, tls) = match way {
            Way::Tcp => (self.doors.plain, None),
            Way::Dot => (self.doors.dot, Some(Arc::clone(&self.dot))),
            Way::Doh => (self.doors.doh, Some(Arc::clone(&self.doh))),
        };
        let seen = Arc::clone(&self.seen);
        let live = async move {
            loop {
                if let Ok(stream) = open(from, at).await {
                    seen.opened.fetch_add(1, Ordering::Relaxed);
                    // However it ends.
                    let _: io::Result<()> = once(habit, way, stream, tls.clone()).await;
                    seen.closed.fetch_add(1, Ordering::Relaxed);
                }
                sleep(AGAIN).await;
            }
        };
        self.tasks.spawn_on(live, runtime);
    }
}

async fn open(from: Ipv4Addr, at: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    timeout(PATIENCE, socket.connect(at)).await?
}

/// Until the connection is closed.
async fn once(
    habit: Habit,
    way: Way,
    mut stream: TcpStream,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<()> {
    let Some(tls) = tls else {
        return behave(habit, way, &mut stream).await;
    };
    let name = ServerName::try_from(NAME).unwrap();
    match habit {
        Habit::Silent => behave(habit, way, &mut stream).await,
        Habit::SlowHello => {
            let mut hello = Vec::new();
            let mut client = ClientConnection::new(tls, name).map_err(io::Error::other)?;
            client.write_tls(&mut hello)?;
            drip(&mut stream, &hello).await
        }
        Habit::Slow | Habit::Deaf => {
            let connecting = TlsConnector::from(tls).connect(name, stream);
            let mut stream = timeout(PATIENCE, connecting).await??;
            behave(habit, way, &mut stream).await
        }
    }
}

async fn behave(
    habit: Habit,
    way: Way,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    match habit {
        Habit::Silent => ended(stream).await,
        Habit::Slow | Habit::SlowHello => {
            let octets = match way {
                Way::Doh => frames::preface(),
                Way::Tcp | Way::Dot => framed(&question(1, POOL, A, &[], false)),
            };
            drip(stream, &octets).await
        }
        Habit::Deaf => {
            let packet = question(0, LARGE, TXT, &[], false);
            if way == Way::Doh {
                stream.write_all(&frames::preface()).await?;
            }
            for number in 0u32.. {
                let octets = match way {
                    Way::Doh => {
                        let coded = frames::base64url(&packet);
                        frames::get(2 * number + 1, NAME, &coded)
                    }
                    Way::Tcp | Way::Dot => framed(&packet),
                };
                stream.write_all(&octets).await?;
                stream.flush().await?;
            }
            Ok(())
        }
    }
}

/// Reads until there is no more to come.
async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut octets = [0; 512];
    while stream.read(&mut octets).await? > 0 {}
    Ok(())
}

async fn drip(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    let mut reply = [0; 512];
    for octet in octets {
        stream.write_all(&[*octet]).await?;
        stream.flush().await?;
        // Sees at once that it was sent away.
        if let Ok(read) = timeout(DRIP, stream.read(&mut reply)).await
            && read? == 0
        {
            return Ok(());
        }
    }
    ended(stream).await
}
