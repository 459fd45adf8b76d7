//! Record types by number.

/// An IPv4 address.
pub const A: u16 = 1;
/// A name server.
pub const NS: u16 = 2;
/// Another name for this one.
pub const CNAME: u16 = 5;
/// The start of authority.
pub const SOA: u16 = 6;
/// A mail exchanger.
pub const MX: u16 = 15;
/// An IPv6 address.
pub const AAAA: u16 = 28;
/// A service's host and port.
pub const SRV: u16 = 33;
/// Another name for all below this one.
pub const DNAME: u16 = 39;
/// The pseudo-record of EDNS.
pub const OPT: u16 = 41;
/// The digest of a child's key, answered by the parent.
pub const DS: u16 = 43;
/// A question for any type.
pub const ANY: u16 = 255;
/// A zone transfer.
pub const AXFR: u16 = 252;
/// A transfer of differences.
pub const IXFR: u16 = 251;
