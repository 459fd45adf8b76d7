//! The client's half: asks a running server over its control socket.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::guard::HOST;

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens, or not to us.
    NotRunning(String),
    /// The server says no: its own words.
    Refused(String),
    /// The files are wrong, in the words of `check`.
    Files(String),
    /// What came is no answer.
    Broken(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(why) | Self::Refused(why) | Self::Files(why) | Self::Broken(why) => {
                f.write_str(why)
            }
        }
    }
}

impl std::error::Error for AskError {}

/// A server that takes longer is as good as not there. A reload may open large databases and waits for the first round of new probes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks the server at `socket` for `path` and reads the JSON that it answers.
///
/// # Errors
/// [`AskError`].
pub async fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, AskError> {
    send(socket, Request::get(path), Bytes::new()).await
}

/// Tells the server at `socket` what `body` says, at `path`, and reads the JSON that it answers.
///
/// # Errors
/// [`AskError`].
pub async fn tell<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, AskError> {
    let body = serde_json::to_vec(body).map_err(|e| AskError::Broken(e.to_string()))?;
    let request = Request::post(path).header("content-type", "application/json");
    send(socket, request, body.into()).await
}

async fn send<T: DeserializeOwned>(
    socket: &Path,
    request: Builder,
    body: Bytes,
) -> Result<T, AskError> {
    let exchange = exchange(socket, request, body);
    let (status, body) = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| {
            AskError::Broken(format!(
                "no answer from {} in {} s",
                socket.display(),
                PATIENCE.as_secs()
            ))
        })??;
    if status != 200 {
        let error: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let words = error.as_ref().and_then(|e| e["error"].as_str());
        let words = words.map_or_else(|| format!("status {status}"), str::to_owned);
        return Err(match status {
            424 => AskError::Files(words),
            _ => AskError::Refused(words),
        });
    }
    serde_json::from_slice(&body)
        .map_err(|e| AskError::Broken(format!("the answer is not understood: {e}")))
}

async fn exchange(socket: &Path, request: Builder, body: Bytes) -> Result<(u16, Bytes), AskError> {
    let stream = UnixStream::connect(socket).await.map_err(|e| {
        AskError::NotRunning(format!(
            "no server answers on {}: {e}\n  = is `nearmost serve` running with this configuration?",
            socket.display()
        ))
    })?;
    let broken = |e: hyper::Error| AskError::Broken(e.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(connection);
    let request = request.header("host", HOST).body(Full::new(body));
    let request = request.map_err(|e| AskError::Broken(e.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(broken)?
        .to_bytes();
    driver.abort();
    Ok((status, body))
}
