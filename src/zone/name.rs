//! A domain name in wire form (RFC 1035 3.1), kept as it was written and compared without regard to case.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest name in octets, the root's zero included (RFC 1035 2.3.4).
pub const MAX_NAME: usize = 255;
/// The longest label in octets.
pub const MAX_LABEL: usize = 63;

/// An absolute name: labels, each after its length, and the root's zero. The letters' case is kept for answers;
/// equality, order and hash ignore it (RFC 4343).
#[derive(Clone)]
pub struct Name {
    wire: Box<[u8]>,
}

/// Why text or octets are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// A label is over 63 octets.
    LabelTooLong,
    /// The name is over 255 octets.
    NameTooLong,
    /// Two dots in a row, or a dot at the start.
    EmptyLabel,
    /// `\` at the end, or `\DDD` that is no number up to 255.
    BadEscape,
    /// The name is relative and there is no origin.
    NoOrigin,
    /// The octets end early, or hold a compression pointer.
    BadWire,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LabelTooLong => "a label is longer than 63 octets",
            Self::NameTooLong => "the name is longer than 255 octets",
            Self::EmptyLabel => "the name has an empty label",
            Self::BadEscape => {
                "bad escape: write \\DDD with a decimal octet, or \\ and a character"
            }
            Self::NoOrigin => "the name is relative and there is no origin",
            Self::BadWire => "the octets are no uncompressed name",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self {
            wire: Box::new([0]),
        }
    }

    /// Reads a name in presentation form (RFC 1035 5.1): `\DDD` and `\X` escapes, `@` for the origin, relative names
    /// completed with `origin`. Without an origin only names that end in a dot are taken.
    ///
    /// # Errors
    /// [`NameError`] says which limit is broken.
    pub fn parse(text: &[u8], origin: Option<&Self>) -> Result<Self, NameError> {
        if text == b"@" {
            return origin.cloned().ok_or(NameError::NoOrigin);
        }
        if text == b"." {
            return Ok(Self::root());
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let absolute = parse_labels(text, &mut wire)?;
        if absolute {
            wire.push(0);
        } else {
            wire.extend_from_slice(origin.ok_or(NameError::NoOrigin)?.wire());
        }
        if wire.len() > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        Ok(Self { wire: wire.into() })
    }

    /// Reads an absolute name whether or not it ends in a dot, as people write them outside zone files.
    ///
    /// # Errors
    /// As [`Name::parse`].
    pub fn absolute(text: &str) -> Result<Self, NameError> {
        Self::parse(text.as_bytes(), Some(&Self::root()))
    }

    /// Takes an uncompressed name from the start of `wire`; octets after it are ignored.
    ///
    /// # Errors
    /// [`NameError::BadWire`] where the octets end early or hold a pointer, [`NameError::NameTooLong`] beyond 255.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            match wire.get(at) {
                None | Some(64..) => return Err(NameError::BadWire),
                Some(0) => break,
                Some(&len) => at += 1 + usize::from(len),
            }
        }
        if at >= MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        Ok(Self {
            wire: wire[..=at].into(),
        })
    }

    /// The octets, the root's zero last.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(&self.wire)
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> Self {
        // Length octets are below 64 and so never letters.
        Self {
            wire: self.wire.to_ascii_lowercase().into(),
        }
    }

    /// The name without its first label; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.wire[0]);
        (first > 0).then(|| Self {
            wire: self.wire[first + 1..].into(),
        })
    }

    /// Whether this is `other` or below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let mut at = 0;
        loop {
            if self.wire.len() - at == other.wire.len() {
                return self.wire[at..].eq_ignore_ascii_case(&other.wire);
            }
            if self.wire[at] == 0 {
                return false;
            }
            at += 1 + usize::from(self.wire[at]);
        }
    }

    /// Whether the first label is `*` (RFC 4592 2.1.1).
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.wire.starts_with(b"\x01*")
    }
}

/// Whether a name in wire form, in any letter case, is one in lower case, or below it.
#[must_use]
pub fn is_below(mut name: &[u8], lower: &[u8]) -> bool {
    while name.len() > lower.len() {
        let label = 1 + usize::from(name[0]);
        name = name.get(label..).unwrap_or_default();
    }
    name.eq_ignore_ascii_case(lower)
}

/// The labels of an uncompressed name in wire form, from left to right, without the root.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&len, tail) = rest.split_first()?;
        if len == 0 || usize::from(len) > tail.len() {
            return None;
        }
        let (label, tail) = tail.split_at(usize::from(len));
        rest = tail;
        Some(label)
    })
}

/// Appends the labels of `text`; returns whether the text ended in a dot.
fn parse_labels(text: &[u8], wire: &mut Vec<u8>) -> Result<bool, NameError> {
    let mut start = wire.len();
    wire.push(0);
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        at += 1;
        let octet = match c {
            b'.' => {
                close_label(wire, start)?;
                start = wire.len();
                if at == text.len() {
                    return Ok(true);
                }
                wire.push(0);
                continue;
            }
            b'\\' => {
                let (octet, used) = escape(&text[at..])?;
                at += used;
                octet
            }
            other => other,
        };
        wire.push(octet);
    }
    close_label(wire, start)?;
    Ok(false)
}

fn close_label(wire: &mut [u8], start: usize) -> Result<(), NameError> {
    let len = wire.len() - start - 1;
    if len == 0 {
        return Err(NameError::EmptyLabel);
    }
    if len > MAX_LABEL {
        return Err(NameError::LabelTooLong);
    }
    wire[start] = u8::try_from(len).map_err(|_| NameError::LabelTooLong)?;
    Ok(())
}

/// What stands after a `\` in master files: the octet meant, and how many characters it took.
///
/// # Errors
/// [`NameError::BadEscape`] at the end of the text, or for digits that are no octet.
pub fn escape(text: &[u8]) -> Result<(u8, usize), NameError> {
    match text {
        [a, b, c, ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Ok((u8::try_from(value).map_err(|_| NameError::BadEscape)?, 3))
        }
        [c, ..] if !c.is_ascii_digit() => Ok((*c, 1)),
        _ => Err(NameError::BadEscape),
    }
}

impl fmt::Display for Name {
    /// Presentation form with the final dot; what RFC 1035 5.1 gives a meaning is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wire.len() == 1 {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", octet as char)?;
                    }
                    0x21..=0x7e => write!(f, "{}", octet as char)?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in &self.wire {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// The canonical order of RFC 4034 6.1: label by label from the right.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |n: &Self| {
            n.labels()
                .map(<[u8]>::to_ascii_lowercase)
                .collect::<Vec<_>>()
        };
        key(self).iter().rev().cmp(key(other).iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::absolute(text).expect("a good name")
    }

    #[test]
    fn text_and_back() {
        for text in [
            ".",
            "example.org.",
            "a\\.b.example.",
            "\\000\\255x.example.",
            "\\@.\\$.example.",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
    }

    #[test]
    fn relative_names_take_the_origin() {
        let origin = name("example.org.");
        assert_eq!(
            Name::parse(b"www", Some(&origin)),
            Ok(name("www.example.org."))
        );
        assert_eq!(Name::parse(b"@", Some(&origin)), Ok(origin));
        assert_eq!(Name::parse(b"www", None), Err(NameError::NoOrigin));
    }

    #[test]
    fn limits_are_exact() {
        let label = "a".repeat(63);
        assert!(Name::absolute(&label).is_ok());
        assert_eq!(
            Name::absolute(&format!("{label}a")),
            Err(NameError::LabelTooLong)
        );
        let full = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(name(&full).wire().len(), MAX_NAME);
        assert_eq!(
            Name::absolute(&format!("{full}b")),
            Err(NameError::NameTooLong)
        );
        assert_eq!(Name::absolute("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::absolute(".a"), Err(NameError::EmptyLabel));
        assert_eq!(Name::absolute("a\\25"), Err(NameError::BadEscape));
        assert_eq!(Name::absolute("a\\256"), Err(NameError::BadEscape));
    }

    #[test]
    fn within_compares_whole_labels() {
        assert!(name("a.Example.ORG").is_within(&name("example.org")));
        assert!(!name("aexample.org").is_within(&name("example.org")));
        assert!(name("org").is_within(&Name::root()));
    }

    #[test]
    fn canonical_order() {
        let mut names = [
            name("z.example"),
            name("example"),
            name("a.example"),
            name("yljkjljk.a.example"),
        ];
        names.sort();
        assert_eq!(
            names.map(|n| n.to_string()),
            [
                "example.",
                "a.example.",
                "yljkjljk.a.example.",
                "z.example."
            ]
        );
    }
}
