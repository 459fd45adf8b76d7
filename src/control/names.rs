//! Which names of the zones two generations answer differently for.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;
use crate::zone::{Name, NodeId, Zone, rtype};

/// A zone that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneChange {
    /// Its name.
    pub zone: String,
    /// `added`, `removed` or `changed`.
    pub what: String,
    /// The serial before; none: there was no such zone.
    pub from_serial: Option<u32>,
    /// The serial now.
    pub to_serial: Option<u32>,
    /// Names that it has and had not, how many.
    pub added: usize,
    /// Names that it had and has not.
    pub removed: usize,
    /// Names with other records.
    pub changed: usize,
    /// Some of them, with `+`, `-` or `~` before.
    pub names: Vec<String>,
    /// Nothing but the records of its keys differs.
    #[serde(skip)]
    pub(super) keys_only: bool,
}

/// So many names of a zone are told.
const TOLD: usize = 20;

impl ZoneChange {
    /// Whether a secondary or a person who compares serials would miss it.
    pub(super) fn is_hidden(&self) -> bool {
        let (Some(from), Some(to)) = (self.from_serial, self.to_serial) else {
            return false;
        };
        // Serial number arithmetic (RFC 1982 3.2).
        let ahead = to.wrapping_sub(from);
        ahead == 0 || ahead > 1 << 31
    }
}

/// What is said of a zone whose serial has not gone up.
pub(super) fn hidden(zone: impl fmt::Display, serial: u32) -> String {
    format!("zone {zone} has changed, and its serial has not gone up: {serial}")
}

/// The zones that differ.
pub(super) fn zone_changes(before: &Snapshot, after: &Snapshot) -> Vec<ZoneChange> {
    let known: HashMap<&Name, &Zone> = before.zones.list().iter().map(|z| (z.apex(), z)).collect();
    let mut out = Vec::new();
    for zone in after.zones.list() {
        let old = known.get(zone.apex()).copied();
        let (of_old, of_new) = (old.map(|old| (before, old)), Some((after, zone)));
        out.extend(change(of_old, of_new));
    }
    let kept = |old: &&Zone| after.zones.list().iter().all(|z| z.apex() != old.apex());
    let gone = before.zones.list().iter().filter(kept);
    out.extend(gone.filter_map(|old| change(Some((before, old)), None)));
    out
}

type Of<'a> = Option<(&'a Snapshot, &'a Zone)>;

fn change(before: Of<'_>, after: Of<'_>) -> Option<ZoneChange> {
    let (old, new) = (
        before.map_or_else(HashMap::new, names),
        after.map_or_else(HashMap::new, names),
    );
    let mut told = Vec::new();
    let mut count = |mark: char, mut names: Vec<&[u8]>| {
        names.sort_unstable();
        let room = TOLD.saturating_sub(told.len());
        let text = |name: &&[u8]| Some(format!("{mark}{}", Name::from_wire(name).ok()?));
        told.extend(names.iter().take(room).filter_map(text));
        names.len()
    };
    let added = new.keys().filter(|name| !old.contains_key(*name)).copied();
    let added = count('+', added.collect());
    let removed = old.keys().filter(|name| !new.contains_key(*name)).copied();
    let removed = count('-', removed.collect());
    let differs = |(name, hash): &(&&[u8], &u64)| old.get(**name).is_some_and(|h| h != *hash);
    let changed = new.iter().filter(differs).map(|(name, _)| *name);
    let changed = count('~', changed.collect());
    let serial = |of: Of<'_>| of.and_then(|(_, zone)| zone.serial());
    let (from_serial, to_serial) = (serial(before), serial(after));
    let what = match (before, after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ if added + removed + changed == 0 => return None,
        _ => "changed",
    };
    let is_key = |rtype| matches!(rtype, rtype::DNSKEY | rtype::CDS | rtype::CDNSKEY);
    let top = |of: Of<'_>, wanted: &dyn Fn(u16) -> bool| {
        of.and_then(|of| hash(of, of.1.apex_node(), wanted))
    };
    let same_top = |wanted: &dyn Fn(u16) -> bool| top(before, wanted) == top(after, wanted);
    let only_top = added + removed == 0 && changed == 1 && !same_top(&|_| true);
    let keys_only = only_top && same_top(&|rtype| !is_key(rtype));
    let (_, zone) = after.or(before)?;
    Some(ZoneChange {
        zone: zone.apex().to_string(),
        what: what.into(),
        from_serial,
        to_serial,
        added,
        removed,
        changed,
        names: told,
        keys_only,
    })
}

/// The names of a zone that have something, each with a hash of what it has.
fn names<'a>(of: (&'a Snapshot, &'a Zone)) -> HashMap<&'a [u8], u64> {
    let (_, zone) = of;
    let all = zone.nodes();
    all.filter_map(|at| Some((zone.name(at), hash(of, at, |_| true)?)))
        .collect()
}

/// A hash of what a name has, of the types that are wanted; none: it has nothing.
fn hash(
    (snapshot, zone): (&Snapshot, &Zone),
    at: NodeId,
    wanted: impl Fn(u16) -> bool,
) -> Option<u64> {
    let mut hash = DefaultHasher::new();
    let mut any = false;
    for set in zone.rrsets(at).filter(|set| wanted(set.rtype)) {
        any = true;
        (set.rtype, set.ttl).hash(&mut hash);
        set.rdata().for_each(|rdata| rdata.hash(&mut hash));
    }
    if let Some(used) = zone.pool(at) {
        any = true;
        let pool = snapshot.pools.get(used.pool as usize);
        (pool.map(|p| &p.name), used.max_ttl, used.min_ttl).hash(&mut hash);
    }
    any.then(|| hash.finish())
}
