//! Messages of ours to other name servers that have one reply: notices (RFC 1996), and questions for an SOA.

use crate::wire::tsig::{Chain, Key};
use crate::wire::{HEADER, Place, Query, Section, Suffixes, Writer, class, flag, opcode, rcode};
use crate::zone::version::Version;
use crate::zone::{Name, rtype};

/// A message, and what its reply must be.
#[derive(Debug)]
pub struct Question<'k> {
    /// As it is sent.
    pub packet: Vec<u8>,
    /// Octets of its header and its question.
    echoed: usize,
    chain: Option<Chain<'k>>,
}

/// Octets that all of this fits.
const ROOM: usize = 2048;

/// That the zone has changed, with its SOA, to whoever may not know.
#[must_use]
pub fn notify<'k>(version: &Version, id: u16, key: Option<&'k Key>, now: u64) -> Question<'k> {
    let head = u16::from(opcode::NOTIFY) << 11 | flag::AA;
    question(&version.apex, (id, head), Some(version), key, now)
}

fn question<'k>(
    apex: &Name,
    (id, head): (u16, u16),
    answer: Option<&Version>,
    key: Option<&'k Key>,
    now: u64,
) -> Question<'k> {
    let mut packet = vec![0; ROOM];
    let mut suffixes = Suffixes::default();
    let room = key.map_or(0, Key::room);
    let mut writer = Writer::new(&mut packet, &mut suffixes, ROOM, room);
    let mut asked = apex.wire().to_vec();
    asked.extend_from_slice(&rtype::SOA.to_be_bytes());
    asked.extend_from_slice(&class::IN.to_be_bytes());
    // A name and numbers: it fits.
    let _ = writer.question(&asked);
    if let Some(version) = answer {
        // It says how new this is, and fits; without it the notice holds as well.
        let _ = writer.record(
            Section::Answer,
            Place::Question,
            rtype::SOA,
            version.ttl,
            |w| w.rdata(rtype::SOA, &version.soa),
        );
    }
    let mut len = writer.finish(id, head, rcode::NOERROR);
    packet[2] &= !0x80;
    let mut chain = key.map(Chain::request);
    if let Some(chain) = &mut chain {
        len = chain.sign(&mut packet, len, now, None);
    }
    packet.truncate(len);
    Question {
        packet,
        echoed: HEADER + asked.len(),
        chain,
    }
}

impl Question<'_> {
    /// The code of a reply; none: it is no reply to this, so another may still come.
    ///
    /// # Errors
    /// It is one, and not to be trusted, in words.
    pub fn reply(&mut self, packet: &[u8], now: u64) -> Option<Result<u16, &'static str>> {
        let head = packet.first_chunk::<HEADER>()?;
        let ours = self.packet.get(..self.echoed)?;
        let echoed = packet.get(HEADER..self.echoed)?;
        let is_reply = head[..2] == ours[..2]
            && head[2] & 0x80 != 0
            && head[2] & 0x78 == ours[2] & 0x78
            && head[4..6] == [0, 1]
            && echoed.eq_ignore_ascii_case(&ours[HEADER..]);
        if !is_reply {
            return None;
        }
        if let Some(chain) = &mut self.chain
            && let Err(why) = chain.take(packet, Query::signature(packet), now)
        {
            return Some(Err(why));
        }
        Some(Ok(u16::from(head[3] & 0xf)))
    }
}
