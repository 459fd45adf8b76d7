//! What answers each page.

use std::net::IpAddr;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::guard::Caller;
use super::refuse;
use super::view::{CheckLine, Status, explain, locate};
use crate::control::{Handle, If, NotReloaded, Wanted};
use crate::zone::{Name, RecordType};

/// The description of all pages; a test holds it against them.
const OPENAPI: &str = include_str!("openapi.json");
/// The longest reason of an order.
const LONGEST_WHY: usize = 1000;

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// That there is a server. The sockets are made once the first round of probes has ended, so who is answered at all is answered by one that
/// is ready.
pub(super) async fn ready() -> Response {
    Json(json!({ "ready": true })).into_response()
}

pub(super) async fn status(State(handle): State<Handle>) -> Response {
    apart(move || Ok(Status::of(&handle))).await
}

pub(super) async fn health(State(handle): State<Handle>) -> Response {
    apart(move || Ok(CheckLine::all(&handle))).await
}

#[derive(Deserialize)]
pub(super) struct Question {
    name: String,
    #[serde(rename = "type")]
    rtype: Option<String>,
    from: IpAddr,
    /// The resolver that asks; none: the client itself.
    resolver: Option<IpAddr>,
}

pub(super) async fn explain_live(
    State(handle): State<Handle>,
    question: Result<Query<Question>, QueryRejection>,
) -> Response {
    let Query(question) = match question {
        Ok(question) => question,
        Err(why) => return refuse(why.status(), &why.body_text()),
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
    let resolver = question.resolver.unwrap_or(question.from);
    let explained = move || {
        let hosts = handle.hosts();
        // Who has the board has the generation that it is of.
        let board = handle.board();
        let snapshot = handle.current().get();
        let explained = explain(
            &snapshot,
            Some(&*board),
            &name,
            rtype,
            question.from,
            resolver,
        );
        Ok(explained.with_hosts(hosts, handle.now()))
    };
    apart(explained).await
}

#[derive(Deserialize)]
pub(super) struct Past {
    count: usize,
    nodes: String,
}

pub(super) async fn history(
    State(handle): State<Handle>,
    asked: Result<Query<Past>, QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(Past { count, nodes })) => {
            let nodes = nodes.split(',').filter(|n| !n.is_empty());
            let nodes: Vec<String> = nodes.map(str::to_owned).collect();
            Json(handle.history(&nodes, count)).into_response()
        }
        Err(why) => refuse(why.status(), &why.body_text()),
    }
}

pub(super) async fn order(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Response {
    let Json(mut wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return refuse(why.status(), &why.body_text()),
    };
    if wanted.why.len() > LONGEST_WHY || wanted.why.chars().any(char::is_control) {
        let why = format!("why: at most {LONGEST_WHY} octets, and no control characters");
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, &why);
    }
    let done = match caller.name(&wanted.who) {
        Ok(name) => {
            wanted.who = name;
            handle.order_and_settle(&wanted).await
        }
        Err(why) => Err(why),
    };
    match done {
        Ok(done) => Json(done).into_response(),
        Err(why) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &why),
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

pub(super) async fn reload(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<ReloadWanted>, JsonRejection>,
) -> Response {
    let Json(wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return refuse(why.status(), &why.body_text()),
    };
    match caller.name(&wanted.who) {
        Ok(who) => apart(move || handle.reload(wanted.dry_run, &who)).await,
        Err(why) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

/// A zone of others that is to be asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchWanted {
    /// Its name.
    pub zone: String,
    /// All of it is taken, whatever its serial is.
    #[serde(default)]
    pub whole: bool,
    /// Who wants it.
    pub who: String,
}

pub(super) async fn fetch(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<FetchWanted>, JsonRejection>,
) -> Response {
    let Json(mut wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return refuse(why.status(), &why.body_text()),
    };
    let done = caller.name(&wanted.who).and_then(|who| {
        wanted.who = who;
        wanted.zone = handle.fetch(&wanted.zone, wanted.whole)?;
        Ok(wanted)
    });
    match done {
        Ok(done) => Json(done).into_response(),
        Err(why) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

pub(super) async fn what_if(
    State(handle): State<Handle>,
    supposed: Result<Json<If>, JsonRejection>,
) -> Response {
    let Json(supposed) = match supposed {
        Ok(supposed) => supposed,
        Err(why) => return refuse(why.status(), &why.body_text()),
    };
    apart(move || handle.what_if(&supposed)).await
}

pub(super) async fn upgrade(State(handle): State<Handle>) -> Response {
    match handle.upgrade() {
        Ok(()) => Json(json!({ "pid": std::process::id() })).into_response(),
        Err(why) => refuse(StatusCode::CONFLICT, &why),
    }
}

/// Does what takes its time where nobody waits for it.
async fn apart<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, NotReloaded> + Send + 'static,
) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    match done.unwrap_or_else(|e| Err(NotReloaded::Failed(e.to_string()))) {
        Ok(done) => Json(done).into_response(),
        Err(why @ NotReloaded::Files(_)) => refuse(StatusCode::FAILED_DEPENDENCY, &why.to_string()),
        Err(why) => refuse(StatusCode::CONFLICT, &why.to_string()),
    }
}

#[derive(Deserialize)]
pub(super) struct Where {
    ip: IpAddr,
}

pub(super) async fn geo_live(
    State(handle): State<Handle>,
    asked: Result<Query<Where>, QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(Where { ip })) => Json(locate(
            &handle.current().load().world,
            handle.databases(),
            ip,
        ))
        .into_response(),
        Err(why) => refuse(why.status(), &why.body_text()),
    }
}
