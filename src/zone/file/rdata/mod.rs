//! RDATA from its presentation form to wire form, and the check of RDATA that was given in wire form (RFC 3597).
//!
//! One table, `layout`, says which fields a type has. Each kind of field knows how to be read (`text`) and how to be
//! checked (`wire`); the kinds with a grammar of their own have a file.

mod apl;
mod bitmap;
mod encoding;
mod hip;
mod ipseckey;
mod layout;
mod loc;
mod number;
mod svcb;
mod text;
mod timestamp;
mod wire;
mod wks;

pub(super) use number::{Duration, duration};
pub(super) use text::unescape;

use super::problem::Problem;
use super::token::{Lexer, Token};
use crate::zone::Name;
use crate::zone::rtype::RecordType;

/// The longest RDATA (RFC 1035 3.2.1: RDLENGTH has 16 bits).
const MAX_RDATA: usize = u16::MAX as usize;

/// One field of a type: what to call it in a message, and how it is written.
struct Slot {
    what: &'static str,
    field: Field,
}

/// Kinds of fields. Those marked "rest" take all that is left of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    U8,
    U16,
    U32,
    /// Seconds, or `1h30m`; 32 bits.
    Time,
    /// `YYYYMMDDHHmmSS` or seconds (RFC 4034 3.2).
    Timestamp,
    Ipv4,
    Ipv6,
    /// One character-string: a length octet and up to 255 octets.
    String,
    OptionalString,
    /// Rest: one character-string or more.
    Strings,
    /// Rest: one string without a length.
    Text,
    /// A character-string of letters and digits (RFC 8659 4.1).
    CaaTag,
    /// Rest, at least one octet.
    Hex,
    /// As `Hex`, of the length that the digest type in the octet before asks for.
    Digest,
    /// Rest, at least one octet.
    Base64,
    /// Hexadecimal after a length octet; `-` for none (RFC 5155 3.3).
    Salt,
    /// Base32 with extended hexadecimal alphabet after a length octet (RFC 5155 3.3).
    OwnerHash,
    /// A type's mnemonic as 16 bits.
    Type,
    /// A DNSSEC algorithm, number or mnemonic.
    Algorithm,
    /// RFC 4398 2.1.
    CertType,
    /// Rest: types as windows of bits (RFC 4034 4.1.2).
    Bitmap,
    /// Rest: types below 128 as bits (RFC 2535 5.2).
    OldBitmap,
    /// So many octets as `00-00-5e-…` (RFC 7043).
    Eui(usize),
    /// 64 bits as `0014:4fff:ff20:ee64` (RFC 6742).
    Ilnp64,
    /// Rest: RFC 1876.
    Loc,
    /// Rest: RFC 3123.
    Apl,
    /// Rest: RFC 9460.
    SvcParams,
    /// Rest: gateway type, algorithm, gateway, key (RFC 4025).
    IpsecKey,
    /// Rest: RFC 8005.
    Hip,
    /// Rest: protocol and ports (RFC 1035 3.4.2).
    Wks,
    /// `0x47.0005…` (RFC 1706).
    Nsap,
}

/// Reads the RDATA of a record of type `rtype` into `out`, which is emptied first. `input` stands after the type; it
/// stands at the end of the record afterwards.
pub(super) fn read(
    rtype: RecordType,
    input: &mut Lexer<'_>,
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    out.clear();
    let start = input.end_span();
    match (layout::layout(rtype.0), input.generic()?) {
        (layout, Some(mark)) => {
            generic(mark, input, out)?;
            let checked = layout.map_or(Ok(()), |slots| wire::check(slots, out));
            checked.map_err(|why| {
                Problem::new(
                    input.span_from(mark.span),
                    format!("not the data of {rtype}: {why}"),
                )
            })?;
        }
        (Some(slots), None) => {
            for slot in slots {
                text::read(slot, input, origin, out)?;
            }
        }
        (None, None) => {
            let problem = Problem::new(start, format!("{rtype} has no text form here"));
            return Err(problem.note("write \\# LENGTH HEXADECIMAL (RFC 3597)"));
        }
    }
    if out.len() > MAX_RDATA {
        return Err(Problem::new(
            input.span_from(start),
            format!("RDATA of {} octets: 65535 at most", out.len()),
        ));
    }
    input.expect_end()
}

/// Whether RDATA that was given as octets is what the type's fields allow; says why not.
pub(super) fn check(rtype: u16, rdata: &[u8]) -> Result<(), String> {
    layout::layout(rtype).map_or(Ok(()), |slots| wire::check(slots, rdata))
}

/// `\# length hex…` (RFC 3597 5); the mark has been read.
fn generic(mark: Token<'_>, input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let token = input.expect("the length of the data")?;
    let length = number::number(token, "the length of the data", u64::from(u16::MAX))?;
    encoding::hex_rest(input, out)?;
    if out.len() as u64 == length {
        return Ok(());
    }
    let message = format!("{} octets are announced, {} are given", length, out.len());
    Err(Problem::new(input.span_from(mark.span), message))
}

#[cfg(test)]
mod tests;
