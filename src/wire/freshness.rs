//! For how long a reply of ours may be kept, as HTTP wants to know.

use super::HEADER;
use crate::zone::rtype;

/// Seconds: the lowest TTL of its records; of an SOA what its last field says too, as it is there for a negative answer
/// (RFC 2308 5). None: there is no record that says how long.
#[must_use]
pub fn freshness(reply: &[u8]) -> Option<u32> {
    let count = |at: usize| Some(u16::from_be_bytes(*reply.get(at..)?.first_chunk()?));
    let (questions, answers, authorities) = (count(4)?, count(6)?, count(8)?);
    let mut rest = reply.get(HEADER..)?;
    for _ in 0..questions {
        rest = after_name(rest)?.get(4..)?;
    }
    let mut lowest: Option<u32> = None;
    for _ in 0..u32::from(answers) + u32::from(authorities) {
        let record = after_name(rest)?;
        let ([t0, t1, _, _, ttl @ .., l0, l1], data) = record.split_first_chunk::<10>()?;
        let (data, next) = data.split_at_checked(u16::from_be_bytes([*l0, *l1]).into())?;
        let mut ttl = u32::from_be_bytes(*ttl);
        if u16::from_be_bytes([*t0, *t1]) == rtype::SOA {
            ttl = ttl.min(u32::from_be_bytes(*data.last_chunk()?));
        }
        lowest = Some(lowest.map_or(ttl, |other| other.min(ttl)));
        rest = next;
    }
    lowest
}

fn after_name(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        match *octets.first()? {
            0 => return octets.get(1..),
            192.. => return octets.get(2..),
            len => octets = octets.get(1 + usize::from(len)..)?,
        }
    }
}
