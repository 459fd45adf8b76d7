//! The clients of HTTP checks: one for each set of roots and way of asking, whatever the number of checks.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, header};
use rustls::RootCertStore;
use tower::util::MapResponseLayer;

use super::run::{AddressOfRun, connected};
use super::{Problem, tls};
use crate::health::HttpCheck;

/// So many redirects are followed, where any is.
const REDIRECTS: usize = 3;

/// What checks must have in common to share a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    tls: bool,
    /// A file of roots; none: the system's, with TLS.
    ca: Option<PathBuf>,
    http2: bool,
    redirects: bool,
}

/// The clients made so far.
#[derive(Debug, Default)]
pub(in super::super) struct Clients(BTreeMap<Way, Client>);

impl Clients {
    /// The client that asks as a check wants it.
    pub(super) fn asking(&mut self, http: &HttpCheck) -> Result<Client, Problem> {
        let way = Way {
            tls: http.tls,
            ca: http.ca.clone(),
            http2: http.http2,
            redirects: http.redirects,
        };
        if let Some(client) = self.0.get(&way) {
            return Ok(client.clone());
        }
        let client = client(&way)?;
        self.0.insert(way, client.clone());
        Ok(client)
    }
}

/// A client that does what it is told and nothing beyond: no proxies, retries or kept connections.
fn client(way: &Way) -> Result<Client, Problem> {
    let broken = |error: &dyn StdError| Problem::Client(format!("no HTTP client: {error}"));
    let roots = match &way.ca {
        _ if !way.tls => RootCertStore::empty(),
        None => tls::roots_of_system()?,
        Some(file) => tls::roots_of_file(file)?,
    };
    let configuration = match way.tls {
        true => tls::configuration(roots, way.http2).map_err(|error| broken(&*error))?,
        false => tls::unused().map_err(|error| broken(&error))?,
    };
    let client = Client::builder()
        .tls_backend_preconfigured(configuration)
        .redirect(if way.redirects {
            Policy::custom(same_origin)
        } else {
            Policy::none()
        })
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
        ));
    let client = if way.http2 {
        // What TLS agrees on decides; connections end without a header.
        client
    } else {
        let close = header::HeaderValue::from_static("close");
        client
            .http1_only()
            .default_headers([(header::CONNECTION, close)].into_iter().collect())
    };
    client.build().map_err(|error| broken(&error))
}

/// Follows what stays with scheme, host and port, and so with the address; anything else is an answer as any other.
fn same_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let here = attempt
        .previous()
        .first()
        .is_some_and(|asked| asked.origin() == attempt.url().origin());
    if here && attempt.previous().len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
