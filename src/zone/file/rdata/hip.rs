//! Host identities (RFC 8005 5, 6).

use super::encoding;
use super::text::{name, u8_field};
use super::wire::Cursor;
use crate::zone::Name;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::Lexer;

/// `algorithm hit key [rendezvous-server…]`; in wire form both lengths stand first.
pub(super) fn read(input: &mut Lexer<'_>, origin: &Name, out: &mut Vec<u8>) -> Result<(), Problem> {
    let algorithm = u8_field(input.expect("the algorithm")?, "the algorithm")?;
    let (hit_token, mut hit) = (input.expect("a host identity tag")?, Vec::new());
    encoding::hex_word(hit_token, &mut hit)?;
    let (key_token, mut key) = (input.expect("a key")?, Vec::new());
    encoding::base64_word(key_token, &mut key)?;
    let too_long = |span| Problem::new(span, "this is too long");
    let hit_length = u8::try_from(hit.len()).map_err(|_| too_long(hit_token.span))?;
    let key_length = u16::try_from(key.len()).map_err(|_| too_long(key_token.span))?;
    out.extend([hit_length, algorithm]);
    out.extend(key_length.to_be_bytes());
    out.append(&mut hit);
    out.append(&mut key);
    while let Some(token) = input.next()? {
        name(token, origin, out)?;
    }
    Ok(())
}

pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let hit = cursor.u8()?;
    cursor.u8()?;
    let key = cursor.u16()?;
    cursor.take(usize::from(hit) + usize::from(key))?;
    while !cursor.is_empty() {
        cursor.name()?;
    }
    Ok(())
}
