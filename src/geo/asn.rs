//! Autonomous systems: which network operator's addresses are whose.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Packed;

/// An autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asn<'w> {
    /// Its number; 0 is none's.
    pub number: u32,
    /// Whose it is, if the database says so.
    pub organisation: Option<&'w str>,
}

/// The number in `AS64500`, in either letter case.
#[must_use]
pub fn asn_named(text: &str) -> Option<u32> {
    let (letters, digits) = text.split_at_checked(2)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|n| *n > 0);
    number.filter(|_| plain && letters.eq_ignore_ascii_case("AS"))
}

/// The autonomous systems of all addresses, 0 where none is known, and their names.
#[derive(Clone, Debug)]
pub(super) struct Asns {
    pub(super) v4: Arc<Packed<u32>>,
    pub(super) v6: Arc<Packed<u64>>,
    /// Those of all databases, the first on top.
    pub(super) names: Box<[Arc<Names>]>,
}

impl Asns {
    pub(super) fn asn(&self, number: u32) -> Asn<'_> {
        Asn {
            number,
            organisation: self.names.iter().find_map(|names| names.get(number)),
        }
    }

    pub(super) fn octets(&self) -> usize {
        let names: usize = self.names.iter().map(|n| n.octets()).sum();
        self.v4.octets() + self.v6.octets() + names
    }
}

/// Names of organisations, all in one text.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Numbers in order, and where the name of each ends; it begins where the one before ends.
    ends: Box<[(u32, u32)]>,
    text: Box<str>,
}

impl Names {
    pub(super) fn new(names: &BTreeMap<u32, Box<str>>) -> Self {
        let (mut ends, mut text) = (Vec::with_capacity(names.len()), String::new());
        for (number, name) in names {
            text.push_str(name);
            let end = u32::try_from(text.len()).expect("the names of a file below 4 GiB");
            ends.push((*number, end));
        }
        Self {
            ends: ends.into(),
            text: text.into(),
        }
    }

    fn get(&self, number: u32) -> Option<&str> {
        let at = self.ends.binary_search_by_key(&number, |e| e.0).ok()?;
        let first = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let name = self.text.get(first as usize..self.ends[at].1 as usize)?;
        (!name.is_empty()).then_some(name)
    }

    fn octets(&self) -> usize {
        size_of_val(&*self.ends) + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        let names = [(7, "Seven"), (8, ""), (64500, "Example, Inc.")];
        let names = names.map(|(n, name)| (n, name.into()));
        let names = Names::new(&BTreeMap::from(names));
        assert_eq!(names.get(7), Some("Seven"));
        assert_eq!(names.get(8), None);
        assert_eq!(names.get(9), None);
        assert_eq!(names.get(64500), Some("Example, Inc."));
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(asn_named("AS64500"), Some(64500));
        assert_eq!(asn_named("as1"), Some(1));
        for text in [
            "AS",
            "AS0",
            "AS+1",
            "AS4294967296",
            "64500",
            "A",
            "\u{e9}S1",
        ] {
            assert_eq!(asn_named(text), None, "{text}");
        }
    }
}
