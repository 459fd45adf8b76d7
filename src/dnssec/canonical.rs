//! Records as they are signed: names in lower case, one order (RFC 4034 6).

use crate::zone::rtype;

/// RDATA with its names in lower case, where RFC 4034 6.2 has that (less the types that RFC 6840 5.1 takes away again).
pub(super) fn lower(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut out = rdata.to_vec();
    let (skip, names) = match rtype {
        rtype::NS
        | rtype::MD
        | rtype::MF
        | rtype::CNAME
        | rtype::MB
        | rtype::MG
        | rtype::MR
        | rtype::PTR
        | rtype::DNAME
        | rtype::NXT => (0, 1),
        rtype::SOA | rtype::MINFO | rtype::RP => (0, 2),
        rtype::MX | rtype::AFSDB | rtype::RT | rtype::KX => (2, 1),
        rtype::PX => (2, 2),
        rtype::SRV => (6, 1),
        rtype::SIG => (18, 1),
        // Three strings stand before the name.
        rtype::NAPTR => {
            let string = |at: usize| at + 1 + rdata.get(at).map_or(0, |len| usize::from(*len));
            (string(string(string(4))), 1)
        }
        _ => return out,
    };
    let mut at = skip;
    for _ in 0..names {
        while let Some(&len @ 1..) = out.get(at) {
            let end = out.len().min(at + 1 + usize::from(len));
            out[at + 1..end].make_ascii_lowercase();
            at = end;
        }
        at += 1;
    }
    out
}

/// A set's RDATA in the order in which they are signed, each once (RFC 4034 6.3).
pub(super) fn ordered<'r>(rtype: u16, set: impl Iterator<Item = &'r [u8]>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = set.map(|rdata| lower(rtype, rdata)).collect();
    all.sort_unstable();
    all.dedup();
    all
}
