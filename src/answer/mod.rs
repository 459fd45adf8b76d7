//! The heart: a packet and a generation in, a reply out. No IO, no clock, no lock, no allocation.
//!
//! ```text
//!   packet -> Query -> which client? -> name by name along aliases (`Chain`) -> records -> OPT -> reply
//! ```

mod chain;
mod client;
mod explain;
mod pool;
mod proof;
mod signed;
mod stored;
mod whole;

use std::net::IpAddr;

pub use client::Asker;
use signed::Signer;

pub use explain::{AsnPart, Explanation, NodeLine, PoolPart, explain};

use crate::health::Table;
use crate::prefix::Client;
use crate::snapshot::Snapshot;
use crate::wire::{
    CLIENT_COOKIE, COOKIE, Edns, ExtendedError, HEADER, Header, Malformed, Opt, Query, Suffixes,
    Writer, class, flag, rcode,
};
use crate::zone::{NameKey, PoolUse, rtype};

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each way: the reply fits the smaller of what both sides take.
    Udp,
    /// A stream: replies of up to 64 KiB.
    Tcp,
    /// The same within TLS (RFC 7858).
    Dot,
    /// HTTPS (RFC 8484).
    Doh,
    /// QUIC (RFC 9250).
    Doq,
    /// HTTP/3 (RFC 8484, RFC 9114).
    Doh3,
}

impl Transport {
    /// Those that are no datagrams.
    pub const STREAMS: [Self; 5] = [Self::Tcp, Self::Dot, Self::Doh, Self::Doq, Self::Doh3];

    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
            Self::Doh3 => "doh3",
        }
    }

    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Dot => "DNS over TLS",
            Self::Doh => "DNS over HTTPS",
            Self::Doq => "DNS over QUIC",
            Self::Doh3 => "DNS over HTTP/3",
        }
    }

    /// Whether nobody between us and the client can read it.
    fn is_encrypted(self) -> bool {
        !matches!(self, Self::Udp | Self::Tcp)
    }
}

/// A question as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The message.
    pub packet: &'a [u8],
    /// Who sent it.
    pub source: IpAddr,
    /// How.
    pub transport: Transport,
    /// Any number, another each time: it decides who is drawn in pools that are not sticky.
    pub draw: u64,
}

/// Room to work in, the same for question after question: a few kilobytes that are not cleared in between.
#[derive(Debug, Default)]
pub struct Scratch {
    key: NameKey,
    hosts: NameKey,
    trail: chain::Trail,
    suffixes: Suffixes,
    given: pool::Given,
    desk: proof::Desk,
}

impl Scratch {
    /// The numbers of the pools' addresses that the newest answer gives, the first 64 of them.
    #[must_use]
    pub fn given(&self) -> &[u32] {
        self.given.numbers()
    }

    /// The longest TTL that it gives them with, seconds.
    #[must_use]
    #[inline]
    pub fn given_ttl(&self) -> u32 {
        self.given.ttl
    }
}

/// What became of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Octets of the reply; 0: there is none to be sent.
    pub len: usize,
    /// The response code.
    pub rcode: u16,
    /// Whether the reply was cut short.
    pub truncated: bool,
    /// Whether a pool without a node in service was asked.
    pub none_left: bool,
    /// Whether nodes that are out of service were given all the same.
    pub fail_open: bool,
    /// The type that was asked for; none: it was no question.
    pub qtype: Option<u16>,
    /// The zone of the name that was asked for, by its number; none: we have none.
    pub zone: Option<u32>,
    /// The pool that was asked first, if any was.
    pub pool: Option<PoolUse>,
    /// The narrowest block of which the answer holds, whether the client is told or not.
    pub scope: u8,
    /// Whether the sender is who it says: it has shown a cookie of ours, or signed.
    pub known: bool,
    /// Whether there would have been more, but for a limit of the rate.
    pub limited: bool,
}

/// The longest message.
pub const LONGEST: usize = 65_535;
/// What every resolver takes by UDP (RFC 1035 4.2.1).
const PLAIN_UDP: u16 = 512;

/// Answers one question. `out` holds at least 512 octets; for TCP [`LONGEST`]. `table` is that of `snapshot`.
#[must_use]
pub fn answer(
    snapshot: &Snapshot,
    table: &Table,
    request: Request<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    scratch.given.clear();
    match Query::parse(request.packet) {
        Ok(query) => {
            let signer = match query.tsig {
                None => None,
                Some(at) => match Signer::of(snapshot, request, (&query, at), scratch, out) {
                    Ok(signer) => Some(signer),
                    Err(outcome) => return outcome,
                },
            };
            let by = (&query, signer.as_ref());
            let outcome = reply(snapshot, table, request, by, scratch, out);
            match signer {
                None => outcome,
                Some(signer) => signer.sign(outcome, out),
            }
        }
        Err(wrong) => refuse(snapshot, request, wrong, scratch, out),
    }
}

/// What is done about a message that is no question with an answer.
#[cold]
fn refuse(
    snapshot: &Snapshot,
    request: Request<'_>,
    wrong: Malformed<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    match wrong {
        Malformed::Silent => Outcome::default(),
        Malformed::Bare { header, edns } => {
            let cookie = cookie(snapshot, request, Some(&edns));
            let opt = Opt {
                // It is of no question.
                ecs: None,
                cookie: cookie.as_ref().map(|(cookie, _)| cookie),
                ..opt_for(snapshot, &edns, request.transport)
            };
            let shown = edns.cookie.is_some_and(|shown| shown.len() > CLIENT_COOKIE);
            let rcode = match cookie {
                None => rcode::FORMERR,
                Some((_, false)) if shown => rcode::BADCOOKIE,
                Some(_) => rcode::NOERROR,
            };
            let outcome = without_records((header, rcode), None, Some(&opt), scratch, out);
            Outcome {
                known: cookie.is_some_and(|(_, known)| known),
                ..outcome
            }
        }
        Malformed::Reply {
            header,
            rcode,
            question,
            edns,
        } => {
            let opt = edns.then(|| plain_opt(snapshot));
            without_records((header, rcode), question, opt.as_ref(), scratch, out)
        }
    }
}

/// A reply to what is no question with an answer.
fn without_records(
    (header, rcode): (Header, u16),
    question: Option<&[u8]>,
    opt: Option<&Opt<'_>>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    let room = opt.map_or(0, Opt::room);
    let mut writer = Writer::new(out, &mut scratch.suffixes, PLAIN_UDP.into(), room);
    // One that does not fit is left out: there are no records that need it.
    let _ = question.map(|q| writer.question(q));
    opt.iter().for_each(|opt| writer.opt(opt, rcode));
    let len = writer.finish(header.id, echoed(header), rcode);
    Outcome {
        len,
        rcode,
        ..Outcome::default()
    }
}

/// Whom an answer to a question is for; none: it is malformed.
#[cold]
#[must_use]
pub fn client(snapshot: &Snapshot, request: Request<'_>) -> Option<Client> {
    let query = Query::parse(request.packet).ok()?;
    Some(Asker::of(&query, request.source, snapshot).client)
}

fn plain_opt(snapshot: &Snapshot) -> Opt<'_> {
    Opt::bare(snapshot.settings.udp_size)
}

/// The bits of a query that its reply repeats: not CD (RFC 4035 3.1.6).
fn echoed(header: Header) -> u16 {
    header.flags & (0x7800 | flag::RD)
}

/// What is found out while a reply is made.
#[derive(Clone, Copy, Debug, Default)]
struct Findings {
    rcode: u16,
    authoritative: bool,
    truncated: bool,
    none_left: bool,
    zone: Option<u32>,
    pool: Option<PoolUse>,
    /// The narrowest block of which all of the answer holds.
    scope: u8,
    error: Option<ExtendedError>,
    /// Whether something could not be signed now.
    busy: bool,
    /// Whether something was denied by a record made for it.
    compact: bool,
}

impl Findings {
    /// The bits of the header that say it.
    fn flags(&self) -> u16 {
        let set = |on: bool, bit: u16| if on { bit } else { 0 };
        set(self.authoritative, flag::AA) | set(self.truncated, flag::TC)
    }

    /// What is told of it to whoever counts.
    #[inline]
    fn outcome(self) -> Outcome {
        let Self {
            rcode,
            truncated,
            none_left,
            zone,
            pool,
            scope,
            error,
            ..
        } = self;
        Outcome {
            rcode,
            truncated,
            none_left,
            fail_open: none_left && error == Some(ExtendedError::FAIL_OPEN),
            zone,
            pool,
            scope,
            ..Outcome::default()
        }
    }
}

fn reply(
    snapshot: &Snapshot,
    table: &Table,
    request: Request<'_>,
    (query, signer): (&Query<'_>, Option<&Signer<'_>>),
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    let Scratch {
        key,
        hosts,
        trail,
        suffixes,
        given,
        desk,
    } = scratch;
    let cookie = cookie(snapshot, request, query.edns.as_ref());
    let opt = query.edns.as_ref();
    let mut opt = opt.map(|edns| Opt {
        cookie: cookie.as_ref().map(|(cookie, _)| cookie),
        ..opt_for(snapshot, edns, request.transport)
    });
    let mut limit = limit(snapshot, request, query);
    let mut reserved = opt.as_ref().map_or(0, Opt::room);
    if let Some(signer) = signer {
        // A signed reply has at least its question: less than 900 octets whatever was asked (RFC 8945 5.3).
        reserved += signer.room();
        limit = limit.max(query.question_end() + reserved);
    }
    let mut writer = Writer::new(out, suffixes, limit, reserved);
    let asked = writer.question(&request.packet[HEADER..query.question_end()]);
    let empty = writer.mark();
    let mut findings = refusal(query).unwrap_or_default();
    if asked.is_err() {
        findings.truncated = true;
    } else if findings.rcode != rcode::NOERROR {
        // Nothing else is to be said.
    } else if whole::is_asked(query) {
        findings = whole::answer(snapshot, request, (query, signer), &mut writer);
    } else {
        let asker = Asker::of(query, request.source, snapshot);
        let mut chain = chain::Chain {
            snapshot,
            table,
            query,
            asker,
            request: &request,
            key: signer.map(|signer| signer.number),
            number: 0,
            writer: &mut writer,
            trail,
            hosts,
            given,
            signing: None,
            desk,
            found: Findings::default(),
        };
        chain.run(key);
        findings = chain.found;
        if findings.busy {
            busy(&mut findings, request.transport);
            writer.back_to(empty);
            given.clear();
        }
        // RFC 1035 6.2: we do not speak for other classes.
        findings.authoritative &= query.qclass == class::IN;
    }
    if let Some(opt) = &mut opt {
        opt.scope = findings.scope;
        opt.error = findings.error;
        opt.compact_ok = says_compact(snapshot, query, &findings);
        writer.opt(opt, findings.rcode);
    }
    let flags = echoed(query.header) | findings.flags();
    let len = writer.finish(query.header.id, flags, findings.rcode);
    Outcome {
        len,
        qtype: Some(query.qtype),
        known: signer.is_some() || cookie.is_some_and(|(_, known)| known),
        ..findings.outcome()
    }
}

/// RFC 9824 5.1: where denial is compact, which our own signatures make it, the reply says that it was understood.
fn says_compact(snapshot: &Snapshot, query: &Query<'_>, findings: &Findings) -> bool {
    let asked = query.edns.is_some_and(|e| e.dnssec_ok && e.compact_ok);
    let signs = |number| snapshot.signed(number).is_some();
    asked && (findings.compact || findings.zone.is_some_and(signs))
}

/// The cookie for who has shown its half of one; and whether it was ours that was shown.
fn cookie(
    snapshot: &Snapshot,
    request: Request<'_>,
    edns: Option<&Edns<'_>>,
) -> Option<([u8; COOKIE], bool)> {
    let shown = edns?.cookie?;
    let cookies = snapshot.settings.cookies.as_ref()?;
    Some(cookies.judge(shown, request.source))
}

/// The most octets of a reply.
fn limit(snapshot: &Snapshot, request: Request<'_>, query: &Query<'_>) -> usize {
    match request.transport {
        Transport::Udp => {
            let taken = query.edns.map_or(PLAIN_UDP, |e| e.udp_size.max(PLAIN_UDP));
            usize::from(taken.min(snapshot.settings.udp_size))
        }
        _ => LONGEST,
    }
}

fn opt_for<'s>(snapshot: &'s Snapshot, edns: &Edns<'s>, by: Transport) -> Opt<'s> {
    let settings = &snapshot.settings;
    let nsid = settings.nsid.as_deref().filter(|_| edns.nsid);
    let keeps = edns.keepalive && matches!(by, Transport::Tcp | Transport::Dot);
    Opt {
        dnssec_ok: edns.dnssec_ok,
        ecs: edns.ecs,
        nsid,
        keepalive: settings.keepalive.filter(|_| keeps),
        padded: settings.padding && edns.padding && by.is_encrypted(),
        ..plain_opt(snapshot)
    }
}

/// What is not signed is not given. Who asks by UDP is asked to come by TCP: a sender that is not who it says does not come.
#[cold]
fn busy(findings: &mut Findings, transport: Transport) {
    if transport == Transport::Udp {
        findings.truncated = true;
    } else {
        findings.rcode = rcode::SERVFAIL;
        findings.authoritative = false;
    }
    findings.error = Some(ExtendedError::BUSY);
}

/// What is refused whatever the name.
fn refusal(query: &Query<'_>) -> Option<Findings> {
    let refuse = |rcode, error| {
        Some(Findings {
            rcode,
            error,
            ..Findings::default()
        })
    };
    if query.edns.is_some_and(|e| e.version != 0) {
        return refuse(rcode::BADVERS, None);
    }
    if !matches!(query.qclass, class::IN | class::ANY) {
        return refuse(rcode::REFUSED, Some(ExtendedError::NOT_SUPPORTED));
    }
    // RFC 9824 3.5.
    if query.qtype == rtype::NXNAME {
        return refuse(rcode::FORMERR, Some(ExtendedError::INVALID_TYPE));
    }
    None
}
