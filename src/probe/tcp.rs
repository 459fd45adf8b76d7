//! The plainest check: a connection is made and closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::words::{self, Phase};
use crate::health::Seen;

/// Connects to `node` and closes.
pub(super) async fn connect(
    node: SocketAddr,
    patience: Duration,
    seen: &mut Seen,
) -> Result<(), String> {
    let started = Instant::now();
    match timeout(patience, TcpStream::connect(node)).await {
        Ok(Ok(_)) => {
            seen.connect = Some(started.elapsed());
            Ok(())
        }
        Ok(Err(error)) => Err(words::io(&error, Phase::Connecting)),
        Err(_) => Err(words::timed_out(patience, Phase::Connecting)),
    }
}
