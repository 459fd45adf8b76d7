//! HTTP and HTTPS checks: one page is fetched over a fresh connection, and looked at.
//!
//! reqwest makes one client per set of roots, not per check: the address is not the client's but the run's, and
//! its resolver finds it there.

mod tls;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url, header};
use rustls::RootCertStore;
use tokio::time::timeout;
use tower::util::MapResponseLayer;

use super::Problem;
use super::words::{self, Phase};
use crate::health::{Check, Expect};

/// As much of a body is looked at.
const BODY: usize = 64 * 1024;

/// A page to fetch.
#[derive(Debug)]
pub(super) struct Page {
    client: Client,
    url: Url,
    expect: Expect,
}

impl Page {
    /// Fetches it from `node`, whatever the host's addresses may be, and looks whether it is what is expected.
    pub(super) async fn fetch(&self, node: SocketAddr, patience: Duration) -> Result<(), String> {
        let run = Run {
            node,
            phase: Cell::new(Phase::Connecting),
        };
        let fetched = async {
            let result = timeout(patience, self.ask()).await;
            let phase = RUN.with(|run| run.phase.get());
            match result {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(error)) => Err(failure(&error, phase)),
                Err(_) => Err(words::timed_out(patience, phase)),
            }
        };
        RUN.scope(run, fetched).await
    }

    /// The verdict on the answer; an error if there is none.
    async fn ask(&self) -> Result<Result<(), String>, reqwest::Error> {
        let response = self.client.get(self.url.clone()).send().await?;
        entered(Phase::Reading);
        if let Err(why) = judge_status(&response, &self.expect.status) {
            return Ok(Err(why));
        }
        let Some(pattern) = &self.expect.body else {
            return Ok(Ok(()));
        };
        let (body, whole) = beginning(response).await?;
        if pattern.is_match(&String::from_utf8_lossy(&body)) {
            return Ok(Ok(()));
        }
        let seen = if whole {
            "body does"
        } else {
            "first 64 KiB of the body do"
        };
        Ok(Err(format!("{seen} not match /{pattern}/")))
    }
}

fn judge_status(response: &Response, good: &[(u16, u16)]) -> Result<(), String> {
    let status = response.status().as_u16();
    if good
        .iter()
        .any(|&(low, high)| (low..=high).contains(&status))
    {
        return Ok(());
    }
    // It stands last, as a node may send one of any length.
    let elsewhere = match response.headers().get(header::LOCATION) {
        Some(to) if response.status().is_redirection() => {
            format!(" (redirects to {})", String::from_utf8_lossy(to.as_bytes()))
        }
        _ => String::new(),
    };
    Err(format!(
        "status {status}, expected {}{elsewhere}",
        expected(good)
    ))
}

/// The body's first 64 KiB, and whether that is all of it.
async fn beginning(mut response: Response) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// `2xx or 301 or 400-404`.
fn expected(ranges: &[(u16, u16)]) -> String {
    let shown: Vec<_> = ranges
        .iter()
        .map(|&(low, high)| match (low, high) {
            _ if low == high => low.to_string(),
            _ if low % 100 == 0 && high == low + 99 => format!("{}xx", low / 100),
            _ => format!("{low}-{high}"),
        })
        .collect();
    shown.join(" or ")
}

/// The clients made so far, by their roots: none, the system's, or those of a file.
#[derive(Debug, Default)]
pub(super) struct Clients {
    plain: Option<Client>,
    system: Option<Client>,
    files: BTreeMap<PathBuf, Client>,
}

impl Clients {
    /// The page at `path` under the check's host.
    pub(super) fn page(
        &mut self,
        check: &Check,
        tls: bool,
        path: &str,
        expect: &Expect,
        ca: Option<&Path>,
    ) -> Result<Page, Problem> {
        Ok(Page {
            client: self.with(tls, ca)?,
            url: url(check, tls, path)?,
            expect: expect.clone(),
        })
    }

    fn with(&mut self, tls: bool, ca: Option<&Path>) -> Result<Client, Problem> {
        let known = match ca {
            _ if !tls => self.plain.as_ref(),
            None => self.system.as_ref(),
            Some(file) => self.files.get(file),
        };
        if let Some(client) = known {
            return Ok(client.clone());
        }
        let client = client(match ca {
            _ if !tls => RootCertStore::empty(),
            None => tls::roots_of_system()?,
            Some(file) => tls::roots_of_file(file)?,
        })?;
        match ca {
            _ if !tls => self.plain = Some(client.clone()),
            None => self.system = Some(client.clone()),
            Some(file) => _ = self.files.insert(file.to_owned(), client.clone()),
        }
        Ok(client)
    }
}

/// A client that does what it is told and nothing beyond: no redirects, proxies, retries or kept connections.
fn client(roots: RootCertStore) -> Result<Client, Problem> {
    let broken = |error: &dyn StdError| Problem::Client(format!("no HTTP client: {error}"));
    let tls = tls::configuration(roots).map_err(|error| broken(&error))?;
    let close = header::HeaderValue::from_static("close");
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        // Without a pool hyper connects inside of the request's own task, where RUN is known.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(AddressOfRun))
        .connector_layer(MapResponseLayer::new(connected))
        .user_agent(concat!(
            "nearmost/",
            env!("CARGO_PKG_VERSION"),
            " (+health check)"
        ))
        .default_headers([(header::CONNECTION, close)].into_iter().collect())
        .build()
        .map_err(|error| broken(&error))
}

/// The URL that makes reqwest ask for exactly this host (Host, SNI), port and path.
fn url(check: &Check, tls: bool, path: &str) -> Result<Url, Problem> {
    let bad = |why: &str| Problem::Host(format!("host {:?} {why}", check.host));
    let host = check.host.trim_end_matches('.').to_ascii_lowercase();
    let literal = host.parse::<IpAddr>().ok();
    // An address is connected to without asking our resolver.
    if literal.is_some_and(|literal| literal != check.address) {
        return Err(bad(&format!(
            "is an address, but not {} of node {}",
            check.address, check.node
        )));
    }
    let shown = match literal {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host,
    };
    let scheme = if tls { "https" } else { "http" };
    let port = check.probe.port;
    let url = Url::parse(&format!("{scheme}://{shown}:{port}{path}"))
        .map_err(|error| bad(&format!("or path {path:?}: {error}")))?;
    // Whatever else the parser understood (user names, other spellings of addresses) is not what was meant.
    if url.host_str() != Some(&shown) || url.port_or_known_default() != Some(port) {
        return Err(bad("is not a host name"));
    }
    Ok(url)
}

/// The run that the current task is in.
struct Run {
    node: SocketAddr,
    phase: Cell<Phase>,
}

tokio::task_local! {
    static RUN: Run;
}

/// Notes how far the current run has come.
fn entered(phase: Phase) {
    // Only a run of ours polls our clients, so that there always is one; if not, words are less exact.
    _ = RUN.try_with(|run| run.phase.set(phase));
}

fn connected<C>(connection: C) -> C {
    entered(Phase::Waiting);
    connection
}

/// Resolves every name to the address that the current run is about.
struct AddressOfRun;

impl Resolve for AddressOfRun {
    fn resolve(&self, _: Name) -> Resolving {
        let node = RUN.try_with(|run| run.node);
        Box::pin(std::future::ready(match node {
            Ok(node) => Ok(Box::new(std::iter::once(node)) as Addrs),
            Err(outside) => Err(outside.into()),
        }))
    }
}

/// What went wrong, found in the chain of causes.
fn failure(error: &reqwest::Error, phase: Phase) -> String {
    let causes = || Causes(Some(error));
    if let Some(error) = causes().find_map(|cause| cause.downcast_ref()) {
        return tls::words(error);
    }
    // The innermost says most; the others wrap it.
    let kernel = causes()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last();
    let http = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    match (http, kernel) {
        (Some(http), _) if http.is_parse_too_large() => "answer has too large a header".into(),
        (Some(http), None) if http.is_parse() => "answer is not HTTP".into(),
        (Some(http), None) if http.is_incomplete_message() || http.is_closed() => {
            format!("connection closed {phase}")
        }
        (_, Some(kernel)) => words::io(kernel, phase),
        _ => {
            let last = causes()
                .last()
                .map_or_else(String::new, ToString::to_string);
            format!("{last} {phase}")
        }
    }
}

/// An error and its causes. An `io::Error` names as its cause only the cause of what it wraps; here that is not skipped.
struct Causes<'a>(Option<&'a (dyn StdError + 'static)>);

impl<'a> Iterator for Causes<'a> {
    type Item = &'a (dyn StdError + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        self.0 = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
        Some(error)
    }
}
