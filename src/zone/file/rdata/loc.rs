//! Places on earth (RFC 1876).

use super::number::{decimal, digits};
use crate::zone::file::problem::Problem;
use crate::zone::file::token::{Lexer, Token};

/// 2^31 is the equator, and the prime meridian.
const ZERO: u32 = 1 << 31;
/// Altitudes count from 100 000 m below the reference spheroid, in centimetres.
const BASE: u64 = 10_000_000;
/// 90 000 000 m in centimetres, the largest size and precision.
const LARGEST: u64 = 9_000_000_000;

/// `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt[m] [size[m] [horizontal[m] [vertical[m]]]]`
pub(super) fn read(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let latitude = angle(input, "latitude", 90, [b'N', b'S'])?;
    let longitude = angle(input, "longitude", 180, [b'E', b'W'])?;
    let altitude = altitude(input.expect("the altitude in metres")?)?;
    // RFC 1876 3: 1 m, 10 000 m and 10 m unless given.
    let mut sizes = [100, 1_000_000, 1_000];
    for (size, what) in sizes
        .iter_mut()
        .zip(["size", "horizontal precision", "vertical precision"])
    {
        let Some(token) = input.next()? else { break };
        *size = metres(token.text)
            .filter(|&cm| cm <= LARGEST)
            .ok_or_else(|| {
                Problem::new(
                    token.span,
                    format!(
                        "expected the {what}, 0 to 90000000.00m, found \"{}\"",
                        token.show()
                    ),
                )
            })?;
    }
    out.push(0);
    out.extend(sizes.map(exponential));
    for value in [latitude, longitude, altitude] {
        out.extend(value.to_be_bytes());
    }
    Ok(())
}

/// Thousandths of a second of arc, north and east above [`ZERO`].
fn angle(input: &mut Lexer<'_>, what: &str, most: u64, letters: [u8; 2]) -> Result<u32, Problem> {
    let expected = format!(
        "{what}: degrees, minutes, seconds, then {} or {}",
        letters[0] as char, letters[1] as char
    );
    let mut sum = 0;
    // Of each part: its largest value, and how many thousandths of a second it has.
    let parts = [(most, 3_600_000), (59, 60_000), (59_999, 1)];
    for (at, &(largest, unit)) in parts.iter().enumerate() {
        let token = input.expect(&expected)?;
        if at > 0 && is_letter(token, letters) {
            return Ok(signed(sum, token, letters));
        }
        let value = if unit == 1 {
            decimal(token.text, 3)
        } else {
            digits(token.text)
        };
        let value = value.filter(|&v| v <= largest);
        let wrong = || {
            Problem::new(
                token.span,
                format!("expected {expected}, found \"{}\"", token.show()),
            )
        };
        sum += value.ok_or_else(wrong)? * unit;
    }
    let token = input.expect(&expected)?;
    if is_letter(token, letters) {
        return Ok(signed(sum, token, letters));
    }
    Err(Problem::new(
        token.span,
        format!("expected {} or {}", letters[0] as char, letters[1] as char),
    ))
}

fn is_letter(token: Token<'_>, letters: [u8; 2]) -> bool {
    matches!(token.text, [c] if letters.contains(&c.to_ascii_uppercase()))
}

fn signed(sum: u64, token: Token<'_>, letters: [u8; 2]) -> u32 {
    // At most 181 degrees, 651 600 000 thousandths.
    let sum = u32::try_from(sum).unwrap_or(0);
    if token.text.eq_ignore_ascii_case(&letters[..1]) {
        ZERO + sum
    } else {
        ZERO - sum
    }
}

fn altitude(token: Token<'_>) -> Result<u32, Problem> {
    let (below, text) = match token.text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, token.text),
    };
    let value = metres(text).and_then(|cm| {
        if below {
            BASE.checked_sub(cm)
        } else {
            Some(BASE.saturating_add(cm))
        }
    });
    value.and_then(|v| u32::try_from(v).ok()).ok_or_else(|| {
        let message = format!(
            "expected the altitude, -100000.00m to 42849672.95m, found \"{}\"",
            token.show()
        );
        Problem::new(token.span, message)
    })
}

/// Metres in centimetres.
fn metres(text: &[u8]) -> Option<u64> {
    decimal(
        text.strip_suffix(b"m")
            .or_else(|| text.strip_suffix(b"M"))
            .unwrap_or(text),
        2,
    )
}

/// Four bits of mantissa, four of a power of ten (RFC 1876 2).
fn exponential(mut centimetres: u64) -> u8 {
    let mut exponent = 0;
    while centimetres >= 10 {
        centimetres /= 10;
        exponent += 1;
    }
    u8::try_from(centimetres).unwrap_or(9) << 4 | exponent
}
