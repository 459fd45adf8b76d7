//! Response rate limiting: replies by UDP to one network are bounded, as a question's sender can be made up, and what is sent to it is an attack then.
//!
//! What counts together is a network (/24, /56), a zone, and the kind of reply: who asks for other names or other types each time is held to no more. Each has a bucket: a number of fixed size in a table of fixed
//! size, the time at which it would be empty again (GCRA, ITU-T I.371). Who is over the rate gets nothing, but for one in `slip` that is told to come by
//! TCP: a resolver that is attacked beside us can go on, and what it is sent is no longer than what was asked.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;

use crate::answer::Outcome;
use crate::snapshot::RateLimit;
use crate::wire::{HEADER, flag, rcode};
use crate::zone::rtype;

/// Buckets: 2 MB. Two million replies a second to as many networks would fill it in an eighth of a second; what is pushed out begins anew.
const BUCKETS: usize = 1 << 18;
/// Microseconds: how much a network may be ahead of its rate.
const BURST: u64 = 1_000_000;
/// A bucket: below, when it is empty, in microseconds that wrap after twelve days; above, whose it is.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// The buckets, for all threads.
#[derive(Debug, Default)]
pub struct Limiter {
    /// None until a reply is counted: where nothing is limited they are not there.
    buckets: OnceLock<Box<[AtomicU64]>>,
    hash: DefaultHashBuilder,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// Nothing is sent.
    Drop,
    /// The sender is told to come by TCP.
    Slip,
}

impl Limiter {
    /// Counts a reply to `source` at `now`, in microseconds; `draw` is any number.
    #[inline]
    pub(super) fn judge(
        &self,
        limit: &RateLimit,
        source: IpAddr,
        (outcome, reply): (&Outcome, &[u8]),
        now: u64,
        draw: u64,
    ) -> Verdict {
        // A sender with a cookie of ours is who it says.
        if outcome.len == 0 || outcome.known {
            return Verdict::Send;
        }
        // ANCOUNT.
        let empty = reply.get(6..8).is_none_or(|count| count == [0, 0]);
        match self.takes(limit.rate, (network(source), class(outcome, empty)), now) {
            true => Verdict::Send,
            false => over(limit, source, draw),
        }
    }

    fn takes(&self, rate: u32, together: (u64, u64), now: u64) -> bool {
        let hash = self.hash.hash_one(together);
        let owner = hash >> TIME_BITS;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let at = hash as usize & (BUCKETS - 1);
        let unused = || (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        let buckets = self.buckets.get_or_init(unused);
        let read = |at: usize| buckets[at].load(Ordering::Relaxed);
        let ahead = |bucket: u64| match (bucket & TIME).wrapping_sub(now) & TIME {
            // None is ever so far ahead: it lies in the past, if need be by days.
            past if past > 2 * BURST => 0,
            ahead => ahead,
        };
        // Its own, or the one of two that is nearer to be empty.
        let (first, second) = (read(at), read(at ^ 1));
        let (at, bucket) = match () {
            () if first >> TIME_BITS == owner => (at, first),
            () if second >> TIME_BITS == owner => (at ^ 1, second),
            () if ahead(first) <= ahead(second) => (at, first),
            () => (at ^ 1, second),
        };
        let own = bucket >> TIME_BITS == owner;
        let ahead = if own { ahead(bucket) } else { 0 };
        if ahead > BURST {
            return false;
        }
        let empty = now.wrapping_add(ahead + 1_000_000 / u64::from(rate.max(1))) & TIME;
        // Another thread that was quicker by a moment is not counted: that is bounded by how many threads there are.
        buckets[at].store(owner << TIME_BITS | empty, Ordering::Relaxed);
        true
    }
}

#[cold]
fn over(limit: &RateLimit, source: IpAddr, draw: u64) -> Verdict {
    if limit.exempt.iter().any(|net| net.contains(source)) {
        return Verdict::Send;
    }
    // The upper half: the lowest bits of such generators repeat soon.
    match limit.slip {
        0 => Verdict::Drop,
        slip if (draw >> 32).is_multiple_of(slip.into()) => Verdict::Slip,
        _ => Verdict::Drop,
    }
}

/// Makes of a reply one that says to come by TCP, and nothing else but that we know EDNS where the question does (RFC 6891 6.1.1): its length,
/// at most the question's. `udp_size`: octets that we take by UDP.
#[cold]
pub(super) fn slip(reply: &mut [u8], query: &[u8], udp_size: u16) -> usize {
    let query = crate::wire::Query::parse(query).ok();
    let end = query
        .as_ref()
        .map_or(HEADER, crate::wire::Query::question_end);
    let Some(head) = reply.first_chunk_mut::<HEADER>() else {
        return 0;
    };
    // NOERROR: what else there is to say is said by TCP.
    let flags = u16::from_be_bytes([head[2], head[3]]) & !0xf | flag::TC;
    [head[2], head[3]] = flags.to_be_bytes();
    head[4..].fill(0);
    head[5] = u8::from(end > HEADER);
    let Some(edns) = query.and_then(|q| q.edns) else {
        return end;
    };
    let [high, low] = udp_size.to_be_bytes();
    let flags = u8::from(edns.dnssec_ok) << 7;
    let opt = [0, 0, 41, high, low, 0, 0, flags, 0, 0, 0];
    let Some(place) = reply.get_mut(end..end + opt.len()) else {
        return end;
    };
    place.copy_from_slice(&opt);
    reply[11] = 1;
    end + opt.len()
}

fn network(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8),
        // The first bit tells the families apart.
        IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 72).unwrap_or(0) | 1 << 63,
    }
}

/// What counts together of one network: errors; by zone what is not there, whether by name or by type, as a signed zone says both with the same code; and by zone
/// what is: addresses of each family, and all else, as an alias and a wildcard are there for any type.
fn class(outcome: &Outcome, empty: bool) -> u64 {
    let kind = match (outcome.rcode, outcome.qtype) {
        (rcode::NOERROR | rcode::NXDOMAIN, _) if empty => 1,
        (rcode::NOERROR | rcode::NXDOMAIN, Some(rtype::A)) => 2,
        (rcode::NOERROR | rcode::NXDOMAIN, Some(rtype::AAAA)) => 3,
        (rcode::NOERROR | rcode::NXDOMAIN, _) => 4,
        _ => return 0,
    };
    outcome.zone.map_or(0, |zone| u64::from(zone) + 1) << 3 | kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix::Prefix;

    fn outcome(rcode: u16) -> Outcome {
        Outcome {
            len: 100,
            rcode,
            qtype: Some(1),
            zone: Some(0),
            ..Outcome::default()
        }
    }

    /// With an answer, or without.
    fn reply(code: u16) -> [u8; HEADER] {
        let mut reply = [0; HEADER];
        reply[7] = u8::from(code == 0);
        reply
    }

    fn limit(rate: u32, slip: u32) -> RateLimit {
        RateLimit {
            rate,
            slip,
            exempt: vec![Prefix::holding([198, 51, 100, 0].into(), 24)],
        }
    }

    /// How many of so many a second are sent in this second.
    fn sent(limiter: &Limiter, ip: &str, rate: u64, second: u64, code: u16) -> u64 {
        let limit = limit(1000, 0);
        let source = ip.parse().expect("an address");
        let times = (0..rate).map(|n| second * 1_000_000 + n * 1_000_000 / rate);
        let replied = (&outcome(code), &reply(code)[..]);
        let verdicts = times.map(|now| limiter.judge(&limit, source, replied, now, 0));
        verdicts.filter(|v| *v == Verdict::Send).count() as u64
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_others_go_on() {
        let limiter = Limiter::default();
        assert!(
            limiter.buckets.get().is_none(),
            "no room before it is needed"
        );
        // Also where the time in a bucket wraps.
        for begin in [0, 1 << 20, (1 << TIME_BITS) / 1_000_000 - 2] {
            let first = sent(&limiter, "192.0.2.1", 50_000, begin, 0);
            assert!((1000..=2100).contains(&first), "{first}");
            for second in 1..5 {
                let count = sent(&limiter, "192.0.2.200", 50_000, begin + second, 0);
                assert!((990..=1010).contains(&count), "{begin} {second}: {count}");
            }
            // Another network, another kind, the exempt.
            assert_eq!(sent(&limiter, "192.0.3.1", 900, begin + 5, 0), 900);
            assert_eq!(
                sent(&limiter, "192.0.2.1", 900, begin + 4, rcode::NXDOMAIN),
                900
            );
            assert_eq!(sent(&limiter, "198.51.100.7", 20_000, begin, 0), 20_000);
            assert_eq!(sent(&limiter, "2001:db8::1", 900, begin, 0), 900);
        }
    }

    #[test]
    fn other_types_and_names_count_together() {
        let of = |qtype, rcode, empty| {
            let qtype = Some(qtype);
            let outcome = Outcome {
                qtype,
                ..outcome(rcode)
            };
            class(&outcome, empty)
        };
        let all = |rcode, empty| {
            let classes = (0..=u16::MAX).map(|qtype| of(qtype, rcode, empty));
            classes.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(all(rcode::NOERROR, false).len(), 3);
        assert_eq!(all(rcode::NOERROR, true).len(), 1);
        assert_eq!(all(rcode::NOERROR, true), all(rcode::NXDOMAIN, true));
        assert_eq!(all(rcode::REFUSED, true), all(rcode::SERVFAIL, true));
    }

    #[test]
    fn one_in_slip_is_told_to_come_by_tcp() {
        let limiter = Limiter::default();
        let (limit, mut draw) = (limit(1, 16), 1u64);
        let verdicts = (0..100_000).map(|_| {
            draw = draw.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let source = "192.0.2.1".parse().expect("an address");
            limiter.judge(&limit, source, (&outcome(0), &reply(0)), 1000, draw)
        });
        let slips = verdicts.filter(|v| *v == Verdict::Slip).count();
        assert!((5500..7000).contains(&slips), "{slips}");
    }

    #[test]
    fn a_million_networks_do_not_push_out_one_that_is_over() {
        let limiter = Limiter::default();
        sent(&limiter, "192.0.2.1", 50_000, 0, 0);
        let limit = limit(1000, 0);
        for n in 0..1_000_000u32 {
            let source = std::net::Ipv4Addr::from(n << 8 | 1).into();
            limiter.judge(&limit, source, (&outcome(0), &reply(0)), 999_999, 0);
        }
        let again = sent(&limiter, "192.0.2.1", 50_000, 1, 0);
        assert!(again <= 2100, "{again}: at worst it begins anew");
    }

    #[test]
    fn a_slip_is_no_longer_than_its_question() {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        for edns in [false, true] {
            if edns {
                query[11] = 1;
                query.extend([0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0]);
            }
            let mut reply = [0xff; 512];
            reply[..12].copy_from_slice(&[0, 7, 0x85, 0x83, 0, 1, 0, 9, 0, 9, 0, 9]);
            reply[12..query.len()].copy_from_slice(&query[12..]);
            let len = slip(&mut reply, &query, 1232);
            assert_eq!(len, query.len());
            let head = [0, 7, 0x87, 0x80, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
            assert_eq!((&reply[..12], &reply[12..19]), (&head[..], &query[12..19]));
            let opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
            assert_eq!(&reply[19..len], if edns { &opt[..] } else { &[] });
        }
    }
}
