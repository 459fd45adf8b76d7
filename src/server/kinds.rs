//! The types of questions that are counted apart.

use crate::metrics::KINDS;
use crate::zone::rtype;

/// The types, by their kinds; the last kind is of all others and of what was no question we understand.
const TYPES: [(u16, &str); KINDS - 1] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::NS, "NS"),
    (rtype::SOA, "SOA"),
    (rtype::TXT, "TXT"),
    (rtype::MX, "MX"),
    (rtype::CNAME, "CNAME"),
    (rtype::PTR, "PTR"),
    (rtype::SRV, "SRV"),
    (rtype::HTTPS, "HTTPS"),
    (rtype::DS, "DS"),
    (rtype::DNSKEY, "DNSKEY"),
    (rtype::ANY, "ANY"),
];

/// The kinds of the lowest types: one look instead of a search.
const LOWEST: [usize; 256] = {
    let mut kinds = [TYPES.len(); 256];
    let mut kind = 0;
    while kind < TYPES.len() {
        kinds[TYPES[kind].0 as usize] = kind;
        kind += 1;
    }
    kinds
};

/// The kind of a type.
#[inline]
pub(super) fn kind(qtype: u16) -> usize {
    LOWEST
        .get(usize::from(qtype))
        .map_or(KINDS - 1, |kind| *kind)
}

/// The word for each kind.
pub fn words() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(_, word)| *word).chain(["other"])
}
