//! `/metrics`: what is counted and measured, as Prometheus reads it. docs/metrics.md tells what each number means.
//!
//! Everything is gathered when somebody asks: answers only count, each worker for itself.

mod checks;
mod keys;
mod page;
mod process;
mod questions;
mod received;
mod server;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use page::{Page, classic};

use super::strangers::Strangers;
use crate::control::Handle;

/// All that can be told.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Registry>);

impl Metrics {
    pub(super) fn new(handle: Handle, strangers: Strangers) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Everything(handle, strangers)));
        Self(Arc::new(registry))
    }
}

/// The page.
pub(super) async fn metrics(
    State(Metrics(registry)): State<Metrics>,
    headers: HeaderMap,
) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let open = accepted.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    // Where it delays no connection: thousands of nodes are thousands of lines.
    let written = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| if open { text } else { classic(&text) })
    });
    let kind = if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match written.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, kind)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Debug)]
struct Everything(Handle, Strangers);

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        questions::write(&mut page, &self.0)?;
        received::write(&mut page, &self.0)?;
        keys::write(&mut page, &self.0)?;
        checks::write(&mut page, &self.0)?;
        server::write(&mut page, &self.0, &self.1)?;
        process::write(&mut page, &self.0)
    }
}
