//! Questions about a zone as a whole: transfers, as far as one message answers them, and notices of primaries.
//!
//! Transfers that are granted are messages by messages [`crate::transfer`]'s; what comes here is an IXFR over UDP, which the SOA
//! answers (RFC 1995 2), and what is refused.

use super::signed::Signer;
use super::{Findings, Request, Transport};
use crate::snapshot::{Secondaries, Snapshot};
use crate::wire::{ExtendedError, Place, Query, Section, Writer, first_serial, opcode, rcode};
use crate::zone::version::{Rr, is_newer};
use crate::zone::{NameKey, rtype};

/// Whether it is such a question.
#[inline]
pub(super) fn is_asked(query: &Query<'_>) -> bool {
    matches!(query.qtype, rtype::AXFR | rtype::IXFR) || query.header.opcode() != opcode::QUERY
}

/// Answers it.
#[cold]
pub(super) fn answer(
    snapshot: &Snapshot,
    request: Request<'_>,
    (query, signer): (&Query<'_>, Option<&Signer<'_>>),
    writer: &mut Writer<'_>,
) -> Findings {
    let refuse = |rcode, error| Findings {
        rcode,
        error: Some(error),
        ..Findings::default()
    };
    let key = NameKey::new(query.qname);
    let zone = snapshot.zones.find(&key, false);
    let zone = zone.filter(|(_, zone)| zone.apex_labels() == key.labels());
    let signed = signer.map(|s| s.number);
    if query.header.opcode() == opcode::NOTIFY {
        return match zone {
            // RFC 1996 3.10 is silent on who is not asked for the zone.
            None => refuse(rcode::NOTAUTH, ExtendedError::NOT_AUTHORITATIVE),
            Some((number, zone)) => {
                // RFC 1996 3.7, 3.11: an SOA in it is a hint.
                let theirs = first_serial(request.packet, query.question_end());
                let both = theirs.zip(zone.serial());
                let is_news = both.is_none_or(|(theirs, ours)| is_newer(theirs, ours));
                notice(snapshot, number, request, (signed, is_news))
            }
        };
    }
    let Some((number, _)) = zone else {
        return refuse(rcode::REFUSED, ExtendedError::NOT_AUTHORITATIVE);
    };
    let secondaries = snapshot.secondaries.get(number as usize);
    let source = request.source.to_canonical();
    let Some(known) = secondaries.filter(|s| s.lets_in(source, signed)) else {
        if let Some(secondaries) = secondaries {
            secondaries.counts.refused.count();
        }
        return Findings {
            zone: Some(number),
            ..refuse(rcode::REFUSED, ExtendedError::PROHIBITED)
        };
    };
    let found = match request.transport {
        Transport::Udp if query.qtype == rtype::IXFR => newest(known, writer),
        // RFC 1995 3: it says which version is known.
        Transport::Tcp | Transport::Dot
            if query.qtype == rtype::IXFR
                && first_serial(request.packet, query.question_end()).is_none() =>
        {
            Findings {
                rcode: rcode::FORMERR,
                ..Findings::default()
            }
        }
        Transport::Tcp | Transport::Dot => refuse(rcode::SERVFAIL, ExtendedError::NOT_READY),
        // RFC 5936 4.2: there is none over UDP, nor where a question has one message for an answer.
        _ => refuse(rcode::REFUSED, ExtendedError::NOT_SUPPORTED),
    };
    Findings {
        zone: Some(number),
        ..found
    }
}

/// The SOA: whoever has less asks again over TCP.
fn newest(known: &Secondaries, writer: &mut Writer<'_>) -> Findings {
    let Some(journal) = known.journal.load_full() else {
        return Findings {
            rcode: rcode::SERVFAIL,
            error: Some(ExtendedError::NOT_READY),
            ..Findings::default()
        };
    };
    let version = &journal.version;
    let soa = Rr {
        owner: version.apex.wire(),
        rtype: rtype::SOA,
        ttl: version.ttl,
        rdata: &version.soa,
    };
    let written = writer.record(Section::Answer, Place::Question, soa.rtype, soa.ttl, |w| {
        w.rdata(soa.rtype, soa.rdata)
    });
    known.counts.current.count();
    Findings {
        authoritative: true,
        truncated: written.is_err(),
        ..Findings::default()
    }
}

/// RFC 1996 4.7: whoever is not our primary has nothing to tell.
fn notice(
    snapshot: &Snapshot,
    number: u32,
    request: Request<'_>,
    (signed, is_news): (Option<usize>, bool),
) -> Findings {
    let primaries = snapshot
        .primaries
        .get(number as usize)
        .and_then(Option::as_ref);
    let Some(primaries) = primaries else {
        return Findings {
            rcode: rcode::NOTAUTH,
            ..Findings::default()
        };
    };
    let known = primaries.hear(request.source.to_canonical(), signed, is_news);
    Findings {
        rcode: if known {
            rcode::NOERROR
        } else {
            rcode::REFUSED
        },
        error: (!known).then_some(ExtendedError::PROHIBITED),
        authoritative: known,
        zone: Some(number),
        ..Findings::default()
    }
}
