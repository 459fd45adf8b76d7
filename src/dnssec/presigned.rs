//! A zone that is signed elsewhere: it brings its signatures, and a chain of records that deny what is not there. Nothing is made here.
//!
//! ```text
//!   NSEC    owners in canonical order        a name   -> the owner at it, or the last before it (RFC 4034 4)
//!   NSEC3   owners in the order of hashes    its hash -> the same (RFC 5155 7.1)
//! ```
//! An NSEC3's owner is its hash in Base32, whose letters are in the order of the values: both chains are owners in the order of names.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::zone::{MAX_NAME, NodeId, Zone, canonical, rtype};

/// What is laid out of such a zone.
#[derive(Clone, Debug)]
pub struct Presigned {
    /// The owners of the chain, in order.
    chain: Box<[NodeId]>,
    /// How names become hashes; none: the chain is of NSEC.
    hashing: Option<Hashing>,
    /// When the first of the signatures ends: a second of Unix time, less what 32 bits cannot hold.
    until: u32,
}

/// The parameters of NSEC3.
#[derive(Clone, Debug)]
struct Hashing {
    iterations: u16,
    salt: Box<[u8]>,
}

/// Octets of a hash, and of the label that it is.
const HASH: usize = 20;
const LABEL: usize = 32;

/// Time in which a primary should have signed anew.
const SOON: i64 = 86_400;

impl Presigned {
    /// Of a zone that has keys and a signed SOA; none: it is not signed.
    #[must_use]
    pub fn of(zone: &Zone) -> Option<Self> {
        let apex = zone.apex_node();
        zone.rrset(apex, rtype::DNSKEY)?;
        let first = zone.signatures(apex, rtype::SOA).find_map(expiration)?;
        let hashing = Hashing::of(zone);
        let mut chain: Vec<NodeId> = match &hashing {
            Some(hashing) => zone
                .hashed()
                .filter(|at| hashing.is_of(zone, *at))
                .collect(),
            None => {
                let has = |at: &NodeId| zone.rrset(*at, rtype::NSEC).is_some();
                zone.nodes().filter(has).collect()
            }
        };
        // They lie in this order already where the records did.
        chain.sort_by(|a, b| canonical(zone.name(*a), zone.name(*b)));
        let all = zone.nodes().chain(zone.hashed());
        let all = all.filter_map(|at| zone.rrset(at, rtype::RRSIG));
        let all = all.flat_map(|set| set.rdata().filter_map(expiration));
        // Numbers that go round (RFC 4034 3.1.5).
        let until = all.min_by_key(|end| end.wrapping_sub(first).cast_signed());
        Some(Self {
            chain: chain.into(),
            hashing,
            until: until.unwrap_or(first),
        })
    }

    /// Whether the chain is of NSEC3.
    #[must_use]
    pub fn is_hashed(&self) -> bool {
        self.hashing.is_some()
    }

    /// The owner in the chain that is at a name in lower case, or else the last before it; and which of both.
    #[must_use]
    pub fn find(&self, zone: &Zone, name: &[u8]) -> Option<(NodeId, bool)> {
        let found = match &self.hashing {
            None => self
                .chain
                .binary_search_by(|at| canonical(zone.name(*at), name)),
            Some(hashing) => {
                let label = hashing.label(name);
                self.chain
                    .binary_search_by(|at| label_of(zone, *at).cmp(&label[..]))
            }
        };
        let at = match found {
            Ok(at) => at,
            // Before the first there is the last: the chain is a ring.
            Err(next) => next.checked_sub(1).unwrap_or(self.chain.len().max(1) - 1),
        };
        Some((*self.chain.get(at)?, found.is_ok()))
    }

    /// When the first of the signatures ends, seconds since 1970.
    #[must_use]
    pub fn until(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.left(now))
    }

    #[expect(clippy::cast_possible_truncation, reason = "that is what goes round")]
    fn left(&self, now: u64) -> i64 {
        self.until.wrapping_sub(now as u32).cast_signed().into()
    }

    /// Why validating resolvers will not believe the zone, in words.
    #[must_use]
    pub fn doubts(&self, now: u64) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.chain.is_empty() {
            doubts.push(
                "it has no chain of NSEC or NSEC3 records: what is not there cannot be denied"
                    .into(),
            );
        }
        let left = self.left(now);
        if left <= SOON {
            let until = crate::clock::utc(std::time::Duration::from_secs(self.until(now)));
            let what = match left {
                ..=0 => "have ended",
                _ => "end",
            };
            doubts.push(format!("signatures {what} on {until} UTC"));
        }
        doubts
    }
}

impl Hashing {
    /// Of the first NSEC3PARAM of a kind that is known (RFC 5155 4.1.2), whose hash is SHA-1.
    fn of(zone: &Zone) -> Option<Self> {
        let set = zone.rrset(zone.apex_node(), rtype::NSEC3PARAM)?;
        let known = |rdata: &[u8]| {
            let ([1, 0, i0, i1, len], salt) = rdata.split_first_chunk()? else {
                return None;
            };
            Some(Self {
                iterations: u16::from_be_bytes([*i0, *i1]),
                salt: salt.get(..usize::from(*len))?.into(),
            })
        };
        set.rdata().find_map(known)
    }

    /// Whether an owner is of the chain with these parameters: there may be another that is being made.
    fn is_of(&self, zone: &Zone, at: NodeId) -> bool {
        let set = zone.rrset(at, rtype::NSEC3);
        let mut records = set.into_iter().flat_map(|set| set.rdata());
        label_of(zone, at).len() == LABEL
            && records.any(|rdata| {
                let head = rdata.split_first_chunk();
                head.is_some_and(|([algorithm, _, i0, i1, len], salt)| {
                    *algorithm == 1
                        && u16::from_be_bytes([*i0, *i1]) == self.iterations
                        && usize::from(*len) == self.salt.len()
                        && salt.starts_with(&self.salt)
                })
            })
    }

    /// The label that a name in lower case has in the chain (RFC 5155 5).
    fn label(&self, name: &[u8]) -> [u8; LABEL] {
        let mut octets = [0; MAX_NAME + 255];
        let salt = self.salt.len();
        let mut len = name.len().min(MAX_NAME);
        octets[..len].copy_from_slice(&name[..len]);
        let mut hash = [0; HASH];
        for _ in 0..=self.iterations {
            octets[len..len + salt].copy_from_slice(&self.salt);
            let made = digest(&SHA1_FOR_LEGACY_USE_ONLY, &octets[..len + salt]);
            hash.copy_from_slice(made.as_ref());
            octets[..HASH].copy_from_slice(&hash);
            len = HASH;
        }
        base32(&hash)
    }
}

/// The first label of an owner.
fn label_of(zone: &Zone, at: NodeId) -> &[u8] {
    crate::zone::labels(zone.name(at))
        .next()
        .unwrap_or_default()
}

/// Five octets are eight letters (RFC 4648 7).
fn base32(hash: &[u8; HASH]) -> [u8; LABEL] {
    let mut label = [0; LABEL];
    for (five, eight) in hash.chunks(5).zip(label.chunks_mut(8)) {
        let bits = five
            .iter()
            .fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
        for (letter, shift) in eight.iter_mut().zip((0..8).rev()) {
            let value = (bits >> (5 * shift) & 31) as usize;
            *letter = b"0123456789abcdefghijklmnopqrstuv"[value];
        }
    }
    label
}

/// When a signature ends.
fn expiration(rrsig: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*rrsig.get(8..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_example_of_rfc_5155() {
        let hashing = Hashing {
            iterations: 12,
            salt: [0xaa, 0xbb, 0xcc, 0xdd].into(),
        };
        let known: [(&[u8], &[u8; LABEL]); 3] = [
            (b"\x07example\0", b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            (b"\x03ns1\x07example\0", b"2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            (
                b"\x01*\x01w\x07example\0",
                b"r53bq7cc2uvmubfu5ocmm6pers9tk9en",
            ),
        ];
        for (name, label) in known {
            assert_eq!(&hashing.label(name), label, "{name:?}");
        }
    }
}
