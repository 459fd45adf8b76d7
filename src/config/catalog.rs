//! `catalog`, `members` and `group` of a zone: a zone of others that lists zones (RFC 9432), and what becomes of those.

use super::keys::Key;
use super::table::{Keys, Table, Value};
use super::{ZoneSource, transfer};
use crate::diagnostic::{Diagnostics, Span};
use crate::snapshot::{Allow, Peer};
use crate::zone::Name;

static MEMBERS: Keys = Keys {
    known: &["primary", "query", "transfer", "notify"],
    later: &[],
};

/// What becomes of the zones of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Of those in no group that is known here.
    pub members: Members,
    /// Of those in a group, by its name.
    pub groups: Vec<(String, Members)>,
}

/// What becomes of some zones of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Where they come from. Default: from where the catalog does.
    pub primary: Vec<Peer>,
    /// Who may ask them; none: who may ask zones that say nothing of it.
    pub query: Option<Vec<Allow>>,
    /// Who may have them whole. Default: nobody.
    pub transfer: Vec<Allow>,
    /// Who is told when they change.
    pub notify: Vec<Peer>,
}

/// How a catalog lists a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOf {
    /// The catalog.
    pub catalog: Name,
    /// The label of the zone's node there.
    pub unique: Name,
    /// The groups that it is in.
    pub groups: Vec<String>,
}

impl Catalog {
    /// What becomes of a zone in these groups: the first that is known here decides.
    #[must_use]
    pub fn of(&self, groups: &[String]) -> &Members {
        let known = |group: &String| self.groups.iter().find(|(name, _)| name == group);
        groups
            .iter()
            .find_map(known)
            .map_or(&self.members, |(_, own)| own)
    }
}

/// Reads the keys; none if the zone is no catalog.
pub(super) fn read(
    table: &Table<'_>,
    source: &ZoneSource,
    keys: &[Key],
    found: &mut Diagnostics,
) -> Option<Catalog> {
    let said = table.get("catalog");
    if said.is_none_or(|v| v.truth(found) != Some(true)) {
        for key in ["members", "group"] {
            if let Some(at) = table.key_span(key) {
                let error = found.error(at, format!("\"{key}\" is of a zone that is a catalog"));
                error.note("add catalog = true");
            }
        }
        return None;
    }
    let ZoneSource::Primary(primary) = source else {
        if let Some(at) = table.key_span("catalog") {
            found
                .error(at, "a zone that is a catalog comes from a \"primary\"")
                .note("zones of ours are not offered in a catalog");
        }
        return None;
    };
    let inner = |key| table.get(key).zip(table.key_span(key));
    let (own, groups) = (inner("members"), inner("group"));
    let mut members = Members {
        primary: primary.clone(),
        query: None,
        transfer: Vec::new(),
        notify: Vec::new(),
    };
    if let Some(own) = own.and_then(|(value, span)| value.table(span, &MEMBERS, found)) {
        members = other(&members, &own, keys, found);
    }
    let groups = groups.and_then(|(value, _)| value.entries(found));
    let group = |(value, span): (Value<'_>, Span)| {
        let own = value.table(span, &MEMBERS, found)?;
        Some((value.key.to_owned(), other(&members, &own, keys, found)))
    };
    let groups = groups.unwrap_or_default().into_iter().filter_map(group);
    Some(Catalog {
        groups: groups.collect(),
        members,
    })
}

/// The same, but for what a table says.
fn other(usual: &Members, table: &Table<'_>, keys: &[Key], found: &mut Diagnostics) -> Members {
    let mut members = usual.clone();
    if table.get("primary").is_some() {
        members.primary = transfer::peers(table, "primary", keys, found);
    }
    if let Some(lines) = transfer::lets_in(table, "query", keys, found) {
        members.query = Some(lines);
    }
    if let Some(lines) = transfer::lets_in(table, "transfer", keys, found) {
        members.transfer = lines;
    }
    if table.get("notify").is_some() {
        members.notify = transfer::peers(table, "notify", keys, found);
    }
    members
}
