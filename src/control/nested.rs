//! A zone within another of ours that is signed: where that does not delegate it, it says that there is no such zone, and validators believe it
//! (RFC 4035 5.2).

use std::collections::HashSet;

use crate::config::{Config, ZoneSource};
use crate::diagnostic::Diagnostics;
use crate::zone::{Data, Name, Record, rtype};

/// Warns of zones that the signed zone above does not delegate.
pub(super) fn check(config: &Config, zones: &[(Name, Vec<Record>)], found: &mut Diagnostics) {
    let names: HashSet<Name> = zones.iter().map(|(name, _)| name.to_lower()).collect();
    let above = |name: &Name| {
        let next = |name: &Name| name.parent();
        std::iter::successors(name.parent(), next)
    };
    for (parent, records) in zones {
        let own = config.zones.iter().find(|zone| zone.name == *parent);
        let theirs =
            |r: &Record| matches!(&r.data, Data::Plain { rtype, .. } if *rtype == rtype::RRSIG);
        if own.is_none_or(|zone| zone.signed.is_none()) && !records.iter().any(theirs) {
            continue;
        }
        let is_ns =
            |r: &&Record| matches!(&r.data, Data::Plain { rtype, .. } if *rtype == rtype::NS);
        let cuts = records.iter().filter(is_ns).map(|r| r.owner.to_lower());
        let cuts: HashSet<Name> = cuts.filter(|cut| cut != parent).collect();
        for zone in &config.zones {
            let child = zone.name.to_lower();
            let mut above = above(&child);
            if above.clone().find(|name| names.contains(name)).as_ref() != Some(parent) {
                continue;
            }
            if cuts.contains(&child) || above.any(|name| cuts.contains(&name)) {
                continue;
            }
            let message = format!(
                "zone \"{child}\" is within \"{parent}\", which is signed and does not delegate it: to validators it is not there"
            );
            let note = match own.map(|own| &own.source) {
                Some(ZoneSource::Made { .. }) => {
                    format!("give \"{parent}\" a file, with NS records at {child} in it")
                }
                _ => format!("write NS records at {child} into \"{parent}\""),
            };
            found.warning(zone.span, message).note(note);
        }
    }
}
