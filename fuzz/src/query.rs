//! A message, and all that the sockets do with it but for reading and writing: the reply is well-formed, fits, is the same however often
//! one asks, and says by UDP what it says by TCP.
//!
//! Four octets say how it comes, at what time, from where and with which draw; the message follows.

use hickory_proto::op::Message as Theirs;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use nearmost::answer::{LONGEST, Outcome, Request, Transport};
use nearmost::health::Table;
use nearmost::transfer::{Outgoing, is_asked};
use nearmost::wire::tsig::{Algorithm, Chain, Key, TsigError};
use nearmost::wire::{HEADER, Query, freshness, opcode, rcode};
use nearmost::zone::{Name, rtype};

use super::denial;
use super::generation::{self, Generation, KEY, NOW};
use super::message::{AA, Edns, Message, QR, Record, TC};

/// What is asked before, so that its traces are met: signed, behind an alias, of a pool.
const BEFORE: &[u8] = b"\0\x01\0\0\0\x01\0\0\0\0\0\x01\x03www\x06signed\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\x0b\0\x08\0\x07\0\x01\x18\0\x51\x02\x45";

/// Types of the questions that are about a zone as a whole.
const WHOLE: [u16; 2] = [rtype::AXFR, rtype::IXFR];

/// A question as it comes.
struct Asked<'a> {
    generation: &'a Generation,
    table: &'a Table,
    request: Request<'a>,
}

/// Runs one input.
pub fn run(octets: &[u8]) {
    let Some(([how, clock, source, draw], packet)) = octets.split_first_chunk() else {
        return;
    };
    if packet.len() > LONGEST {
        return;
    }
    let generation = generation::get();
    // Up to five days: in a week signatures would be made anew beforehand.
    let now = NOW + u32::from(*clock) * 1777;
    generation.tick(now);
    let (mut packet, secret) = (packet.to_vec(), key());
    let chain = sign(&mut packet, &secret, how >> 4, now);
    let request = Request {
        packet: &packet,
        source: generation::source(*source),
        transport: generation::transport(*how),
        draw: u64::from(*draw).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    let asked = Asked {
        generation,
        table: &generation.tables[usize::from(how >> 2 & 3)],
        request,
    };
    let (outcome, reply) = asked.by(request.transport);
    let again = generation.ask(asked.table, request, Some(BEFORE));
    assert_eq!(
        (outcome, &reply),
        (again.0, &again.1),
        "what came before matters"
    );
    let Some(message) = well_formed(&packet, &outcome, &reply) else {
        return;
    };
    if let Ok(query) = Query::parse(&packet) {
        fits(&query, request.transport, &reply);
        repeats(&packet, &query, &message);
        options(&query, &message);
        signed(&query, &message);
        asked.same_by_tcp(&query, &outcome, &message);
    } else {
        assert!(reply.len() <= 512, "{} octets of an error", reply.len());
    }
    if let Some(mut chain) = chain {
        let at = Query::signature(&reply);
        assert_eq!(chain.take(&reply, at, now.into()), Ok(true));
    }
    let _ = freshness(&reply);
    asked.transfer(&packet, &secret, now);
}

fn key() -> Key {
    let name = Name::absolute(KEY.0).unwrap();
    Key::new(&name, Algorithm::Sha256, KEY.1)
}

/// Signs a message, if it has a header: as it should be, late, or with a key of another secret; what waits for the reply to one that is to be taken.
fn sign<'k>(packet: &mut Vec<u8>, key: &'k Key, how: u8, now: u32) -> Option<Chain<'k>> {
    let (len, how) = (packet.len(), how % 4);
    if how == 0 || len < HEADER || len + 512 > LONGEST {
        return None;
    }
    let other = Key::new(key.name(), Algorithm::Sha256, b"another");
    let mut chain = Chain::request(key);
    packet.resize(len + 512, 0);
    let end = match how {
        1 => chain.sign(packet, len, now.into(), None),
        2 => chain.sign(packet, len, (now - 301).into(), None),
        _ => Chain::request(&other).sign(packet, len, now.into(), None),
    };
    packet.truncate(end);
    let read = Query::parse(packet).ok()?;
    (how == 1 && read.tsig == Some(len)).then_some(chain)
}

/// Silence where it is due, else a reply that two readers read to its last octet, with the number of the message and its question.
fn well_formed(packet: &[u8], outcome: &Outcome, reply: &[u8]) -> Option<Message> {
    let due = packet.len() >= HEADER && packet[2] & 0x80 == 0;
    assert_eq!(!reply.is_empty(), due, "silence, or none");
    if !due {
        return None;
    }
    let message = Message::read(reply).unwrap_or_else(|e| panic!("{e}: {reply:02x?}"));
    let mut decoder = BinDecoder::new(reply);
    let theirs = Theirs::read(&mut decoder);
    let theirs = theirs.unwrap_or_else(|e| panic!("hickory-proto: {e}: {reply:02x?}"));
    assert!(decoder.is_empty(), "octets after the end");
    assert_eq!(theirs.answers.len(), message.answer.len());
    assert_eq!(theirs.authorities.len(), message.authority.len());
    assert_eq!(message.id.to_be_bytes(), packet[..2]);
    assert!(message.is(QR));
    assert_eq!(reply[2] & 0x79, packet[2] & 0x79, "opcode and RD");
    assert!(packet[HEADER..].starts_with(&message.question));
    assert_eq!(message.rcode, outcome.rcode);
    assert_eq!(message.is(TC), outcome.truncated);
    Some(message)
}

fn fits(query: &Query<'_>, by: Transport, reply: &[u8]) {
    let taken = query.edns.map_or(512, |e| e.udp_size.clamp(512, 1232));
    let most = match by {
        Transport::Udp if query.tsig.is_some() => 1232,
        Transport::Udp => taken.into(),
        _ => LONGEST,
    };
    assert!(reply.len() <= most, "{} of {most} octets", reply.len());
}

/// The question, and OPT if there was one; as other readers understand the message, where they take it.
fn repeats(packet: &[u8], query: &Query<'_>, message: &Message) {
    let end = query.question_end();
    assert_eq!(message.question, packet[HEADER..end]);
    assert_eq!(message.edns.is_some(), query.edns.is_some());
    if let Ok(read) = Message::read(packet) {
        let seen = |e: &Edns| (e.udp_size, e.version, e.dnssec_ok);
        let ours = query.edns.map(|e| (e.udp_size, e.version, e.dnssec_ok));
        assert_eq!(read.edns.as_ref().map(seen), ours);
    }
    if let Ok(theirs) = Theirs::from_vec(packet)
        && let [question] = &theirs.queries[..]
    {
        assert_eq!(u16::from(question.query_type()), query.qtype);
        assert_eq!(u16::from(question.query_class()), query.qclass);
    }
}

/// The options of an OPT record, by their codes.
fn list(options: &[u8]) -> Vec<(u16, &[u8])> {
    let (mut rest, mut out) = (options, Vec::new());
    while let Some(([c0, c1, l0, l1], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (data, tail) = tail.split_at(len);
        out.push((u16::from_be_bytes([*c0, *c1]), data));
        rest = tail;
    }
    assert!(rest.is_empty(), "options: {options:02x?}");
    out
}

/// Each at most once, and the client's block as it came with a scope of its family.
fn options(query: &Query<'_>, message: &Message) {
    let (Some(asked), Some(edns)) = (query.edns, &message.edns) else {
        return;
    };
    let options = list(&edns.options);
    let mut codes: Vec<u16> = options.iter().map(|o| o.0).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count, "an option twice");
    assert_eq!(edns.version, 0);
    let refused = message.rcode == rcode::NOTAUTH || query.tsig.is_some();
    let subnet = options.iter().find(|o| o.0 == 8);
    assert!(refused || subnet.is_some() == asked.ecs.is_some());
    if let Some((_, [_, family, source, scope, ..])) = subnet {
        assert!(*scope <= if *family == 1 { 32 } else { 128 });
        assert!(*scope == 0 || *source > 0, "a scope of nobody");
    }
    if let Some((_, cookie)) = options.iter().find(|o| o.0 == 10) {
        let shown = asked.cookie.unwrap_or_default();
        assert_eq!((cookie.len(), &cookie[..8]), (24, &shown[..8]));
    }
}

/// Zones with signatures, ours and others'.
const SIGNED: [&[u8]; 3] = [
    b"\x06signed\x07example\0",
    b"\x06stored\x07example\0",
    b"\x06hashed\x07example\0",
];

/// Where signatures are wanted, each set of a signed zone's own in the answer has one, and so has what says that something is not there.
fn signed(query: &Query<'_>, message: &Message) {
    let wanted = query.edns.is_some_and(|e| e.dnssec_ok && e.version == 0);
    let of_zone = |r: &&Record| SIGNED.iter().any(|apex| r.owner.ends_with(apex));
    let rrsig = |r: &Record| r.rtype == rtype::RRSIG;
    if WHOLE.contains(&query.qtype) {
        return;
    }
    if !wanted {
        // Who asks for what signatures are made of, gets it with them.
        let asked_for = [rtype::RRSIG, rtype::NSEC, rtype::NSEC3].contains(&query.qtype);
        let mut sections = message.answer.iter().chain(&message.authority);
        let given = sections.any(|r| of_zone(&r) && rrsig(r));
        assert!(asked_for || !given, "signatures that nobody wants");
        return;
    }
    let denied = [rcode::NOERROR, rcode::NXDOMAIN].contains(&message.rcode);
    if message.is(TC) || !denied || query.qtype == rtype::RRSIG {
        return;
    }
    for section in [&message.answer, &message.authority] {
        let made = |r: &Record| {
            r.rtype == rtype::CNAME
                && section
                    .iter()
                    .any(|d| d.rtype == rtype::DNAME && r.owner.ends_with(&d.owner))
        };
        let cut = |r: &Record| {
            r.rtype == rtype::NS && section == &message.authority && !SIGNED.contains(&&r.owner[..])
        };
        let sets = section.iter().filter(of_zone);
        for record in sets.filter(|r| !rrsig(r) && !made(r) && !cut(r)) {
            let covers = |r: &Record| {
                rrsig(r) && r.owner == record.owner && r.rdata[..2] == record.rtype.to_be_bytes()
            };
            assert!(
                section.iter().any(covers),
                "{record:?} is not signed: {message:?}"
            );
        }
    }
    for apex in SIGNED {
        denial::holds(message, query.qtype, apex);
    }
}

impl Asked<'_> {
    fn by(&self, transport: Transport) -> (Outcome, Vec<u8>) {
        let request = Request {
            transport,
            ..self.request
        };
        self.generation.ask(self.table, request, None)
    }

    /// What is cut short is less, and says so; else nothing differs.
    fn same_by_tcp(&self, query: &Query<'_>, outcome: &Outcome, message: &Message) {
        if WHOLE.contains(&query.qtype) {
            return;
        }
        let (by_tcp, reply) = self.by(Transport::Tcp);
        let whole = well_formed(self.request.packet, &by_tcp, &reply).expect("a reply");
        let of = |m: &Message| (m.is(AA), m.edns.is_some());
        assert_eq!(of(&whole), of(message));
        // Where aliases end is not known where they do not fit.
        let is_open = message.is(TC) && message.rcode == rcode::NOERROR;
        assert!(is_open || whole.rcode == message.rcode, "{message:?}");
        assert!(!whole.is(TC) || reply.len() > 60_000, "cut short by TCP");
        assert_eq!((outcome.zone, outcome.pool), (by_tcp.zone, by_tcp.pool));
        let pairs = [
            (&message.answer, &whole.answer),
            (&message.authority, &whole.authority),
        ];
        for (part, all) in pairs {
            assert!(
                part.iter().all(|record| all.contains(record)),
                "{part:?} of {all:?}"
            );
            assert!(
                message.is(TC) || part.len() == all.len(),
                "less without a word"
            );
        }
    }

    /// What a stream is given instead of a reply, where a zone is asked for and granted.
    fn transfer(&self, packet: &[u8], key: &Key, now: u32) {
        let outgoing = is_asked(packet).then(|| {
            let source = self.request.source;
            Outgoing::begin(&self.generation.snapshot, packet, source)
        });
        let Some(mut outgoing) = outgoing.flatten() else {
            return;
        };
        let query = Query::parse(packet).expect("what is granted was read");
        assert_eq!(query.header.opcode(), opcode::QUERY);
        let mut chain = query.tsig.and_then(|at| {
            let tsig = nearmost::wire::tsig::Tsig::read(packet, at)?;
            let mac = key.verify(packet, &tsig, now.into());
            let mac = mac.map_err(|e| e.map(|e: (TsigError, _)| e.0));
            Some(Chain::reply(key, mac.expect("what is granted is signed")))
        });
        let (mut out, mut soas, mut records) = (vec![0; LONGEST], 0, 0);
        loop {
            let len = outgoing.message(&mut out);
            if len == 0 {
                break;
            }
            let message = Message::read(&out[..len]).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!((message.id, message.rcode), (query.header.id, 0));
            assert!(!message.answer.is_empty(), "a message without records");
            records += message.answer.len();
            soas += message
                .answer
                .iter()
                .filter(|r| r.rtype == rtype::SOA)
                .count();
            if let Some(chain) = &mut chain {
                let at = Query::signature(&out[..len]);
                assert_eq!(chain.take(&out[..len], at, now.into()), Ok(true));
            }
        }
        assert!(soas == 1 && records == 1 || soas.is_multiple_of(2) && soas > 0);
    }
}
