//! Sets of types: windows of bits (RFC 4034 4.1.2), and the single bitmap of NXT (RFC 2535 5.2).

use super::text::rtype;
use super::wire::Cursor;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::Lexer;

/// Reads types to the end of the record.
pub(super) fn read(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut types = Vec::new();
    while let Some(token) = input.next()? {
        types.push(rtype(token)?.0);
    }
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0u8; 32];
        let mut head = [0, 0];
        for t in window {
            let [number, low] = t.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            head = [number, low / 8 + 1];
        }
        out.extend(head);
        out.extend_from_slice(&bits[..usize::from(head[1])]);
    }
    Ok(())
}

/// Windows in ascending order, each of 1 to 32 octets.
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let mut last = None;
    while !cursor.is_empty() {
        let window = cursor.u8()?;
        let length = cursor.u8()?;
        if last.is_some_and(|l| l >= window) || !(1..=32).contains(&length) {
            return Err("the windows of the bitmap are malformed".into());
        }
        cursor.take(usize::from(length))?;
        last = Some(window);
    }
    Ok(())
}

/// Reads types below 128 to the end of the record, as NXT has them.
pub(super) fn read_old(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut bits = [0u8; 16];
    let mut length = 0;
    while let Some(token) = input.next()? {
        let number = usize::from(rtype(token)?.0);
        let octet = bits.get_mut(number / 8);
        let octet = octet
            .ok_or_else(|| Problem::new(token.span, "an NXT record knows only types below 128"))?;
        *octet |= 0x80 >> (number % 8);
        length = length.max(number / 8 + 1);
    }
    out.extend_from_slice(&bits[..length]);
    Ok(())
}

/// 1 to 16 octets, or none.
pub(super) fn check_old(bits: &[u8]) -> Result<(), String> {
    if bits.len() <= 16 {
        Ok(())
    } else {
        Err("the bitmap is longer than 16 octets".into())
    }
}
