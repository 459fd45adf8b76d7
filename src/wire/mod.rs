//! Queries and replies as bytes (RFC 1035 4, RFC 6891, RFC 7871).

mod cookie;
mod ecs;
mod edns;
mod freshness;
mod names;
mod query;
mod soa;
pub mod tsig;
mod writer;

pub use cookie::{BOTH as COOKIE, CLIENT as CLIENT_COOKIE, Cookies};
pub use ecs::Ecs;
pub use edns::{BLOCK, Edns, EdnsError, ExtendedError, Opt};
pub use freshness::freshness;
pub use names::name_at;
pub use query::{Header, Malformed, Query, class, opcode};
pub use soa::first_serial;
pub use writer::{Full, Mark, Place, Section, Suffixes, Writer};

/// The octets before the question.
pub const HEADER: usize = 12;

/// Response codes (RFC 1035 4.1.1, RFC 6672, RFC 6891).
pub mod rcode {
    /// No error.
    pub const NOERROR: u16 = 0;
    /// The query cannot be understood.
    pub const FORMERR: u16 = 1;
    /// The server failed.
    pub const SERVFAIL: u16 = 2;
    /// The name does not exist.
    pub const NXDOMAIN: u16 = 3;
    /// That kind of query is not implemented.
    pub const NOTIMP: u16 = 4;
    /// Not ours to answer.
    pub const REFUSED: u16 = 5;
    /// A name made by a DNAME is too long.
    pub const YXDOMAIN: u16 = 6;
    /// We are not who is asked for, or do not know who asks.
    pub const NOTAUTH: u16 = 9;
    /// The version of EDNS is unknown.
    pub const BADVERS: u16 = 16;
    /// The cookie is none of ours (RFC 7873).
    pub const BADCOOKIE: u16 = 23;

    /// The mnemonic of a code; of one that we never give its number.
    #[must_use]
    pub fn mnemonic(code: u16) -> String {
        const NAMES: [&str; 7] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
        ];
        match code {
            NOTAUTH => "NOTAUTH".into(),
            BADVERS => "BADVERS".into(),
            BADCOOKIE => "BADCOOKIE".into(),
            code => NAMES
                .get(usize::from(code))
                .map_or_else(|| code.to_string(), |n| (*n).into()),
        }
    }
}

/// Bits of the header's second word.
pub mod flag {
    /// A response.
    pub const QR: u16 = 0x8000;
    /// Authoritative.
    pub const AA: u16 = 0x0400;
    /// Cut short.
    pub const TC: u16 = 0x0200;
    /// Recursion desired: echoed.
    pub const RD: u16 = 0x0100;
}
