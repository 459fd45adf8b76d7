//! HTTP and HTTPS checks: one page is fetched over a fresh connection, and looked at.
//!
//! The address is not the client's but the run's, and the client's resolver finds it there: so checks share clients.

mod clients;
mod failure;
mod judge;
mod run;
mod tls;
mod verify;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Url};
use tokio::time::timeout;

pub(super) use self::clients::Clients;
use self::failure::failure;
use self::run::{RUN, Run, entered};
use super::Problem;
use super::words::{self, Phase};
use crate::health::{Check, HttpCheck, Seen};

/// A page to fetch.
#[derive(Debug)]
pub(super) struct Page {
    client: Client,
    url: Url,
    http: HttpCheck,
}

impl Page {
    /// Fetches it from `node`, whatever the host's addresses may be, and looks whether it is what is expected.
    pub(super) async fn fetch(
        &self,
        node: SocketAddr,
        patience: Duration,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let fetched = async {
            let result = timeout(patience, self.ask()).await;
            let (phase, noted) = RUN.with(Run::state);
            *seen = noted;
            match result {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(error)) => Err(failure(&error, phase)),
                Err(_) => Err(words::timed_out(patience, phase)),
            }
        };
        RUN.scope(Run::of(node), fetched).await
    }

    /// The verdict on the answer; an error if there is none.
    async fn ask(&self) -> Result<Result<(), String>, reqwest::Error> {
        let response = self.client.get(self.url.clone()).send().await?;
        entered(Phase::Reading);
        self.judge(response).await
    }
}

impl Clients {
    /// The page of a check, under its host.
    pub(super) fn page(&mut self, check: &Check, http: &HttpCheck) -> Result<Page, Problem> {
        Ok(Page {
            client: self.asking(http)?,
            url: url(check, http)?,
            http: http.clone(),
        })
    }
}

/// The URL that makes reqwest ask for exactly this host (Host, SNI), port and path.
fn url(check: &Check, HttpCheck { tls, path, .. }: &HttpCheck) -> Result<Url, Problem> {
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
    let scheme = if *tls { "https" } else { "http" };
    let port = check.probe.port;
    let url = Url::parse(&format!("{scheme}://{shown}:{port}{path}"))
        .map_err(|error| bad(&format!("or path {path:?}: {error}")))?;
    // Whatever else the parser understood (user names, other spellings of addresses) is not what was meant.
    if url.host_str() != Some(&shown) || url.port_or_known_default() != Some(port) {
        return Err(bad("is not a host name"));
    }
    Ok(url)
}
