//! What stands before every page: who asks, whether they may, how much and how long; and afterwards, what was done is written down.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use super::room::Known;
use super::routes::{Route, Served};
use super::{refuse, token};
use crate::config::Role;
use crate::control::{Audit, Handle, cut};

/// The largest body: files of `whatif`.
pub(super) const LARGEST: usize = 1 << 20;
/// For a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// For an answer to begin. The command line waits as long.
pub(super) const LONGEST: Duration = Duration::from_secs(120);
/// So much of a body is written down.
const TOLD: usize = 400;
/// The longest name that somebody may act under.
const LONGEST_WHO: usize = 64;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    /// Of the control socket: whoever can open it is an operator. Its user.
    Local(Option<u32>),
    /// Of TCP.
    Remote {
        address: SocketAddr,
        /// Without TLS.
        plain: bool,
    },
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose the token is; none: on the control socket one says who one is.
    owner: Option<String>,
    /// The user or the address.
    from: String,
    may: Role,
}

/// A page and what its guard needs.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) served: Served,
    pub(super) route: Route,
}

/// Put beside an answer to somebody who has shown who they are.
#[derive(Clone, Copy)]
struct Admitted;

/// Put beside a refusal: its words.
#[derive(Clone)]
pub(super) struct Why(pub(super) String);

impl Caller {
    /// Who is at the other end: by the socket, or by the token.
    fn of(peer: Peer, headers: &HeaderMap, served: &Served) -> Option<Self> {
        match peer {
            Peer::Local(user) => Some(Self {
                owner: None,
                from: user.map_or_else(|| "control socket".into(), |user| format!("uid {user}")),
                may: Role::Operator,
            }),
            Peer::Remote { address, .. } => {
                let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
                let (scheme, shown) = value.split_once(' ')?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return None;
                }
                let access = served.handle.access();
                let token = token::owner(&access.tokens, shown.trim())?;
                Some(Self {
                    owner: Some(token.name.clone()),
                    from: address.to_string(),
                    may: token.role,
                })
            }
        }
    }

    /// Whose the token is; none: it is asked on the control socket.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The name that an action is done under: the token's, and only where there is none what was told.
    ///
    /// # Errors
    /// If what was told is no name.
    pub(super) fn name(&self, told: &str) -> Result<String, String> {
        if let Some(owner) = &self.owner {
            return Ok(owner.clone());
        }
        if told.len() > LONGEST_WHO || told.chars().any(char::is_control) {
            return Err(format!(
                "who: at most {LONGEST_WHO} octets, and no control characters"
            ));
        }
        Ok(if told.is_empty() { &self.from } else { told }.to_owned())
    }
}

/// The name under which the control socket is asked.
pub(super) const HOST: &str = "nearmost";

/// Before all pages, also those that there are not: asked under a name that may be another site's, and a stranger's connection ends with the answer.
pub(super) async fn outer(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|h| h.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    let fine = match peer {
        // A certificate is for a name.
        Some(Peer::Remote { plain: false, .. }) => true,
        // It may be forwarded to where a browser is, by an address there or `localhost`. Who asks by the socket itself names the program: another
        // name without a dot may be a stranger's in the network where the browser is.
        Some(Peer::Local(_)) => host.is_some_and(|h| is_an_address(h) || h == HOST),
        _ => host.is_some_and(is_an_address),
    };
    let mut response = if !fine {
        let why = "asked under a name: without TLS only an address or `localhost` will do";
        refuse(StatusCode::FORBIDDEN, why)
    } else {
        next.run(request).await
    };
    let known = response.extensions().get::<Admitted>().is_some();
    if !known && matches!(peer, Some(Peer::Remote { .. })) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Whether a host cannot be a name that another site's owner has led here (DNS rebinding).
fn is_an_address(host: &str) -> bool {
    let port = |text: &str| text.is_empty() || text.strip_prefix(':').is_some_and(is_number);
    if let Some(rest) = host.strip_prefix('[') {
        let v6 = rest.split_once(']');
        return v6.is_some_and(|(ip, rest)| ip.parse::<IpAddr>().is_ok() && port(rest));
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    let fine = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    fine && port(rest)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Before a page: who may ask, what they send, how long it takes; behind it, what was done is written down.
pub(super) async fn page(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(role) = gate.route.role else {
        return bounded(request, next).await;
    };
    let peer = request.extensions().get::<Peer>().copied();
    let caller = peer.and_then(|peer| Caller::of(peer, request.headers(), &gate.served));
    let Some(caller) = caller else {
        if let Some(Peer::Remote { address, .. }) = peer {
            let Served {
                strangers, handle, ..
            } = &gate.served;
            strangers.turned_away(address, handle.now());
        }
        let mut response = refuse(StatusCode::UNAUTHORIZED, "a valid token is needed");
        let bearer = HeaderValue::from_static("Bearer");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, bearer);
        return response;
    };
    if let Some(known) = request.extensions().get::<Known>() {
        known.admit();
    }
    request.extensions_mut().insert(caller.clone());
    let mut response = if caller.may < role {
        let why = format!("a token of the role {} is needed", role.word());
        refuse(StatusCode::FORBIDDEN, &why)
    } else if request.method() == Method::POST {
        posted(gate, caller, request, next).await
    } else {
        current(&gate.served.handle, request, next).await
    };
    response.extensions_mut().insert(Admitted);
    response
}

/// What a page answers, unless another process has taken over: what is told here would be lost, and what is refused may be fine there.
async fn current(handle: &Handle, request: Request, next: Next) -> Response {
    if !handle.is_retired() {
        let response = bounded(request, next).await;
        if response.status().is_success() || !handle.is_retired() {
            return response;
        }
    }
    let why = "another process has taken over: ask again";
    refuse(StatusCode::SERVICE_UNAVAILABLE, why)
}

async fn bounded(request: Request, next: Next) -> Response {
    let done = timeout(LONGEST, next.run(request)).await;
    done.unwrap_or_else(|_| {
        let why = format!("no answer in {} s", LONGEST.as_secs());
        refuse(StatusCode::SERVICE_UNAVAILABLE, &why)
    })
}

/// Takes the whole body first. An action is then done to its end and written down, also if who asked for it hangs up.
async fn posted(gate: Gate, caller: Caller, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match received(&parts.headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let request = Request::from_parts(parts, Body::from(body.clone()));
    if !gate.route.acts {
        return current(&gate.served.handle, request, next).await;
    }
    let done = tokio::spawn(async move {
        let response = current(&gate.served.handle, request, next).await;
        let why = response.extensions().get::<Why>().map(|why| why.0.as_str());
        let audit = audit(&gate.route, &caller, &body);
        gate.served.handle.audit(&audit, why);
        response
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!("admin: {error}");
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "it has failed")
    })
}

/// The body, if it is JSON by its type, not too large and not too slow.
async fn received(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let why = "content-type: application/json is needed";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let large = || {
        let why = format!("a body has at most {LARGEST} octets");
        refuse(StatusCode::PAYLOAD_TOO_LARGE, &why)
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LARGEST) {
        return Err(large());
    }
    match timeout(ARRIVAL, to_bytes(body, LARGEST)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(match error.into_inner().is::<LengthLimitError>() {
            true => large(),
            false => refuse(StatusCode::BAD_REQUEST, "the body has no end"),
        }),
        Err(_) => {
            let why = format!("the body has not come within {} s", ARRIVAL.as_secs());
            Err(refuse(StatusCode::REQUEST_TIMEOUT, &why))
        }
    }
}

fn audit(route: &Route, caller: &Caller, body: &[u8]) -> Audit {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told = value.as_ref().and_then(|v| v["who"].as_str());
    let name = caller.name(told.unwrap_or_default());
    // As JSON it is one line, whatever is in it.
    let body = value.map_or_else(|| "no JSON".into(), |v| v.to_string());
    Audit {
        who: name.unwrap_or_else(|_| caller.from.clone()),
        from: caller.from.clone(),
        action: route.path.trim_start_matches("/v1/").to_owned(),
        body: cut(body, TOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_can_be_rebound_is_no_address() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8053",
            "localhost:8053",
            "LocalHost",
            "[::1]:8053",
            "[::1]",
        ] {
            assert!(is_an_address(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8053",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:x",
            "[::1]evil.example",
            "[evil]",
            "::1",
        ] {
            assert!(!is_an_address(host), "{host}");
        }
    }

    #[test]
    fn nobody_gives_the_owner_of_a_token_another_name() {
        let mut caller = Caller {
            owner: Some("ola".into()),
            from: "192.0.2.1:4711".into(),
            may: Role::Operator,
        };
        assert_eq!(caller.name("root"), Ok("ola".into()));
        caller.owner = None;
        caller.from = "uid 1000".into();
        assert_eq!(caller.name("mira"), Ok("mira".into()));
        assert_eq!(caller.name(""), Ok("uid 1000".into()));
        assert!(caller.name("a\nb").is_err());
        assert!(caller.name(&"a".repeat(65)).is_err());
    }
}
