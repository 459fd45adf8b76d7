//! A zone's records as its secondaries are given them: those of pools are the plain records of their best set.
//!
//! The best set of a pool is what a client whose place nobody knows would be given now: by `unknown_client`, which is the name
//! server's own place unless the pool says otherwise. Its TTL is the pool's least, as a secondary cannot lower it when a
//! node begins to fail.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::health::Table;
use crate::policy::{Address, NoneLeft, Outcome};
use crate::prefix::Client;
use crate::snapshot::{Family, Snapshot};
use crate::zone::version::{Records, Rr, Version};
use crate::zone::{NodeId, PoolUse, Zone, rtype};

/// The zone as it is now, with the serial of its file; none if it has no SOA. Where a pool has nobody left and says nothing
/// but an error, what `last` has of the name stays.
#[must_use]
pub fn flat(
    snapshot: &Snapshot,
    table: &Table,
    zone: &Zone,
    last: Option<&Records>,
) -> Option<Version> {
    let soa = zone.rrset(zone.apex_node(), rtype::SOA)?;
    let mut made = Vec::new();
    for at in zone.nodes() {
        if let Some(used) = zone.pool(at) {
            let mut records = of_pool(snapshot, table, used);
            let stays = |m: &Made| matches!(m, Made::Stays(_));
            for rtype in records.iter().filter_map(Made::stays).collect::<Vec<_>>() {
                let before = last.into_iter().flat_map(Records::iter);
                let before = before
                    .filter(|rr| rr.rtype == rtype && rr.owner.eq_ignore_ascii_case(zone.name(at)));
                records.extend(before.map(|rr| Made::Record(rr.rtype, rr.ttl, rr.rdata.into())));
            }
            records.retain(|m| !stays(m));
            // An alias stands alone (RFC 1034 3.6.2).
            let alias = records.iter().position(Made::is_alias);
            if let Some(alias) = alias {
                records = vec![records.swap_remove(alias)];
            }
            made.extend(records.into_iter().map(|m| (at, m)));
        }
    }
    let plain = zone.nodes().chain(zone.hashed()).flat_map(|at| {
        let sets = zone.rrsets(at).filter(|set| set.rtype != rtype::SOA);
        sets.flat_map(move |set| {
            set.rdata().map(move |rdata| Rr {
                owner: zone.name(at),
                rtype: set.rtype,
                ttl: match set.rtype {
                    rtype::RRSIG => of_covered(zone, at, rdata).unwrap_or(set.ttl),
                    _ => set.ttl,
                },
                rdata,
            })
        })
    });
    let pools = made.iter().filter_map(|(at, made)| match made {
        Made::Record(rtype, ttl, rdata) => Some(Rr {
            owner: zone.name(*at),
            rtype: *rtype,
            ttl: *ttl,
            rdata,
        }),
        Made::Stays(_) => None,
    });
    Some(Version {
        apex: zone.apex().clone(),
        ttl: soa.ttl,
        soa: soa.rdata().next()?.into(),
        records: Arc::new(Records::new(plain.chain(pools))),
    })
}

/// The TTL of what a signature covers, which is that of the signature (RFC 4034 3).
fn of_covered(zone: &Zone, at: NodeId, rrsig: &[u8]) -> Option<u32> {
    let covered = u16::from_be_bytes(*rrsig.first_chunk()?);
    Some(zone.rrset(at, covered)?.ttl)
}

/// What stands for a pool at one name.
enum Made {
    /// Type, TTL, RDATA.
    Record(u16, u32, Box<[u8]>),
    /// What was there of this type.
    Stays(u16),
}

impl Made {
    fn is_alias(&self) -> bool {
        matches!(self, Self::Record(rtype::CNAME, ..))
    }

    fn stays(&self) -> Option<u16> {
        match self {
            Self::Stays(rtype) => Some(*rtype),
            Self::Record(..) => None,
        }
    }
}

/// A client that no database and no override of a sane person knows.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn of_pool(snapshot: &Snapshot, table: &Table, used: PoolUse) -> Vec<Made> {
    let Some(pool) = snapshot.pools.get(used.pool as usize) else {
        return Vec::new();
    };
    let families = [(&pool.v4, rtype::A), (&pool.v6, rtype::AAAA)];
    let mut out = Vec::new();
    for (family, rtype) in families {
        if let Some(family) = family {
            out.append(&mut of_family(snapshot, table, (family, rtype), used));
        }
    }
    out
}

fn of_family(
    snapshot: &Snapshot,
    table: &Table,
    (family, rtype): (&Family, u16),
    used: PoolUse,
) -> Vec<Made> {
    let steering = &family.steering;
    let choice = steering.walk(Client::of(NOBODY), table, 0, &mut ());
    let ttl = used.min_ttl;
    let alias =
        |name: &crate::zone::Name| vec![Made::Record(rtype::CNAME, ttl, name.wire().into())];
    match choice.outcome {
        Outcome::ServFail => return vec![Made::Stays(rtype)],
        // Pools do not stand in for each other in a circle: no configuration with one is taken.
        Outcome::Elsewhere => {
            return match &steering.none {
                NoneLeft::Cname(name) => alias(name),
                NoneLeft::Pool { number, .. } => {
                    let used = PoolUse {
                        pool: *number,
                        ..used
                    };
                    let mut others = of_pool(snapshot, table, used);
                    others.retain(|m| match m {
                        Made::Record(other, ..) => *other == rtype || m.is_alias(),
                        Made::Stays(other) => *other == rtype,
                    });
                    others
                }
                _ => Vec::new(),
            };
        }
        Outcome::InService | Outcome::FailOpen | Outcome::NoData => {}
    }
    if let [member] = choice.members()
        && let Some(name) = steering.aliases.get(member)
    {
        return alias(name);
    }
    let open = choice.outcome != Outcome::InService;
    let serves = |a: &&Address| open || table.word(a.slot).in_service();
    let addresses = choice
        .members()
        .iter()
        .flat_map(|m| steering.addresses_of(*m));
    let record = |a: &Address| {
        let rdata: Box<[u8]> = match a.ip {
            IpAddr::V4(ip) => ip.octets().into(),
            IpAddr::V6(ip) => ip.octets().into(),
        };
        Made::Record(rtype, ttl, rdata)
    };
    addresses.filter(serves).map(record).collect()
}
