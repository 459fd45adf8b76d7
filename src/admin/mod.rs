//! The admin API: JSON over HTTP, on a Unix socket that the command line asks, and over TCP with TLS and tokens.
//!
//! ```text
//!   listen   sockets, connections, TLS
//!     guard    who asks (the socket's mode, or a token), whether they may, how much and how long; actions are written down
//!     web      what browsers are refused
//!       routes   the table of all pages
//!         pages    what answers them; `view` is the shapes. `page` is the dashboard, `metrics` for Prometheus
//! ```
//! docs/api.md and `openapi.json` describe the pages. Errors are `{"error": "…"}` with a status of 4xx or 5xx.

mod ask;
mod events;
mod guard;
mod listen;
mod metrics;
mod page;
mod pages;
mod regions;
mod room;
mod routes;
mod rows;
mod strangers;
mod streams;
mod strips;
mod timely;
mod token;
mod view;
mod web;

use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;

pub use ask::{AskError, ask, tell};
pub use pages::{FetchWanted, ReloadWanted};
pub use routes::routes;
pub use token::{NewToken, new_token};
pub use view::{
    CheckLine, Explained, FamilyLine, FrozenLine, Located, PoolLine, Status, ZoneLine, explain,
    locate,
};

use self::routes::Served;
use crate::control::{Doors, Handle};

/// Answers on the control socket and over TCP, until the runtime ends, in which it is to be called, or another process
/// has taken over. The addresses that it answers on.
///
/// # Errors
/// What the system says of the sockets.
pub fn serve(doors: Doors, handle: &Handle) -> io::Result<Vec<SocketAddr>> {
    let served = Served::of(handle);
    let strangers = served.strangers.clone();
    let router = routes::router(served);
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for listener in doors.admin {
        addresses.push(listener.local_addr()?);
        listeners.push(TcpListener::from_std(listener)?);
    }
    let control = listen::control(doors.control)?;
    tokio::spawn(listen::serve_control(
        control,
        handle.clone(),
        router.clone(),
    ));
    let room = room::Room::default();
    for listener in listeners {
        let (handle, router) = (handle.clone(), router.clone());
        let room = (room.clone(), strangers.clone());
        tokio::spawn(listen::serve_tcp(listener, handle, router, room));
    }
    Ok(addresses)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    let mut response = (status, Json(json!({ "error": why }))).into_response();
    response.extensions_mut().insert(guard::Why(why.to_owned()));
    response
}
