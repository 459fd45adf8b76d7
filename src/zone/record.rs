//! One record of a zone file, with the place it was written at.

use super::{Name, rtype};
use crate::diagnostic::Span;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name it belongs to.
    pub owner: Name,
    /// Seconds that others may keep it.
    pub ttl: u32,
    /// What it holds.
    pub data: Data,
    /// Where it was written.
    pub span: Span,
}

impl Record {
    /// Whether it is of a type; no pool is.
    #[must_use]
    pub fn is(&self, rtype: u16) -> bool {
        matches!(&self.data, Data::Plain { rtype: own, .. } if *own == rtype)
    }

    /// Whether it is an NSEC3, or a signature of one: its owner is a hash, and no name of the zone (RFC 5155 7.2.8).
    #[must_use]
    pub fn is_hashed(&self) -> bool {
        match &self.data {
            Data::Plain { rtype, rdata } => match *rtype {
                rtype::NSEC3 => true,
                rtype::RRSIG => rdata.starts_with(&rtype::NSEC3.to_be_bytes()),
                _ => false,
            },
            Data::Pool { .. } => false,
        }
    }
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A record of the DNS.
    Plain {
        /// The type's number.
        rtype: u16,
        /// RDATA in wire form, names uncompressed, their letters' case kept.
        rdata: Box<[u8]>,
    },
    /// Our pseudo-record: A and AAAA come from a pool. [`Record::ttl`] is the TTL while all is steady.
    Pool {
        /// The pool's name.
        pool: Box<str>,
        /// The TTL is never below this.
        min_ttl: u32,
        /// Where the pool's name stands.
        span: Span,
    },
}
