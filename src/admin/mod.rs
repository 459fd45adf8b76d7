//! JSON over HTTP on a Unix socket: what the command line asks the running server.
//!
//! ```text
//!   GET /v1/status                           the server, its zones and pools, what it counted
//!   GET /v1/health                           every check: state, since when, why
//!   GET /v1/explain?name=N&type=T&from=IP    what a client is answered, and why
//!   GET /v1/history?count=N&nodes=A,B        the newest events, of these nodes only if there are any
//!   POST /v1/order                           what an operator wants of nodes: `control::Wanted`, answered by `control::Done`
//!   GET /v1/geo?ip=IP                        where an address is, and who says so
//!   GET /metrics                             what is counted and measured, for Prometheus
//!   POST /v1/reload                          read all files again: `ReloadWanted`, answered by `control::Reloaded`
//!   POST /v1/upgrade                         have a new process take over; `status` tells when it has
//!   POST /v1/whatif                          who would be sent elsewhere: `control::If`, answered by `control::Outlook`
//! ```
//! Errors are `{"error": "…"}` with a status of 4xx: 409 where things are not so that it could be done, 422 where files are wrong. `page` adds the
//! dashboard and what it asks.

mod ask;
mod events;
mod metrics;
mod page;
mod regions;
mod rows;
mod strips;
mod view;
mod web;

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::{UnixListener, UnixStream};

pub use ask::{AskError, ask, tell};
pub use view::{
    CheckLine, Explained, FamilyLine, FrozenLine, Located, PoolLine, Status, ZoneLine, explain,
    locate,
};

use crate::control::{Handle, If, NotReloaded, Wanted};
use crate::zone::{Name, RecordType};

/// Listens on the control socket, `instead` of another server or not, readable and writable for user and group, and answers until the runtime ends.
///
/// # Errors
/// If the path is no socket of ours or another server answers on it.
pub async fn serve(
    path: &Path,
    handle: Handle,
    instead: bool,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    if !instead && UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server answers on it",
        ));
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            ));
        }
        // A server that was killed left it behind.
        Ok(_) => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    let router = router(handle);
    Ok(async move { axum::serve(listener, router).await })
}

fn router(handle: Handle) -> Router {
    Router::new()
        .route(
            "/v1/status",
            get(|State(handle): State<Handle>| async move { Json(Status::of(&handle)) }),
        )
        .route(
            "/v1/health",
            get(|State(handle): State<Handle>| async move { Json(CheckLine::all(&handle)) }),
        )
        .route("/v1/explain", get(explain_live))
        .route("/v1/geo", get(geo_live))
        .route("/v1/history", get(history))
        .route("/v1/order", post(order))
        .merge(metrics::router(handle.clone()))
        .route("/v1/reload", post(reload))
        .route("/v1/whatif", post(what_if))
        .route("/v1/upgrade", post(upgrade))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "no such page") })
        .with_state(handle.clone())
        .merge(page::router(handle))
        .layer(axum::middleware::from_fn(web::guard))
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

#[derive(Deserialize)]
struct Question {
    name: String,
    #[serde(rename = "type")]
    rtype: Option<String>,
    from: IpAddr,
    /// The resolver that asks; none: the client itself.
    resolver: Option<IpAddr>,
}

async fn explain_live(
    State(handle): State<Handle>,
    question: Result<Query<Question>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Query(question) = match question {
        Ok(question) => question,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    };
    let name = match Name::absolute(&question.name) {
        Ok(name) => name,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &format!("name: {why}")),
    };
    let Ok(rtype) = question
        .rtype
        .as_deref()
        .unwrap_or("A")
        .parse::<RecordType>()
    else {
        return refuse(StatusCode::BAD_REQUEST, "type: no such record type");
    };
    let hosts = handle.hosts();
    // Who has the board has the generation that it is of.
    let board = handle.board();
    let snapshot = handle.current().get();
    let resolver = question.resolver.unwrap_or(question.from);
    let board = Some(&*board);
    let explained = explain(&snapshot, board, &name, rtype, question.from, resolver);
    Json(explained.with_hosts(hosts, handle.now())).into_response()
}

#[derive(Deserialize)]
struct Past {
    count: usize,
    nodes: String,
}

async fn history(
    State(handle): State<Handle>,
    asked: Result<Query<Past>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(Past { count, nodes })) => {
            let nodes = nodes.split(',').filter(|n| !n.is_empty());
            let nodes: Vec<String> = nodes.map(str::to_owned).collect();
            Json(handle.history(&nodes, count)).into_response()
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    }
}

async fn order(
    State(handle): State<Handle>,
    wanted: Result<Json<Wanted>, axum::extract::rejection::JsonRejection>,
) -> Response {
    match wanted {
        Ok(Json(wanted)) => match handle.order_and_settle(&wanted).await {
            Ok(done) => Json(done).into_response(),
            Err(why) => refuse(StatusCode::CONFLICT, &why),
        },
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    }
}

/// How files are to be read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadWanted {
    /// Nothing is to be changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Who wants it.
    pub who: String,
}

async fn reload(
    State(handle): State<Handle>,
    wanted: Result<Json<ReloadWanted>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    };
    apart(move || handle.reload(wanted.dry_run, &wanted.who)).await
}

async fn what_if(
    State(handle): State<Handle>,
    supposed: Result<Json<If>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(supposed) = match supposed {
        Ok(supposed) => supposed,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    };
    apart(move || handle.what_if(&supposed)).await
}

async fn upgrade(State(handle): State<Handle>) -> Response {
    handle.upgrade();
    Json(json!({ "pid": std::process::id() })).into_response()
}

/// Does what takes its time where nobody waits for it.
async fn apart<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, NotReloaded> + Send + 'static,
) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    match done.unwrap_or_else(|e| Err(NotReloaded::Failed(e.to_string()))) {
        Ok(done) => Json(done).into_response(),
        Err(why @ NotReloaded::Files(_)) => {
            refuse(StatusCode::UNPROCESSABLE_ENTITY, &why.to_string())
        }
        Err(why) => refuse(StatusCode::CONFLICT, &why.to_string()),
    }
}

#[derive(Deserialize)]
struct Where {
    ip: IpAddr,
}

async fn geo_live(
    State(handle): State<Handle>,
    asked: Result<Query<Where>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(Where { ip })) => Json(locate(
            &handle.current().load().world,
            handle.databases(),
            ip,
        ))
        .into_response(),
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    }
}
