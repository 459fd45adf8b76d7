//! What browsers need: headers that say what a page may do, and a guard against other sites' pages.

use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::refuse;

/// Nothing comes from elsewhere, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Of every response.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Refuses what another site's page asks, and adds the headers.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|h| h.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    let mut response = if is_foreign(request.method(), request.headers(), host) {
        refuse(StatusCode::FORBIDDEN, "asked by a page of another site")
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Whether a browser says that a page of another site asks. It may lead here by a link; nothing more. Programs that are no browsers
/// send none of these headers, and no page can leave them out.
fn is_foreign(method: &Method, headers: &HeaderMap, host: Option<&str>) -> bool {
    let get = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let reads = [Method::GET, Method::HEAD].contains(method);
    let site = get("sec-fetch-site").unwrap_or(b"none");
    if ![&b"same-origin"[..], b"none"].contains(&site) {
        let follows_a_link = reads && get("sec-fetch-mode") == Some(b"navigate");
        return !follows_a_link;
    }
    let ours = |origin: &[u8]| {
        let origin = std::str::from_utf8(origin).ok();
        let authority = origin.and_then(|o| Some(o.split_once("://")?.1));
        authority.is_some() && authority == host
    };
    !reads && get("origin").is_some_and(|origin| !ours(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(method: &Method, lines: &[(&'static str, &'static str)]) -> bool {
        let value = |v| HeaderValue::from_static(v);
        let lines = lines
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), value(v)));
        is_foreign(method, &lines.collect(), Some("127.0.0.1:8053"))
    }

    #[test]
    fn pages_of_other_sites_may_only_lead_here() {
        let (get, post) = (&Method::GET, &Method::POST);
        let site = |word| ("sec-fetch-site", word);
        let mode = |word| ("sec-fetch-mode", word);
        let origin = |word| ("origin", word);
        assert!(!foreign(post, &[]), "the command line");
        assert!(!foreign(
            post,
            &[site("same-origin"), origin("http://127.0.0.1:8053")]
        ));
        assert!(!foreign(get, &[site("none"), mode("navigate")]), "typed");
        assert!(
            !foreign(get, &[site("cross-site"), mode("navigate")]),
            "a link"
        );
        assert!(foreign(get, &[site("cross-site"), mode("no-cors")]));
        assert!(foreign(get, &[site("same-site"), mode("cors")]));
        assert!(
            foreign(post, &[site("cross-site"), mode("navigate")]),
            "a form"
        );
        assert!(foreign(post, &[origin("http://127.0.0.1:8054")]));
        assert!(foreign(post, &[origin("null")]));
        assert!(foreign(post, &[origin("https://evil.example")]));
    }
}
