//! Records as they are signed: names in lower case, one order (RFC 4034 6).

use crate::zone::folded;

/// RDATA with its names in lower case.
pub(super) fn lower(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    folded(rtype, rdata).collect()
}

/// A set's RDATA in the order in which they are signed, each once (RFC 4034 6.3).
pub(super) fn ordered<'r>(rtype: u16, set: impl Iterator<Item = &'r [u8]>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = set.map(|rdata| lower(rtype, rdata)).collect();
    all.sort_unstable();
    all.dedup();
    all
}
