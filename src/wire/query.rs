//! Reads a query: only what a server needs, borrowed from the packet, never a panic.

use super::{Edns, HEADER, flag};
use crate::zone::{MAX_NAME, rtype};

/// Operation codes (RFC 1035 4.1.1).
pub mod opcode {
    /// A standard query.
    pub const QUERY: u8 = 0;
    /// A zone has changed (RFC 1996).
    pub const NOTIFY: u8 = 4;
}

/// Classes.
pub mod class {
    /// The internet.
    pub const IN: u16 = 1;
    /// Any class.
    pub const ANY: u16 = 255;
}

/// A query that can be answered.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    /// The first twelve octets.
    pub header: Header,
    /// The name asked for, in wire form with the asker's letters.
    pub qname: &'p [u8],
    /// The type asked for.
    pub qtype: u16,
    /// The class asked for.
    pub qclass: u16,
    /// The OPT record, if there is one.
    pub edns: Option<Edns<'p>>,
    /// Where the TSIG record begins that ends the message, if it is signed.
    pub tsig: Option<usize>,
}

/// What of the header is needed to reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The asker's number for it.
    pub id: u16,
    /// The second word.
    pub flags: u16,
}

impl Header {
    /// The operation code.
    #[must_use]
    pub fn opcode(self) -> u8 {
        (self.flags >> 11) as u8 & 0xf
    }
}

/// Why a packet is no query to be answered with content.
#[derive(Clone, Copy, Debug)]
pub enum Malformed<'p> {
    /// No reply at all: too short for a header, or itself a response.
    Silent,
    /// No question, but a cookie: what is asked for is one of ours (RFC 7873 5.4).
    Bare {
        /// What the reply needs of the header.
        header: Header,
        /// The OPT record, with the cookie.
        edns: Edns<'p>,
    },
    /// Reply with this code; the question is echoed where it could be read, OPT where there was one.
    Reply {
        /// What the reply needs of the header.
        header: Header,
        /// FORMERR or NOTIMP.
        rcode: u16,
        /// The question's octets as they came.
        question: Option<&'p [u8]>,
        /// Whether the query had an OPT record.
        edns: bool,
    },
}

impl<'p> Query<'p> {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`Malformed`] says what to do with a packet that is no good query: anything but one question (RFC 9619), records
    /// before the additional section (but for IXFR's), more than one OPT or one that is not the root's, octets after the end.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Malformed<'p>> {
        let Some((head, _)) = packet.split_first_chunk::<HEADER>() else {
            return Err(Malformed::Silent);
        };
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let header = Header {
            id: word(0),
            flags: word(2),
        };
        if header.flags & flag::QR != 0 {
            return Err(Malformed::Silent);
        }
        let counts = [word(4), word(6), word(8), word(10)];
        let mut reader = Reader { packet, at: HEADER };
        let question = (counts[0] == 1).then(|| reader.question()).flatten();
        let refuse = |rcode, edns| Malformed::Reply {
            header,
            rcode,
            question: question.map(|q| q.octets),
            edns,
        };
        // RFC 6891 6.1.1: a reply has OPT if the query had, errors too.
        let has_opt = || (counts[0] == 0 || question.is_some()) && reader.finds_opt(counts);
        let notify = header.opcode() == opcode::NOTIFY;
        if header.opcode() != opcode::QUERY && !notify {
            return Err(refuse(super::rcode::NOTIMP, has_opt()));
        }
        let formerr = |edns| refuse(super::rcode::FORMERR, edns);
        let Some(question) = question else {
            let bare = if notify { None } else { reader.bare(counts) };
            return Err(bare.map_or_else(
                || formerr(has_opt()),
                |edns| Malformed::Bare { header, edns },
            ));
        };
        let authorities = u16::from(question.qtype == rtype::IXFR);
        // RFC 1996 3.7: the answer section may say what is new.
        let answers = u16::from(notify);
        if counts[1] > answers || counts[2] > authorities {
            return Err(formerr(has_opt()));
        }
        for _ in 0..counts[1] + counts[2] {
            reader.record().ok_or(formerr(false))?;
        }
        let (edns, tsig) = reader.additional(counts[3]).map_err(formerr)?;
        let Question {
            qname,
            qtype,
            qclass,
            ..
        } = question;
        Ok(Self {
            header,
            qname,
            qtype,
            qclass,
            edns,
            tsig,
        })
    }

    /// Where the TSIG record begins that ends a message of any kind: the last of its additional section (RFC 8945 5.1). None if that is
    /// another, or empty.
    #[must_use]
    pub fn signature(packet: &[u8]) -> Option<usize> {
        let counts = packet.get(4..HEADER)?.chunks_exact(2);
        let mut counts = counts.map(|c| u32::from(u16::from_be_bytes([c[0], c[1]])));
        let [questions, answers, authorities, additional] =
            std::array::from_fn(|_| counts.next().unwrap_or(0));
        let mut reader = Reader { packet, at: HEADER };
        for _ in 0..questions {
            reader.question()?;
        }
        for _ in 0..answers + authorities {
            reader.record()?;
        }
        let mut last = None;
        for _ in 0..additional {
            let start = reader.at;
            last = Some((start, reader.record()?.rtype));
        }
        last.filter(|(_, rtype)| *rtype == rtype::TSIG)
            .map(|(start, _)| start)
    }

    /// Octets up to the end of the question.
    #[must_use]
    pub fn question_end(&self) -> usize {
        HEADER + self.qname.len() + 4
    }
}

#[derive(Clone, Copy)]
struct Reader<'p> {
    packet: &'p [u8],
    at: usize,
}

#[derive(Clone, Copy)]
struct Question<'p> {
    octets: &'p [u8],
    qname: &'p [u8],
    qtype: u16,
    qclass: u16,
}

struct Record<'p> {
    root: bool,
    rtype: u16,
    class: u16,
    ttl: u32,
    rdata: &'p [u8],
}

impl<'p> Reader<'p> {
    fn take(&mut self, len: usize) -> Option<&'p [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|c| u16::from_be_bytes(*c))
    }

    /// The one question; its name stands first in the message, so there is nothing a pointer could point to.
    fn question(&mut self) -> Option<Question<'p>> {
        let start = self.at;
        loop {
            match *self.packet.get(self.at)? {
                0 => break,
                len @ 1..=63 => self.at += 1 + usize::from(len),
                _ => return None,
            }
        }
        self.at += 1;
        let qname = self
            .packet
            .get(start..self.at)
            .filter(|name| name.len() <= MAX_NAME)?;
        let (qtype, qclass) = (self.word()?, self.word()?);
        Some(Question {
            octets: &self.packet[start..self.at],
            qname,
            qtype,
            qclass,
        })
    }

    #[inline]
    fn record(&mut self) -> Option<Record<'p>> {
        let start = self.at;
        loop {
            match *self.packet.get(self.at)? {
                0 => {
                    self.at += 1;
                    break;
                }
                len @ 1..=63 => self.at += 1 + usize::from(len),
                // Where a pointer leads does not matter: of names only the root's is looked at, and it is never compressed.
                192.. => {
                    self.at += 2;
                    break;
                }
                _ => return None,
            }
        }
        let root = self.at - start == 1;
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = self
            .take(4)?
            .first_chunk()
            .map(|c| u32::from_be_bytes(*c))?;
        let len = self.word()?;
        Some(Record {
            root,
            rtype,
            class,
            ttl,
            rdata: self.take(usize::from(len))?,
        })
    }

    /// The OPT record of a message that has nothing but a cookie.
    fn bare(mut self, [questions, answers, authorities, additional]: [u16; 4]) -> Option<Edns<'p>> {
        if [questions, answers, authorities] != [0; 3] {
            return None;
        }
        match self.additional(additional) {
            Ok((edns, None)) => edns.filter(|edns| edns.cookie.is_some()),
            Ok((_, Some(_))) | Err(_) => None,
        }
    }

    /// Whether there is an OPT record behind the question, in a message that is refused anyway.
    fn finds_opt(mut self, [_, answers, authorities, additional]: [u16; 4]) -> bool {
        let before = u32::from(answers) + u32::from(authorities);
        (0..before).all(|_| self.record().is_some())
            && self
                .additional(additional)
                .map_or_else(|seen| seen, |(edns, _)| edns.is_some())
    }

    /// The OPT among `count` records that must fill the rest of the packet, and where a TSIG begins, which must be the last
    /// (RFC 8945 5.2). The error says whether an OPT was seen.
    fn additional(&mut self, count: u16) -> Result<(Option<Edns<'p>>, Option<usize>), bool> {
        let (mut edns, mut tsig) = (None, None);
        for _ in 0..count {
            let start = self.at;
            let record = self.record().ok_or(edns.is_some())?;
            if record.rtype == rtype::OPT {
                if edns.is_some() || tsig.is_some() || !record.root {
                    return Err(true);
                }
                edns = Some(Edns::parse(record.class, record.ttl, record.rdata).map_err(|_| true)?);
            } else if tsig.is_some() {
                return Err(edns.is_some());
            } else if record.rtype == rtype::TSIG {
                tsig = Some(start);
            }
        }
        if self.at == self.packet.len() {
            Ok((edns, tsig))
        } else {
            Err(edns.is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(counts: [u16; 4], body: &[u8]) -> Vec<u8> {
        let mut out = vec![0x12, 0x34, 1, 0];
        counts
            .iter()
            .for_each(|c| out.extend_from_slice(&c.to_be_bytes()));
        out.extend_from_slice(body);
        out
    }

    const QUESTION: &[u8] = b"\x03wWw\x07example\0\0\x01\0\x01";
    const OPT: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_plain_query() {
        let bytes = packet([1, 0, 0, 1], &[QUESTION, OPT].concat());
        let query = Query::parse(&bytes).expect("a query");
        assert_eq!((query.header.id, query.qtype, query.qclass), (0x1234, 1, 1));
        assert_eq!(query.qname, b"\x03wWw\x07example\0");
        assert_eq!(query.edns.map(|e| e.udp_size), Some(1232));
    }

    fn verdict(bytes: &[u8]) -> String {
        match Query::parse(bytes) {
            Ok(_) => "query".into(),
            Err(Malformed::Silent) => "silent".into(),
            Err(Malformed::Bare { .. }) => "bare".into(),
            Err(Malformed::Reply {
                rcode,
                question,
                edns,
                ..
            }) => format!("{rcode} {} {edns}", question.is_some()),
        }
    }

    #[test]
    fn what_is_no_query() {
        let question = QUESTION.to_vec();
        let two = [QUESTION, QUESTION].concat();
        assert_eq!(verdict(&[0; 11]), "silent");
        assert_eq!(
            verdict(&[0x12, 0x34, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            "silent"
        );
        assert_eq!(verdict(&packet([0, 0, 0, 0], b"")), "1 false false");
        assert_eq!(verdict(&packet([2, 0, 0, 0], &two)), "1 false false");
        assert_eq!(
            verdict(&packet([1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01")),
            "1 false false"
        );
        assert_eq!(
            verdict(&packet([1, 0, 0, 0], &QUESTION[..8])),
            "1 false false"
        );
        assert_eq!(verdict(&packet([1, 0, 0, 0], &two)), "1 true false");
        assert_eq!(verdict(&packet([1, 1, 0, 0], &question)), "1 true false");
        assert_eq!(verdict(&packet([1, 0, 0, 1], &question)), "1 true false");
        assert_eq!(
            verdict(&packet([1, 0, 0, 2], &[QUESTION, OPT, OPT].concat())),
            "1 true true"
        );
        assert_eq!(
            verdict(&packet([1, 0, 0, 1], &[QUESTION, b"\x01a", OPT].concat())),
            "1 true true"
        );
        let mut update = packet([1, 0, 0, 0], &question);
        update[2] = 0x28;
        assert_eq!(verdict(&update), "4 true false");
    }

    #[test]
    fn a_cookie_may_come_without_a_question() {
        let cookie: &[u8] = &[
            0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        assert_eq!(verdict(&packet([0, 0, 0, 1], cookie)), "bare");
        assert_eq!(verdict(&packet([0, 0, 0, 1], OPT)), "1 false true");
        // Whatever else it has, or where it ends too soon or too late.
        let more = [cookie, &[0]].concat();
        let record: &[u8] = &[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(verdict(&packet([0, 0, 0, 1], &more)), "1 false true");
        assert_eq!(
            verdict(&packet([0, 0, 0, 1], &cookie[..20])),
            "1 false false"
        );
        assert_eq!(
            verdict(&packet([0, 1, 0, 1], &[record, cookie].concat())),
            "1 false true"
        );
        let mut notify = packet([0, 0, 0, 1], cookie);
        notify[2] = 0x20;
        assert_eq!(verdict(&notify), "1 false true");
    }

    #[test]
    fn a_signature_is_the_last_record() {
        const TSIG: &[u8] = b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\0";
        let signed = packet([1, 0, 0, 2], &[QUESTION, OPT, TSIG].concat());
        let query = Query::parse(&signed).expect("a query");
        assert_eq!(query.tsig, Some(12 + QUESTION.len() + OPT.len()));
        assert!(query.edns.is_some());
        for order in [[TSIG, OPT], [TSIG, TSIG]] {
            let bytes = packet([1, 0, 0, 2], &[QUESTION, order[0], order[1]].concat());
            assert!(verdict(&bytes).starts_with("1 true"));
        }
    }

    #[test]
    fn a_notify_may_say_what_is_new() {
        const SOA: &[u8] = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\0";
        let mut notify = packet([1, 1, 0, 0], &[QUESTION, SOA].concat());
        notify[2] = 0x24;
        assert_eq!(verdict(&notify), "query");
        notify[2] = 0;
        assert_eq!(verdict(&notify), "1 true false");
    }

    proptest! {
        #[test]
        fn no_octets_panic(bytes: Vec<u8>) {
            let _ = verdict(&bytes);
        }

        #[test]
        fn no_damage_panics(cut in 0usize..60, at in 0usize..50, octet: u8) {
            let mut bytes = packet([1, 0, 0, 1], &[QUESTION, OPT].concat());
            if at < bytes.len() {
                bytes[at] = octet;
            }
            bytes.truncate(cut.min(bytes.len()));
            let _ = verdict(&bytes);
        }
    }
}
