//! Whether the records make a zone: what no single record can tell.
//!
//! Records are sorted once in canonical order, so that a name's records stand together, followed by those below it. One
//! walk then sees each name with the delegation or DNAME above it.

mod order;
mod sets;
mod size;
mod targets;

use std::collections::HashSet;

pub use size::memory;

use self::order::{Sorted, push_key};
use self::targets::targets;
use crate::diagnostic::Diagnostics;
use crate::zone::{Data, Name, Record, RecordType, rtype};

/// Checks the zone `origin`; `pools` are the names of the pools there are. Gives the records back in canonical order of
/// their owners (RFC 4034 6.1), then by type with pools last, as they were written otherwise; without records outside
/// the zone, without duplicates, and each RRset with one TTL, its smallest (RFC 2181 5.2).
pub fn check(
    origin: &Name,
    records: Vec<Record>,
    pools: &[&str],
    found: &mut Diagnostics,
) -> Vec<Record> {
    let mut findings = Diagnostics::default();
    let sorted = Sorted::new(origin, records, &mut findings);
    let sorted = sets::unify(sorted, &mut findings);
    let zone = Zone {
        origin,
        sorted: &sorted,
        pools,
        pool_names: pools.iter().copied().collect(),
    };
    size::size(origin, sorted.records(), &mut findings);
    zone.apex(&mut findings);
    zone.hashing(&mut findings);
    zone.walk(&mut findings);
    // In the order of the files, whatever the order of the checks.
    findings
        .list
        .sort_by_key(|d| d.span.map(|s| (s.file, s.start)));
    found.list.append(&mut findings.list);
    sorted.into_records()
}

/// Resolvers take none that have more.
const MOST_ITERATIONS: u16 = 500;

/// A type's number, and the place of pools after all types.
fn rank(data: &Data) -> u32 {
    match data {
        Data::Plain { rtype, .. } => u32::from(*rtype),
        Data::Pool { .. } => u32::MAX,
    }
}

fn is_pool(record: &Record) -> bool {
    matches!(record.data, Data::Pool { .. })
}

fn first(group: &[Record], rtype: u16) -> Option<&Record> {
    group.iter().find(|r| r.is(rtype))
}

fn is_address(record: &Record) -> bool {
    record.is(rtype::A) || record.is(rtype::AAAA)
}

/// The zone while it is checked.
struct Zone<'a> {
    origin: &'a Name,
    sorted: &'a Sorted,
    pools: &'a [&'a str],
    pool_names: HashSet<&'a str>,
}

/// What stands above a name and hides it.
struct Above<'a> {
    key: &'a [u8],
    record: &'a Record,
}

impl Zone<'_> {
    /// One SOA and at least one NS at the zone's name.
    fn apex(&self, found: &mut Diagnostics) {
        let apex = self.sorted.group(&[]).unwrap_or_default();
        let any = self.sorted.records().first().map(|r| r.span);
        let mut soas = apex.iter().filter(|r| r.is(rtype::SOA));
        match soas.next() {
            None => {
                found.error(
                    any,
                    format!("the zone {} has no SOA at its own name", self.origin),
                );
            }
            Some(soa) => {
                for second in soas {
                    found
                        .error(second.span, "a second SOA")
                        .note_at(soa.span, "the first is here");
                }
            }
        }
        if first(apex, rtype::NS).is_none() {
            let place = first(apex, rtype::SOA).map(|r| r.span).or(any);
            found.error(
                place,
                format!("the zone {} has no NS at its own name", self.origin),
            );
        }
    }

    /// What each denial costs us has a bound (RFC 9276 3.2).
    fn hashing(&self, found: &mut Diagnostics) {
        for record in self.sorted.group(&[]).unwrap_or_default() {
            let Data::Plain { rtype, rdata } = &record.data else {
                continue;
            };
            let iterations = rdata.get(2..4).and_then(|octets| octets.first_chunk());
            let iterations = iterations.map_or(0, |octets| u16::from_be_bytes(*octets));
            if *rtype == rtype::NSEC3PARAM && iterations > MOST_ITERATIONS {
                let message = format!(
                    "NSEC3 with {iterations} iterations: {MOST_ITERATIONS} is the most that is served"
                );
                found
                    .error(record.span, message)
                    .note("resolvers refuse it too; 0 is best (RFC 9276)");
            }
        }
    }

    fn walk(&self, found: &mut Diagnostics) {
        let mut doubled = Vec::new();
        push_key(self.origin, &Name::root(), &mut doubled);
        let mut cut: Option<Above<'_>> = None;
        let mut dname: Option<Above<'_>> = None;
        for (key, group) in self.sorted.groups() {
            cut = cut.filter(|above| key.starts_with(above.key));
            dname = dname.filter(|above| key.starts_with(above.key));
            self.group(key.is_empty(), group, found);
            if let Some(record) = group
                .first()
                .filter(|_| !doubled.is_empty() && key.starts_with(&doubled))
            {
                let message = format!(
                    "{} has the zone's name twice: is a dot missing at its end?",
                    record.owner
                );
                found.warning(record.span, message);
            }
            if let Some(above) = &dname {
                below_dname(group, above.record, found);
            }
            self.pool(
                group,
                cut.as_ref().map(|above| above.record),
                key.is_empty(),
                found,
            );
            if let Some(record) =
                first(group, rtype::NS).filter(|_| !key.is_empty() && cut.is_none())
            {
                cut = Some(Above { key, record });
            }
            if let Some(record) = first(group, rtype::DNAME).filter(|_| dname.is_none()) {
                dname = Some(Above { key, record });
            }
            targets(
                self.origin,
                self.sorted,
                group,
                cut.as_ref().map(|above| above.key),
                found,
            );
        }
    }

    /// Types that exclude one another at one name.
    fn group(&self, apex: bool, group: &[Record], found: &mut Diagnostics) {
        if let Some(soa) = first(group, rtype::SOA).filter(|_| !apex) {
            found.error(
                soa.span,
                format!("a SOA stands only at the zone's own name, {}", self.origin),
            );
        }
        if let Some(cname) = first(group, rtype::CNAME) {
            beside_cname(group, cname, found);
        }
        if let Some(dname) = first(group, rtype::DNAME) {
            for second in group.iter().filter(|r| r.is(rtype::DNAME)).skip(1) {
                found
                    .error(second.span, "a second DNAME at one name")
                    .note_at(dname.span, "the first is here");
            }
            // RFC 6672 2.4
            if let Some(ns) = first(group, rtype::NS).filter(|_| !apex) {
                found
                    .error(dname.span, "a DNAME at a delegation")
                    .note_at(ns.span, "the delegation is here");
            }
        }
        for rtype in [rtype::NS, rtype::DNAME] {
            if let Some(record) = first(group, rtype).filter(|r| r.owner.is_wildcard()) {
                found.warning(
                    record.span,
                    format!(
                        "what a wildcard {} means is not defined (RFC 4592 4)",
                        RecordType(rtype)
                    ),
                );
            }
        }
    }

    /// What a pool does not go with.
    fn pool(&self, group: &[Record], cut: Option<&Record>, apex: bool, found: &mut Diagnostics) {
        let mut pools = group.iter().filter(|r| is_pool(r));
        let Some(first_pool) = pools.next() else {
            return;
        };
        for second in pools {
            found
                .error(second.span, "a second POOL at one name")
                .note_at(first_pool.span, "the first is here");
        }
        let own_cut = first(group, rtype::NS).filter(|_| !apex);
        if let Some(ns) = cut.or(own_cut) {
            let message =
                "a POOL in a part of the zone that is delegated: nobody would be sent here for it";
            found
                .error(first_pool.span, message)
                .note_at(ns.span, "the delegation is here");
        }
        // Beside a CNAME nothing may stand; that is said there.
        if let Some(other) = group.iter().find(|r| is_address(r)) {
            let message =
                "a POOL beside addresses: the pool's nodes are the addresses of this name";
            found
                .error(first_pool.span, message)
                .note_at(other.span, "the address is here");
        }
        for record in group {
            if let Data::Pool { pool, span, .. } = &record.data
                && !self.pool_names.contains(&**pool)
            {
                let unknown = found.error(*span, format!("there is no pool \"{pool}\""));
                unknown.suggest(pool, self.pools.iter().copied());
            }
        }
    }
}

fn beside_cname(group: &[Record], cname: &Record, found: &mut Diagnostics) {
    for second in group.iter().filter(|r| r.is(rtype::CNAME)).skip(1) {
        found
            .error(second.span, "a second CNAME at one name")
            .note_at(cname.span, "the first is here");
    }
    // RFC 4034 2.5, 3, 4 and RFC 2535 2.3.5: what DNSSEC puts beside a CNAME.
    let allowed = [
        rtype::CNAME,
        rtype::RRSIG,
        rtype::NSEC,
        rtype::KEY,
        rtype::SIG,
        rtype::NXT,
    ];
    if let Some(other) = group.iter().find(|r| !allowed.iter().any(|&t| r.is(t))) {
        let message = "a CNAME beside other data: the name it points to would have them";
        found
            .error(cname.span, message)
            .note_at(other.span, "the other data are here");
    }
}

fn below_dname(group: &[Record], dname: &Record, found: &mut Diagnostics) {
    // An NSEC3 is the zone's own, wherever its hash stands.
    if let Some(record) = group.iter().find(|r| !r.is_hashed()) {
        let message = "this name is below a DNAME: nobody would be given it";
        found
            .error(record.span, message)
            .note_at(dname.span, "the DNAME is here");
    }
}

#[cfg(test)]
mod tests;
