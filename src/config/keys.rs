//! `[key.NAME]`: keys that are shared with other name servers.

use std::path::PathBuf;

use super::files::read_octets;
use super::table::{Keys, Table, Value};
use crate::diagnostic::{Diagnostics, Span};
use crate::wire::tsig::Algorithm;
use crate::zone::Name;

static KEY: Keys = Keys {
    known: &["algorithm", "secret", "secret_file"],
    later: &[],
};

/// A key that is shared with another name server (RFC 8945).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What both sides call it.
    pub name: Name,
    /// How codes are made. Default: hmac-sha256.
    pub algorithm: Algorithm,
    /// The octets.
    pub secret: Vec<u8>,
    /// Where they were read from; none: they stand in the configuration.
    pub file: Option<PathBuf>,
    pub(super) span: Span,
}

/// Not the secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key {} {:?} {:?}", self.name, self.algorithm, self.file)
    }
}

/// RFC 8945 9: a secret as long as the code is what it asks for; shorter than this is no secret.
const LEAST: usize = 16;

/// Reads the tables.
pub(super) fn read(top: &Table<'_>, found: &mut Diagnostics) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let tables = top.get("key").and_then(|v| v.entries(found));
    for (value, span) in tables.unwrap_or_default() {
        let Some(key) = one(&value, span, found) else {
            continue;
        };
        match keys.iter().find(|other| other.name == key.name) {
            Some(first) => {
                let message = format!("key \"{}\" is defined twice", value.key);
                found.error(span, message).note_at(first.span, "first here");
            }
            None => keys.push(key),
        }
    }
    keys
}

fn one(value: &Value<'_>, span: Span, found: &mut Diagnostics) -> Option<Key> {
    let name = match Name::absolute(value.key) {
        Ok(name) => name,
        Err(e) => {
            found.error(span, format!("\"{}\" is no name for a key: {e}", value.key));
            return None;
        }
    };
    let table = value.table(span, &KEY, found)?;
    let algorithm = match table.get("algorithm") {
        Some(value) => algorithm(&value, found),
        None => Some(Algorithm::Sha256),
    };
    let (secret, file) = match (table.get("secret"), table.get("secret_file")) {
        (Some(text), None) => (Some((text, base64(text.text(found)?.as_bytes()))), None),
        (None, Some(file)) => {
            let path = file.path(found)?;
            let text = read_octets(&path, Some(file.span()), found)?;
            (Some((file, base64(&text))), Some(path))
        }
        (Some(_), Some(file)) => {
            file.error("a key has \"secret\" or \"secret_file\", not both", found);
            return None;
        }
        (None, None) => (None, None),
    };
    let Some((place, secret)) = secret else {
        if let Some(error) = table.missing(format!("key \"{}\" has no secret", value.key), found) {
            error.note("give \"secret_file\", or \"secret\"; `openssl rand -base64 32` makes one");
        }
        return None;
    };
    let secret = secret.filter(|s| s.len() >= LEAST);
    if secret.is_none() {
        place
            .error(
                format!("a secret is Base64 of at least {LEAST} octets"),
                found,
            )
            .note("`openssl rand -base64 32` makes one");
    }
    Some(Key {
        name,
        algorithm: algorithm?,
        secret: secret?,
        file,
        span,
    })
}

fn algorithm(value: &Value<'_>, found: &mut Diagnostics) -> Option<Algorithm> {
    let text = value.text(found)?;
    let known = Algorithm::ALL.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        value
            .error(format!("\"{text}\" is no algorithm for keys"), found)
            .suggest(text, Algorithm::ALL.iter().map(|(word, _)| *word));
    }
    known.map(|(_, algorithm)| *algorithm)
}

/// The octets of Base64 (RFC 4648 4), blanks between and at the end aside.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let digits = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(&text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digit = |c: u8| {
        Some(match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for c in digits {
        (bits, held) = (bits << 6 | u32::from(digit(*c)?), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    // What is left over is zeros.
    (bits & ((1 << held) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_as_the_rfc_has_it() {
        let good = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            (" Zm9v\nYmFy ", "foobar"),
        ];
        for (text, octets) in good {
            assert_eq!(
                base64(text.as_bytes()),
                Some(octets.as_bytes().to_vec()),
                "{text}"
            );
        }
        for bad in [
            "Z",
            "Zg",
            "Zg=",
            "Zh==",
            "Zm9v!",
            "=Zg=",
            "Zm9vYg=="[..7].as_ref(),
        ] {
            assert_eq!(base64(bad.as_bytes()), None, "{bad}");
        }
    }
}
