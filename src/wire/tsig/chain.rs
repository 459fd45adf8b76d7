//! Signing messages that belong together, and taking those of the other side.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use super::{FUDGE, Key, Mac, TIME, Tsig, TsigError, digest, length, timers};
use crate::wire::{HEADER, class};
use crate::zone::{MAX_NAME, rtype};

/// Messages that may follow each other without a signature (RFC 8945 5.3.1).
const UNSIGNED: usize = 99;

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

    /// Sends a message without a signature: the next one covers it.
    #[cfg(test)]
    pub(super) fn leave_out(&mut self, packet: &[u8]) {
        self.open.update(packet);
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
