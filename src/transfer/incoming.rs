//! A zone from its primary: messages in, a version out. A plain function of bytes; what is malformed, does not fit or is too much is an
//! error, and nothing of it is kept.
//!
//! ```text
//!   SOA -+- nothing more, and ours or an older one: they have nothing newer
//!        +- any other record ... SOA: all of the zone
//!        +- SOA that we have, what went ..., SOA, what came ..., SOA ... SOA: what differs (RFC 1995 4)
//! ```

use std::sync::Arc;

use crate::wire::tsig::{Chain, Key};
use crate::wire::{HEADER, Query, Section, Suffixes, Writer, class, name_at, rcode};
use crate::zone::file::check_rdata;
use crate::zone::version::{Change, Records, Rr, Version, is_newer, serial};
use crate::zone::{Name, rdata_names, rtype};

/// Octets of records that are taken, and that a zone has in the end, so that no primary fills our memory.
const MOST: usize = 256 << 20;

/// A transfer that comes in.
#[derive(Debug)]
pub struct Incoming<'k> {
    apex: Name,
    id: [u8; 2],
    known: Option<Arc<Version>>,
    chain: Option<Chain<'k>>,
    stage: Stage,
    /// TTL and RDATA of the first SOA.
    soa: Option<(u32, Vec<u8>)>,
    /// Of the whole zone; or of all steps, in their order.
    records: Vec<(Change, Own)>,
    whole: bool,
    octets: usize,
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Second,
    Whole,
    Removing,
    Adding,
    Done,
}

/// A record of our own.
#[derive(Debug)]
struct Own {
    owner: Name,
    rtype: u16,
    ttl: u32,
    rdata: Vec<u8>,
}

/// What a primary has.
#[derive(Debug)]
pub enum Received {
    /// Another version, and how it came.
    Version(Version, super::Kind),
    /// What we have.
    Current,
    /// An older version, with this serial.
    Older(u32),
}

/// What a message has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to come.
    More,
    /// They have what we have.
    Current,
    /// They have an older version, with this serial.
    Older(u32),
    /// All of it has come: [`Incoming::version`] makes another version of it.
    End,
}

impl<'k> Incoming<'k> {
    /// The question for all of a zone, or for what differs from what is `known`; and what takes the answer.
    #[must_use]
    pub fn ask(
        apex: &Name,
        id: u16,
        known: Option<Arc<Version>>,
        key: Option<&'k Key>,
        now: u64,
    ) -> (Vec<u8>, Self) {
        let mut packet = vec![0; 4096];
        let mut suffixes = Suffixes::default();
        let room = key.map_or(0, Key::room);
        let mut writer = Writer::new(&mut packet, &mut suffixes, 4096, room);
        let qtype = if known.is_some() {
            rtype::IXFR
        } else {
            rtype::AXFR
        };
        let mut question = apex.wire().to_vec();
        question.extend_from_slice(&qtype.to_be_bytes());
        question.extend_from_slice(&class::IN.to_be_bytes());
        // A name and numbers: it fits.
        let _ = writer.question(&question);
        if let Some(version) = &known {
            let owner = crate::wire::Place::Question;
            let _ = writer.record(Section::Authority, owner, rtype::SOA, version.ttl, |w| {
                w.rdata(rtype::SOA, &version.soa)
            });
        }
        let mut len = writer.finish(id, 0, rcode::NOERROR);
        packet[2] &= !0x80;
        let mut chain = key.map(Chain::request);
        if let Some(chain) = &mut chain {
            len = chain.sign(&mut packet, len, now, None);
        }
        packet.truncate(len);
        let incoming = Self {
            apex: apex.clone(),
            id: id.to_be_bytes(),
            known,
            chain,
            stage: Stage::First,
            soa: None,
            records: Vec::new(),
            whole: true,
            octets: 0,
            most: MOST,
        };
        (packet, incoming)
    }

    /// Takes no more than so many octets of records.
    #[must_use]
    pub fn within(self, octets: usize) -> Self {
        let most = self.most.min(octets);
        Self { most, ..self }
    }

    /// Why what is more is not taken.
    fn too_large(&self) -> String {
        match self.most {
            MOST => "it is larger than 256 MiB".to_owned(),
            _ => "it is larger than `received_memory` of [limits] leaves room for".to_owned(),
        }
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// In words; nothing after it is of use.
    pub fn take(&mut self, packet: &[u8], now: u64) -> Result<Progress, String> {
        let head = packet
            .first_chunk::<HEADER>()
            .ok_or("a message is too short")?;
        if head[..2] != self.id || head[2] & 0xf8 != 0x80 {
            return Err("it is no reply to our question".into());
        }
        let code = u16::from(head[3] & 0xf);
        let refused = (code != rcode::NOERROR).then(|| rcode::mnemonic(code));
        let mut signed = true;
        if let Some(chain) = &mut self.chain {
            let taken = chain.take(packet, Query::signature(packet), now);
            // Who does not have the zone may not sign that.
            signed = taken.map_err(|why| match &refused {
                Some(code) => format!("the answer is {code}, and {why}"),
                None => why.to_owned(),
            })?;
        }
        if let Some(code) = refused {
            return Err(format!("the answer is {code}"));
        }
        let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let mut at = HEADER;
        for _ in 0..count(4) {
            at = name_at(packet, at).ok_or("a question is malformed")?.1 + 4;
        }
        for _ in 0..count(6) {
            let (own, next) = record(packet, at).ok_or("a record is malformed")?;
            at = next;
            self.octets += own.owner.wire().len() + own.rdata.len() + 64;
            if self.octets > self.most {
                return Err(self.too_large());
            }
            self.record(own)?;
        }
        match self.stage {
            Stage::Done if signed => Ok(Progress::End),
            Stage::Done => Err("the last message is not signed".into()),
            Stage::Second => Ok(self.alone()),
            _ => Ok(Progress::More),
        }
    }

    /// Whether all of the zone came, and not what differs.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What an SOA says that stands alone so far.
    fn alone(&self) -> Progress {
        let theirs = self.soa.as_ref().map(|(_, soa)| serial(soa));
        match (theirs, self.known.as_ref().map(|known| known.serial())) {
            (Some(theirs), Some(ours)) if theirs == ours => Progress::Current,
            (Some(theirs), Some(ours)) if !is_newer(theirs, ours) => Progress::Older(theirs),
            _ => Progress::More,
        }
    }

    fn record(&mut self, own: Own) -> Result<(), String> {
        if !own.owner.is_within(&self.apex) {
            return Err(format!("{} is not in the zone", own.owner));
        }
        let soa = own.rtype == rtype::SOA;
        if soa && own.owner != self.apex {
            return Err("there is an SOA below the zone's name".into());
        }
        let newest = self.soa.as_ref().map(|(_, soa)| serial(soa));
        let its = serial(&own.rdata);
        match (self.stage, soa) {
            (Stage::First, true) => {
                (self.soa, self.stage) = (Some((own.ttl, own.rdata)), Stage::Second);
            }
            (Stage::First, false) => return Err("it does not begin with the SOA".into()),
            (Stage::Second, true) if self.known.as_ref().is_some_and(|k| k.serial() == its) => {
                (self.stage, self.whole) = (Stage::Removing, false);
            }
            (Stage::Second | Stage::Whole, true) if Some(its) == newest => self.stage = Stage::Done,
            (Stage::Second | Stage::Whole, true) => {
                return Err("it ends with another serial than it begins with".into());
            }
            (Stage::Second | Stage::Whole, false) => {
                self.stage = Stage::Whole;
                self.records.push((Change::Comes, own));
            }
            (Stage::Removing, true) => self.stage = Stage::Adding,
            (Stage::Removing, false) => self.records.push((Change::Goes, own)),
            (Stage::Adding, true) => {
                self.stage = match Some(its) == newest {
                    true => Stage::Done,
                    false => Stage::Removing,
                };
            }
            (Stage::Adding, false) => self.records.push((Change::Comes, own)),
            (Stage::Done, _) => return Err("there are records after its end".into()),
        }
        Ok(())
    }

    /// The version that has come: of a large zone this takes its time, so it is not for a thread on which others wait.
    ///
    /// # Errors
    /// In words: it does not fit, or not all has come.
    pub fn version(self) -> Result<Version, String> {
        let too_large = self.too_large();
        let (ttl, soa) = self
            .soa
            .filter(|_| self.stage == Stage::Done)
            .ok_or("there is no end")?;
        let all = self.records.iter().map(|(change, own)| (*change, own.rr()));
        let records = match self.known.filter(|_| !self.whole) {
            Some(known) => known.records.changed(all).ok_or(MISFIT)?,
            None => Records::new(all.map(|(_, rr)| rr)),
        };
        // It grows with each difference.
        if records.octets().len() > self.most {
            return Err(too_large);
        }
        Ok(Version {
            apex: self.apex,
            ttl,
            soa: soa.into(),
            records: Arc::new(records),
        })
    }
}

/// Why steps are of no use.
const MISFIT: &str = "what differs does not fit what is here";

impl Own {
    fn rr(&self) -> Rr<'_> {
        Rr {
            owner: self.owner.wire(),
            rtype: self.rtype,
            ttl: self.ttl,
            rdata: &self.rdata,
        }
    }
}

/// The record that begins at `at`, and where the next one does; none if it is no record of a zone.
fn record(packet: &[u8], at: usize) -> Option<(Own, usize)> {
    let (owner, at) = name_at(packet, at)?;
    let (head, _) = packet.get(at..)?.split_first_chunk::<10>()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (rtype, start) = (word(0), at + 10);
    let end = start + usize::from(word(8));
    packet.get(start..end)?;
    let rdata = rdata(packet, rtype, start..end)?;
    // RFC 2181 8: a TTL with the first bit set is 0.
    let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let ttl = if ttl >> 31 == 0 { ttl } else { 0 };
    let fits = word(2) == class::IN && check_rdata(rtype, &rdata);
    if !fits || crate::zone::RecordType(rtype).is_meta() {
        return None;
    }
    let own = Own {
        owner,
        rtype,
        ttl,
        rdata,
    };
    Some((own, end))
}

/// RDATA with its names written out, of the types in which some have compressed them (RFC 3597 4).
fn rdata(packet: &[u8], rtype: u16, range: std::ops::Range<usize>) -> Option<Vec<u8>> {
    let (before, names) = rdata_names(rtype, packet.get(range.clone())?);
    let mut at = range.start + before;
    let mut out = packet.get(range.start..at)?.to_vec();
    for _ in 0..names {
        let (name, next) = name_at(packet, at)?;
        out.extend_from_slice(name.wire());
        at = next;
    }
    out.extend_from_slice(packet.get(at..range.end)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apex() -> Name {
        Name::absolute("x.example").unwrap()
    }

    fn soa(serial: u32) -> Vec<u8> {
        let mut rdata = b"\x02ns\xc0\x0c\x04host\xc0\x0c".to_vec();
        [serial, 3600, 600, 86400, 60]
            .iter()
            .for_each(|n| rdata.extend_from_slice(&n.to_be_bytes()));
        rdata
    }

    fn address(last: u8) -> (u16, Vec<u8>) {
        (rtype::A, vec![192, 0, 2, last])
    }

    fn newest(serial: u32) -> (u16, Vec<u8>) {
        (rtype::SOA, soa(serial))
    }

    /// A message with these at the zone's name.
    fn message(records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0, 7, 0x84, 0, 0, 1];
        out.extend_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(apex().wire());
        out.extend_from_slice(&[0, 252, 0, 1]);
        for (rtype, rdata) in records {
            out.extend_from_slice(b"\xc0\x0c");
            out.extend_from_slice(&rtype.to_be_bytes());
            out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            out.extend_from_slice(&u16::try_from(rdata.len()).unwrap().to_be_bytes());
            out.extend_from_slice(rdata);
        }
        out
    }

    fn ask(known: Option<&Version>) -> Incoming<'static> {
        Incoming::ask(&apex(), 7, known.cloned().map(Arc::new), None, 0).1
    }

    fn whole(serial: u32, addresses: &[u8]) -> Version {
        let mut records = vec![newest(serial)];
        records.extend(addresses.iter().map(|n| address(*n)));
        records.push(newest(serial));
        made(ask(None), &records).unwrap()
    }

    /// What a message makes that has all of it.
    fn made(mut incoming: Incoming<'_>, records: &[(u16, Vec<u8>)]) -> Result<Version, String> {
        assert_eq!(incoming.take(&message(records), 0), Ok(Progress::End));
        incoming.version()
    }

    #[test]
    fn a_zone_comes_in_messages_of_any_size() {
        let all = whole(3, &[1, 2]);
        assert_eq!((all.serial(), all.records.len()), (3, 2));
        let mut bit_by_bit = ask(None);
        for record in [newest(3), address(1), address(2)] {
            assert_eq!(bit_by_bit.take(&message(&[record]), 0), Ok(Progress::More));
        }
        assert_eq!(made(bit_by_bit, &[newest(3)]), Ok(all));
        assert!(ask(None).version().is_err(), "nothing has come");
    }

    #[test]
    fn what_differs_is_put_together() {
        let known = whole(3, &[1, 2]);
        let steps = [
            newest(5),
            newest(3),
            address(1),
            newest(4),
            address(3),
            newest(4),
            newest(5),
            address(4),
            newest(5),
        ];
        assert_eq!(made(ask(Some(&known)), &steps), Ok(whole(5, &[2, 3, 4])));
        // All of it instead, as a primary may.
        let all = [newest(5), address(9), newest(5)];
        assert_eq!(made(ask(Some(&known)), &all), Ok(whole(5, &[9])));
        let misfit = [newest(5), newest(3), address(7), newest(5), newest(5)];
        assert_eq!(made(ask(Some(&known)), &misfit), Err(MISFIT.into()));
    }

    #[test]
    fn no_zone_grows_by_differences_without_end() {
        let steps = [newest(4), newest(3), newest(4), address(250), newest(4)];
        let (few, many) = (whole(3, &[1]), whole(3, &(0..200).collect::<Vec<u8>>()));
        let step = |known: &Version| {
            made(ask(Some(known)).within(1000), &steps).map(|grown| grown.records.len())
        };
        let large = "it is larger than `received_memory` of [limits] leaves room for";
        assert_eq!((step(&few), step(&many)), (Ok(2), Err(large.into())));
    }

    #[test]
    fn an_soa_alone_says_who_is_behind() {
        let known = whole(3, &[1, 2]);
        let alone = |serial| ask(Some(&known)).take(&message(&[newest(serial)]), 0);
        assert_eq!(alone(3), Ok(Progress::Current));
        assert_eq!(alone(2), Ok(Progress::Older(2)));
        assert_eq!(alone(4), Ok(Progress::More));
    }

    /// A primary compresses names against others that differ in their letters' case.
    #[test]
    fn letters_case_tells_no_records_apart() {
        let ns = |label: &[u8]| (rtype::NS, [label, b"\xc0\x0c"].concat());
        let all = [newest(3), ns(b"\x02ns"), newest(3)];
        let known = made(ask(None), &all).unwrap();
        let steps = [
            newest(4),
            newest(3),
            ns(b"\x02NS"),
            newest(4),
            address(1),
            newest(4),
        ];
        assert_eq!(made(ask(Some(&known)), &steps), Ok(whole(4, &[1])));
    }

    #[test]
    fn names_may_be_compressed_in_old_types_of_which_few_know() {
        let head = [&[0, 1, 5, 2][..], &[0; 14]].concat();
        for (rtype, before, after) in [
            (rtype::NAPTR, &b"\0\x01\0\x02\x01S\x03SIP\0"[..], &b""[..]),
            (rtype::SIG, &head, b"signature"),
            (rtype::NXT, b"", b"\x40"),
        ] {
            let compressed = (rtype, [before, b"\x02ns\xc0\x0c", after].concat());
            let all = [newest(3), compressed, newest(3)];
            let version = made(ask(None), &all).unwrap();
            let written = [before, b"\x02ns", apex().wire(), after].concat();
            let rdata: Vec<&[u8]> = version.records.iter().map(|rr| rr.rdata).collect();
            assert_eq!(rdata, [&written[..]], "{rtype}");
        }
    }

    #[test]
    fn what_is_broken_is_no_zone() {
        for broken in [
            vec![address(1), newest(3)],
            vec![newest(3), address(1), newest(4)],
            vec![newest(3), address(1), newest(3), address(2)],
            vec![newest(3), (rtype::A, vec![1, 2, 3]), newest(3)],
            vec![newest(3), (rtype::ANY, vec![]), newest(3)],
        ] {
            assert!(ask(None).take(&message(&broken), 0).is_err(), "{broken:?}");
        }
        let mut refused = message(&[]);
        refused[3] = 5;
        assert_eq!(
            ask(None).take(&refused, 0),
            Err("the answer is REFUSED".into())
        );
        let mut other = message(&[newest(3)]);
        other[1] = 8;
        assert!(ask(None).take(&other, 0).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_panic(bytes: Vec<u8>, cut in 0usize..200, at in 0usize..200, octet: u8) {
            let _ = ask(None).take(&bytes, 0);
            let mut whole = message(&[newest(3), address(1), (rtype::MX, b"\0\x01\xc0\x0c".to_vec()), newest(3)]);
            if let Some(place) = whole.get_mut(at) {
                *place = octet;
            }
            let _ = ask(None).take(&whole, 0);
            whole.truncate(cut);
            let _ = ask(None).take(&whole, 0);
        }
    }
}
