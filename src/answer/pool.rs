//! The addresses of a pool: find the client's range, walk its list past what is out, copy records.

use std::net::IpAddr;

use super::client::Asker;
use crate::health::{STEADY, Table};
use crate::policy::{Outcome, Steering};
use crate::snapshot::{Family, Snapshot};
use crate::wire::{ExtendedError, Full, Place, Section, Writer};
use crate::zone::{PoolUse, rtype};

/// A question for a pool's addresses.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) used: PoolUse,
    /// A, AAAA or ANY.
    pub(super) qtype: u16,
    pub(super) asker: Asker,
    pub(super) draw: u64,
}

/// What a pool gave.
#[derive(Clone, Copy, Default)]
pub(super) struct Given {
    pub(super) records: usize,
    pub(super) scope: u8,
    pub(super) truncated: bool,
    pub(super) none_left: bool,
    pub(super) servfail: bool,
    pub(super) error: Option<ExtendedError>,
}

pub(super) fn answer(
    snapshot: &Snapshot,
    table: &Table,
    request: Request,
    owner: Place<'_>,
    writer: &mut Writer<'_>,
) -> Given {
    let Some(Family { steering, .. }) = family(snapshot, request.used.pool, request.qtype) else {
        // The pool has no such addresses, whoever asks.
        return Given::default();
    };
    let choice = steering.walk(request.asker.client, table, request.draw, &mut ());
    let mut given = Given {
        scope: choice.scope,
        ..Given::default()
    };
    if choice.outcome != Outcome::InService {
        given.none_left = true;
        given.servfail = choice.outcome == Outcome::ServFail;
        let open = choice.outcome == Outcome::FailOpen;
        given.error = Some(if open {
            ExtendedError::FAIL_OPEN
        } else {
            ExtendedError::NONE_LEFT
        });
    }
    let ttl = ttl(request.used, choice.ttl_cap);
    let mark = writer.mark();
    for &member in choice.members() {
        match addresses(steering, member, table, given.none_left, ttl, owner, writer) {
            Ok(written) => given.records += written,
            Err(Full) => {
                writer.back_to(mark);
                given.truncated = true;
                given.records = 0;
                break;
            }
        }
    }
    given
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

/// Writes those of a member's addresses that are in service, or all where the pool falls open.
fn addresses(
    steering: &Steering,
    member: u16,
    table: &Table,
    all: bool,
    ttl: u32,
    owner: Place<'_>,
    writer: &mut Writer<'_>,
) -> Result<usize, Full> {
    let mut written = 0;
    for address in steering.addresses_of(member) {
        if all || table.word(address.slot).in_service() {
            match address.ip {
                IpAddr::V4(ip) => {
                    writer.record(Section::Answer, owner, rtype::A, ttl, |w| {
                        w.put(&ip.octets())
                    })?;
                }
                IpAddr::V6(ip) => {
                    writer.record(Section::Answer, owner, rtype::AAAA, ttl, |w| {
                        w.put(&ip.octets())
                    })?;
                }
            }
            written += 1;
        }
    }
    Ok(written)
}
