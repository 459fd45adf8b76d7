//! DNS over HTTP/3 (RFC 8484 in RFC 9114): `hickory-server` speaks it, and asks our own answer through an adapter.
//!
//! It reads what clients send and writes what they get with its own means, so a reply is read again here and handed over as records: the same
//! records, compressed otherwise. So a reply cannot be signed, and a question that is signed is refused. What it answers alone, never asking us: a
//! message that it cannot read.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, Message, ResponseCode};
use hickory_server::proto::rr::Record;
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::runtime;

use super::service::Service;
use super::tcp::{Limits, Way};
use super::tls::Shown;
use crate::answer::Transport;
use crate::snapshot::Current;
use crate::wire::BLOCK;

/// RFC 7830.
const PADDING: u16 = 12;

/// Answers on these sockets until `stop`, in a thread and a runtime of its own: at the end both are gone, and nothing reads the sockets
/// any more.
///
/// # Errors
/// As the system says.
pub fn serve(
    sockets: Vec<UdpSocket>,
    way: Way,
    current: Arc<Current>,
    limits: Limits,
    stop: impl Future<Output = Duration> + Send + 'static,
) -> io::Result<()> {
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let inside = runtime.enter();
    let config = way.shown.as_ref().and_then(Shown::resolving);
    let idle = limits.idle;
    let adapter = Adapter {
        service: Service {
            current,
            limits,
            transport: Transport::Doh3,
            counters: way.counters,
            number: way.number,
            shown: way.shown,
        },
        draws: RandomState::new(),
        asked: AtomicU64::new(0),
    };
    let mut server = Server::new(adapter);
    for socket in sockets {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let config = config.clone().ok_or(io::ErrorKind::Unsupported)?;
        let registered = server.register_h3_listener_with_tls_config(socket, idle, config, None);
        registered.map_err(io::Error::other)?;
    }
    drop(inside);
    let work = move || {
        runtime.block_on(async move {
            stop.await;
            // What is open is cut off: it does not wait for that.
            let _ = server.shutdown_gracefully().await;
        });
        runtime.shutdown_background();
    };
    thread::Builder::new().name("h3".into()).spawn(work)?;
    Ok(())
}

struct Adapter {
    service: Service,
    draws: RandomState,
    asked: AtomicU64,
}

#[async_trait]
impl RequestHandler for Adapter {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut out: R,
    ) -> ResponseInfo {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let source = request.src().ip().to_canonical();
        let signed = request.signature.is_some();
        let answer = || {
            self.service.turn(|turn| {
                let draw = self.draws.hash_one(number);
                let (reply, _) = turn.answer(source, request.as_slice(), draw)?;
                Message::from_vec(reply).ok()
            })
        };
        let reply = if signed { None } else { answer() };
        let sent = match reply {
            Some(mut reply) => {
                let mut edns = reply.edns.take();
                if let Some(edns) = &mut edns {
                    pad(edns, request, &reply);
                }
                let builder = MessageResponseBuilder::new(&request.queries, edns.as_ref());
                let none: &[Record] = &[];
                let (answers, authorities) = (&reply.answers, &reply.authorities);
                let response = builder.build(
                    reply.metadata,
                    answers,
                    authorities,
                    none,
                    &reply.additionals,
                );
                out.send_response(response).await
            }
            None => {
                let rcode = match signed {
                    true => ResponseCode::Refused,
                    false => ResponseCode::ServFail,
                };
                let builder = MessageResponseBuilder::new(&request.queries, None);
                let failed = builder.error_msg(&request.metadata, rcode);
                out.send_response(failed).await
            }
        };
        sent.unwrap_or_else(|_| {
            // The client has gone.
            self.service.counters.send_errors.count();
            let header = Header {
                metadata: request.metadata,
                counts: HeaderCounts::default(),
            };
            header.into()
        })
    }
}

/// Makes the padding fit the reply as it will be written, if there is to be some.
fn pad(edns: &mut Edns, request: &Request, reply: &Message) {
    if edns.option(EdnsCode::from(PADDING)).is_none() {
        return;
    }
    zeros(edns, 0);
    let mut octets = Vec::new();
    let none: &[Record] = &[];
    let (answers, authorities) = (&reply.answers, &reply.authorities);
    let builder = MessageResponseBuilder::new(&request.queries, Some(edns));
    let bare = builder.build(
        reply.metadata,
        answers,
        authorities,
        none,
        &reply.additionals,
    );
    let written = bare.destructive_emit(&mut BinEncoder::new(&mut octets));
    if written.is_ok() {
        zeros(edns, octets.len().next_multiple_of(BLOCK) - octets.len());
    }
}

fn zeros(edns: &mut Edns, count: usize) {
    edns.options_mut().remove(EdnsCode::from(PADDING));
    let padding = EdnsOption::Unknown(PADDING, vec![0; count]);
    edns.options_mut().insert(padding);
}
