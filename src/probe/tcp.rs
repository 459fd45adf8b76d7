//! The plainest check: a connection is made and closed.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::words::{self, Phase};

/// Connects to `node` and closes. The caller bounds the time.
pub(super) async fn connect(node: SocketAddr) -> Result<(), String> {
    match TcpStream::connect(node).await {
        Ok(_) => Ok(()),
        Err(error) => Err(words::io(&error, Phase::Connecting)),
    }
}
