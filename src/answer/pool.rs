//! The addresses of a pool, or the name that is given instead: find the client's range, walk its list past what is out, copy records.

use std::net::IpAddr;

use super::client::Asker;
use crate::health::{STEADY, Table};
use crate::policy::{Address, MOST, NoneLeft, Outcome};
use crate::snapshot::{Family, Snapshot};
use crate::wire::{ExtendedError, Full, Mark, Place, Section, Writer};
use crate::zone::{Name, PoolUse, rtype};

/// A question for a pool's addresses.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) used: PoolUse,
    /// A, AAAA or ANY.
    pub(super) qtype: u16,
    pub(super) asker: Asker,
    pub(super) draw: u64,
}

/// What a pool did.
#[derive(Clone, Copy, Default)]
pub(super) struct Did<'s> {
    pub(super) records: usize,
    pub(super) scope: u8,
    pub(super) truncated: bool,
    pub(super) none_left: bool,
    pub(super) servfail: bool,
    pub(super) error: Option<ExtendedError>,
    /// The name that the question's is an alias of, and for how long.
    pub(super) alias: Option<(&'s Name, u32)>,
}

pub(super) fn answer<'s>(
    snapshot: &'s Snapshot,
    table: &Table,
    request: Request,
    owner: Place<'_>,
    writer: &mut Writer<'_>,
    given: &mut Given,
) -> Did<'s> {
    let Some(family) = family(snapshot, request.used.pool, request.qtype) else {
        // The pool has no such addresses, whoever asks.
        return Did::default();
    };
    let steering = &family.of(request.asker.resolver).steering;
    let choice = steering.walk(request.asker.client, table, request.draw, &mut ());
    let mut did = Did {
        scope: choice.scope,
        ..Did::default()
    };
    if choice.outcome == Outcome::Elsewhere {
        return elsewhere(
            snapshot,
            table,
            (request, &steering.none, did),
            owner,
            writer,
            given,
        );
    }
    let open = choice.outcome != Outcome::InService;
    if open {
        did.servfail = choice.outcome == Outcome::ServFail;
        // Nobody is given, even so, to a client who may be sent to nobody.
        let given = choice.outcome == Outcome::FailOpen && !choice.members().is_empty();
        did.error = Some(if given {
            ExtendedError::FAIL_OPEN
        } else {
            ExtendedError::NONE_LEFT
        });
    }
    did.none_left = open;
    let ttl = ttl(request.used, choice.ttl_cap);
    // Behind an alias there may be another pool's answer.
    given.ttl = given.ttl.max(ttl);
    let serves = |a: &&Address| open || table.word(a.slot).in_service();
    if let [member] = choice.members()
        && let Some(name) = steering.aliases.get(member)
    {
        // What leads to the addresses counts as if they were given.
        let led_to = steering.addresses_of(*member).iter().filter(serves);
        led_to.for_each(|a| given.add(a.number));
        did.alias = Some((name, ttl));
        return did;
    }
    let mark = writer.mark();
    for &member in choice.members() {
        let some = steering.addresses_of(member).iter().filter(serves);
        let known = steering.twins.then_some(&mark);
        match addresses(some, known, (owner, ttl), writer, given) {
            Ok(written) => did.records += written,
            Err(Full) => {
                writer.back_to(mark);
                given.clear();
                did.truncated = true;
                did.records = 0;
                break;
            }
        }
    }
    did
}

/// Where a pool has nobody left: what another pool or name says in its place. Pools do not answer for one another in a circle: no
/// configuration with one is taken.
#[cold]
fn elsewhere<'s>(
    snapshot: &'s Snapshot,
    table: &Table,
    (request, none, did): (Request, &'s NoneLeft, Did<'s>),
    owner: Place<'_>,
    writer: &mut Writer<'_>,
    given: &mut Given,
) -> Did<'s> {
    // It holds as long as this pool has nobody: no longer than that can be known.
    let used = PoolUse {
        max_ttl: request.used.min_ttl,
        ..request.used
    };
    let other = match none {
        NoneLeft::Pool { number, .. } => {
            let used = PoolUse {
                pool: *number,
                ..used
            };
            let request = Request { used, ..request };
            answer(snapshot, table, request, owner, writer, given)
        }
        NoneLeft::Cname(name) => Did {
            alias: Some((name, used.min_ttl)),
            ..Did::default()
        },
        _ => Did::default(),
    };
    let silent = other.records == 0 && other.alias.is_none() && !other.servfail && !other.truncated;
    Did {
        scope: other.scope.max(did.scope),
        none_left: true,
        error: other.error.or(silent.then_some(ExtendedError::NONE_LEFT)),
        ..other
    }
}

/// The half of a pool that answers a type; ANY takes the one there is.
pub(super) fn family(snapshot: &Snapshot, pool: u32, qtype: u16) -> Option<&Family> {
    let pool = snapshot.pools.get(pool as usize)?;
    match qtype {
        rtype::A => pool.v4.as_ref(),
        rtype::AAAA => pool.v6.as_ref(),
        _ => pool.v4.as_ref().or(pool.v6.as_ref()),
    }
}

/// Seconds: the record's own while all is steady, else the cap, never below the record's least.
pub(super) fn ttl(used: PoolUse, cap: u16) -> u32 {
    if cap == STEADY {
        used.max_ttl
    } else {
        u32::from(cap).min(used.max_ttl).max(used.min_ttl)
    }
}

/// Writes addresses; how many these are. What was written since `known` is not written once more (RFC 2181 5).
fn addresses<'a>(
    addresses: impl Iterator<Item = &'a Address>,
    known: Option<&Mark>,
    (owner, ttl): (Place<'_>, u32),
    writer: &mut Writer<'_>,
    given: &mut Given,
) -> Result<usize, Full> {
    let mut written = 0;
    for address in addresses {
        if known.is_some_and(|mark| is_written(writer, mark, address.ip)) {
            continue;
        }
        match address.ip {
            IpAddr::V4(ip) => writer.record(Section::Answer, owner, rtype::A, ttl, |w| {
                w.put(&ip.octets())
            })?,
            IpAddr::V6(ip) => writer.record(Section::Answer, owner, rtype::AAAA, ttl, |w| {
                w.put(&ip.octets())
            })?,
        }
        given.add(address.number);
        written += 1;
    }
    Ok(written)
}

#[cold]
fn is_written(writer: &Writer<'_>, mark: &Mark, ip: IpAddr) -> bool {
    let mut written = writer.since(mark).map(|(_, _, rdata)| rdata);
    match ip {
        IpAddr::V4(ip) => written.any(|rdata| rdata == ip.octets()),
        IpAddr::V6(ip) => written.any(|rdata| rdata == ip.octets()),
    }
}

/// The addresses of an answer, by their numbers; of a very long one the first.
#[derive(Debug)]
pub(super) struct Given {
    numbers: [u32; MOST],
    count: usize,
    /// Seconds: the longest of all of them.
    pub(super) ttl: u32,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            numbers: [0; MOST],
            count: 0,
            ttl: 0,
        }
    }
}

impl Given {
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers[..self.count]
    }

    pub(super) fn clear(&mut self) {
        (self.count, self.ttl) = (0, 0);
    }

    fn add(&mut self, number: u32) {
        if let Some(slot) = self.numbers.get_mut(self.count) {
            *slot = number;
            self.count += 1;
        }
    }
}
