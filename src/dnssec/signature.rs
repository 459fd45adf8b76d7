//! Signatures, and the records they stand in (RFC 4034 3).

use super::Key;

/// The class of the internet, which all signed zones are of.
const IN: u16 = 1;
/// Octets of a signature of both algorithms.
pub(super) const SIGNATURE: usize = 64;
/// Octets of an RRSIG's RDATA before the signer's name.
pub(super) const FIXED: usize = 18;

/// A signature and when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// From this second of Unix time on.
    pub inception: u32,
    /// Until this one.
    pub expiration: u32,
    /// The signature itself.
    pub octets: [u8; SIGNATURE],
}

impl Signature {
    /// Of the RDATA of its record, whose signer's name has so many octets.
    pub(super) fn of_rdata(rrsig: &[u8], signer: usize) -> Option<Self> {
        let (head, rest) = rrsig.split_first_chunk::<FIXED>()?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Self {
            expiration: word(8),
            inception: word(12),
            octets: rest.get(signer..)?.try_into().ok()?,
        })
    }
}

/// The set of records that a signature is for.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'n> {
    /// Its owner in wire form and lower case: that of the answer, or the wildcard itself.
    pub owner: &'n [u8],
    /// Its type.
    pub rtype: u16,
    /// The TTL that it is signed with: answers may have less.
    pub ttl: u32,
}

impl Covered<'_> {
    /// Labels of the owner, a first `*` not counted (RFC 4034 3.1.3).
    fn labels(&self) -> u8 {
        let labels = crate::zone::labels(self.owner);
        let star = self.owner.starts_with(b"\x01*");
        u8::try_from(labels.count() - usize::from(star)).unwrap_or(u8::MAX)
    }

    /// What comes before the signature in RDATA, and first in what is signed.
    pub(super) fn head(&self, key: &Key, inception: u32, expiration: u32) -> [u8; FIXED] {
        let mut head = [0; FIXED];
        head[0..2].copy_from_slice(&self.rtype.to_be_bytes());
        head[2] = key.algorithm.number();
        head[3] = self.labels();
        head[4..8].copy_from_slice(&self.ttl.to_be_bytes());
        head[8..12].copy_from_slice(&expiration.to_be_bytes());
        head[12..16].copy_from_slice(&inception.to_be_bytes());
        head[16..18].copy_from_slice(&key.public.tag.to_be_bytes());
        head
    }

    /// What is signed (RFC 4034 3.1.8.1): `rdata` in its canonical order.
    pub(super) fn signed<'r>(
        &self,
        head: &[u8; FIXED],
        signer: &[u8],
        rdata: impl Iterator<Item = &'r [u8]>,
    ) -> Vec<u8> {
        let mut out = [&head[..], signer].concat();
        for rdata in rdata {
            out.extend_from_slice(self.owner);
            out.extend_from_slice(&self.rtype.to_be_bytes());
            out.extend_from_slice(&IN.to_be_bytes());
            out.extend_from_slice(&self.ttl.to_be_bytes());
            // RDATA came from a record, whose length has 16 bits.
            let len = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(rdata);
        }
        out
    }
}
