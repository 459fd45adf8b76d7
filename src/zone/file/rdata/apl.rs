//! Lists of address prefixes (RFC 3123).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::number::digits;
use super::text::address;
use super::wire::Cursor;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::{Lexer, Token};

/// `[!]family:address/prefix` to the end of the record; none is a list too.
pub(super) fn read(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    while let Some(token) = input.next()? {
        if token.quoted || !item(token, out) {
            let problem = Problem::new(
                token.span,
                format!("\"{}\" is no address prefix", token.show()),
            );
            return Err(problem
                .note("write 1:192.0.2.0/24 or 2:2001:db8::/32, with ! before it to exclude"));
        }
    }
    Ok(())
}

fn item(token: Token<'_>, out: &mut Vec<u8>) -> bool {
    parse(token.text, out).is_some()
}

fn parse(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (negated, text) = text
        .strip_prefix(b"!")
        .map_or((0, text), |rest| (0x80, rest));
    let slash = text.iter().position(|&b| b == b'/')?;
    let prefix = u8::try_from(digits(&text[slash + 1..])?).ok()?;
    let (family, octets) = match text.get(..slash)? {
        [b'1', b':', text @ ..] if prefix <= 32 => {
            (1u8, address::<Ipv4Addr>(text)?.octets().to_vec())
        }
        [b'2', b':', text @ ..] if prefix <= 128 => {
            (2u8, address::<Ipv6Addr>(text)?.octets().to_vec())
        }
        _ => return None,
    };
    // RFC 3123 4: trailing zero octets are not sent.
    let length = octets.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
    out.extend([0, family, prefix, negated | u8::try_from(length).ok()?]);
    out.extend_from_slice(&octets[..length]);
    Some(())
}

/// Items of known families have prefixes and addresses that fit.
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    while !cursor.is_empty() {
        let family = cursor.u16()?;
        let prefix = cursor.u8()?;
        let length = cursor.u8()? & 0x7f;
        let (bits, octets) = match family {
            1 => (32, 4),
            2 => (128, 16),
            _ => (u8::MAX, 0x7f),
        };
        if prefix > bits || length > octets {
            return Err("a prefix is too long".into());
        }
        if cursor.take(usize::from(length))?.last() == Some(&0) {
            return Err("an address has a trailing zero octet".into());
        }
    }
    Ok(())
}
