//! The gateway and key of IPSECKEY (RFC 4025 2).

use super::encoding;
use super::text::{ipv4, ipv6, name, some_octets, u8_field};
use super::wire::Cursor;
use crate::zone::Name;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::Lexer;

/// `gateway-type algorithm gateway [key]`, after the precedence. Algorithm 0 means that there is no key.
pub(super) fn read(input: &mut Lexer<'_>, origin: &Name, out: &mut Vec<u8>) -> Result<(), Problem> {
    let token = input.expect("the gateway type")?;
    let kind = u8_field(token, "the gateway type")?;
    let algorithm = u8_field(input.expect("the algorithm")?, "the algorithm")?;
    out.extend([kind, algorithm]);
    let gateway = input.expect("the gateway")?;
    match kind {
        0 if gateway.text == b"." => {}
        0 => {
            return Err(Problem::new(
                gateway.span,
                "gateway type 0 has no gateway: write a dot",
            ));
        }
        1 => out.extend(ipv4(gateway)?.octets()),
        2 => out.extend(ipv6(gateway)?.octets()),
        3 => name(gateway, origin, out)?,
        _ => return Err(Problem::new(token.span, "the gateway type is 0, 1, 2 or 3")),
    }
    if algorithm == 0 {
        return Ok(());
    }
    some_octets(input, "a key", out, encoding::base64_rest)
}

pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let kind = cursor.u8()?;
    let algorithm = cursor.u8()?;
    match kind {
        0 => {}
        1 => drop(cursor.take(4)?),
        2 => drop(cursor.take(16)?),
        3 => cursor.name()?,
        _ => return Err("it is none of 0, 1, 2 and 3".into()),
    }
    if algorithm == 0 {
        Ok(())
    } else {
        cursor.some_rest().map(drop)
    }
}
