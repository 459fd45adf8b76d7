//! A zone within another of ours that is signed: where that does not delegate it, it says that there is no such zone, and validators believe it
//! (RFC 4035 5.2).

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Zone, ZoneSource};
use crate::diagnostic::Diagnostics;
use crate::zone::{Name, Record, rtype};

/// Warns of zones that the signed zone above does not delegate.
pub(super) fn check(config: &Config, zones: &[(Name, Vec<Record>)], found: &mut Diagnostics) {
    let all: HashMap<&Name, &[Record]> = zones.iter().map(|(name, all)| (name, &**all)).collect();
    let above = |name: &Name| std::iter::successors(name.parent(), Name::parent);
    // By the zone above.
    let mut within: HashMap<Name, Vec<&Zone>> = HashMap::new();
    for zone in &config.zones {
        if let Some(parent) = above(&zone.name).find(|name| all.contains_key(name)) {
            within.entry(parent).or_default().push(zone);
        }
    }
    for parent in &config.zones {
        let (name, records) = (&parent.name, all.get(&parent.name));
        let (Some(within), Some(records)) = (within.get(name), records) else {
            continue;
        };
        if parent.signed.is_none() && !records.iter().any(|r| r.is(rtype::RRSIG)) {
            continue;
        }
        let cuts = records.iter().filter(|r| r.is(rtype::NS)).map(|r| &r.owner);
        let cuts: HashSet<&Name> = cuts.filter(|cut| *cut != name).collect();
        for zone in within {
            let child = &zone.name;
            if cuts.contains(child) || above(child).any(|name| cuts.contains(&name)) {
                continue;
            }
            let message = format!(
                "zone \"{child}\" is within \"{name}\", which is signed and does not delegate it: to validators it is not there"
            );
            let note = match parent.source {
                ZoneSource::Made { .. } => {
                    format!("give \"{name}\" a file, with NS records at {child} in it")
                }
                _ => format!("write NS records at {child} into \"{name}\""),
            };
            found.warning(zone.span, message).note(note);
        }
    }
}
