//! Well known services (RFC 1035 3.4.2): historic, but zones still have them.

use super::number::number;
use super::wire::Cursor;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::Lexer;

/// Names of RFC 1010's day; all others are written as numbers.
const SERVICES: &[(&str, u16)] = &[
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("tftp", 69),
    ("finger", 79),
    ("http", 80),
    ("pop3", 110),
    ("nntp", 119),
    ("ntp", 123),
    ("snmp", 161),
    ("https", 443),
];

/// `protocol port…`, after the address.
pub(super) fn read(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let token = input.expect("a protocol")?;
    out.push(match token.text.to_ascii_lowercase().as_slice() {
        b"tcp" => 6,
        b"udp" => 17,
        _ => super::text::u8_field(token, "the protocol: TCP, UDP")?,
    });
    let start = out.len();
    while let Some(token) = input.next()? {
        let named = SERVICES.iter().find(|(name, _)| token.is(name));
        let port = match named {
            Some(&(_, port)) => usize::from(port),
            None => usize::try_from(number(token, "a port", u64::from(u16::MAX))?).unwrap_or(0),
        };
        let octets = port / 8 + 1;
        if out.len() < start + octets {
            out.resize(start + octets, 0);
        }
        out[start + octets - 1] |= 0x80 >> (port % 8);
    }
    Ok(())
}

pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    cursor.u8()?;
    if cursor.rest().len() <= 8192 {
        Ok(())
    } else {
        Err("the bitmap is longer than 8192 octets".into())
    }
}
