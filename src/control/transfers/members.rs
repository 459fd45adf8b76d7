//! The zones that catalogs list (RFC 9432): whose each is, and what of that is new.
//!
//! They stand behind the zones of the files in the parts of a generation, and are zones of others as those are: nothing else knows of
//! catalogs. Which label of which catalog each is of is kept in the state folder, so that a zone stays its catalog's over a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kept::{self, RECEIVED, SERVED};
use super::theirs::AllTheirs;
use crate::config::{Config, MemberOf, Zone, ZoneSource};
use crate::control::keep;
use crate::control::load::Parts;
use crate::transfer::Member;
use crate::zone::{Name, Record};

const FILE: &str = "members.json";

/// Zones of catalogs, and what they are there.
pub(in crate::control) type Owned = BTreeMap<Name, MemberOf>;

/// A catalog and what it lists; none: that is not known.
pub(super) type Listed = (Name, Option<Arc<[Member]>>);

/// What follows from what catalogs list.
#[derive(Debug, Default)]
pub(in crate::control) struct Settled {
    pub(super) zones: Owned,
    /// Those that were in no catalog before: what is known of them holds, whoever said it.
    pub(super) new: BTreeSet<Name>,
    /// Those of which nothing that was known holds any more.
    pub(super) fresh: BTreeSet<Name>,
    /// Those that are in no catalog any more.
    pub(super) gone: BTreeSet<Name>,
    /// Members that are refused, in words, by their catalogs.
    pub(super) problems: BTreeMap<Name, Vec<String>>,
}

/// Whose each zone is: who has one keeps it, unless it gives it away (RFC 9432 4.4.1) to a catalog that has it too. `taken` are the zones
/// of the files: nothing at or below one of them is taken, nor the root, above all of them.
pub(super) fn settle(catalogs: &[Listed], taken: &BTreeSet<Name>, before: &Owned) -> Settled {
    let lists = catalogs.iter().map(|(name, list)| {
        let list = list.as_ref().map(|list| list.iter().map(|m| (&m.zone, m)));
        (name, list.map(Iterator::collect::<BTreeMap<_, _>>))
    });
    let lists: BTreeMap<&Name, Option<BTreeMap<&Name, &Member>>> = lists.collect();
    let member = |catalog: &Name, zone: &Name| lists.get(catalog)?.as_ref()?.get(zone).copied();
    let mut out = Settled::default();
    let before_here = before
        .iter()
        .filter(|(zone, _)| refused(zone, taken).is_none());
    for (zone, of) in before_here {
        if let Some(None) = lists.get(&of.catalog) {
            out.zones.insert(zone.clone(), of.clone());
            continue;
        }
        let Some(own) = member(&of.catalog, zone) else {
            continue;
        };
        let heir = own
            .coo
            .as_ref()
            .and_then(|to| Some((to, member(to, zone)?)));
        let (catalog, own) = heir.unwrap_or((&of.catalog, own));
        if own.unique != of.unique {
            out.fresh.insert(zone.clone());
        }
        out.zones.insert(zone.clone(), owned(catalog, own));
    }
    for (catalog, list) in catalogs {
        for own in list.iter().flat_map(|list| list.iter()) {
            let why = match out.zones.get(&own.zone) {
                None if refused(&own.zone, taken).is_none() => {
                    out.zones.insert(own.zone.clone(), owned(catalog, own));
                    // It begins anew only where it was somebody else's.
                    let begun = before.contains_key(&own.zone);
                    let those = if begun { &mut out.fresh } else { &mut out.new };
                    those.insert(own.zone.clone());
                    continue;
                }
                Some(of) if of.catalog == *catalog || own.coo.as_ref() == Some(&of.catalog) => {
                    continue;
                }
                Some(of) => format!("is a member of {} already", of.catalog),
                None => refused(&own.zone, taken).unwrap_or_default(),
            };
            let problems = out.problems.entry(catalog.clone()).or_default();
            problems.push(format!("{} {why}", own.zone));
        }
    }
    let gone = before
        .keys()
        .filter(|zone| !out.zones.contains_key(zone) && !taken.contains(zone));
    out.gone = gone.cloned().collect();
    out
}

/// Why no catalog may list a zone; none: one may.
fn refused(zone: &Name, taken: &BTreeSet<Name>) -> Option<String> {
    if taken.contains(zone) {
        return Some("is a zone of the configuration".to_owned());
    }
    let Some(parent) = zone.parent() else {
        return Some("is above all others".to_owned());
    };
    let mut above = std::iter::successors(Some(parent), Name::parent);
    let above = above.find(|name| taken.contains(name))?;
    Some(format!("lies in {above}, a zone of the configuration"))
}

fn owned(catalog: &Name, member: &Member) -> MemberOf {
    MemberOf {
        catalog: catalog.clone(),
        unique: member.unique.clone(),
        groups: member.groups.clone(),
    }
}

/// How many zones of the parts stand in the files.
fn by_hand(parts: &Parts) -> usize {
    let zones = parts.config.zones.iter();
    zones.take_while(|zone| zone.member.is_none()).count()
}

/// Whose the members are that the parts have.
pub(in crate::control) fn owners(parts: &Parts) -> Owned {
    let zones = parts.config.zones.iter();
    zones
        .filter_map(|zone| Some((zone.name.clone(), zone.member.clone()?)))
        .collect()
}

/// What catalogs list that have just come.
pub(super) type Lists = HashMap<Name, Arc<[Member]>>;

/// Settles what the catalogs of the parts list: what has `come`, or else what is known.
pub(super) fn settled(parts: &Parts, known: &AllTheirs, come: &Lists, before: &Owned) -> Settled {
    let catalogs = parts
        .config
        .zones
        .iter()
        .filter(|zone| zone.catalog.is_some());
    let catalogs = catalogs.map(|zone| {
        let known = || known.get(&zone.name)?.members.as_ref();
        let list = come.get(&zone.name).or_else(known);
        (zone.name.clone(), list.cloned())
    });
    let taken = parts
        .zones
        .iter()
        .take(by_hand(parts))
        .map(|(name, _)| name.clone());
    settle(&catalogs.collect::<Vec<_>>(), &taken.collect(), before)
}

/// The members as zones of others.
pub(super) fn zones(config: &Config, settled: &Settled) -> Vec<Zone> {
    let zone = |(name, of): (&Name, &MemberOf)| {
        let catalog = config.zones.iter().find(|zone| zone.name == of.catalog)?;
        let own = catalog.catalog.as_ref()?.of(&of.groups);
        Some(Zone {
            name: name.clone(),
            span: catalog.span,
            source: ZoneSource::Primary(own.primary.clone()),
            query: own.query.clone(),
            transfer: own.transfer.clone(),
            notify: own.notify.clone(),
            signed: None,
            catalog: None,
            member: Some(of.clone()),
        })
    };
    settled.zones.iter().filter_map(zone).collect()
}

/// Records that no zone has just now.
pub(super) type Spare = HashMap<Name, Vec<Record>>;

/// Gives the parts other members, with the records that they had, but for `fresh` ones; those of others are spared.
pub(super) fn relist(
    parts: &mut Parts,
    zones: Vec<Zone>,
    fresh: &BTreeSet<Name>,
    spare: &mut Spare,
) {
    let first = by_hand(parts);
    for (name, records) in parts.zones.drain(first.min(parts.zones.len())..) {
        spare.entry(name).or_insert(records);
    }
    parts.config.zones.truncate(first);
    for zone in zones {
        let records = match fresh.contains(&zone.name) {
            true => Vec::new(),
            false => spare.remove(&zone.name).unwrap_or_default(),
        };
        parts.zones.push((zone.name.clone(), records));
        parts.config.zones.push(zone);
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    zone: String,
    catalog: String,
    unique: String,
    groups: Vec<String>,
}

/// Whose the members were that a state folder knows.
pub(in crate::control) fn restore(state: Option<&Path>) -> Owned {
    let lines: Option<Vec<Line>> = state.and_then(|state| keep::read(&state.join(FILE)));
    let owned = |line: Line| {
        let of = MemberOf {
            catalog: Name::absolute(&line.catalog).ok()?,
            unique: Name::absolute(&line.unique).ok()?,
            groups: line.groups,
        };
        Some((Name::absolute(&line.zone).ok()?, of))
    };
    lines
        .unwrap_or_default()
        .into_iter()
        .filter_map(owned)
        .collect()
}

/// Keeps whose the members are, and forgets what is kept of those that went or begin anew.
pub(in crate::control) fn write(state: &Path, settled: &Settled) {
    for zone in settled.gone.iter().chain(&settled.fresh) {
        kept::remove(state, RECEIVED, zone);
        kept::remove(state, SERVED, zone);
    }
    let line = |(zone, of): (&Name, &MemberOf)| Line {
        zone: zone.to_string(),
        catalog: of.catalog.to_string(),
        unique: of.unique.to_string(),
        groups: of.groups.clone(),
    };
    let lines: Vec<Line> = settled.zones.iter().map(line).collect();
    let path = state.join(FILE);
    if lines.is_empty() && !path.exists() {
        return;
    }
    if let Err(error) = keep::write(&path, &lines) {
        tracing::warn!("{} is not kept: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::absolute(text).unwrap()
    }

    /// `zone:label` or `zone:label>catalog`, of a catalog by its name.
    fn listed(catalog: &str, members: &[&str]) -> Listed {
        let member = |text: &&str| {
            let (zone, rest) = text.split_once(':').unwrap();
            let (unique, coo) = rest.split_once('>').unwrap_or((rest, ""));
            Member {
                zone: name(zone),
                unique: name(unique),
                groups: Vec::new(),
                coo: (!coo.is_empty()).then(|| name(coo)),
            }
        };
        (name(catalog), Some(members.iter().map(member).collect()))
    }

    /// What follows, in words: `zone@catalog` with `!` for fresh ones and `+` for new ones, then those that went, then the problems.
    fn words(catalogs: &[Listed], taken: &[&str], before: &Owned) -> (Settled, String) {
        let taken = taken.iter().map(|zone| name(zone)).collect();
        let settled = settle(catalogs, &taken, before);
        let mut words: Vec<String> = Vec::new();
        for (zone, of) in &settled.zones {
            let [fresh, new] = [&settled.fresh, &settled.new].map(|those| those.contains(zone));
            let mark = match (fresh, new) {
                (true, false) => "!",
                (false, true) => "+",
                _ => "",
            };
            words.push(format!("{zone}@{}{mark}", of.catalog));
        }
        words.extend(settled.gone.iter().map(|zone| format!("-{zone}")));
        words.extend(settled.problems.values().flatten().cloned());
        (settled, words.join(" "))
    }

    #[test]
    fn members_come_and_go_and_begin_anew() {
        let (first, said) = words(&[listed("c", &["a:1", "b:2"])], &[], &Owned::new());
        assert_eq!(said, "a.@c.+ b.@c.+");
        let (_, said) = words(&[listed("c", &["a:1", "b:2"])], &[], &first.zones);
        assert_eq!(said, "a.@c. b.@c.");
        let (_, said) = words(&[listed("c", &["a:3"])], &[], &first.zones);
        assert_eq!(said, "a.@c.! -b.", "another label");
        let (_, said) = words(&[(name("c"), None)], &[], &first.zones);
        assert_eq!(said, "a.@c. b.@c.", "nobody knows what it lists");
        let (_, said) = words(&[], &[], &first.zones);
        assert_eq!(said, "-a. -b.");
    }

    #[test]
    fn who_has_a_zone_keeps_it() {
        let both = [listed("c", &["a:1"]), listed("d", &["a:1", "b:1"])];
        let (first, said) = words(&both, &[], &Owned::new());
        assert_eq!(said, "a.@c.+ b.@d.+ a. is a member of c. already");
        // The order of the files does not matter then.
        let turned = [both[1].clone(), both[0].clone()];
        assert_eq!(
            words(&turned, &[], &first.zones).1,
            "a.@c. b.@d. a. is a member of c. already"
        );
        let (_, said) = words(&[listed("c", &[]), both[1].clone()], &[], &first.zones);
        assert_eq!(said, "a.@d.! b.@d.", "nothing is taken over");
        // What stands in the files is nobody's; its kept state is its own.
        let (_, said) = words(&both, &["a"], &first.zones);
        assert_eq!(
            said,
            "b.@d. a. is a zone of the configuration a. is a zone of the configuration"
        );
    }

    #[test]
    fn no_catalog_takes_names_out_of_our_zones() {
        let all = listed(
            "c",
            &[
                "ours.org:1",
                "A.b.Ours.org:2",
                "org:3",
                ".:4",
                "notours.org:5",
            ],
        );
        let (settled, said) = words(std::slice::from_ref(&all), &["Ours.org"], &Owned::new());
        assert_eq!(
            said,
            "org.@c.+ notours.org.@c.+ ours.org. is a zone of the configuration \
             A.b.Ours.org. lies in Ours.org., a zone of the configuration . is above all others"
        );
        assert!(settled.gone.is_empty());
        // Nor does it keep them when the zone comes later.
        let (before, _) = words(std::slice::from_ref(&all), &[], &Owned::new());
        let (settled, _) = words(&[all], &["Ours.org"], &before.zones);
        assert_eq!(settled.zones.len(), 2);
        assert_eq!(settled.gone, BTreeSet::from([name("a.b.ours.org")]));
    }

    #[test]
    fn a_member_goes_where_its_catalog_lets_it() {
        let (first, _) = words(&[listed("c", &["a:1"])], &[], &Owned::new());
        let alone = [listed("c", &["a:1>d"]), listed("d", &[])];
        assert_eq!(words(&alone, &[], &first.zones).1, "a.@c.", "not yet");
        let both = [listed("c", &["a:1>d"]), listed("d", &["a:1"])];
        let (moved, said) = words(&both, &[], &first.zones);
        assert_eq!(said, "a.@d.", "with all that is known of it");
        assert_eq!(words(&both, &[], &moved.zones).1, "a.@d.", "it stays there");
        let other = [listed("c", &["a:1>d"]), listed("d", &["a:2"])];
        assert_eq!(
            words(&other, &[], &first.zones).1,
            "a.@d.!",
            "under another label"
        );
        let elsewhere = [listed("c", &["a:1>e"]), listed("d", &["a:1"])];
        assert_eq!(
            words(&elsewhere, &[], &first.zones).1,
            "a.@c. a. is a member of c. already"
        );
        let left = [listed("c", &[]), listed("d", &["a:1"])];
        assert_eq!(words(&left, &[], &moved.zones).1, "a.@d.");
    }
}
