//! All pages there are: one line for each, with the method, who may ask, the path and what answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::events::Feed;
use super::guard::{Gate, outer, page};
use super::metrics::{Metrics, metrics};
use super::page::{HTML, SCRIPT, events, file, regions};
use super::pages::{
    explain_live, fetch, geo_live, health, history, openapi, order, ready, reload, status, upgrade,
    what_if,
};
use super::regions::Regions;
use super::strangers::Strangers;
use super::{page as dashboard, refuse, web};
use crate::config::Role;
use crate::control::Handle;

/// What pages may ask for as their state.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) handle: Handle,
    pub(super) strangers: Strangers,
    feed: Feed,
    regions: Arc<Regions>,
    metrics: Metrics,
}

impl Served {
    pub(super) fn of(handle: &Handle) -> Self {
        let feed = Feed::new(handle.clone());
        tokio::spawn(feed.clone().look_again());
        let strangers = Strangers::default();
        Self {
            metrics: Metrics::new(handle.clone(), strangers.clone()),
            strangers,
            handle: handle.clone(),
            feed,
            regions: Arc::new(Regions::new(handle.clone())),
        }
    }
}

impl FromRef<Served> for Handle {
    fn from_ref(served: &Served) -> Self {
        served.handle.clone()
    }
}

impl FromRef<Served> for Feed {
    fn from_ref(served: &Served) -> Self {
        served.feed.clone()
    }
}

impl FromRef<Served> for Arc<Regions> {
    fn from_ref(served: &Served) -> Self {
        Self::clone(&served.regions)
    }
}

impl FromRef<Served> for Metrics {
    fn from_ref(served: &Served) -> Self {
        served.metrics.clone()
    }
}

/// A page.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// `GET` or `POST`.
    pub(super) method: &'static str,
    /// Whether it makes the server do something, so that it is written down who asked.
    pub(super) acts: bool,
    /// What who asks must be allowed; none: anybody may ask, as it tells nothing of the server.
    pub(super) role: Option<Role>,
    pub(super) path: &'static str,
    make: fn() -> MethodRouter<Served>,
}

const READER: Option<Role> = Some(Role::Reader);

const ROUTES: &[Route] = &[
    read(None, "/healthz", || get(ready)),
    read(None, "/readyz", || get(ready)),
    read(None, "/v1/openapi.json", || get(openapi)),
    read(READER, "/v1/status", || get(status)),
    read(READER, "/v1/health", || get(health)),
    read(READER, "/v1/explain", || get(explain_live)),
    read(READER, "/v1/geo", || get(geo_live)),
    read(READER, "/v1/history", || get(history)),
    read(READER, "/metrics", || get(metrics)),
    read(READER, "/v1/events", || get(events)),
    read(READER, "/v1/regions", || get(regions)),
    act("/v1/order", || post(order)),
    act("/v1/reload", || post(reload)),
    act("/v1/fetch", || post(fetch)),
    act("/v1/upgrade", || post(upgrade)),
    act("/v1/whatif", || post(what_if)),
    read(None, "/", || file(HTML, &dashboard::PAGE)),
    read(None, "/page.css", || {
        file("text/css; charset=utf-8", dashboard::STYLE)
    }),
    read(None, "/icon.svg", || file("image/svg+xml", dashboard::ICON)),
    read(None, "/page.js", || file(SCRIPT, dashboard::PAGE_JS)),
    read(None, "/ask.js", || file(SCRIPT, dashboard::ASK_JS)),
    read(None, "/map.js", || file(SCRIPT, dashboard::MAP_JS)),
    read(None, "/nodes.js", || file(SCRIPT, dashboard::NODES_JS)),
];

/// Asked with GET.
const fn read(role: Option<Role>, path: &'static str, make: fn() -> MethodRouter<Served>) -> Route {
    Route {
        method: "GET",
        acts: false,
        role,
        path,
        make,
    }
}

/// Asked with POST, and makes the server do something: for operators.
const fn act(path: &'static str, make: fn() -> MethodRouter<Served>) -> Route {
    Route {
        method: "POST",
        acts: true,
        ..read(Some(Role::Operator), path, make)
    }
}

/// Method, path and role of each page; no role where anybody may ask.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, Option<Role>)> {
    ROUTES.iter().map(|r| (r.method, r.path, r.role))
}

/// All pages behind their guards.
pub(super) fn router(served: Served) -> Router {
    let add = |router: Router<Served>, route: &Route| {
        let gate = Gate {
            served: served.clone(),
            route: *route,
        };
        let guarded = (route.make)().route_layer(from_fn_with_state(gate, page));
        router.route(route.path, guarded)
    };
    ROUTES
        .iter()
        .fold(Router::new(), add)
        .method_not_allowed_fallback(|| async {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "not with this method")
        })
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "no such page") })
        .layer(from_fn(web::guard))
        .layer(from_fn(outer))
        .with_state(served)
}
