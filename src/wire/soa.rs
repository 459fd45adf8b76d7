//! The SOA that comes with some questions.

use super::name_at;
use crate::zone::{rtype, version};

/// The serial of the SOA that is the record at `at`, behind the question: what whoever asks for IXFR knows (RFC 1995 3), or what a notice
/// tells of (RFC 1996 3.7). None where there is none.
#[must_use]
pub fn first_serial(packet: &[u8], at: usize) -> Option<u32> {
    let (_, at) = name_at(packet, at)?;
    let head = packet.get(at..at + 10)?;
    let len = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let rdata = packet.get(at + 10..at + 10 + len)?;
    let soa = u16::from_be_bytes([head[0], head[1]]) == rtype::SOA && rdata.len() >= 22;
    soa.then(|| version::serial(rdata))
}
