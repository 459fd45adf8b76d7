//! Questions to octets, octets to replies. Written apart from the program's own reader and writer, so that it can judge
//! them.

use std::fmt;

/// Types by their numbers, as far as tests name them.
pub(crate) mod rtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const DNAME: u16 = 39;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const DS: u16 = 43;
    pub(crate) const ANY: u16 = 255;
}

/// The bits of the header's second word.
pub(crate) const QR: u16 = 0x8000;
pub(crate) const AA: u16 = 0x0400;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const RA: u16 = 0x0080;
pub(crate) const AD: u16 = 0x0020;
pub(crate) const CD: u16 = 0x0010;

/// The OPT record of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) udp_size: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    pub(crate) options: Vec<u8>,
}

impl Edns {
    pub(crate) fn of_size(udp_size: u16) -> Self {
        Self {
            udp_size,
            ..Self::default()
        }
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut out = vec![0, 0, 41];
        out.extend(self.udp_size.to_be_bytes());
        let flags = if self.dnssec_ok { 0x80 } else { 0 };
        out.extend([0, self.version, flags, 0]);
        out.extend(u16::try_from(self.options.len()).unwrap().to_be_bytes());
        out.extend(&self.options);
        out
    }
}

/// An EDNS option.
pub(crate) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&code.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

/// A name in wire form; `\DDD` and `\.` as in zone files.
pub(crate) fn name(text: &str) -> Vec<u8> {
    nearmost::zone::Name::absolute(text)
        .expect("a name")
        .wire()
        .to_vec()
}

/// Whether these octets are a name, whole and uncompressed.
pub(crate) fn is_name(wire: &[u8]) -> bool {
    nearmost::zone::Name::from_wire(wire).is_ok()
}

/// Header, one question and perhaps OPT.
pub(crate) fn query(id: u16, qname: &[u8], qtype: u16, edns: Option<&Edns>) -> Vec<u8> {
    let mut out = header(id, 0, [1, 0, 0, u16::from(edns.is_some())]);
    out.extend(question(qname, qtype, 1));
    out.extend(edns.map(Edns::octets).unwrap_or_default());
    out
}

pub(crate) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [id, flags].into_iter().chain(counts);
    words.flat_map(u16::to_be_bytes).collect()
}

pub(crate) fn question(qname: &[u8], qtype: u16, class: u16) -> Vec<u8> {
    [qname, &qtype.to_be_bytes(), &class.to_be_bytes()].concat()
}

/// A record as it came. Owner in lower case, RDATA with its names uncompressed and in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rtype = nearmost::zone::RecordType(self.rtype);
        let rdata = self.rdata.escape_ascii().to_string();
        let rdata = &rdata[..rdata.len().min(80)];
        write!(f, "{} {} {rtype} {rdata}", shown(&self.owner), self.ttl)
    }
}

/// A name for people.
pub(crate) fn shown(wire: &[u8]) -> String {
    nearmost::zone::Name::from_wire(wire).map_or_else(|_| format!("{wire:?}"), |n| n.to_string())
}

/// A message that was read to its last octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// With the upper bits that OPT has.
    pub(crate) rcode: u16,
    /// The octets of the question section.
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    /// Without OPT.
    pub(crate) additional: Vec<Record>,
    pub(crate) edns: Option<Edns>,
}

impl Message {
    pub(crate) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it, octets behind the last record included.
    pub(crate) fn read(octets: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { octets, at: 0 };
        let mut words = [0; 6];
        for word in &mut words {
            *word = reader.word()?;
        }
        let [id, flags, questions, answers, authorities, additionals] = words;
        for _ in 0..questions {
            reader.name()?;
            reader.take(4)?;
        }
        let question = octets[12..reader.at].to_vec();
        let mut section =
            |count| -> Result<Vec<_>, _> { (0..count).map(|_| reader.record()).collect() };
        let answer = section(answers)?;
        let authority = section(authorities)?;
        let mut additional = section(additionals)?;
        let opts: Vec<Record> = additional
            .extract_if(.., |r| r.rtype == rtype::OPT)
            .collect();
        if reader.at != octets.len() {
            return Err(format!("octets after the end at {}", reader.at));
        }
        if opts.len() > 1 || opts.iter().any(|opt| opt.owner != [0]) {
            return Err("more than one OPT, or one that is not the root's".into());
        }
        let edns = opts
            .into_iter()
            .next()
            .map(|opt| (opt.ttl >> 24, edns(opt)));
        Ok(Self {
            id,
            flags,
            rcode: flags & 0xf | edns.as_ref().map_or(0, |e| (e.0 << 4) as u16),
            question,
            answer,
            authority,
            additional,
            edns: edns.map(|e| e.1),
        })
    }
}

fn edns(opt: Record) -> Edns {
    let [_, version, flags, _] = opt.ttl.to_be_bytes();
    Edns {
        udp_size: opt.class,
        version,
        dnssec_ok: flags & 0x80 != 0,
        options: opt.rdata,
    }
}

struct Reader<'m> {
    octets: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, len: usize) -> Result<&'m [u8], String> {
        let taken = self.octets.get(self.at..self.at + len);
        self.at += len;
        taken.ok_or_else(|| format!("cut short at {}", self.octets.len()))
    }

    fn word(&mut self) -> Result<u16, String> {
        let octets = self.take(2)?;
        Ok(u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// A name in lower case; pointers must lead back, so that they end.
    fn name(&mut self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let (mut before, mut back) = (self.at, None);
        loop {
            let len = usize::from(self.take(1)?[0]);
            if len >= 0xc0 {
                let to = (len & 0x3f) << 8 | usize::from(self.take(1)?[0]);
                if to >= before {
                    return Err(format!("a pointer at {} leads forward", self.at - 2));
                }
                back = back.or(Some(self.at));
                (before, self.at) = (to, to);
                continue;
            }
            if len > 63 {
                return Err(format!("no label at {}", self.at - 1));
            }
            out.push(len as u8);
            out.extend(self.take(len)?.to_ascii_lowercase());
            if len == 0 {
                self.at = back.unwrap_or(self.at);
                return if out.len() > 255 {
                    Err("a name is too long".into())
                } else {
                    Ok(out)
                };
            }
        }
    }

    fn record(&mut self) -> Result<Record, String> {
        let owner = self.name()?;
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
        let len = usize::from(self.word()?);
        let end = self.at + len;
        let rdata = self.rdata(rtype, end)?;
        if self.at != end {
            return Err(format!("the RDATA that ends at {end} is of another length"));
        }
        Ok(Record {
            owner,
            rtype,
            class,
            ttl,
            rdata,
        })
    }

    /// Octets before the names and how many names, for types whose names may be compressed (RFC 3597 4), or whose
    /// letters a server may change (RFC 4034 6.2).
    fn rdata(&mut self, rtype: u16, end: usize) -> Result<Vec<u8>, String> {
        let (before, names) = match rtype {
            2..=5 | 7..=9 | 12 | 39 => (0, 1),
            6 | 14 | 17 => (0, 2),
            15 | 18 | 21 | 36 | 107 => (2, 1),
            33 => (6, 1),
            _ => (0, 0),
        };
        let mut out = self.take(before)?.to_vec();
        for _ in 0..names {
            out.extend(self.name()?);
        }
        let rest = end
            .checked_sub(self.at)
            .ok_or("a name leads out of its RDATA")?;
        out.extend(self.take(rest)?);
        Ok(out)
    }
}
