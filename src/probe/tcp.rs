//! The plainest check: a connection is made and closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::words::{self, Phase};

/// Connects to `node` and closes.
pub(super) async fn connect(node: SocketAddr, patience: Duration) -> Result<(), String> {
    match timeout(patience, TcpStream::connect(node)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(words::io(&error, Phase::Connecting)),
        Err(_) => Err(words::timed_out(patience, Phase::Connecting)),
    }
}
