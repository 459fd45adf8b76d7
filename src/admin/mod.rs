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
mod strips;
mod token;
mod view;
mod web;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub use ask::{AskError, ask, tell};
pub use pages::ReloadWanted;
pub use routes::routes;
pub use token::{NewToken, new_token};
pub use view::{
    CheckLine, Explained, FamilyLine, FrozenLine, Located, PoolLine, Status, ZoneLine, explain,
    locate,
};

use self::routes::Served;
use crate::config::Admin;
use crate::control::Handle;

/// Listens on the control socket, `instead` of another server or not, and on the addresses of `admin`, and answers there until the
/// runtime ends, in which it is to be called. The addresses that it answers on.
///
/// # Errors
/// What cannot be listened on, and why: the path is no socket of ours, another server answers on it, an address is taken.
pub fn serve(
    control: &Path,
    admin: &Admin,
    handle: &Handle,
    instead: bool,
) -> Result<Vec<SocketAddr>, String> {
    let cannot =
        |what: &dyn std::fmt::Display, e: io::Error| format!("cannot listen on {what}: {e}");
    let router = routes::router(Served::of(handle));
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for address in &admin.listen {
        let listener = listen::tcp(*address).map_err(|e| cannot(address, e))?;
        addresses.push(listener.local_addr().map_err(|e| cannot(address, e))?);
        listeners.push(listener);
    }
    let socket =
        listen::control(control, admin, instead).map_err(|e| cannot(&control.display(), e))?;
    tokio::spawn(listen::serve_control(socket, router.clone()));
    let room = room::Room::new();
    for listener in listeners {
        let (handle, router) = (handle.clone(), router.clone());
        tokio::spawn(listen::serve_tcp(listener, handle, router, room.clone()));
    }
    Ok(addresses)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    let mut response = (status, Json(json!({ "error": why }))).into_response();
    response.extensions_mut().insert(guard::Why(why.to_owned()));
    response
}
