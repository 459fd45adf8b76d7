//! Record types: numbers, and the mnemonics that zone files and people use for them.
//!
//! The numbers are constants (`rtype::MX`); [`RecordType`] is a number that can be read and shown.
//! Not `hickory_proto::rr::RecordType`: it knows no name for about half of the registry (LOC, SRV in text, RP, URI, APL,
//! EUI48 …), reads upper case only and neither reads nor writes `TYPE65280`.

use std::fmt;
use std::str::FromStr;

/// A record type by its number. Shown and read as a mnemonic, or as `TYPEnnn` (RFC 3597 5) where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

/// A word that names no record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchType;

impl fmt::Display for NoSuchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such record type")
    }
}

impl std::error::Error for NoSuchType {}

macro_rules! types {
    ($($constant:ident = $number:literal $text:literal,)*) => {
        $(#[doc = concat!("The number of ", $text, ".")] pub const $constant: u16 = $number;)*

        /// IANA's registry "Resource Record (RR) TYPEs", in the order of the numbers.
        const MNEMONICS: &[(u16, &str)] = &[$(($number, $text),)*];
    };
}

types! {
    A = 1 "A", NS = 2 "NS", MD = 3 "MD", MF = 4 "MF", CNAME = 5 "CNAME", SOA = 6 "SOA", MB = 7 "MB", MG = 8 "MG",
    MR = 9 "MR", NULL = 10 "NULL", WKS = 11 "WKS", PTR = 12 "PTR", HINFO = 13 "HINFO", MINFO = 14 "MINFO",
    MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB", X25 = 19 "X25", ISDN = 20 "ISDN", RT = 21 "RT",
    NSAP = 22 "NSAP", NSAP_PTR = 23 "NSAP-PTR", SIG = 24 "SIG", KEY = 25 "KEY", PX = 26 "PX", GPOS = 27 "GPOS",
    AAAA = 28 "AAAA", LOC = 29 "LOC", NXT = 30 "NXT", EID = 31 "EID", NIMLOC = 32 "NIMLOC", SRV = 33 "SRV",
    ATMA = 34 "ATMA", NAPTR = 35 "NAPTR", KX = 36 "KX", CERT = 37 "CERT", A6 = 38 "A6", DNAME = 39 "DNAME",
    SINK = 40 "SINK", OPT = 41 "OPT", APL = 42 "APL", DS = 43 "DS", SSHFP = 44 "SSHFP", IPSECKEY = 45 "IPSECKEY",
    RRSIG = 46 "RRSIG", NSEC = 47 "NSEC", DNSKEY = 48 "DNSKEY", DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3",
    NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA", SMIMEA = 53 "SMIMEA", HIP = 55 "HIP", NINFO = 56 "NINFO",
    RKEY = 57 "RKEY", TALINK = 58 "TALINK", CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY",
    CSYNC = 62 "CSYNC", ZONEMD = 63 "ZONEMD", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", DSYNC = 66 "DSYNC",
    SPF = 99 "SPF", UINFO = 100 "UINFO", UID = 101 "UID", GID = 102 "GID", UNSPEC = 103 "UNSPEC", NID = 104 "NID",
    L32 = 105 "L32", L64 = 106 "L64", LP = 107 "LP", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64", NXNAME = 128 "NXNAME",
    TKEY = 249 "TKEY", TSIG = 250 "TSIG", IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB",
    MAILA = 254 "MAILA", ANY = 255 "ANY", URI = 256 "URI", CAA = 257 "CAA", AVC = 258 "AVC", DOA = 259 "DOA",
    AMTRELAY = 260 "AMTRELAY", RESINFO = 261 "RESINFO", WALLET = 262 "WALLET", TA = 32768 "TA", DLV = 32769 "DLV",
}

impl RecordType {
    /// The type of this name, in any letter case, or of `TYPEnnn`.
    #[must_use]
    pub fn named(text: &[u8]) -> Option<Self> {
        let known = MNEMONICS
            .iter()
            .find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(text));
        known
            .map(|&(number, _)| Self(number))
            .or_else(|| numbered(text, b"TYPE").map(Self))
    }

    /// The registered mnemonic, if there is one.
    #[must_use]
    pub fn mnemonic(self) -> Option<&'static str> {
        let at = MNEMONICS
            .binary_search_by_key(&self.0, |&(number, _)| number)
            .ok()?;
        MNEMONICS.get(at).map(|&(_, name)| name)
    }

    /// All mnemonics, for suggestions.
    pub fn mnemonics() -> impl Iterator<Item = &'static str> {
        MNEMONICS.iter().map(|&(_, name)| name)
    }

    /// Whether it stands only in questions and messages, never in a zone (RFC 6895 3.1).
    #[must_use]
    pub fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }
}

/// The number after `word` in `CLASS1`, `TYPE65280` (RFC 3597 5).
pub(crate) fn numbered(text: &[u8], word: &[u8]) -> Option<u16> {
    let (head, digits) = text.split_at_checked(word.len())?;
    let plain = head.eq_ignore_ascii_case(word)
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit);
    if plain {
        std::str::from_utf8(digits).ok()?.parse().ok()
    } else {
        None
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for RecordType {
    type Err = NoSuchType;

    fn from_str(text: &str) -> Result<Self, NoSuchType> {
        Self::named(text.as_bytes()).ok_or(NoSuchType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!("aaaa".parse(), Ok(RecordType(AAAA)));
        assert_eq!("TYPE65280".parse(), Ok(RecordType(65280)));
        assert_eq!("type1".parse(), Ok(RecordType(A)));
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        for bad in ["", "TYPE", "TYPE65536", "TYPE-1", "TYPE+1", "AA"] {
            assert_eq!(bad.parse::<RecordType>(), Err(NoSuchType), "{bad}");
        }
    }

    #[test]
    fn every_mnemonic_comes_back() {
        for (at, &(number, name)) in MNEMONICS.iter().enumerate() {
            assert_eq!(name.parse(), Ok(RecordType(number)));
            assert_eq!(RecordType(number).to_string(), name);
            assert!(
                at == 0 || MNEMONICS[at - 1].0 < number,
                "{name} is out of order"
            );
        }
    }

    #[test]
    fn hickory_agrees_where_it_has_a_name() {
        use hickory_proto::rr::RecordType as Theirs;
        let mut compared = 0;
        for name in RecordType::mnemonics() {
            if let Ok(theirs) = Theirs::from_str(name) {
                assert_eq!(RecordType(theirs.into()).to_string(), name);
                compared += 1;
            }
        }
        assert!(compared > 30, "{compared}");
    }
}
