//! rsync daemons speak first: a connection is made, and their banner read.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::words::{self, Phase};
use crate::health::Seen;

/// `@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4` and whatever is added to it in years to come.
const LONGEST: usize = 1024;

const BANNER: &[u8] = b"@RSYNCD: ";

/// Whether an rsync daemon greets on `node`.
pub(super) async fn greeted(
    node: SocketAddr,
    patience: Duration,
    seen: &mut Seen,
) -> Result<(), String> {
    let (started, mut phase) = (Instant::now(), Phase::Connecting);
    let run = async {
        let mut stream = TcpStream::connect(node).await?;
        phase = Phase::Waiting;
        seen.connect = Some(started.elapsed());
        first_line(&mut stream).await
    };
    match timeout(patience, run).await {
        Ok(Ok(line)) => judge(&line),
        Ok(Err(error)) => Err(words::io(&error, phase)),
        Err(_) => Err(words::timed_out(patience, phase)),
    }
}

/// What comes up to the first line's end, or to where it is no banner any more.
async fn first_line(stream: &mut TcpStream) -> Result<Vec<u8>, Error> {
    let (mut seen, mut part) = (Vec::new(), [0; LONGEST]);
    loop {
        let count = stream.read(&mut part[..LONGEST - seen.len()]).await?;
        seen.extend_from_slice(&part[..count]);
        if let Some(end) = seen.iter().position(|&octet| octet == b'\n') {
            seen.truncate(end);
            return Ok(seen);
        }
        let common = seen.len().min(BANNER.len());
        if seen[..common] != BANNER[..common] || seen.len() == LONGEST {
            return Ok(seen);
        }
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

fn judge(line: &[u8]) -> Result<(), String> {
    let version = line
        .strip_prefix(BANNER)
        .filter(|v| v.first().is_some_and(u8::is_ascii_digit));
    if version.is_some() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(line);
    Err(format!("no rsync banner, but {:?}", said.trim_end()))
}
