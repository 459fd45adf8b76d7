//! A zone to a secondary: message after message, each as full as it may be, when there is room for the next.

use std::net::IpAddr;
use std::sync::Arc;

use crate::snapshot::{Keys, Snapshot, TransferCounts};
use crate::wire::tsig::{Chain, Key, Mac, Tsig};
use crate::wire::{
    HEADER, Opt, Place, Query, Section, Suffixes, Writer, class, first_serial, flag, opcode, rcode,
};
use crate::zone::version::{Journal, Records, Rr, is_newer};
use crate::zone::{Name, NameKey, rtype};

/// Octets of a message: pointers reach no further (RFC 1035 4.1.4), and a secondary need not hold more.
const MESSAGE: usize = 16 * 1024;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All of the zone.
    Whole,
    /// What differs.
    Differences,
    /// Nothing but the SOA: they have it.
    Current,
}

/// A transfer that is granted.
#[derive(Debug)]
pub struct Outgoing {
    id: u16,
    /// As it came.
    question: Box<[u8]>,
    /// Octets that we take by UDP, where the question had an OPT record.
    udp_size: Option<u16>,
    /// The zone's name.
    apex: Name,
    parts: Vec<Part>,
    /// Which of them is next, and where in it.
    at: (usize, usize),
    signature: Option<(Arc<Key>, Mac, Signed)>,
    keys: Keys,
    /// The number of the zone that is sent.
    pub zone: u32,
    /// What is sent.
    pub kind: Kind,
    /// Where it is counted.
    pub counts: Arc<TransferCounts>,
    /// What both sides call the state that is sent.
    pub serial: u32,
    first: bool,
    suffixes: Suffixes,
}

/// How far a chain of signatures has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Request,
    Before,
}

#[derive(Debug)]
enum Part {
    /// TTL and RDATA.
    Soa(u32, Arc<[u8]>),
    Records(Arc<Records>),
}

/// Whether a message may ask for a transfer: a look that costs little, as all messages of a stream are looked at.
#[must_use]
pub fn is_asked(packet: &[u8]) -> bool {
    let mut at = HEADER;
    while let Some(len @ 1..=63) = packet.get(at) {
        at += 1 + usize::from(*len);
    }
    let qtype = packet.get(at + 1..at + 3);
    qtype.is_some_and(|t| matches!(u16::from_be_bytes([t[0], t[1]]), rtype::AXFR | rtype::IXFR))
}

impl Outgoing {
    /// The transfer that a message of a stream asks for; none if it is not granted, which [`crate::answer`] says why.
    #[must_use]
    pub fn begin(snapshot: &Snapshot, packet: &[u8], source: IpAddr) -> Option<Self> {
        let query = Query::parse(packet).ok()?;
        let fine = query.header.opcode() == opcode::QUERY
            && query.qclass == class::IN
            && query.edns.is_none_or(|e| e.version == 0);
        if !fine {
            return None;
        }
        let (mut number, mut signature) = (None, None);
        if let Some(at) = query.tsig {
            let tsig = Tsig::read(packet, at)?;
            let at = snapshot.keys.list.iter().position(|k| k.is_of(&tsig))?;
            let key = &snapshot.keys.list[at];
            let mac = key.verify(packet, &tsig, (snapshot.keys.clock)()).ok()?;
            (number, signature) = (Some(at), Some((Arc::clone(key), mac, Signed::Request)));
        }
        let name = NameKey::new(query.qname);
        let (zone, found) = snapshot.zones.find(&name, false)?;
        if found.apex_labels() != name.labels() {
            return None;
        }
        let secondaries = snapshot.secondaries.get(zone as usize)?;
        if !secondaries.lets_in(source.to_canonical(), number) {
            return None;
        }
        let journal = secondaries.journal.load_full()?;
        let known = match query.qtype {
            rtype::IXFR => Some(first_serial(packet, query.question_end())?),
            _ => None,
        };
        let (kind, parts) = parts(&journal, known);
        let version = &journal.version;
        Some(Self {
            id: query.header.id,
            question: packet[HEADER..query.question_end()].into(),
            udp_size: query.edns.map(|_| snapshot.settings.udp_size),
            apex: version.apex.clone(),
            parts,
            at: (0, 0),
            signature,
            keys: snapshot.keys.clone(),
            zone,
            kind,
            counts: Arc::clone(&secondaries.counts),
            serial: version.serial(),
            first: true,
            suffixes: Suffixes::exact(),
        })
    }

    /// Writes the next message into `out`, which holds [`crate::answer::LONGEST`] octets; its length, 0 when all was sent.
    pub fn message(&mut self, out: &mut [u8]) -> usize {
        if self.at.0 == self.parts.len() {
            return 0;
        }
        // A record that is longer than a message should be has one of its own.
        let len = [MESSAGE, out.len()]
            .into_iter()
            .find_map(|limit| self.fill(out, limit));
        let Some(len) = len else {
            // RDATA of nearly 64 KiB beside a long signature: nobody could be sent that.
            self.at.0 = self.parts.len();
            return 0;
        };
        self.first = false;
        self.sign(out, len)
    }

    /// Counts it: all of it was sent.
    pub fn has_ended(&self) {
        let counter = match self.kind {
            Kind::Whole => &self.counts.whole,
            Kind::Differences => &self.counts.differences,
            Kind::Current => &self.counts.current,
        };
        counter.count();
    }

    /// A message of at most so many octets; none if not one record fits.
    fn fill(&mut self, out: &mut [u8], limit: usize) -> Option<usize> {
        let signature = self.signature.as_ref().map_or(0, |(key, ..)| key.room());
        let opt = self.udp_size.filter(|_| self.first).map(Opt::bare);
        let reserved = signature + opt.map_or(0, |opt| opt.room());
        let mut writer = Writer::new(out, &mut self.suffixes, limit, reserved);
        if self.first {
            writer.question(&self.question).ok()?;
        }
        let mut written = 0;
        while let Some(part) = self.parts.get(self.at.0) {
            let (rr, next) = match part {
                Part::Soa(ttl, soa) => {
                    let soa = Rr {
                        owner: self.apex.wire(),
                        rtype: rtype::SOA,
                        ttl: *ttl,
                        rdata: soa,
                    };
                    (soa, (self.at.0 + 1, 0))
                }
                Part::Records(records) => match records.at(self.at.1) {
                    Some((rr, next)) => (rr, (self.at.0, next)),
                    None => {
                        self.at = (self.at.0 + 1, 0);
                        continue;
                    }
                },
            };
            let owner = Place::Name(rr.owner);
            let put = writer.record(Section::Answer, owner, rr.rtype, rr.ttl, |w| {
                w.rdata(rr.rtype, rr.rdata)
            });
            if put.is_err() {
                break;
            }
            self.at = next;
            written += 1;
        }
        if written == 0 {
            return None;
        }
        opt.iter().for_each(|opt| writer.opt(opt, rcode::NOERROR));
        Some(writer.finish(self.id, flag::AA, rcode::NOERROR))
    }

    fn sign(&mut self, out: &mut [u8], len: usize) -> usize {
        let now = (self.keys.clock)();
        let Some((key, mac, how)) = &mut self.signature else {
            return len;
        };
        let mut chain = match how {
            Signed::Request => Chain::reply(key, *mac),
            Signed::Before => Chain::further(key, *mac),
        };
        let end = chain.sign(out, len, now, None);
        let last = chain.last();
        (*mac, *how) = (last.unwrap_or(*mac), Signed::Before);
        end
    }
}

/// What there is to send to somebody who knows a serial, or nothing.
fn parts(journal: &Journal, known: Option<u32>) -> (Kind, Vec<Part>) {
    let version = &journal.version;
    let soa_of = |(ttl, soa): &(u32, Arc<[u8]>)| Part::Soa(*ttl, Arc::clone(soa));
    let soa = || soa_of(&version.soa());
    if let Some(known) = known {
        // RFC 1995 2: whoever has it, or something newer, gets the SOA alone.
        if !is_newer(version.serial(), known) {
            return (Kind::Current, vec![soa()]);
        }
        if let Some(steps) = journal.since(known) {
            let mut parts = vec![soa()];
            for step in steps {
                parts.extend([
                    soa_of(&step.from),
                    Part::Records(Arc::clone(&step.removed)),
                    soa_of(&step.to),
                    Part::Records(Arc::clone(&step.added)),
                ]);
            }
            parts.push(soa());
            return (Kind::Differences, parts);
        }
    }
    let records = Part::Records(Arc::clone(&version.records));
    (Kind::Whole, vec![soa(), records, soa()])
}
