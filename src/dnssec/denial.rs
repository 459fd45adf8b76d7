//! The denial of a type or a name: one NSEC record at the very name that was asked for (RFC 9824).

use crate::zone::{MAX_LABEL, MAX_NAME, rtype};

/// The types at a name, as an NSEC's bitmap says them (RFC 4034 4.1.2): windows of 256 types, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types {
    windows: [(u8, [u8; 32]); WINDOWS],
    used: usize,
}

/// Registered types lie in four windows, private ones in one; a name with types in more is none that anybody has seen.
const WINDOWS: usize = 8;
/// The most octets of an NSEC's RDATA here.
const MOST: usize = 2 + MAX_NAME + WINDOWS * 34;

impl Types {
    /// A name that is not there: nothing but the word for that, and what every denial has.
    #[must_use]
    pub fn none_such() -> Self {
        let mut types = Self::default();
        types.add(rtype::NXNAME);
        types.sign();
        types
    }

    /// Adds a type.
    pub fn add(&mut self, rtype: u16) {
        let [window, at] = rtype.to_be_bytes();
        let used = &self.windows[..self.used];
        let place = match used.binary_search_by_key(&window, |w| w.0) {
            Ok(place) => place,
            Err(_) if self.used == WINDOWS => return,
            Err(place) => {
                self.windows.copy_within(place..self.used, place + 1);
                self.windows[place] = (window, [0; 32]);
                self.used += 1;
                place
            }
        };
        self.windows[place].1[usize::from(at / 8)] |= 0x80 >> (at % 8);
    }

    /// Takes a type away.
    pub fn remove(&mut self, rtype: u16) {
        let [window, at] = rtype.to_be_bytes();
        let mut windows = self.windows[..self.used].iter_mut();
        if let Some((_, bits)) = windows.find(|w| w.0 == window) {
            bits[usize::from(at / 8)] &= !(0x80 >> (at % 8));
        }
    }

    /// Adds those of the NSEC itself.
    pub fn sign(&mut self) {
        self.add(rtype::RRSIG);
        self.add(rtype::NSEC);
    }

    /// The RDATA of the NSEC at a name, and how long it is: the next name is the very next that there could be.
    #[must_use]
    pub fn nsec(&self, owner: &[u8]) -> Nsec {
        let mut nsec = Nsec::default();
        nsec.put_next(owner);
        self.put(nsec)
    }

    /// The RDATA of an NSEC whose next name is `next`.
    #[must_use]
    pub fn nsec_before(&self, next: &[u8]) -> Nsec {
        let mut nsec = Nsec::default();
        nsec.put(next);
        self.put(nsec)
    }

    fn put(&self, mut nsec: Nsec) -> Nsec {
        for (number, window) in &self.windows[..self.used] {
            let Some(last) = window.iter().rposition(|o| *o != 0) else {
                continue;
            };
            let [.., len] = (last + 1).to_be_bytes();
            nsec.put(&[*number, len]);
            nsec.put(&window[..=last]);
        }
        nsec
    }
}

/// RDATA of an NSEC.
#[derive(Clone, Copy, Debug)]
pub struct Nsec {
    octets: [u8; MOST],
    len: usize,
}

impl Default for Nsec {
    fn default() -> Self {
        Self {
            octets: [0; MOST],
            len: 0,
        }
    }
}

impl Nsec {
    fn put(&mut self, octets: &[u8]) {
        self.octets[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }

    /// The very next name that there could be (RFC 4471 3.1.1): one more label before it if that fits, or one more octet, or a higher one.
    /// Never the name itself, which would say that the zone has no other.
    fn put_next(&mut self, owner: &[u8]) {
        let len = usize::from(owner[0]);
        if owner.len() + 2 <= MAX_NAME || len == 0 {
            self.put(&[1, 0]);
            return self.put(owner);
        }
        let (label, parent) = owner[1..].split_at(len);
        if owner.len() < MAX_NAME && len < MAX_LABEL {
            self.put(&[owner[0] + 1]);
            self.put(label);
            self.put(&[0]);
            return self.put(parent);
        }
        self.put_higher(owner);
    }

    /// The name with a higher octet at the end of its first label, or of one above where there is none.
    fn put_higher(&mut self, owner: &[u8]) {
        let len = usize::from(owner[0]);
        let (label, parent) = owner[1..].split_at(len);
        match label.iter().rposition(|octet| *octet != u8::MAX) {
            Some(last) => {
                self.put(&[owner[0] - u8::try_from(len - last - 1).unwrap_or(0)]);
                self.put(&label[..last]);
                self.put(&[after(label[last])]);
                self.put(parent);
            }
            None if len > 0 => self.put_higher(parent),
            None => self.put(&[0]),
        }
    }

    /// The octets.
    #[must_use]
    pub fn rdata(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// The octet after one that is not the last; there are no capital letters (RFC 4471 3.2).
fn after(octet: u8) -> u8 {
    match octet + 1 {
        b'A'..=b'Z' => b'Z' + 1,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name of so many octets: labels of these octets, as long as there is room.
    fn name(octets: usize, first: &[u8]) -> Vec<u8> {
        let mut parent = vec![0];
        while parent.len() + first.len() + 1 < octets {
            let len = (octets - parent.len() - first.len() - 2).clamp(1, MAX_LABEL);
            parent = [
                &[u8::try_from(len).expect("a label")][..],
                &vec![b'x'; len],
                &parent,
            ]
            .concat();
        }
        [
            &[u8::try_from(first.len()).expect("a label")],
            first,
            &parent[..],
        ]
        .concat()
    }

    /// Labels from the top down: what names are ordered by (RFC 4034 6.1).
    fn key(wire: &[u8]) -> Vec<Vec<u8>> {
        let mut labels: Vec<Vec<u8>> = crate::zone::labels(wire).map(<[u8]>::to_vec).collect();
        labels.reverse();
        labels
    }

    #[test]
    fn the_next_name_is_another_and_valid_whatever_the_length() {
        let high = [u8::MAX; 63];
        for octets in 240..=MAX_NAME {
            for first in [&b"a"[..], b"@", b"az", &[b'q', u8::MAX], &high, &[b'x'; 63]] {
                let owner = name(octets, first);
                if owner.len() != octets {
                    continue;
                }
                let nsec = Types::none_such().nsec(&owner);
                let types = Types::none_such().nsec(b"\0").rdata()[3..].to_vec();
                let next = nsec
                    .rdata()
                    .strip_suffix(&types[..])
                    .expect("the types are last");
                crate::zone::Name::from_wire(next).expect("a name");
                assert!(key(next) > key(&owner), "{octets} {first:?}: {next:?}");
            }
        }
    }

    #[test]
    fn no_name_lies_between_one_and_the_next() {
        let next = |owner: &[u8]| {
            let mut nsec = Nsec::default();
            nsec.put_next(owner);
            nsec.rdata().to_vec()
        };
        assert_eq!(next(b"\x01a\0"), b"\x01\0\x01a\0");
        let full = name(MAX_NAME, b"ab");
        assert_eq!(next(&full)[..3], *b"\x02ac");
        let full = name(MAX_NAME, b"a@");
        assert_eq!(next(&full)[..3], *b"\x02a[");
        let full = name(MAX_NAME, &[b'a', u8::MAX]);
        assert_eq!(next(&full)[..2], *b"\x01b");
        let one_left = name(MAX_NAME - 1, b"ab");
        assert_eq!(next(&one_left)[..4], *b"\x03ab\0");
    }
}
