//! The dashboard: one page that is part of the program, and what it asks.
//!
//! ```text
//!   GET /                                    the page; its style, script and icon are beside it
//!   GET /v1/events                           what it shows, and then what changes, once a second: `text/event-stream`
//!   GET /v1/regions?pool=NAME&family=4       which node each part of the world is given
//! ```

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::events::Feed;
use super::refuse;
use super::regions::Regions;
use crate::control::Handle;

/// The page with the outlines of the world in it, so that the first thing painted has them.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("page/page.html")
        .replace("{land}", include_str!("page/land.path"))
        .replace("{borders}", include_str!("page/borders.path"))
});
const STYLE: &str = include_str!("page/page.css");
const ICON: &str = include_str!("page/icon.svg");
/// The script, and the modules that it is made of.
const SCRIPTS: [(&str, &str); 4] = [
    ("/page.js", include_str!("page/page.js")),
    ("/ask.js", include_str!("page/ask.js")),
    ("/map.js", include_str!("page/map.js")),
    ("/nodes.js", include_str!("page/nodes.js")),
];

/// The page and what it asks.
pub(super) fn router(handle: Handle) -> Router {
    let feed = Feed::new(handle.clone());
    tokio::spawn(feed.clone().look_again());
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let script = |router: Router, (path, text): (&str, &'static str)| {
        router.route(path, file("text/javascript; charset=utf-8", text))
    };
    let scripts = SCRIPTS.into_iter().fold(Router::new(), script);
    Router::new()
        .route("/v1/events", get(events))
        .with_state(feed)
        .merge(
            Router::new()
                .route("/v1/regions", get(regions))
                .with_state(Arc::new(Regions::new(handle))),
        )
        .route("/", file("text/html; charset=utf-8", &PAGE))
        .route("/page.css", file("text/css; charset=utf-8", STYLE))
        .route("/icon.svg", file("image/svg+xml", ICON))
        .merge(scripts)
}

async fn events(State(feed): State<Feed>) -> Response {
    match feed.stream().await {
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
struct Asked {
    pool: String,
    family: u8,
}

async fn regions(
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
        let scripts = SCRIPTS.iter().map(|(_, text)| *text);
        let files: Vec<&str> = [PAGE.as_str(), STYLE, ICON]
            .into_iter()
            .chain(scripts)
            .collect();
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
