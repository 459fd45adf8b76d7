//! Fetching a zone over TCP (RFC 5936 4.1, RFC 1995), bounded in time and size.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::clock;
use crate::transfer::{Incoming, Kind, MISFIT, Progress, Received};
use crate::wire::tsig::Key;
use crate::zone::Name;
use crate::zone::version::Version;

/// For a connection, and for each message.
const STEP: Duration = Duration::from_secs(10);
/// For all of it.
const ALL: Duration = Duration::from_secs(600);

/// What a primary has that is newer than what is known; none: nothing.
pub(super) async fn fetch(
    apex: &Name,
    (at, from): (SocketAddr, IpAddr),
    known: Option<Arc<Version>>,
    key: Option<Arc<Key>>,
) -> Result<Received, String> {
    let once = |known| timeout(ALL, ask(apex, (at, from), known, key.as_deref()));
    let late = |_| "it takes longer than ten minutes".to_owned();
    let some = known.is_some();
    match once(known).await.map_err(late)? {
        // Theirs and ours have come apart, or they do not know IXFR.
        Err(why)
            if some && (why == MISFIT || why.ends_with("NOTIMP") || why.ends_with("FORMERR")) =>
        {
            once(None).await.map_err(late)?
        }
        other => other,
    }
}

async fn ask(
    apex: &Name,
    (at, from): (SocketAddr, IpAddr),
    known: Option<Arc<Version>>,
    key: Option<&Key>,
) -> Result<Received, String> {
    let words = |e: io::Error| e.to_string();
    let silent = |_| "there is no answer within ten seconds".to_owned();
    let mut stream = timeout(STEP, connect(at, from))
        .await
        .map_err(silent)?
        .map_err(words)?;
    let id = (RandomState::new().hash_one(at) & 0xffff) as u16;
    let (question, mut incoming) = Incoming::ask(apex, id, known, key, clock::wall());
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
            Progress::Current => return Ok(None),
            Progress::Version(version) => {
                let how = if incoming.is_whole() {
                    Kind::Whole
                } else {
                    Kind::Differences
                };
                return Ok(Some((version, how)));
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
