//! What a catalog of zones lists (RFC 9432): a plain function of a version. One that is broken lists nothing; who has read one that was
//! not goes on with that.
//!
//! ```text
//!   version                TXT "2"           what the rest means
//!   UNIQUE.zones           PTR zone          a member
//!   coo.UNIQUE.zones       PTR catalog       that may take the member over
//!   group.UNIQUE.zones     TXT "name"        a wish for how it is treated
//! ```
//! All else is for others to understand, what is below `ext` too.

use std::collections::BTreeMap;

use crate::zone::version::Version;
use crate::zone::{Name, rtype};

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub zone: Name,
    /// The label of its node, in lower case: with another one the zone begins anew.
    pub unique: Name,
    /// The groups that it is in, in the order of their octets.
    pub groups: Vec<String>,
    /// The catalog that may take it over.
    pub coo: Option<Name>,
}

/// What is found at a node.
#[derive(Debug, Default)]
struct Node {
    zones: Vec<Name>,
    coo: Vec<Name>,
    groups: Vec<String>,
}

/// The members, in the order of their labels.
///
/// # Errors
/// In words: the catalog is broken, and nothing of it is to be believed.
pub fn members(catalog: &Version) -> Result<Vec<Member>, String> {
    let apex = &catalog.apex;
    let depth = apex.labels().count();
    let mut versions = Vec::new();
    let mut nodes: BTreeMap<Box<[u8]>, Node> = BTreeMap::new();
    for rr in catalog.records.iter() {
        let owner = rr.owner.to_ascii_lowercase();
        let mut labels: Vec<&[u8]> = crate::zone::labels(&owner).collect();
        labels.truncate(labels.len().saturating_sub(depth));
        labels.reverse();
        let target =
            || Name::from_wire(rr.rdata).map_err(|e| format!("a PTR record holds no name: {e}"));
        match (&labels[..], rr.rtype) {
            ([b"version"], rtype::TXT) => versions.push(rr.rdata),
            ([b"zones", unique], rtype::PTR) => {
                nodes
                    .entry((*unique).into())
                    .or_default()
                    .zones
                    .push(target()?);
            }
            ([b"zones", unique, b"coo"], rtype::PTR) => {
                nodes
                    .entry((*unique).into())
                    .or_default()
                    .coo
                    .push(target()?);
            }
            ([b"zones", unique, b"group"], rtype::TXT) => {
                let node = nodes.entry((*unique).into()).or_default();
                node.groups
                    .push(String::from_utf8_lossy(&text(rr.rdata)).into_owned());
            }
            _ => {}
        }
    }
    match versions[..] {
        [b"\x012"] => {}
        [version] => {
            let version = String::from_utf8_lossy(&text(version))
                .escape_debug()
                .to_string();
            return Err(format!(
                "its version is \"{version}\", and only \"2\" is understood"
            ));
        }
        _ => {
            let count = versions.len();
            return Err(format!(
                "version.{apex} has {count} TXT records, and must have one"
            ));
        }
    }
    listed(apex, nodes)
}

/// One PTR record at each node and `coo`, and each zone once.
fn listed(apex: &Name, nodes: BTreeMap<Box<[u8]>, Node>) -> Result<Vec<Member>, String> {
    let mut members: Vec<Member> = Vec::new();
    let mut known: BTreeMap<Name, usize> = BTreeMap::new();
    for (unique, node) in nodes {
        let wire = [
            &[u8::try_from(unique.len()).unwrap_or(0)][..],
            &unique,
            &[0],
        ]
        .concat();
        let unique = Name::from_wire(&wire).map_err(|e| e.to_string())?;
        for (what, targets) in [("", &node.zones), ("coo.", &node.coo)] {
            if targets.len() > 1 {
                let count = targets.len();
                return Err(format!(
                    "{what}{unique}zones.{apex} has {count} PTR records, and must have one"
                ));
            }
        }
        // Properties of nobody.
        let Some(zone) = node.zones.into_iter().next() else {
            continue;
        };
        if let Some(&other) = known.get(&zone) {
            let other = &members[other].unique;
            return Err(format!(
                "{zone} is listed twice, at {other}zones.{apex} and {unique}zones.{apex}"
            ));
        }
        known.insert(zone.clone(), members.len());
        let mut groups = node.groups;
        groups.sort();
        members.push(Member {
            zone,
            unique,
            groups,
            coo: node.coo.into_iter().next(),
        });
    }
    Ok(members)
}

/// The strings of a TXT record, one behind the other.
fn text(mut rdata: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((len, rest)) = rdata.split_first() {
        let (string, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        out.extend_from_slice(string);
        rdata = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::zone::version::{Records, Rr};

    /// A catalog with these records: name, type and what it holds.
    fn read(lines: &[&str]) -> Result<Vec<Member>, String> {
        let apex = Name::absolute("Catalog.example").unwrap();
        let record = |line: &&str| {
            let (owner, rest) = line.split_once(' ').unwrap();
            let (rtype, rest) = rest.split_once(' ').unwrap();
            let owner = Name::parse(owner.as_bytes(), Some(&apex)).unwrap();
            match rtype {
                "PTR" => (
                    owner,
                    rtype::PTR,
                    Name::absolute(rest).unwrap().wire().to_vec(),
                ),
                "TXT" => {
                    let strings = rest.split('|').flat_map(|s| {
                        std::iter::once(u8::try_from(s.len()).unwrap()).chain(s.bytes())
                    });
                    (owner, rtype::TXT, strings.collect())
                }
                _ => (owner, rtype::A, vec![192, 0, 2, 1]),
            }
        };
        let records: Vec<(Name, u16, Vec<u8>)> = lines.iter().map(record).collect();
        let records = records.iter().map(|(owner, rtype, rdata)| Rr {
            owner: owner.wire(),
            rtype: *rtype,
            ttl: 0,
            rdata,
        });
        members(&Version {
            apex: apex.clone(),
            ttl: 0,
            soa: vec![0; 22].into(),
            records: Arc::new(Records::new(records)),
        })
    }

    fn words(lines: &[&str]) -> Vec<String> {
        let word = |m: Member| {
            let coo = m.coo.map_or_else(String::new, |to| format!(" -> {to}"));
            format!("{}{} [{}]{coo}", m.unique, m.zone, m.groups.join(" "))
        };
        read(lines).unwrap().into_iter().map(word).collect()
    }

    #[test]
    fn members_have_labels_groups_and_successors() {
        assert_eq!(
            words(&["version TXT 2"]),
            [""; 0],
            "an empty one is a good one"
        );
        let all = [
            "version TXT 2",
            "b.zones PTR b.example",
            "A.Zones PTR A.example",
            "group.a.zones TXT second",
            "group.a.zones TXT first|half",
            "coo.b.zones PTR other.example",
            "root.zones PTR .",
        ];
        assert_eq!(
            words(&all),
            [
                "a.A.example. [firsthalf second]",
                "b.b.example. [] -> other.example.",
                "root.. []"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let all = [
            "version TXT 2",
            "version PTR x.example",
            "@ TXT 5",
            "a.zones PTR a.example",
            "a.zones TXT x",
            "deep.a.zones PTR b.example",
            "x.ext.a.zones PTR c.example",
            "x.ext.a.zones PTR d.example",
            "y.ext TXT 1",
            "coo.a.zones TXT elsewhere",
            "group.a.zones PTR x.example",
            "group.nobody.zones TXT x",
            "zones PTR e.example",
            "c.zones A 1",
            "f.others PTR f.example",
        ];
        assert_eq!(words(&all), ["a.a.example. []"]);
    }

    #[test]
    fn what_is_broken_lists_nothing() {
        for (lines, why) in [
            (
                &["a.zones PTR a.example"][..],
                "version.Catalog.example. has 0 TXT records, and must have one",
            ),
            (
                &["version TXT 2", "version TXT 3"],
                "version.Catalog.example. has 2 TXT records, and must have one",
            ),
            (
                &["version TXT 1"],
                "its version is \"1\", and only \"2\" is understood",
            ),
            (
                &["version TXT 2|2"],
                "its version is \"22\", and only \"2\" is understood",
            ),
            (
                &["version TXT x\u{1b}"],
                "its version is \"x\\u{1b}\", and only \"2\" is understood",
            ),
            (
                &[
                    "version TXT 2",
                    "a.zones PTR a.example",
                    "A.zones PTR b.example",
                ],
                "a.zones.Catalog.example. has 2 PTR records, and must have one",
            ),
            (
                &[
                    "version TXT 2",
                    "a.zones PTR a.example",
                    "b.zones PTR A.example",
                ],
                "A.example. is listed twice, at a.zones.Catalog.example. and b.zones.Catalog.example.",
            ),
            (
                &[
                    "version TXT 2",
                    "a.zones PTR a.example",
                    "coo.a.zones PTR b.example",
                    "coo.a.zones PTR c.example",
                ],
                "coo.a.zones.Catalog.example. has 2 PTR records, and must have one",
            ),
        ] {
            assert_eq!(read(lines), Err(why.to_owned()), "{lines:?}");
        }
    }
}
