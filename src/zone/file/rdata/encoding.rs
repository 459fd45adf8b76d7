//! Octets as hexadecimal digits, Base64 and Base32 (RFC 4648).

use crate::zone::file::problem::Problem;
use crate::zone::file::token::{Lexer, Token};

/// Hexadecimal digits to the end of the record, blanks anywhere between them.
pub(super) fn hex_rest(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut half = None;
    let mut last = None;
    while let Some(token) = input.next()? {
        plain(token, "hexadecimal digits")?;
        hex_into(token, &mut half, out)?;
        last = Some(token.span);
    }
    match (half, last) {
        (Some(_), Some(span)) => Err(Problem::new(
            span,
            "the number of hexadecimal digits is odd",
        )),
        _ => Ok(()),
    }
}

/// Hexadecimal digits of one word.
pub(super) fn hex_word(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut half = None;
    hex_into(token, &mut half, out)?;
    match half {
        Some(_) => Err(Problem::new(
            token.span,
            "the number of hexadecimal digits is odd",
        )),
        None => Ok(()),
    }
}

fn hex_into(token: Token<'_>, half: &mut Option<u8>, out: &mut Vec<u8>) -> Result<(), Problem> {
    for &c in token.text {
        let digit = hex_digit(c).ok_or_else(|| {
            Problem::new(
                token.span,
                format!("\"{}\" is not hexadecimal", token.show()),
            )
        })?;
        match half.take() {
            Some(high) => out.push(high << 4 | digit),
            None => *half = Some(digit),
        }
    }
    Ok(())
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

/// Base64 to the end of the record, blanks anywhere in it.
pub(super) fn base64_rest(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut bits = Bits::new(6);
    let mut last = None;
    while let Some(token) = input.next()? {
        plain(token, "Base64")?;
        base64_into(token, &mut bits, out)?;
        last = Some(token.span);
    }
    match last {
        Some(span) if !bits.complete() => Err(Problem::new(span, "the Base64 ends early")),
        _ => Ok(()),
    }
}

/// Base64 of one word.
pub(super) fn base64_word(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut bits = Bits::new(6);
    base64_into(token, &mut bits, out)?;
    if bits.complete() {
        Ok(())
    } else {
        Err(Problem::new(token.span, "the Base64 ends early"))
    }
}

fn base64_into(token: Token<'_>, bits: &mut Bits, out: &mut Vec<u8>) -> Result<(), Problem> {
    for &c in token.text {
        let value = match c {
            b'A'..=b'Z' => Some(c - b'A'),
            b'a'..=b'z' => Some(c - b'a' + 26),
            b'0'..=b'9' => Some(c - b'0' + 52),
            b'+' => Some(62),
            b'/' => Some(63),
            _ => None,
        };
        if !bits.take(c, value, out) {
            return Err(Problem::new(
                token.span,
                format!("\"{}\" is not Base64", token.show()),
            ));
        }
    }
    Ok(())
}

/// Base32 with the extended hexadecimal alphabet; padding may be left out, as RFC 5155 3.3 wants it.
pub(super) fn base32hex(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut bits = Bits::new(5);
    for &c in token.text {
        let value = match c.to_ascii_uppercase() {
            d @ b'0'..=b'9' => Some(d - b'0'),
            l @ b'A'..=b'V' => Some(l - b'A' + 10),
            _ => None,
        };
        if !bits.take(c, value, out) {
            return Err(Problem::new(
                token.span,
                format!("\"{}\" is not Base32", token.show()),
            ));
        }
    }
    if bits.left >= 5 {
        return Err(Problem::new(token.span, "the Base32 ends early"));
    }
    Ok(())
}

/// Collects the bits of digits that are `width` bits wide.
struct Bits {
    width: u32,
    buffer: u32,
    /// Bits in the buffer that belong to no octet yet.
    left: u32,
    count: usize,
    padded: bool,
}

impl Bits {
    fn new(width: u32) -> Self {
        Self {
            width,
            buffer: 0,
            left: 0,
            count: 0,
            padded: false,
        }
    }

    /// Takes one character; false where it is neither digit nor padding in its place.
    fn take(&mut self, c: u8, value: Option<u8>, out: &mut Vec<u8>) -> bool {
        if c == b'=' {
            self.padded = true;
            self.count += 1;
            return self.left > 0;
        }
        let Some(value) = value.filter(|_| !self.padded) else {
            return false;
        };
        self.count += 1;
        self.buffer = (self.buffer << self.width | u32::from(value)) & 0xffff;
        self.left += self.width;
        if self.left >= 8 {
            self.left -= 8;
            out.push((self.buffer >> self.left & 0xff) as u8);
        }
        true
    }

    /// Whether Base64 has come to the end of a group of four.
    fn complete(&self) -> bool {
        self.count.is_multiple_of(4) && self.left < 6
    }
}

/// Takes no quotes.
fn plain(token: Token<'_>, what: &str) -> Result<(), Problem> {
    if token.quoted || token.mixed {
        return Err(Problem::new(
            token.span,
            format!("expected {what} without quotes"),
        ));
    }
    Ok(())
}
