//! Fields read from their presentation form.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::number::{Duration, duration, number};
use super::{Field, Slot, apl, bitmap, encoding, hip, ipseckey, loc, svcb, timestamp, wire, wks};
use crate::zone::file::problem::{Known, Problem};
use crate::zone::file::token::{Lexer, Token};
use crate::zone::rtype::RecordType;
use crate::zone::{Name, escape};

/// Reads one field and appends it to `out`. `origin` completes relative names.
pub(super) fn read(
    slot: &Slot,
    input: &mut Lexer<'_>,
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let what = slot.what;
    match slot.field {
        Field::Name => name(input.expect(what)?, origin, out)?,
        Field::U8 => out.push(u8_field(input.expect(what)?, what)?),
        Field::U16 => out.extend(u16_field(input.expect(what)?, what)?.to_be_bytes()),
        Field::U32 => out.extend(
            u32_from(number(input.expect(what)?, what, u64::from(u32::MAX))?).to_be_bytes(),
        ),
        Field::Time => out.extend(time(input.expect(what)?, what)?.to_be_bytes()),
        Field::Timestamp => out.extend(timestamp::read(input.expect(what)?)?.to_be_bytes()),
        Field::Ipv4 => out.extend(ipv4(input.expect(what)?)?.octets()),
        Field::Ipv6 => out.extend(ipv6(input.expect(what)?)?.octets()),
        Field::String => string(input.expect_any(what)?, out)?,
        Field::OptionalString => optional_string(input, out)?,
        Field::Strings => strings(input, what, out)?,
        Field::Text => unescape(input.expect_any(what)?, out)?,
        Field::CaaTag => caa_tag(input.expect_any(what)?, out)?,
        Field::Hex => some_octets(input, what, out, encoding::hex_rest)?,
        Field::Digest => digest(input, what, out)?,
        Field::Base64 => some_octets(input, what, out, encoding::base64_rest)?,
        Field::Salt => salt(input.expect(what)?, out)?,
        Field::OwnerHash => counted(input.expect(what)?, out, encoding::base32hex)?,
        Field::Type => out.extend(rtype(input.expect(what)?)?.0.to_be_bytes()),
        Field::Algorithm => out.push(algorithm(input.expect(what)?, what)?),
        Field::CertType => out.extend(cert_type(input.expect(what)?, what)?.to_be_bytes()),
        Field::Bitmap => bitmap::read(input, out)?,
        Field::OldBitmap => bitmap::read_old(input, out)?,
        Field::Eui(octets) => eui(input.expect(what)?, octets, out)?,
        Field::Ilnp64 => ilnp64(input.expect(what)?, out)?,
        Field::Loc => loc::read(input, out)?,
        Field::Apl => apl::read(input, out)?,
        Field::SvcParams => svcb::read(input, out)?,
        Field::IpsecKey => ipseckey::read(input, origin, out)?,
        Field::Hip => hip::read(input, origin, out)?,
        Field::Wks => wks::read(input, out)?,
        Field::Nsap => nsap(input.expect(what)?, out)?,
    }
    Ok(())
}

pub(super) fn name(token: Token<'_>, origin: &Name, out: &mut Vec<u8>) -> Result<(), Problem> {
    let name = Name::parse(token.text, Some(origin)).map_err(|e| Problem::name(token.span, e))?;
    out.extend_from_slice(name.wire());
    Ok(())
}

pub(super) fn u8_field(token: Token<'_>, what: &str) -> Result<u8, Problem> {
    Ok(u8::try_from(number(token, what, u64::from(u8::MAX))?).unwrap_or(u8::MAX))
}

fn u16_field(token: Token<'_>, what: &str) -> Result<u16, Problem> {
    Ok(u16::try_from(number(token, what, u64::from(u16::MAX))?).unwrap_or(u16::MAX))
}

fn u32_from(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn time(token: Token<'_>, what: &str) -> Result<u32, Problem> {
    match duration(token.text) {
        Duration::Seconds(seconds) if seconds <= u64::from(u32::MAX) => Ok(u32_from(seconds)),
        _ => {
            let message = format!("expected {what}, found \"{}\"", token.show());
            Err(Problem::new(token.span, message)
                .note("a time is a number of seconds, or written as 1h30m"))
        }
    }
}

pub(super) fn ipv4(token: Token<'_>) -> Result<Ipv4Addr, Problem> {
    address::<Ipv4Addr>(token.text).ok_or_else(|| {
        Problem::new(
            token.span,
            format!("\"{}\" is no IPv4 address", token.show()),
        )
    })
}

pub(super) fn ipv6(token: Token<'_>) -> Result<Ipv6Addr, Problem> {
    address::<Ipv6Addr>(token.text).ok_or_else(|| {
        Problem::new(
            token.span,
            format!("\"{}\" is no IPv6 address", token.show()),
        )
    })
}

/// An address from octets.
pub(super) fn address<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Appends the octets that a string means: its escapes are taken away.
pub(in crate::zone::file) fn unescape(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    if token.mixed {
        let problem = Problem::new(token.span, "a quote inside a word");
        return Err(problem.note("write \\\", or put a blank before the string"));
    }
    let mut rest = token.text;
    while let Some(at) = rest.iter().position(|&b| b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let (octet, used) = escape(&rest[at + 1..]).map_err(|e| Problem::name(token.span, e))?;
        out.push(octet);
        rest = &rest[at + 1 + used..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// A character-string.
fn string(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    counted(token, out, unescape)
}

/// What `read` appends, after an octet with its length.
fn counted<'t>(
    token: Token<'t>,
    out: &mut Vec<u8>,
    read: impl FnOnce(Token<'t>, &mut Vec<u8>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let start = out.len();
    out.push(0);
    read(token, out)?;
    let length = out.len() - start - 1;
    let Ok(octet) = u8::try_from(length) else {
        let problem = Problem::new(
            token.span,
            format!("{length} octets are too long for one string: 255 at most"),
        );
        return Err(
            problem.note("a text may be several strings, each in quotes, with blanks between them")
        );
    };
    out[start] = octet;
    Ok(())
}

fn optional_string(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    input.next()?.map_or(Ok(()), |token| string(token, out))
}

fn strings(input: &mut Lexer<'_>, what: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    string(input.expect_any(what)?, out)?;
    while let Some(token) = input.next()? {
        string(token, out)?;
    }
    Ok(())
}

fn caa_tag(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let start = out.len();
    string(token, out)?;
    if wire::is_caa_tag(&out[start + 1..]) {
        return Ok(());
    }
    Err(Problem::new(
        token.span,
        "a CAA tag is made of letters and digits",
    ))
}

/// Octets to the end of the record, at least one.
pub(super) fn some_octets(
    input: &mut Lexer<'_>,
    what: &str,
    out: &mut Vec<u8>,
    read: impl FnOnce(&mut Lexer<'_>, &mut Vec<u8>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let start = out.len();
    read(input, out)?;
    if out.len() > start {
        return Ok(());
    }
    Err(Problem::new(
        input.end_span(),
        format!("expected {what}, found the end of the record"),
    ))
}

fn digest(input: &mut Lexer<'_>, what: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    let start = out.len();
    let before = input.end_span();
    some_octets(input, what, out, encoding::hex_rest)?;
    wire::digest_length(&out[..start], out.len() - start)
        .map_err(|why| Problem::new(input.span_from(before), why))
}

fn salt(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    if token.text == b"-" {
        out.push(0);
        return Ok(());
    }
    counted(token, out, encoding::hex_word)
}

/// A record type's mnemonic.
pub(super) fn rtype(token: Token<'_>) -> Result<RecordType, Problem> {
    RecordType::named(token.text).ok_or_else(|| {
        let word = token.show();
        Problem::new(token.span, format!("unknown record type \"{word}\""))
            .suggest(word, || RecordType::mnemonics().collect())
    })
}

/// IANA's registry "DNS Security Algorithm Numbers".
const ALGORITHMS: &[(&str, u8)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// IANA's registry "CERT RR Certificate Types".
const CERT_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

fn algorithm(token: Token<'_>, what: &str) -> Result<u8, Problem> {
    match mnemonic(token, ALGORITHMS, || {
        ALGORITHMS.iter().map(|(word, _)| *word).collect()
    })? {
        Some(value) => Ok(value),
        None => u8_field(token, what),
    }
}

fn cert_type(token: Token<'_>, what: &str) -> Result<u16, Problem> {
    match mnemonic(token, CERT_TYPES, || {
        CERT_TYPES.iter().map(|(word, _)| *word).collect()
    })? {
        Some(value) => Ok(value),
        None => u16_field(token, what),
    }
}

/// The value of a word of `known`; none where the text is a number.
fn mnemonic<T: Copy>(
    token: Token<'_>,
    known: &[(&str, T)],
    names: Known,
) -> Result<Option<T>, Problem> {
    if token.text.first().is_none_or(u8::is_ascii_digit) {
        return Ok(None);
    }
    match known.iter().find(|(word, _)| token.is(word)) {
        Some(&(_, value)) => Ok(Some(value)),
        None => {
            let word = token.show();
            let problem = Problem::new(
                token.span,
                format!("\"{word}\" is neither a number nor a known name"),
            );
            Err(problem.suggest(word, names))
        }
    }
}

fn eui(token: Token<'_>, octets: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    let parts: Option<Vec<u8>> = token.text.split(|&b| b == b'-').map(hex_pair).collect();
    match parts {
        Some(parts) if parts.len() == octets => out.extend(parts),
        _ => {
            let message = format!(
                "expected {octets} octets as 00-00-5e-…, found \"{}\"",
                token.show()
            );
            return Err(Problem::new(token.span, message));
        }
    }
    Ok(())
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    match text {
        [high, low] => Some(encoding::hex_digit(*high)? << 4 | encoding::hex_digit(*low)?),
        _ => None,
    }
}

fn ilnp64(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let parts: Option<Vec<u16>> = token.text.split(|&b| b == b':').map(hex_group).collect();
    match parts {
        Some(parts) if parts.len() == 4 => {
            out.extend(parts.iter().flat_map(|part| part.to_be_bytes()));
        }
        _ => {
            let message = format!(
                "expected four groups as 0014:4fff:ff20:ee64, found \"{}\"",
                token.show()
            );
            return Err(Problem::new(token.span, message));
        }
    }
    Ok(())
}

fn hex_group(text: &[u8]) -> Option<u16> {
    if text.is_empty() || text.len() > 4 {
        return None;
    }
    text.iter().try_fold(0u16, |sum, &c| {
        Some(sum << 4 | u16::from(encoding::hex_digit(c)?))
    })
}

fn nsap(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let Some(digits) = token
        .text
        .strip_prefix(b"0x")
        .or_else(|| token.text.strip_prefix(b"0X"))
    else {
        return Err(Problem::new(token.span, "an NSAP address starts with 0x"));
    };
    // RFC 1706 7: dots may stand anywhere for readability.
    let digits: Vec<u8> = digits.iter().copied().filter(|&b| b != b'.').collect();
    let word = Token {
        text: &digits,
        ..token
    };
    if digits.is_empty() {
        return Err(Problem::new(
            token.span,
            "an NSAP address has at least one octet",
        ));
    }
    encoding::hex_word(word, out)
}
