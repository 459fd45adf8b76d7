//! Parameters of SVCB and HTTPS records (RFC 9460 2.1, 2.2 and appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{address, unescape};
use super::wire::Cursor;
use super::{encoding, number};
use crate::zone::file::problem::Problem;
use crate::zone::file::token::{Lexer, Token};
use crate::zone::rtype::numbered;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// IANA's registry "Service Parameter Keys (SvcParamKeys)".
const KEYS: &[(&str, u16)] = &[
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", DOHPATH),
    ("ohttp", OHTTP),
];

/// One parameter with its value in wire form.
struct Param<'t> {
    key: u16,
    value: Vec<u8>,
    token: Token<'t>,
}

/// Reads parameters to the end of the record, in any order; on the wire they are sorted by key.
pub(super) fn read(input: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut params: Vec<Param<'_>> = Vec::new();
    while let Some(token) = input.next()? {
        let param = param(token)?;
        if let Some(first) = params.iter().find(|p| p.key == param.key) {
            let problem = Problem::new(
                token.span,
                format!("the parameter {} is given twice", key_name(param.key)),
            );
            return Err(problem.at(first.token.span, "first given here"));
        }
        params.push(param);
    }
    params.sort_by_key(|p| p.key);
    for param in &params {
        let alone = |why| Problem::new(param.token.span, format!("{}: {why}", key_name(param.key)));
        check_value(param.key, &param.value).map_err(alone)?;
        if param.key == MANDATORY {
            let present: Vec<u16> = params.iter().map(|p| p.key).collect();
            check_mandatory(&param.value, &present).map_err(alone)?;
        }
        let length = u16::try_from(param.value.len())
            .map_err(|_| alone("it is longer than 65535 octets".into()))?;
        out.extend(param.key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend_from_slice(&param.value);
    }
    Ok(())
}

/// Parameters in wire form: keys ascending, known values well-formed.
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let mut params: Vec<(u16, &[u8])> = Vec::new();
    while !cursor.is_empty() {
        let key = cursor.u16()?;
        let length = cursor.u16()?;
        let value = cursor.take(usize::from(length))?;
        if params.last().is_some_and(|&(last, _)| last >= key) {
            return Err("the keys are not in ascending order".into());
        }
        check_value(key, value).map_err(|why| format!("{}: {why}", key_name(key)))?;
        params.push((key, value));
    }
    match params.first() {
        Some(&(MANDATORY, value)) => check_mandatory(
            value,
            &params.iter().map(|&(key, _)| key).collect::<Vec<_>>(),
        ),
        _ => Ok(()),
    }
}

fn param<'t>(token: Token<'t>) -> Result<Param<'t>, Problem> {
    let equals = token.text.iter().position(|&b| b == b'=');
    let (name, value) = equals.map_or((token.text, None), |at| {
        (&token.text[..at], Some(&token.text[at + 1..]))
    });
    let Some(key) = key(name).filter(|_| !token.quoted) else {
        let word = String::from_utf8_lossy(&name[..name.len().min(40)]).into_owned();
        let problem = Problem::new(token.span, format!("unknown parameter \"{word}\""));
        return Err(problem.suggest(word, || KEYS.iter().map(|(name, _)| *name).collect()));
    };
    let value = match value {
        None => Vec::new(),
        Some(text) => value_of(key, numbered(name, b"key").is_some(), unquote(token, text)?)?,
    };
    Ok(Param { key, value, token })
}

/// A key's number; names are in lower case only.
fn key(name: &[u8]) -> Option<u16> {
    let known = KEYS
        .iter()
        .find(|(known, _)| known.as_bytes() == name)
        .map(|&(_, key)| key);
    known.or_else(|| numbered(name, b"key").filter(|_| name.starts_with(b"key")))
}

fn key_name(key: u16) -> String {
    KEYS.iter()
        .find(|(_, k)| *k == key)
        .map_or_else(|| format!("key{key}"), |(name, _)| (*name).to_owned())
}

/// The value without its quotes, which may stand only around the whole of it.
fn unquote<'t>(token: Token<'t>, text: &'t [u8]) -> Result<Token<'t>, Problem> {
    let value = Token {
        text,
        mixed: false,
        ..token
    };
    if !token.mixed {
        return Ok(value);
    }
    match text {
        [b'"', inner @ .., b'"'] if !has_bare_quote(inner) => Ok(Token {
            text: inner,
            ..value
        }),
        _ => Err(Problem::new(
            token.span,
            "quotes may stand only around the whole value",
        )),
    }
}

fn has_bare_quote(text: &[u8]) -> bool {
    let mut escaped = false;
    text.iter().any(|&b| {
        let bare = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        bare
    })
}

/// The value in wire form. `generic`: the key was written as a number, the value is octets (RFC 9460 2.1).
fn value_of(key: u16, generic: bool, token: Token<'_>) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    if !generic && key == ECH {
        encoding::base64_word(token, &mut out)?;
        return Ok(out);
    }
    let mut text = Vec::new();
    unescape(token, &mut text)?;
    if generic {
        return Ok(text);
    }
    let wrong = |what: &str| Problem::new(token.span, format!("expected {what}"));
    match key {
        MANDATORY => {
            for name in text.split(|&b| b == b',') {
                let key =
                    self::key(name).ok_or_else(|| wrong("known keys with commas between them"))?;
                out.extend(key.to_be_bytes());
            }
            sort_pairs(&mut out);
        }
        ALPN => alpn(&text, &mut out)
            .ok_or_else(|| wrong("protocols of 1 to 255 octets with commas between them"))?,
        PORT => {
            let port = number::digits(&text).and_then(|port| u16::try_from(port).ok());
            out.extend(
                port.ok_or_else(|| wrong("a port, 0 to 65535"))?
                    .to_be_bytes(),
            );
        }
        IPV4HINT => {
            for item in text.split(|&b| b == b',') {
                out.extend(
                    address::<Ipv4Addr>(item)
                        .ok_or_else(|| wrong("IPv4 addresses"))?
                        .octets(),
                );
            }
        }
        IPV6HINT => {
            for item in text.split(|&b| b == b',') {
                out.extend(
                    address::<Ipv6Addr>(item)
                        .ok_or_else(|| wrong("IPv6 addresses"))?
                        .octets(),
                );
            }
        }
        _ => out = text,
    }
    Ok(out)
}

fn sort_pairs(octets: &mut Vec<u8>) {
    let mut pairs: Vec<[u8; 2]> = octets
        .chunks_exact(2)
        .map(|pair| [pair[0], pair[1]])
        .collect();
    pairs.sort_unstable();
    *octets = pairs.concat();
}

/// Items between commas, each after its length; `\,` and `\\` stand for themselves (RFC 9460 A.1).
fn alpn(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut item = Vec::new();
    let mut octets = text.iter();
    loop {
        match octets.next() {
            Some(b'\\') => item.push(*octets.next().filter(|b| matches!(b, b'\\' | b','))?),
            Some(&octet) if octet != b',' => item.push(octet),
            end => {
                out.push(u8::try_from(item.len()).ok().filter(|&length| length > 0)?);
                out.append(&mut item);
                if end.is_none() {
                    return Some(());
                }
            }
        }
    }
}

fn check_value(key: u16, value: &[u8]) -> Result<(), String> {
    let right = match key {
        MANDATORY => !value.is_empty() && value.len().is_multiple_of(2),
        ALPN => is_alpn(value),
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH | DOHPATH => !value.is_empty(),
        _ => true,
    };
    if right {
        return Ok(());
    }
    let takes_none = matches!(key, NO_DEFAULT_ALPN | OHTTP);
    Err(if takes_none {
        "it takes no value"
    } else {
        "it needs a value of its kind"
    }
    .into())
}

fn is_alpn(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some((&length, tail)) = rest.split_first() {
        match tail.get(usize::from(length)..) {
            Some(next) if length > 0 => rest = next,
            _ => return false,
        }
    }
    !value.is_empty()
}

/// RFC 9460 8: each key once, ascending, not itself, and there.
fn check_mandatory(value: &[u8], present: &[u16]) -> Result<(), String> {
    let mut last = MANDATORY;
    for pair in value.chunks_exact(2) {
        let key = pair.iter().fold(0, |sum, &b| sum << 8 | u16::from(b));
        if key == MANDATORY {
            return Err("the list may not name itself".into());
        }
        if key <= last {
            return Err(format!("{} is listed twice or out of order", key_name(key)));
        }
        if !present.contains(&key) {
            return Err(format!("{} is listed but not given", key_name(key)));
        }
        last = key;
    }
    Ok(())
}
