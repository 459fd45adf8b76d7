//! The pseudo-record OPT (RFC 6891): what a query says in it, and ours.

use super::Ecs;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'p> {
    /// Octets that the asker takes by UDP.
    pub udp_size: u16,
    /// Version; only 0 exists.
    pub version: u8,
    /// Whether DNSSEC records are wanted; echoed (RFC 3225 3).
    pub dnssec_ok: bool,
    /// Whether a compact denial may have the response code NXDOMAIN (RFC 9824 5.1).
    pub compact_ok: bool,
    /// The client's block.
    pub ecs: Option<Ecs<'p>>,
    /// Whether the name server's identity is asked for (RFC 5001).
    pub nsid: bool,
    /// Whether the asker knows that connections may stay open (RFC 7828).
    pub keepalive: bool,
    /// Whether the reply's length is to say nothing (RFC 7830).
    pub padding: bool,
    /// The client's cookie, perhaps with ours behind it (RFC 7873).
    pub cookie: Option<&'p [u8]>,
}

/// What is wrong with an OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdnsError {
    /// The options do not fill the record, or one breaks its own form.
    Options,
}

const NSID: u16 = 3;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// Replies are padded to a multiple of so many octets (RFC 8467 4.1).
pub const BLOCK: usize = 468;
static ZEROS: [u8; BLOCK] = [0; BLOCK];
const COOKIE: u16 = 10;

impl<'p> Edns<'p> {
    /// Octets of a reply's OPT without options.
    pub const FIXED: usize = 11;

    /// Reads the fixed fields and the options. Options we do not know are passed over (RFC 6891 6.1.2).
    ///
    /// # Errors
    /// [`EdnsError`] where a reply of FORMERR is due. An unknown version is no error here: its options are not read.
    pub fn parse(class: u16, ttl: u32, mut options: &'p [u8]) -> Result<Self, EdnsError> {
        let [_, version, flags, _] = ttl.to_be_bytes();
        let mut edns = Self {
            udp_size: class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            compact_ok: flags & 0x40 != 0,
            ecs: None,
            nsid: false,
            keepalive: false,
            padding: false,
            cookie: None,
        };
        while version == 0 && !options.is_empty() {
            let ([c0, c1, l0, l1], rest) = options.split_first_chunk().ok_or(EdnsError::Options)?;
            let len = usize::from(u16::from_be_bytes([*l0, *l1]));
            let (data, rest) = rest.split_at_checked(len).ok_or(EdnsError::Options)?;
            match u16::from_be_bytes([*c0, *c1]) {
                Ecs::CODE if edns.ecs.is_some() => return Err(EdnsError::Options),
                Ecs::CODE => edns.ecs = Some(Ecs::parse(data).ok_or(EdnsError::Options)?),
                NSID => edns.nsid = true,
                KEEPALIVE => edns.keepalive = true,
                PADDING => edns.padding = true,
                // RFC 7873 4, 5.2.2: of several the first.
                COOKIE => match data.len() {
                    8 | 16..=40 => edns.cookie = edns.cookie.or(Some(data)),
                    _ => return Err(EdnsError::Options),
                },
                _ => {}
            }
            options = rest;
        }
        Ok(edns)
    }
}

/// Why an answer is as it is (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// The info code.
    pub code: u16,
    /// For people; at most [`ExtendedError::LONGEST`] octets.
    pub text: &'static str,
}

impl ExtendedError {
    /// The longest text, so that its room can be kept before it is known whether there will be one.
    pub const LONGEST: usize = 24;
    /// Octets of the longest option.
    pub const ROOM: usize = 6 + Self::LONGEST;

    /// No node is in service, and the pool's policy answers all the same.
    pub const FAIL_OPEN: Self = Self {
        code: 0,
        text: "no node in service",
    };
    /// No node is in service, and the pool's policy is to say nothing.
    pub const NONE_LEFT: Self = Self {
        code: 22,
        text: "no node in service",
    };
    /// The zone is not ours.
    pub const NOT_AUTHORITATIVE: Self = Self { code: 20, text: "" };
    /// That is not offered.
    pub const NOT_SUPPORTED: Self = Self { code: 21, text: "" };
    /// It is not there yet, or not any more.
    pub const NOT_READY: Self = Self { code: 14, text: "" };
    /// It will be signed in a second.
    pub const BUSY: Self = Self {
        code: 14,
        text: "too much to sign",
    };
    /// Nothing has this type.
    pub const INVALID_TYPE: Self = Self { code: 30, text: "" };
    /// Not for you.
    pub const PROHIBITED: Self = Self { code: 18, text: "" };
}

/// The OPT record of a reply.
#[derive(Clone, Copy, Debug)]
pub struct Opt<'a> {
    /// Octets that we take by UDP.
    pub udp_size: u16,
    /// Echoed.
    pub dnssec_ok: bool,
    /// Echoed where denial is compact.
    pub compact_ok: bool,
    /// The client's block, for its echo.
    pub ecs: Option<Ecs<'a>>,
    /// The scope to say with it.
    pub scope: u8,
    /// This name server's identity, if it was asked for.
    pub nsid: Option<&'a [u8]>,
    /// The client's cookie and ours.
    pub cookie: Option<&'a [u8; super::COOKIE]>,
    /// Why the answer is as it is.
    pub error: Option<ExtendedError>,
    /// How long the connection may be idle, in tenths of a second (RFC 7828).
    pub keepalive: Option<u16>,
    /// Whether zeros fill the reply up to a multiple of [`BLOCK`], as far as there is room.
    pub padded: bool,
}

impl Opt<'_> {
    /// One that says nothing but how much we take by UDP.
    #[must_use]
    pub fn bare(udp_size: u16) -> Self {
        Self {
            udp_size,
            dnssec_ok: false,
            compact_ok: false,
            ecs: None,
            scope: 0,
            nsid: None,
            cookie: None,
            error: None,
            keepalive: None,
            padded: false,
        }
    }

    /// Octets to keep for this record, whichever extended error it will have.
    #[must_use]
    pub fn room(&self) -> usize {
        Edns::FIXED
            + self.ecs.map_or(0, |e| e.room())
            + self.nsid.map_or(0, |id| 4 + id.len())
            + self.keepalive.map_or(0, |_| 6)
            + if self.padded { 4 } else { 0 }
            + self.cookie.map_or(0, |cookie| 4 + cookie.len())
            + ExtendedError::ROOM
    }

    /// The record in wire form but for its padding, handed to `out` in pieces; `rcode` gives its upper bits. Its length is left for
    /// whoever knows how much that was.
    #[inline]
    pub(super) fn write(&self, rcode: u16, mut out: impl FnMut(&[u8])) {
        let [s0, s1] = self.udp_size.to_be_bytes();
        let [upper, _] = (rcode << 4).to_be_bytes();
        let flags = if self.dnssec_ok { 0x80 } else { 0 } | if self.compact_ok { 0x40 } else { 0 };
        out(&[0, 0, 41, s0, s1, upper, 0, flags, 0, 0, 0]);
        if let Some(id) = self.nsid {
            out(&NSID.to_be_bytes());
            out(&length(id.len()));
            out(id);
        }
        if let Some(ecs) = self.ecs {
            let (head, addr) = ecs.reply(self.scope);
            out(&head);
            out(addr);
        }
        if let Some(cookie) = self.cookie {
            out(&COOKIE.to_be_bytes());
            out(&length(cookie.len()));
            out(cookie);
        }
        if let Some(error) = self.error {
            let [c0, c1] = error.code.to_be_bytes();
            let [l0, l1] = length(2 + error.text.len());
            out(&[0, 15, l0, l1, c0, c1]);
            out(error.text.as_bytes());
        }
        if let Some(tenths) = self.keepalive {
            let [t0, t1] = tenths.to_be_bytes();
            out(&[0, 11, 0, 2, t0, t1]);
        }
    }
}

/// The option that fills a reply of so many octets, of at most `limit`, up to a multiple of [`BLOCK`] as far as there is room; handed to `out` in pieces.
#[cold]
pub(super) fn pad(at: usize, limit: usize, mut out: impl FnMut(&[u8])) {
    let bare = at + 4;
    let zeros = bare.next_multiple_of(BLOCK).min(limit).saturating_sub(bare);
    let [l0, l1] = length(zeros);
    out(&[0, 12, l0, l1]);
    out(ZEROS.get(..zeros).unwrap_or_default());
}

/// Options stay far below 64 KiB: NSID is cut by the configuration, the others have fixed sizes.
pub(super) fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let options = [
            &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[0, 3, 0, 0],
            &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2],
        ]
        .concat();
        let edns = Edns::parse(4096, 0x0000_8000, &options).expect("well-formed");
        assert!(edns.nsid && edns.dnssec_ok && edns.ecs.is_some());
        assert_eq!(edns.udp_size, 4096);
    }

    #[test]
    fn broken_options_are_errors_in_version_0_only() {
        for options in [
            &[0][..],
            &[0, 3, 0],
            &[0, 3, 0, 1],
            &[0, 8, 0, 4, 0, 1, 24, 0],
        ] {
            assert_eq!(
                Edns::parse(512, 0, options),
                Err(EdnsError::Options),
                "{options:?}"
            );
            assert!(Edns::parse(512, 0x0001_0000, options).is_ok());
        }
    }
}
