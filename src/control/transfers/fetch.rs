//! Fetching a zone over TCP (RFC 5936 4.1, RFC 1995), bounded in time and size.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::clock;
use crate::transfer::{Incoming, Kind, Progress, Received};
use crate::wire::tsig::Key;
use crate::zone::Name;
use crate::zone::version::Version;

/// For a connection, and for each message.
const STEP: Duration = Duration::from_secs(10);
/// For all of it.
const ALL: Duration = Duration::from_secs(600);

/// Why nothing has come, in words.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no connection.
    Unreached(String),
    /// Nor a word of why not, for so long that others should not wait for it too.
    Silent(String),
    /// What came is of no use, as something else has changed here meanwhile.
    Late(&'static str),
    /// There is no room for it, whoever gives it.
    Full(String),
    /// Theirs is older than ours.
    Older(String),
    /// Anything else.
    Failed(String),
}

impl<W: Into<String>> From<W> for Fault {
    fn from(why: W) -> Self {
        Self::Failed(why.into())
    }
}

/// What a primary has, after what is known, in so many octets; none: nothing.
pub(super) async fn fetch(
    apex: &Name,
    place: (SocketAddr, IpAddr),
    (known, most): (Option<Arc<Version>>, usize),
    key: Option<Arc<Key>>,
) -> Result<Received, Fault> {
    let asked = timeout(ALL, ask(apex, place, (known, most), key.as_deref())).await;
    asked.unwrap_or_else(|_| Err("it takes longer than ten minutes".into()))
}

async fn ask(
    apex: &Name,
    (at, from): (SocketAddr, IpAddr),
    (known, most): (Option<Arc<Version>>, usize),
    key: Option<&Key>,
) -> Result<Received, Fault> {
    let words = |e: io::Error| e.to_string();
    let silent = |_| "there is no answer within ten seconds".to_owned();
    let connected = timeout(STEP, connect(at, from)).await;
    let connected = connected.map_err(|late| Fault::Silent(silent(late)))?;
    let mut stream = connected.map_err(|e| Fault::Unreached(words(e)))?;
    let id = (RandomState::new().hash_one(at) & 0xffff) as u16;
    let (question, incoming) = Incoming::ask(apex, id, known, key, clock::wall());
    let mut incoming = incoming.within(most);
    let len = u16::try_from(question.len()).unwrap_or(0);
    let framed = [&len.to_be_bytes()[..], &question].concat();
    timeout(STEP, stream.write_all(&framed))
        .await
        .map_err(silent)?
        .map_err(words)?;
    let mut message = Vec::new();
    loop {
        timeout(STEP, next(&mut stream, &mut message))
            .await
            .map_err(silent)?
            .map_err(words)?;
        match incoming.take(&message, clock::wall())? {
            Progress::More => {}
            Progress::Current => return Ok(Received::Current),
            Progress::Older(serial) => return Ok(Received::Older(serial)),
            Progress::End => {
                let how = match incoming.is_whole() {
                    true => Kind::Whole,
                    false => Kind::Differences,
                };
                // A large zone is put in order there.
                let version = block_in_place(|| incoming.version())?;
                return Ok(Received::Version(version, how));
            }
        }
    }
}

async fn connect(at: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind((from, 0).into())?;
    socket.connect(at).await
}

async fn next(stream: &mut TcpStream, message: &mut Vec<u8>) -> io::Result<()> {
    let len = stream.read_u16().await?;
    message.resize(len.into(), 0);
    stream.read_exact(message).await.map(drop)
}
