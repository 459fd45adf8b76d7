//! Names that records point to inside the zone.

use super::order::{Sorted, push_key};
use super::{first, is_address, is_pool};
use crate::diagnostic::Diagnostics;
use crate::zone::{Data, Name, Record, RecordType, rtype};

/// Checks what the NS, MX and SRV records of one name point to. `cut` is the key of the delegation at or above it.
pub(super) fn targets(
    origin: &Name,
    sorted: &Sorted,
    group: &[Record],
    cut: Option<&[u8]>,
    found: &mut Diagnostics,
) {
    let mut key = Vec::new();
    for record in group {
        let Data::Plain { rtype, rdata } = &record.data else {
            continue;
        };
        let offset = match *rtype {
            rtype::NS => 0,
            rtype::MX => 2,
            rtype::SRV => 6,
            _ => continue,
        };
        let Ok(target) = Name::from_wire(rdata.get(offset..).unwrap_or_default()) else {
            continue;
        };
        if !target.is_within(origin) {
            continue;
        }
        key.clear();
        push_key(&target, origin, &mut key);
        let there = sorted.group(&key).unwrap_or_default();
        let pointed = Pointed {
            record,
            rtype: *rtype,
            target: &target,
            key: &key,
            there,
        };
        pointed.at_alias_or_pool(found);
        if *rtype == rtype::NS {
            pointed.without_address(sorted, cut, found);
        }
    }
}

/// One record, and what stands at the name it points to.
struct Pointed<'a> {
    record: &'a Record,
    rtype: u16,
    target: &'a Name,
    key: &'a [u8],
    there: &'a [Record],
}

impl Pointed<'_> {
    fn at_alias_or_pool(&self, found: &mut Diagnostics) {
        let (kind, target) = (RecordType(self.rtype), self.target);
        if let Some(pool) = self.there.iter().find(|r| is_pool(r)) {
            let message = format!("this {kind} points to {target}, which is a pool");
            let finding = if self.rtype == rtype::NS {
                found.error(self.record.span, message)
            } else {
                found.warning(self.record.span, message)
            };
            finding.note_at(pool.span, "the pool is here");
        }
        if let Some(cname) = first(self.there, rtype::CNAME) {
            // RFC 2181 10.3, RFC 2782
            let message = format!(
                "this {kind} points to {target}, which is an alias: many will not follow it"
            );
            found
                .warning(self.record.span, message)
                .note_at(cname.span, "the alias is here");
        }
    }

    fn without_address(&self, sorted: &Sorted, cut: Option<&[u8]>, found: &mut Diagnostics) {
        let said = self.there.iter().any(|r| is_pool(r) || is_address(r))
            || first(self.there, rtype::CNAME).is_some();
        if said {
            return;
        }
        let below = |above: &[u8]| self.key.starts_with(above);
        let message = if cut.is_some_and(below) {
            format!(
                "{} is below the delegation and has no address here: it cannot be found without glue",
                self.target
            )
        } else if self.is_answered_elsewhere(sorted) {
            return;
        } else {
            format!("the name server {} has no address", self.target)
        };
        found.warning(self.record.span, message);
    }

    /// Whether another delegation or a wildcard may have an address for the target.
    fn is_answered_elsewhere(&self, sorted: &Sorted) -> bool {
        let ends = self
            .key
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == 0)
            .map(|(at, _)| at + 1);
        let mut wildcard = Vec::new();
        std::iter::once(0).chain(ends).any(|end| {
            let above = &self.key[..end];
            let delegated = end > 0
                && sorted
                    .group(above)
                    .is_some_and(|g| first(g, rtype::NS).is_some());
            wildcard.clear();
            wildcard.extend_from_slice(above);
            wildcard.extend_from_slice(b"*\0");
            delegated
                || sorted
                    .group(&wildcard)
                    .is_some_and(|g| g.iter().any(is_address))
        })
    }
}
