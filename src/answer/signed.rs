//! Questions that are signed (RFC 8945 5): who asks is found out first, and the reply is signed too.

use super::{LONGEST, Outcome, Request, Scratch, Transport, plain_opt, without_records};
use crate::snapshot::Snapshot;
use crate::wire::tsig::{Chain, Key, Mac, Tsig, TsigError, refuse};
use crate::wire::{HEADER, Query, rcode};

/// Who has signed a question.
pub(super) struct Signer<'s> {
    /// The key, by its number.
    pub(super) number: usize,
    key: &'s Key,
    /// What the reply's signature goes on from.
    mac: Mac,
    now: u64,
}

impl<'s> Signer<'s> {
    /// Of a question whose signature begins at `at`.
    ///
    /// # Errors
    /// What became of a question that is not rightly signed; its reply is in `out`.
    #[cold]
    pub(super) fn of(
        snapshot: &'s Snapshot,
        request: Request<'_>,
        (query, at): (&Query<'_>, usize),
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<Self, Outcome> {
        let error = |rcode, out: &mut [u8], scratch: &mut Scratch| {
            bare(snapshot, request, query, rcode, scratch, out)
        };
        let Some(tsig) = Tsig::read(request.packet, at) else {
            return Err(error(rcode::FORMERR, out, scratch));
        };
        let now = (snapshot.keys.clock)();
        let number = snapshot.keys.list.iter().position(|key| key.is_of(&tsig));
        let Some((number, key)) = number.map(|n| (n, &*snapshot.keys.list[n])) else {
            let mut outcome = error(rcode::NOTAUTH, out, scratch);
            let room = room(request, out);
            outcome.len = refuse(&mut out[..room], outcome.len, &tsig, TsigError::BadKey);
            return Err(outcome);
        };
        let (why, mac) = match key.verify(request.packet, &tsig, now) {
            Ok(mac) => {
                return Ok(Self {
                    number,
                    key,
                    mac,
                    now,
                });
            }
            Err(None) => return Err(error(rcode::FORMERR, out, scratch)),
            Err(Some(wrong)) => wrong,
        };
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
        Err(outcome)
    }

    /// Octets to keep for our own signature.
    pub(super) fn room(&self) -> usize {
        self.key.room()
    }

    /// Signs the reply.
    #[cold]
    pub(super) fn sign(self, mut outcome: Outcome, out: &mut [u8]) -> Outcome {
        let mut chain = Chain::reply(self.key, self.mac);
        outcome.len = chain.sign(out, outcome.len, self.now, None);
        outcome
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
    let question = &request.packet[HEADER..query.question_end()];
    let about = (query.header, rcode);
    Outcome {
        qtype: Some(query.qtype),
        ..without_records(about, Some(question), opt.as_ref(), scratch, out)
    }
}
