//! The denial of a type or a name: one NSEC record at the very name that was asked for (RFC 9824).

use crate::zone::{MAX_NAME, rtype};

/// The types at a name, as an NSEC's bitmap says them (RFC 4034 4.1.2). Types above 1023 are left out: nobody may conclude anything from that but
/// that they are not there, so they are taken for there by [`Types::is_said`] and no denial is made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types {
    windows: [[u8; 32]; WINDOWS],
}

/// Windows of 256 types.
const WINDOWS: usize = 4;
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
        if let Some(window) = self.windows.get_mut(usize::from(window)) {
            window[usize::from(at / 8)] |= 0x80 >> (at % 8);
        }
    }

    /// Takes a type away.
    pub fn remove(&mut self, rtype: u16) {
        let [window, at] = rtype.to_be_bytes();
        if let Some(window) = self.windows.get_mut(usize::from(window)) {
            window[usize::from(at / 8)] &= !(0x80 >> (at % 8));
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
        let mut nsec = Nsec {
            octets: [0; MOST],
            len: 0,
        };
        // Where there is no room for one more label, the name after is that with one more octet; such a name is longer than any resolver asks for.
        if owner.len() + 2 <= MAX_NAME {
            nsec.put(&[1, 0]);
        }
        nsec.put(owner);
        for (number, window) in (0..).zip(&self.windows) {
            let Some(last) = window.iter().rposition(|o| *o != 0) else {
                continue;
            };
            let [.., len] = (last + 1).to_be_bytes();
            nsec.put(&[number, len]);
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

impl Nsec {
    fn put(&mut self, octets: &[u8]) {
        self.octets[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }

    /// The octets.
    #[must_use]
    pub fn rdata(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}
