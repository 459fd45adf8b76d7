//! Names in RDATA without their letters' case (RFC 4034 6.2): so records are signed, and so two servers know that they mean the same record.

use std::ops::Range;

use super::rtype;

/// The octets of RDATA with its names in lower case, of the types that RFC 4034 6.2 lists (less those that RFC 6840 5.1 takes away again).
pub fn folded(rtype: u16, rdata: &[u8]) -> impl Iterator<Item = u8> {
    let names = names(rtype, rdata);
    // Octets of length are below all letters.
    let fold = move |(at, octet): (usize, &u8)| match names.contains(&at) {
        true => octet.to_ascii_lowercase(),
        false => *octet,
    };
    rdata.iter().enumerate().map(fold)
}

/// Where the names of such types stand, one behind the other.
fn names(rtype: u16, rdata: &[u8]) -> Range<usize> {
    let (start, names) = rdata_names(rtype, rdata);
    let mut end = start;
    for _ in 0..names {
        while let Some(&len @ 1..) = rdata.get(end) {
            end += 1 + usize::from(len);
        }
        end += 1;
    }
    start..end
}

/// Octets before the names in RDATA, and how many names there are, of the types whose names others may have compressed (RFC 3597 4), which
/// are those that RFC 4034 6.2 lists; of other types none.
pub fn rdata_names(rtype: u16, rdata: &[u8]) -> (usize, usize) {
    match rtype {
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
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_of_names_are_folded() {
        let of = |rtype, rdata: &[u8]| folded(rtype, rdata).collect::<Vec<u8>>();
        assert_eq!(of(rtype::MX, b"AB\x01C\0"), b"AB\x01c\0");
        assert_eq!(of(rtype::SOA, b"\x01A\0\x01B\0CDEF"), b"\x01a\0\x01b\0CDEF");
        assert_eq!(
            of(rtype::NAPTR, b"ABCD\x01S\0\x02XY\x01Z\0"),
            b"ABCD\x01S\0\x02XY\x01z\0"
        );
        assert_eq!(of(rtype::TXT, b"\x01A"), b"\x01A");
        assert_eq!(of(rtype::NS, b"\x05AB"), b"\x05ab", "cut short");
    }
}
