//! The dashboard: one page that is part of the program, and what it asks.
//!
//! ```text
//!   GET /                                    the page; its style, script and icon are beside it
//!   GET /v1/events                           what it shows, and then what changes, once a second: `text/event-stream`
//!   GET /v1/regions?pool=NAME&family=4       which node each part of the world is given
//! ```

use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;

use super::events::Feed;
use super::guard::Caller;
use super::refuse;
use super::regions::Regions;

/// The page with the outlines of the world in it, so that the first thing painted has them.
pub(super) static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("page/page.html")
        .replace("{land}", include_str!("page/land.path"))
        .replace("{borders}", include_str!("page/borders.path"))
});
pub(super) const STYLE: &str = include_str!("page/page.css");
pub(super) const ICON: &str = include_str!("page/icon.svg");
/// The script, and the modules that it is made of.
pub(super) const PAGE_JS: &str = include_str!("page/page.js");
pub(super) const ASK_JS: &str = include_str!("page/ask.js");
pub(super) const MAP_JS: &str = include_str!("page/map.js");
pub(super) const NODES_JS: &str = include_str!("page/nodes.js");

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
pub(super) fn file<S: Clone + Send + Sync + 'static>(
    kind: &'static str,
    text: &'static str,
) -> MethodRouter<S> {
    get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
}

pub(super) async fn events(
    State(feed): State<Feed>,
    Extension(caller): Extension<Caller>,
) -> Response {
    match feed.stream(caller.owner()).await {
        Some(body) => {
            // A proxy that gathers what it is sent would hold it back.
            let kind = [
                (header::CONTENT_TYPE.as_str(), "text/event-stream"),
                ("x-accel-buffering", "no"),
            ];
            (kind, Body::new(body)).into_response()
        }
        None => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages are open already",
        ),
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    pool: String,
    family: u8,
}

pub(super) async fn regions(
    State(regions): State<Arc<Regions>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Query(Asked { pool, family }) = match asked {
        Ok(asked) => asked,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why.body_text()),
    };
    // Looking at the whole world takes its time.
    let found = tokio::task::spawn_blocking(move || regions.of(&pool, family == 6)).await;
    match found.ok().flatten() {
        Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            "no such pool with addresses of this family",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SVG is known by, and links that a person may follow.
    const NAMED: [&str; 5] = [
        "www.w3.org/2000/svg",
        "www.naturalearthdata.com",
        "www.geonames.org",
        "db-ip.com",
        "www.maxmind.com",
    ];

    #[test]
    fn the_page_is_small_whole_and_asks_nobody_else() {
        let files = [
            PAGE.as_str(),
            STYLE,
            ICON,
            PAGE_JS,
            ASK_JS,
            MAP_JS,
            NODES_JS,
        ];
        let octets: usize = files.iter().map(|f| f.len()).sum();
        assert!(octets < 400 * 1024, "{octets} octets");
        assert!(!PAGE.contains("{land}") && !PAGE.contains("{borders}"));
        for file in files {
            // What the policy would forbid, and what would make words of nodes into markup.
            let forbidden = [
                " style=",
                " onclick=",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "@import",
                "url(",
            ];
            for word in forbidden {
                assert!(!file.contains(word), "{word}");
            }
            for (at, _) in file.match_indices("://") {
                let url = file[at + 3..].split(['"', '\'']).next().unwrap();
                assert!(NAMED.contains(&url), "{url}: another site");
            }
        }
    }
}
