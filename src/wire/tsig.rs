//! Transaction signatures (RFC 8945): a shared key signs a message, and messages that belong together in a chain.
//!
//! ```text
//!   request:   MAC( request | key name, class, TTL, algorithm, time, fudge, error, other )
//!   reply:     MAC( request's MAC | reply | the same )
//!   the next:  MAC( MAC before | messages without one | message | time, fudge )
//! ```

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use super::names::name_at;
use super::{HEADER, class};
use crate::zone::{MAX_NAME, Name, rtype};

/// Seconds that clocks may differ (RFC 8945 10).
pub const FUDGE: u16 = 300;
/// Octets of the longest code.
const LONGEST_MAC: usize = 64;
/// Messages that may follow each other without a signature (RFC 8945 5.3.1).
const UNSIGNED: usize = 99;

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

/// Messages that are signed one after the other: a request and its reply, which may be of many messages.
pub struct Chain<'k> {
    key: &'k Key,
    prior: Option<Mac>,
    /// Whether the next one is the first after the request.
    first: bool,
    /// What follows the last signature.
    open: hmac::Context,
    unsigned: usize,
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {:?}", self.key)
    }
}

impl<'k> Chain<'k> {
    /// That begins with our own request.
    #[must_use]
    pub fn request(key: &'k Key) -> Self {
        Self::after(key, None)
    }

    /// That answers a request with this code.
    #[must_use]
    pub fn reply(key: &'k Key, request: Mac) -> Self {
        Self::after(key, Some(request))
    }

    /// That goes on after a message of our own with this code.
    #[must_use]
    pub fn further(key: &'k Key, before: Mac) -> Self {
        Self {
            first: false,
            ..Self::after(key, Some(before))
        }
    }

    /// The newest code.
    #[must_use]
    pub fn last(&self) -> Option<Mac> {
        self.prior
    }

    fn after(key: &'k Key, prior: Option<Mac>) -> Self {
        let mut chain = Self {
            key,
            prior: None,
            first: true,
            open: hmac::Context::with_key(&key.secret),
            unsigned: 0,
        };
        chain.begin(prior);
        chain
    }

    fn begin(&mut self, prior: Option<Mac>) {
        self.open = hmac::Context::with_key(&self.key.secret);
        if let Some(mac) = prior {
            self.open.update(&length(mac.len));
            self.open.update(mac.get());
        }
        self.prior = prior;
        self.unsigned = 0;
    }

    /// Signs the message in the first `len` octets of `out`, in which there is room; its new length. Where the request
    /// was out of time, `error` says so and when it was signed.
    pub fn sign(
        &mut self,
        out: &mut [u8],
        len: usize,
        now: u64,
        error: Option<(TsigError, u64)>,
    ) -> usize {
        if out.len() < len + self.key.room() || len < HEADER {
            return len;
        }
        let id = [out[0], out[1]];
        let mut context = self.open.clone();
        context.update(&out[..len]);
        let (mut time, mut other) = (now, &[][..]);
        let server = now.to_be_bytes();
        let number = error.map_or(0, |(error, _)| error as u16);
        if let Some((TsigError::BadTime, theirs)) = error {
            (time, other) = (theirs, &server[8 - TIME..]);
        }
        if self.first {
            let said = (number, other);
            self.key.variables(&mut context, (time, FUDGE), said);
        } else {
            timers(&mut context, time, FUDGE);
        }
        let mac = Mac::of(context.sign().as_ref());
        let end = append(
            (out, len),
            (self.key.name.wire(), self.key.algorithm.wire()),
            (time, FUDGE),
            mac.get(),
            id,
            (number, other),
        );
        // A request's code is what its reply begins with, with all the variables.
        self.first = self.prior.is_none();
        self.begin(Some(mac));
        end
    }

    /// Takes a message that answers; `at` is where its signature begins, if it has one. Whether it had.
    ///
    /// # Errors
    /// What is wrong; nothing after it can be trusted.
    pub fn take(
        &mut self,
        packet: &[u8],
        at: Option<usize>,
        now: u64,
    ) -> Result<bool, &'static str> {
        let Some(at) = at else {
            self.unsigned += 1;
            if self.first || self.unsigned > UNSIGNED {
                return Err("it is not signed");
            }
            self.open.update(packet);
            return Ok(false);
        };
        let tsig = Tsig::read(packet, at).ok_or("its signature is malformed")?;
        if !self.key.is_of(&tsig) {
            return Err("it is signed with another key");
        }
        match tsig.error {
            0 => {}
            16 => {
                return Err(
                    "they say that our signature is wrong (BADSIG): are the secrets the same?",
                );
            }
            17 => return Err("they say that they do not have our key (BADKEY)"),
            18 => return Err("they say that our clock is wrong (BADTIME)"),
            _ => return Err("they do not take our signature"),
        }
        let mut context = self.open.clone();
        digest(&mut context, packet, &tsig);
        if self.first {
            let said = (tsig.error, tsig.other);
            self.key
                .variables(&mut context, (tsig.time, tsig.fudge), said);
        } else {
            timers(&mut context, tsig.time, tsig.fudge);
        }
        let tag = context.sign();
        if constant_time::verify_slices_are_equal(tag.as_ref(), tsig.mac).is_err() {
            return Err("its signature is wrong");
        }
        if now.abs_diff(tsig.time) > tsig.fudge.into() {
            return Err("it was signed at another time: one of the clocks is wrong");
        }
        self.first = false;
        self.begin(Some(Mac::of(tsig.mac)));
        Ok(true)
    }
}

/// Appends the record that says why a request is not taken, without a code (RFC 8945 5.3.2); the new length. Where there is no room it
/// is left out.
pub fn refuse(out: &mut [u8], len: usize, tsig: &Tsig<'_>, error: TsigError) -> usize {
    let longest = 2 * MAX_NAME + 26;
    let room = longest.min(tsig.key.wire().len() + tsig.algorithm.wire().len() + 26);
    if out.len() < len + room || len < HEADER {
        return len;
    }
    let id = [out[0], out[1]];
    let names = (tsig.key.wire(), tsig.algorithm.wire());
    let times = (tsig.time, tsig.fudge);
    append((out, len), names, times, &[], id, (error as u16, &[]))
}

/// Appends the record into room that is there.
fn append(
    (out, len): (&mut [u8], usize),
    (key, algorithm): (&[u8], &[u8]),
    (time, fudge): (u64, u16),
    mac: &[u8],
    id: [u8; 2],
    (error, other): (u16, &[u8]),
) -> usize {
    let mut at = len;
    let mut put = |octets: &[u8]| {
        if let Some(room) = out.get_mut(at..at + octets.len()) {
            room.copy_from_slice(octets);
        }
        at += octets.len();
    };
    put(key);
    put(&rtype::TSIG.to_be_bytes());
    put(&class::ANY.to_be_bytes());
    put(&[0; 4]);
    put(&length(algorithm.len() + 16 + mac.len() + other.len()));
    put(algorithm);
    put(&time.to_be_bytes()[8 - TIME..]);
    put(&fudge.to_be_bytes());
    put(&length(mac.len()));
    put(mac);
    put(&id);
    put(&error.to_be_bytes());
    put(&length(other.len()));
    put(other);
    let additional = u16::from_be_bytes([out[10], out[11]]).saturating_add(1);
    out[10..12].copy_from_slice(&additional.to_be_bytes());
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        let name = Name::absolute("Transfer.Example").unwrap();
        Key::new(
            &name,
            Algorithm::Sha256,
            b"a secret of thirty-two octets...",
        )
    }

    /// A question for the SOA of `example`, in a buffer with room.
    fn question() -> (Vec<u8>, usize) {
        let mut out = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x06\0\x01".to_vec();
        let len = out.len();
        out.resize(512, 0);
        (out, len)
    }

    fn signed(now: u64) -> (Vec<u8>, usize) {
        let (key, (mut out, len)) = (key(), question());
        let end = Chain::request(&key).sign(&mut out, len, now, None);
        out.truncate(end);
        (out, len)
    }

    #[test]
    fn hickory_takes_what_we_sign() {
        use hickory_proto::rr::TSigner;
        use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
        let (packet, _) = signed(1_800_000_000);
        let name = hickory_proto::rr::Name::from_ascii("transfer.example.").unwrap();
        let secret = b"a secret of thirty-two octets...".to_vec();
        let theirs = TSigner::new(secret, TsigAlgorithm::HmacSha256, name, 300).unwrap();
        let (_, time, _) = theirs.verify_message_byte(&packet, None, true).unwrap();
        assert_eq!(time, 1_800_000_000);
        let mut other = packet;
        other[14] ^= 1;
        assert!(theirs.verify_message_byte(&other, None, true).is_err());
    }

    #[test]
    fn a_request_is_taken_in_time_and_whole() {
        let (packet, at) = signed(1000);
        let (key, tsig) = (key(), Tsig::read(&packet, at).unwrap());
        assert!(key.is_of(&tsig));
        let error = |packet: &[u8], now| {
            let tsig = Tsig::read(packet, at).unwrap();
            key.verify(packet, &tsig, now).err().map(|e| e.map(|e| e.0))
        };
        assert_eq!(error(&packet, 1000), None);
        assert_eq!(error(&packet, 1300), None);
        assert_eq!(error(&packet, 700), None);
        assert_eq!(error(&packet, 1301), Some(Some(TsigError::BadTime)));
        assert_eq!(error(&packet, 699), Some(Some(TsigError::BadTime)));
        for octet in [2, 13, packet.len() - 8] {
            let mut other = packet.clone();
            other[octet] ^= 1;
            assert_eq!(
                error(&other, 1000),
                Some(Some(TsigError::BadSig)),
                "{octet}"
            );
        }
        assert!(Tsig::read(&packet[..packet.len() - 1], at).is_none());
    }

    /// Cut codes: 16 octets of 32 are well-formed and refused, fewer are malformed.
    #[test]
    fn a_code_is_not_cut() {
        let (packet, at) = signed(1000);
        let whole = Tsig::read(&packet, at).unwrap();
        for (len, error) in [(16, Some(TsigError::BadTrunc)), (15, None), (0, None)] {
            let tsig = Tsig {
                mac: &whole.mac[..len],
                ..whole.clone()
            };
            let found = key().verify(&packet, &tsig, 1000).err().unwrap();
            assert_eq!(found.map(|e| e.0), error, "{len}");
        }
    }

    #[test]
    fn a_chain_holds_together() {
        let key = key();
        let (packet, at) = signed(1000);
        let mut client = Chain::request(&key);
        let (mut out, len) = question();
        client.sign(&mut out, len, 1000, None);
        let tsig = Tsig::read(&packet, at).unwrap();
        let mac = key.verify(&packet, &tsig, 1000).map_err(|_| ()).unwrap();
        let mut server = Chain::reply(&key, mac);
        let mut replies = Vec::new();
        for number in 0..4 {
            let (mut reply, len) = question();
            reply[13] = number;
            let end = server.sign(&mut reply, len, 1001, None);
            reply.truncate(end);
            replies.push((reply, len));
        }
        for (reply, at) in &replies {
            assert_eq!(client.take(reply, Some(*at), 1002), Ok(true));
        }
        // Out of order, or without the first, nothing is taken.
        let mut other = Chain::reply(&key, mac);
        assert!(other.take(&replies[1].0, Some(replies[1].1), 1002).is_err());
        assert!(
            Chain::reply(&key, mac)
                .take(&question().0, None, 1002)
                .is_err()
        );
        // Unsigned messages in between are part of what is signed next.
        let mut client = Chain::reply(&key, mac);
        let mut server = Chain::reply(&key, mac);
        let (mut first, len) = question();
        let end = server.sign(&mut first, len, 1001, None);
        client.take(&first[..end], Some(len), 1001).unwrap();
        let between = question().0;
        server.open.update(&between);
        let (mut last, len) = question();
        let end = server.sign(&mut last, len, 1001, None);
        assert_eq!(client.take(&between, None, 1001), Ok(false));
        assert_eq!(client.take(&last[..end], Some(len), 1001), Ok(true));
    }
}
