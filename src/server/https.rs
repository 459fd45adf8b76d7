//! DNS over HTTPS (RFC 8484): one resource, asked by GET or POST, in HTTP/2 or HTTP/1.1.
//!
//! A message is answered as over any other transport; what is wrong with the HTTP around it is told in HTTP's own codes.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::connections::Activity;
use super::held::{Held, Question, Watched};
use super::service::Service;
use crate::answer::LONGEST;
use crate::wire::freshness;

/// The one resource, as clients know it unless told.
const PATH: &str = "/dns-query";
const MESSAGE: &str = "application/dns-message";
/// Octets of a request's head, and how many lines: a question in a GET is a few hundred.
const HEAD_OCTETS: u32 = 16 << 10;
const HEAD_LINES: usize = 64;
/// Requests of a connection at one time.
const STREAMS: u32 = 32;
/// Requests that were taken back at once and are still in our books: beyond that the connection ends (CVE-2023-44487).
const RESETS: usize = 32;
/// Octets that a client may send before they are read, of a request and of the connection.
const WINDOW: u32 = 64 << 10;
/// Octets beyond the longest message that are still read, so that a client which is sending hears that they are too many.
const FAREWELL: usize = 64 << 10;
/// Octets of a reply that wait for a client to take them.
const UNSENT: usize = 64 << 10;

/// What the requests of a connection share.
struct Talk {
    service: Arc<Service>,
    source: IpAddr,
    held: Arc<Held>,
    draws: RandomState,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// Requests so far.
    requests: u64,
    /// Those that are not answered yet.
    open: usize,
    /// When that was last another number.
    since: Instant,
}

/// Answers all requests of a connection.
pub(super) async fn talk(
    service: Arc<Service>,
    source: IpAddr,
    activity: Activity,
    stream: TlsStream<TcpStream>,
) {
    let (tcp, tls) = stream.get_ref();
    let two = tls.alpn_protocol() == Some(b"h2");
    // Who takes nothing of what is sent is told by the system.
    let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(service.limits.write));
    let held = Held::new(activity);
    let talk = Arc::new(Talk {
        source: source.to_canonical(),
        held: Arc::clone(&held),
        draws: RandomState::new(),
        state: Mutex::new(State {
            requests: 0,
            open: 0,
            since: Instant::now(),
        }),
        service,
    });
    let own = Arc::clone(&talk);
    let answer = service_fn(move |request| {
        let talk = Arc::clone(&own);
        async move { Ok::<_, Infallible>(talk.answer(request).await) }
    });
    let io = TokioIo::new(Watched { stream, held });
    if two {
        let mut two = http2::Builder::new(TokioExecutor::new());
        two.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .max_header_list_size(HEAD_OCTETS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(UNSENT);
        let connection = pin!(two.serve_connection(io, answer));
        talk.watch(connection, http2::Connection::graceful_shutdown)
            .await;
    } else {
        let mut one = http1::Builder::new();
        one.timer(TokioTimer::new())
            .header_read_timeout(talk.service.limits.idle)
            .max_buf_size(HEAD_OCTETS as usize)
            .max_headers(HEAD_LINES);
        let connection = pin!(one.serve_connection(io, answer));
        talk.watch(connection, http1::Connection::graceful_shutdown)
            .await;
    }
}

impl Talk {
    /// Has a connection go on until it ends, is idle for too long, or too old.
    async fn watch<C: Future>(&self, mut connection: Pin<&mut C>, end: impl FnOnce(Pin<&mut C>)) {
        let limits = &self.service.limits;
        let total = Instant::now() + limits.total;
        loop {
            let state = *self.state();
            // A request is not open for longer than a message may take.
            let open = if state.open > 0 {
                limits.message
            } else {
                limits.idle
            };
            let until = (state.since + open).min(total);
            tokio::select! {
                // Whoever is at the other end knows how it has ended.
                _ = connection.as_mut() => return,
                () = sleep_until(until) => {
                    let same = self.state().requests == state.requests && self.state().open == state.open;
                    if same || Instant::now() >= total {
                        break;
                    }
                }
            }
        }
        end(connection.as_mut());
        let _ = timeout(limits.write, connection).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let open = Open::of(self);
        self.held.room().await;
        let message = match self.message(request).await {
            Ok(message) => message,
            Err(status) => return plain(status),
        };
        // Others may have been answered while it came.
        self.held.room().await;
        self.reply(message.octets(), open.number)
    }

    fn reply(&self, message: &[u8], number: u64) -> Response<Full<Bytes>> {
        let draw = self.draws.hash_one(number);
        let replied = self.service.turn(|turn| {
            let (reply, outcome) = turn.answer(self.source, message, draw)?;
            Some((reply.to_vec(), outcome))
        });
        let Some((reply, outcome)) = replied else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if reply.is_empty() {
            return plain(StatusCode::BAD_REQUEST);
        }
        let age = freshness(&reply).unwrap_or(0);
        // What a pool gives is for this client; a cache that others ask too must not have it.
        let whose = if outcome.pool.is_some() {
            "private, "
        } else {
            ""
        };
        let response = Response::builder()
            .header(CONTENT_TYPE, MESSAGE)
            .header(CACHE_CONTROL, format!("{whose}max-age={age}"));
        let reply = Bytes::from_owner(self.held.reply(reply));
        let response = response.body(Full::new(reply));
        response.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
    }

    /// The message in a request. What is sent is read also where it is refused: to stop listening is an error to some clients.
    async fn message(&self, request: Request<Incoming>) -> Result<Question<'_>, StatusCode> {
        let (head, body) = request.into_parts();
        let asked = asked(&head);
        let body = self.body(body).await;
        let Some(asked) = asked? else { return body };
        let mut message = self.held.question();
        match message.push(&asked) {
            true => Ok(message),
            false => Err(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }

    async fn body(&self, mut body: Incoming) -> Result<Question<'_>, StatusCode> {
        if body.size_hint().lower() > (LONGEST + FAREWELL) as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let (mut message, mut came) = (self.held.question(), 0);
        let all = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
                let data = frame.data_ref().map_or(&[][..], |data| data);
                came += data.len();
                // What is beyond all bounds is only counted.
                if came <= LONGEST && !message.push(data) {
                    came = LONGEST + 1;
                } else if came > LONGEST + FAREWELL {
                    break;
                }
            }
            match came {
                ..=LONGEST => Ok(message),
                _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
            }
        };
        let in_time = timeout(self.service.limits.message, all).await;
        in_time.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }
}

/// The message that a request's head has; none: it comes behind it.
fn asked(head: &Parts) -> Result<Option<Vec<u8>>, StatusCode> {
    if head.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match head.method {
        Method::GET => {
            let mut parts = head.uri.query().unwrap_or_default().split('&');
            let coded = parts.find_map(|part| part.strip_prefix("dns="));
            let message = coded.and_then(decoded).ok_or(StatusCode::BAD_REQUEST)?;
            Ok(Some(message))
        }
        Method::POST => {
            let kind = head.headers.get(CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok());
            let kind = kind.and_then(|kind| kind.split(';').next());
            match kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE)) {
                true => Ok(None),
                false => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            }
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// A request that is not answered yet.
struct Open<'t> {
    talk: &'t Talk,
    number: u64,
}

impl<'t> Open<'t> {
    fn of(talk: &'t Talk) -> Self {
        let mut state = talk.state();
        state.requests += 1;
        state.open += 1;
        state.since = Instant::now();
        let number = state.requests;
        Self { talk, number }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.talk.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// An answer without a message.
fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = hyper::header::HeaderValue::from_static("GET, POST");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Octets of base64url without padding (RFC 4648 5); none: it is none, or there are more than a message can have.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::with_capacity(text.len() * 3 / 4), 0u32, 0);
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    // What is left over of the last character stands for nothing.
    let whole = bits < 6 && held & ((1 << bits) - 1) == 0;
    (whole && out.len() <= LONGEST).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_read_as_the_rfc_writes_it() {
        // RFC 8484 4.1.1.
        let coded = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let message = decoded(coded).unwrap();
        assert_eq!(&message[..4], [0, 0, 1, 0]);
        assert_eq!(&message[12..], b"\x03www\x07example\x03com\0\0\x01\0\x01");
        assert_eq!(decoded("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(decoded(""), Some(vec![]));
        for wrong in ["A", "AA==", "A+", "A/", "AB", "AAB", "A A"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
