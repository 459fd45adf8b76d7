//! Questions that are signed (RFC 8945 5): who asks is found out first, and the reply is signed too.

use super::{
    LONGEST, Outcome, PLAIN_UDP, Request, Scratch, Signer, Transport, echoed, plain_opt, reply,
};
use crate::health::Table;
use crate::snapshot::Snapshot;
use crate::wire::tsig::{Chain, Tsig, TsigError, refuse};
use crate::wire::{HEADER, Query, Writer, rcode};

/// Answers a question whose signature begins at `at`.
#[cold]
pub(super) fn answer(
    snapshot: &Snapshot,
    table: &Table,
    request: Request<'_>,
    (query, at): (&Query<'_>, usize),
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    let error = |rcode, out: &mut [u8], scratch: &mut Scratch| {
        bare(snapshot, request, query, rcode, scratch, out)
    };
    let Some(tsig) = Tsig::read(request.packet, at) else {
        return error(rcode::FORMERR, out, scratch);
    };
    let now = (snapshot.keys.clock)();
    let number = snapshot.keys.list.iter().position(|key| key.is_of(&tsig));
    let Some((number, key)) = number.map(|n| (n, &*snapshot.keys.list[n])) else {
        let mut outcome = error(rcode::NOTAUTH, out, scratch);
        let room = room(request, out);
        outcome.len = refuse(&mut out[..room], outcome.len, &tsig, TsigError::BadKey);
        return outcome;
    };
    match key.verify(request.packet, &tsig, now) {
        Ok(mac) => {
            let signer = Signer {
                key: number,
                room: key.room(),
            };
            let mut outcome = reply(
                snapshot,
                table,
                request,
                (query, Some(signer)),
                scratch,
                out,
            );
            let mut chain = Chain::reply(key, mac);
            outcome.len = chain.sign(out, outcome.len, now, None);
            outcome
        }
        Err(None) => error(rcode::FORMERR, out, scratch),
        Err(Some((why, mac))) => {
            let mut outcome = error(rcode::NOTAUTH, out, scratch);
            let room = room(request, out);
            let out = &mut out[..room];
            outcome.len = match why {
                // Who cannot sign is not answered with a signature.
                TsigError::BadSig | TsigError::BadKey => refuse(out, outcome.len, &tsig, why),
                TsigError::BadTime | TsigError::BadTrunc => {
                    let said = Some((why, tsig.time));
                    Chain::reply(key, mac).sign(out, outcome.len, now, said)
                }
            };
            outcome
        }
    }
}

/// Octets that a refusal may have: less than any resolver takes is not cut short, it only says less.
fn room(request: Request<'_>, out: &[u8]) -> usize {
    let most = match request.transport {
        Transport::Udp => 1232,
        _ => LONGEST,
    };
    out.len().min(most)
}

/// A reply without records.
fn bare(
    snapshot: &Snapshot,
    request: Request<'_>,
    query: &Query<'_>,
    rcode: u16,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Outcome {
    let opt = query.edns.map(|_| plain_opt(snapshot));
    let room = opt.map_or(0, |o| o.room());
    let mut writer = Writer::new(out, &mut scratch.suffixes, PLAIN_UDP.into(), room);
    writer.question(&request.packet[HEADER..query.question_end()]);
    opt.iter().for_each(|opt| writer.opt(opt, rcode));
    let len = writer.finish(query.header.id, echoed(query.header), rcode);
    Outcome {
        len,
        rcode,
        qtype: Some(query.qtype),
        ..Outcome::default()
    }
}
