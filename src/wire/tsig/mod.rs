//! Transaction signatures (RFC 8945): a shared key signs a message, and messages that belong together in a chain.
//!
//! ```text
//!   request:   MAC( request | key name, class, TTL, algorithm, time, fudge, error, other )
//!   reply:     MAC( request's MAC | reply | the same )
//!   the next:  MAC( MAC before | messages without one | message | time, fudge )
//! ```

mod chain;

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use super::names::name_at;
use super::{HEADER, class};
use crate::zone::{Name, rtype};

pub use chain::{Chain, refuse};

/// Seconds that clocks may differ (RFC 8945 10).
pub const FUDGE: u16 = 300;
/// Octets of the longest code.
const LONGEST_MAC: usize = 64;

/// A hash for codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`.
    Sha256,
    /// `hmac-sha384`.
    Sha384,
    /// `hmac-sha512`.
    Sha512,
}

impl Algorithm {
    /// All of them, each after its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("hmac-sha256", Self::Sha256),
        ("hmac-sha384", Self::Sha384),
        ("hmac-sha512", Self::Sha512),
    ];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"\x0bhmac-sha256\0",
            Self::Sha384 => b"\x0bhmac-sha384\0",
            Self::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Octets of a whole code.
    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A key that two sides share.
pub struct Key {
    /// In lower case.
    name: Name,
    algorithm: Algorithm,
    secret: hmac::Key,
}

/// Not the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.algorithm.word())
    }
}

/// What is wrong with a signature; the number is the error of RFC 8945 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigError {
    /// The code is not that of the message.
    BadSig = 16,
    /// We have no such key, or not with this algorithm.
    BadKey = 17,
    /// The clocks differ by more than the fudge, or the message is an old one.
    BadTime = 18,
    /// The code is cut shorter than we take it.
    BadTrunc = 22,
}

impl fmt::Display for TsigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSig => "BADSIG",
            Self::BadKey => "BADKEY",
            Self::BadTime => "BADTIME",
            Self::BadTrunc => "BADTRUNC",
        })
    }
}

/// A code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac {
    octets: [u8; LONGEST_MAC],
    len: usize,
}

impl Mac {
    fn of(tag: &[u8]) -> Self {
        let mut octets = [0; LONGEST_MAC];
        let len = tag.len().min(LONGEST_MAC);
        octets[..len].copy_from_slice(&tag[..len]);
        Self { octets, len }
    }

    fn get(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// The record that ends a signed message.
#[derive(Clone, Debug)]
pub struct Tsig<'p> {
    /// Where it begins in the message.
    start: usize,
    /// The key's name.
    pub key: Name,
    /// The algorithm's name.
    pub algorithm: Name,
    /// When it was signed, seconds since 1970; 48 bits.
    pub time: u64,
    /// Seconds that clocks may differ.
    pub fudge: u16,
    mac: &'p [u8],
    original_id: u16,
    /// 0, or a [`TsigError`].
    pub error: u16,
    other: &'p [u8],
}

impl<'p> Tsig<'p> {
    /// Reads the record that begins at `start`; none is an answer of FORMERR.
    #[must_use]
    pub fn read(packet: &'p [u8], start: usize) -> Option<Self> {
        // It is one of the additional records, so that there are some.
        if packet.get(10..HEADER)? == [0, 0] {
            return None;
        }
        let (key, mut at) = name_at(packet, start)?;
        let mut take = |len: usize| {
            let taken = packet.get(at..at.checked_add(len)?)?;
            at += len;
            Some(taken)
        };
        let number = |octets: &[u8]| octets.iter().fold(0, |n: u64, o| n << 8 | u64::from(*o));
        let head = number(take(8)?);
        // Type, class ANY, TTL 0 (RFC 8945 4.2).
        if head != u64::from(rtype::TSIG) << 48 | u64::from(class::ANY) << 32 {
            return None;
        }
        let len = usize::try_from(number(take(2)?)).ok()?;
        let rdata = take(len)?;
        let whole = at == packet.len();
        // Its own names are not compressed.
        let algorithm = Name::from_wire(rdata).ok()?;
        let mut at = algorithm.wire().len();
        let mut take = |len: usize| {
            let taken = rdata.get(at..at.checked_add(len)?)?;
            at += len;
            Some(taken)
        };
        let time = number(take(6)?);
        let fudge = u16::try_from(number(take(2)?)).ok()?;
        let len = usize::try_from(number(take(2)?)).ok()?;
        let mac = take(len)?;
        let original_id = u16::try_from(number(take(2)?)).ok()?;
        let error = u16::try_from(number(take(2)?)).ok()?;
        let len = usize::try_from(number(take(2)?)).ok()?;
        let other = take(len)?;
        (whole && at == rdata.len()).then_some(Self {
            start,
            key,
            algorithm,
            time,
            fudge,
            mac,
            original_id,
            error,
            other,
        })
    }
}

impl Key {
    /// A key of this name.
    #[must_use]
    pub fn new(name: &Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self {
            name: name.to_lower(),
            algorithm,
            secret: hmac::Key::new(algorithm.hmac(), secret),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether a message says that it is signed with this.
    #[must_use]
    pub fn is_of(&self, tsig: &Tsig<'_>) -> bool {
        self.name == tsig.key
            && self
                .algorithm
                .wire()
                .eq_ignore_ascii_case(tsig.algorithm.wire())
    }

    /// Octets of our signature in a message, the longest there is.
    #[must_use]
    pub fn room(&self) -> usize {
        let (name, algorithm) = (self.name.wire().len(), self.algorithm.wire().len());
        name + 10 + algorithm + 10 + self.algorithm.len() + 6 + TIME
    }

    /// Checks a request that was signed with this key; the code, which the reply's begins with.
    ///
    /// # Errors
    /// None: the message is malformed (RFC 8945 5.2.2.1). Some: why it is not taken.
    pub fn verify(
        &self,
        packet: &[u8],
        tsig: &Tsig<'_>,
        now: u64,
    ) -> Result<Mac, Option<(TsigError, Mac)>> {
        let (whole, len) = (self.algorithm.len(), tsig.mac.len());
        if len > whole || len < (whole / 2).max(10) {
            return Err(None);
        }
        let mut context = hmac::Context::with_key(&self.secret);
        digest(&mut context, packet, tsig);
        self.variables(
            &mut context,
            (tsig.time, tsig.fudge),
            (tsig.error, tsig.other),
        );
        let tag = context.sign();
        let mac = Mac::of(tsig.mac);
        if constant_time::verify_slices_are_equal(&tag.as_ref()[..len], tsig.mac).is_err() {
            return Err(Some((TsigError::BadSig, mac)));
        }
        if now.abs_diff(tsig.time) > tsig.fudge.into() {
            return Err(Some((TsigError::BadTime, mac)));
        }
        // Nobody who has HMAC-SHA-2 needs to cut it.
        if len < whole {
            return Err(Some((TsigError::BadTrunc, mac)));
        }
        Ok(mac)
    }

    fn variables(
        &self,
        context: &mut hmac::Context,
        (time, fudge): (u64, u16),
        (error, other): (u16, &[u8]),
    ) {
        context.update(self.name.wire());
        let [a0, a1] = class::ANY.to_be_bytes();
        context.update(&[a0, a1, 0, 0, 0, 0]);
        context.update(self.algorithm.wire());
        timers(context, time, fudge);
        context.update(&error.to_be_bytes());
        context.update(&length(other.len()));
        context.update(other);
    }
}

/// Octets of a time.
const TIME: usize = 6;

fn timers(context: &mut hmac::Context, time: u64, fudge: u16) {
    context.update(&time.to_be_bytes()[8 - TIME..]);
    context.update(&fudge.to_be_bytes());
}

/// The message as it was signed: its own number, and without the signature.
fn digest(context: &mut hmac::Context, packet: &[u8], tsig: &Tsig<'_>) {
    context.update(&tsig.original_id.to_be_bytes());
    let mut counts = [0; HEADER - 2];
    counts.copy_from_slice(&packet[2..HEADER]);
    let additional = u16::from_be_bytes([counts[8], counts[9]]).saturating_sub(1);
    counts[8..].copy_from_slice(&additional.to_be_bytes());
    context.update(&counts);
    context.update(&packet[HEADER..tsig.start]);
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests;
