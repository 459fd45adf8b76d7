//! Writes a reply into a buffer: names compressed, sets of records whole or not at all, room kept for OPT.

use super::{Edns, HEADER, Opt, edns, flag};
use crate::zone::{Rrset, rtype};

/// Where a record's owner stands in the message already, or the name itself.
#[derive(Clone, Copy, Debug)]
pub enum Place<'n> {
    /// The question's name.
    Question,
    /// This name in wire form.
    Name(&'n [u8]),
}

/// Names that later ones may point to: enough for any answer that is not absurd, small enough to search.
const REMEMBERED: usize = 64;

/// Where name suffixes stand in a reply: lent to its writer, so that nobody clears it for each question.
#[derive(Clone, Debug)]
pub struct Suffixes {
    /// Hash and place.
    list: [(u32, u16); REMEMBERED],
    count: usize,
    /// Whether names whose letters differ in case are others.
    exact: bool,
}

impl Default for Suffixes {
    fn default() -> Self {
        Self {
            list: [(0, 0); REMEMBERED],
            count: 0,
            exact: false,
        }
    }
}

impl Suffixes {
    /// For replies in which each name keeps its letters (RFC 5936 3.4).
    #[must_use]
    pub fn exact() -> Self {
        Self {
            exact: true,
            ..Self::default()
        }
    }
}

/// A reply that is being written.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut [u8],
    at: usize,
    /// Nothing but OPT is written beyond this.
    limit: usize,
    counts: [u16; 4],
    suffixes: &'b mut Suffixes,
}

/// The section that records go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer = 1,
    /// Who is responsible.
    Authority = 2,
    /// Addresses that save a question.
    Additional = 3,
}

/// The room is used up; nothing of the set was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<'b> Writer<'b> {
    /// A reply in `out`, at most `limit` octets long, of which `reserved` are kept for OPT.
    /// `out` holds at least [`HEADER`] octets.
    pub fn new(
        out: &'b mut [u8],
        suffixes: &'b mut Suffixes,
        limit: usize,
        reserved: usize,
    ) -> Self {
        suffixes.count = 0;
        let limit = limit.min(out.len()).saturating_sub(reserved).max(HEADER);
        Self {
            out,
            at: HEADER,
            limit,
            counts: [0; 4],
            suffixes,
        }
    }

    /// Copies the question's octets, letters and all.
    ///
    /// # Errors
    /// [`Full`] if it does not fit: it is left out, and no record can have its name.
    pub fn question(&mut self, octets: &[u8]) -> Result<(), Full> {
        self.put(octets)?;
        self.counts[0] = 1;
        Ok(())
    }

    /// Appends a whole set of records, or nothing.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn rrset(
        &mut self,
        section: Section,
        owner: Place<'_>,
        set: &Rrset<'_>,
        ttl: u32,
    ) -> Result<(), Full> {
        let mark = self.mark();
        for rdata in set.rdata() {
            if self
                .record(section, owner, set.rtype, ttl, |w| {
                    w.rdata(set.rtype, rdata)
                })
                .is_err()
            {
                self.back_to(mark);
                return Err(Full);
            }
        }
        Ok(())
    }

    /// Appends one record whose RDATA `write` appends.
    ///
    /// # Errors
    /// [`Full`] if it does not fit; nothing of it is written then.
    pub fn record(
        &mut self,
        section: Section,
        owner: Place<'_>,
        rtype: u16,
        ttl: u32,
        write: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let (at, remembered) = (self.at, self.suffixes.count);
        let written = self.put_record(section, owner, (rtype, ttl), write);
        if written.is_err() {
            (self.at, self.suffixes.count) = (at, remembered);
        }
        written
    }

    #[inline]
    fn put_record(
        &mut self,
        section: Section,
        owner: Place<'_>,
        (rtype, ttl): (u16, u32),
        write: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        // A reader finds sections by counting: what is written behind another section would be taken for that one's.
        let later = &self.counts[section as usize + 1..];
        debug_assert!(later.iter().all(|count| *count == 0), "{section:?} is over");
        let [r0, r1] = rtype.to_be_bytes();
        let [c0, c1] = super::class::IN.to_be_bytes();
        let [t0, t1, t2, t3] = ttl.to_be_bytes();
        match owner {
            Place::Question => self.put(&[0xc0, 0x0c, r0, r1, c0, c1, t0, t1, t2, t3, 0, 0])?,
            Place::Name(name) => {
                self.name(name)?;
                self.put(&[r0, r1, c0, c1, t0, t1, t2, t3, 0, 0])?;
            }
        }
        let start = self.at;
        write(self)?;
        let len = u16::try_from(self.at - start).map_err(|_| Full)?;
        self.out[start - 2..start].copy_from_slice(&len.to_be_bytes());
        let count = &mut self.counts[section as usize];
        *count = count.checked_add(1).ok_or(Full)?;
        Ok(())
    }

    /// Appends octets.
    ///
    /// # Errors
    /// [`Full`] if they do not fit.
    #[inline]
    pub fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let end = self.at + octets.len();
        if end > self.limit {
            return Err(Full);
        }
        self.out[self.at..end].copy_from_slice(octets);
        self.at = end;
        Ok(())
    }

    /// Appends RDATA of the types whose names RFC 1035 allows to be compressed (RFC 3597 4), others as they are.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    #[inline]
    pub fn rdata(&mut self, rtype: u16, rdata: &[u8]) -> Result<(), Full> {
        match rtype {
            rtype::NS
            | rtype::CNAME
            | rtype::PTR
            | rtype::MB..=rtype::MR
            | rtype::MD
            | rtype::MF => self.name(rdata),
            rtype::MX => {
                self.put(rdata.get(..2).ok_or(Full)?)?;
                self.name(rdata.get(2..).ok_or(Full)?)
            }
            rtype::SOA | rtype::MINFO => {
                let first = name_len(rdata).ok_or(Full)?;
                self.name(&rdata[..first])?;
                let rest = &rdata[first..];
                let second = name_len(rest).ok_or(Full)?;
                self.name(&rest[..second])?;
                self.put(&rest[second..])
            }
            _ => self.put(rdata),
        }
    }

    /// Gives the SOA that was written last another serial (RFC 1035 3.3.13).
    pub fn serial(&mut self, serial: u32) {
        if let Some(at) = self.at.checked_sub(20) {
            self.out[at..at + 4].copy_from_slice(&serial.to_be_bytes());
        }
    }

    /// Appends a name, the longest suffix that stands in the message already as a pointer.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn name(&mut self, name: &[u8]) -> Result<(), Full> {
        if self.suffixes.count == 0 && self.counts[0] == 1 {
            self.remember_question();
        }
        let (start, mut skip) = (self.at, 0);
        while name[skip] != 0 {
            if let Some(at) = self.known(&name[skip..]) {
                self.put(&name[..skip])?;
                self.put(&(0xc000 | at).to_be_bytes())?;
                self.remember(name, skip, start);
                return Ok(());
            }
            skip += 1 + usize::from(name[skip]);
        }
        self.put(&name[..=skip])?;
        self.remember(name, skip, start);
        Ok(())
    }

    /// Remembers the suffixes of a name that begin before `end`.
    fn remember(&mut self, name: &[u8], end: usize, at: usize) {
        let mut skip = 0;
        while skip < end && self.suffixes.count < REMEMBERED {
            // Pointers have 14 bits.
            let Ok(place @ ..0x4000) = u16::try_from(at + skip) else {
                return;
            };
            self.suffixes.list[self.suffixes.count] = (fingerprint(&name[skip..]), place);
            self.suffixes.count += 1;
            skip += 1 + usize::from(name[skip]);
        }
    }

    /// Only now, as most answers write no name at all.
    fn remember_question(&mut self) {
        let mut at = HEADER;
        while self.out[at] != 0 && self.suffixes.count < REMEMBERED {
            let len = name_len(&self.out[at..]).unwrap_or(0);
            let print = fingerprint(&self.out[at..at + len]);
            // The question ends below octet 280.
            self.suffixes.list[self.suffixes.count] = (print, u16::try_from(at).unwrap_or(0));
            self.suffixes.count += 1;
            at += 1 + usize::from(self.out[at]);
        }
    }

    fn known(&self, suffix: &[u8]) -> Option<u16> {
        let print = fingerprint(suffix);
        let (_, at) = self.suffixes.list[..self.suffixes.count]
            .iter()
            .find(|(p, at)| *p == print && self.stands(usize::from(*at), suffix))?;
        if self.suffixes.exact && !self.stands_by((*at).into(), suffix, |a, b| a == b) {
            return None;
        }
        Some(*at)
    }

    /// Where the owner of a record that comes next will stand in the message.
    #[must_use]
    pub fn place(&self, owner: Place<'_>) -> usize {
        match owner {
            Place::Question => HEADER,
            Place::Name(_) => self.at,
        }
    }

    /// Whether the name that begins at `at` in the message is `name`, letters' case aside.
    #[must_use]
    pub fn stands(&self, at: usize, name: &[u8]) -> bool {
        self.stands_by(at, name, <[u8]>::eq_ignore_ascii_case)
    }

    #[inline]
    fn stands_by(&self, mut at: usize, name: &[u8], same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let mut skip = 0;
        loop {
            match self.out[at] {
                high @ 192.. => {
                    let to = usize::from(high & 0x3f) << 8 | usize::from(self.out[at + 1]);
                    // Names point back, so this ends.
                    if to >= at {
                        return false;
                    }
                    at = to;
                }
                0 => return name[skip] == 0,
                len => {
                    let end = usize::from(len) + 1;
                    let Some(label) = name.get(skip..skip + end) else {
                        return false;
                    };
                    if !same(&self.out[at..at + end], label) {
                        return false;
                    }
                    at += end;
                    skip += end;
                }
            }
        }
    }

    /// Where the reply stands, to come back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            at: self.at,
            counts: self.counts,
            remembered: self.suffixes.count,
        }
    }

    /// The records that were written since, as type, TTL and RDATA; what is in the RDATA may be compressed.
    pub fn since(&self, mark: &Mark) -> impl Iterator<Item = (u16, u32, &[u8])> {
        let mut rest = &self.out[mark.at..self.at];
        std::iter::from_fn(move || {
            let mut name = 0;
            loop {
                match *rest.get(name)? {
                    0 => break name += 1,
                    192.. => break name += 2,
                    len => name += 1 + usize::from(len),
                }
            }
            let (head, tail) = rest.get(name..)?.split_first_chunk::<10>()?;
            let [r0, r1, _, _, t0, t1, t2, t3, l0, l1] = *head;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let (rdata, tail) = tail.split_at_checked(len)?;
            rest = tail;
            let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
            Some((u16::from_be_bytes([r0, r1]), ttl, rdata))
        })
    }

    /// Forgets what was written since.
    pub fn back_to(&mut self, mark: Mark) {
        (self.at, self.counts, self.suffixes.count) = (mark.at, mark.counts, mark.remembered);
    }

    /// Appends OPT into the room kept for it.
    pub fn opt(&mut self, opt: &Opt<'_>, rcode: u16) {
        let start = self.at;
        opt.write(rcode, |octets| self.put_last(octets));
        if opt.padded {
            let limit = self.limit + opt.room();
            edns::pad(self.at, limit.min(self.out.len()), |octets| {
                self.put_last(octets);
            });
        }
        let options = (self.at - start).saturating_sub(Edns::FIXED);
        if let Some(len) = self
            .out
            .get_mut(start + Edns::FIXED - 2..start + Edns::FIXED)
        {
            len.copy_from_slice(&edns::length(options));
        }
        self.counts[Section::Additional as usize] += 1;
    }

    /// Appends octets to what nothing else follows, if there is room at all.
    #[inline]
    fn put_last(&mut self, octets: &[u8]) {
        if let Some(room) = self.out.get_mut(self.at..self.at + octets.len()) {
            room.copy_from_slice(octets);
            self.at += octets.len();
        }
    }

    /// Writes the header; the reply's length in octets.
    #[must_use]
    pub fn finish(self, id: u16, flags: u16, rcode: u16) -> usize {
        let words = [
            id,
            flags | flag::QR | (rcode & 0xf),
            self.counts[0],
            self.counts[1],
            self.counts[2],
            self.counts[3],
        ];
        for (slot, word) in self.out[..HEADER].chunks_exact_mut(2).zip(words) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        self.at
    }
}

/// A point in a reply.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: usize,
    counts: [u16; 4],
    remembered: usize,
}

/// Octets of the uncompressed name at the start of `wire`.
fn name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            len => at += 1 + usize::from(len),
        }
    }
}

/// A number that equal names share, whatever their letters' case; that unlike names share it too is found out by comparing.
#[expect(clippy::cast_possible_truncation, reason = "half a hash is enough")]
fn fingerprint(name: &[u8]) -> u32 {
    // The bit that letters differ by; in other octets it only makes a few more alike.
    const CASE: u64 = 0x2020_2020_2020_2020;
    let fold = |print: u64, word: u64| {
        let product = u128::from(print ^ (word | CASE)) * 0xa076_1d64_78bd_642f_u128;
        (product >> 64) as u64 ^ product as u64
    };
    let (words, rest) = name.as_chunks();
    let mut print = name.len() as u64;
    for word in words {
        print = fold(print, u64::from_le_bytes(*word));
    }
    // The last eight octets once more where the name is long enough: one step instead of up to seven.
    let last = name.last_chunk().map_or_else(
        || rest.iter().fold(0, |word, o| word << 8 | u64::from(*o)),
        |word| u64::from_le_bytes(*word),
    );
    fold(print, last) as u32
}
