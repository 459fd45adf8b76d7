//! The addresses of a pool: find the client's range, walk its list past what is out, copy records.

use std::net::IpAddr;

use super::client::Asker;
use crate::health::{STEADY, Table};
use crate::policy::{Address, MOST, NoneLeft, Outcome};
use crate::snapshot::{Family, Snapshot};
use crate::wire::{ExtendedError, Full, Place, Section, Writer};
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
    let mut did = Did::default();
    let mut pool = request.used.pool;
    // Pools that answer for one another do not do so in a circle: no configuration with one is taken.
    let (steering, choice) = loop {
        let Some(family) = family(snapshot, pool, request.qtype) else {
            // The pool has no such addresses, whoever asks.
            did.error = did.none_left.then_some(ExtendedError::NONE_LEFT);
            return did;
        };
        let steering = &family.of(request.asker.resolver).steering;
        let choice = steering.walk(request.asker.client, table, request.draw, &mut ());
        did.scope = did.scope.max(choice.scope);
        match &steering.none {
            NoneLeft::Pool { number, .. } if choice.outcome == Outcome::Elsewhere => {
                did.none_left = true;
                pool = *number;
            }
            NoneLeft::Cname(name) if choice.outcome == Outcome::Elsewhere => {
                did.none_left = true;
                did.alias = Some((name, ttl(request.used, 0)));
                return did;
            }
            _ => break (steering, choice),
        }
    };
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
    // What another pool answers holds as long as this one has nobody: no longer than that can be known.
    let cap = if did.none_left { 0 } else { choice.ttl_cap };
    did.none_left |= open;
    let ttl = ttl(request.used, cap);
    given.ttl = ttl;
    let mark = writer.mark();
    for &member in choice.members() {
        let some = steering.addresses_of(member).iter();
        let some = some.filter(|a| open || table.word(a.slot).in_service());
        match addresses(some, ttl, owner, writer, given) {
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

/// Writes addresses; how many these are.
fn addresses<'a>(
    addresses: impl Iterator<Item = &'a Address>,
    ttl: u32,
    owner: Place<'_>,
    writer: &mut Writer<'_>,
    given: &mut Given,
) -> Result<usize, Full> {
    let mut written = 0;
    for address in addresses {
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

/// The addresses of an answer, by their numbers; of a very long one the first.
#[derive(Debug)]
pub(super) struct Given {
    numbers: [u32; MOST],
    count: usize,
    /// Seconds; of all of them.
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
        self.count = 0;
    }

    fn add(&mut self, number: u32) {
        if let Some(slot) = self.numbers.get_mut(self.count) {
            *slot = number;
            self.count += 1;
        }
    }
}
