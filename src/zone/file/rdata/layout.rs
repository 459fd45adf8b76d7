//! The table: which fields the RDATA of each type has. Text is read by it and `\#` data are checked by it.

use super::Field::{
    Algorithm, Apl, Base64, Bitmap, CaaTag, CertType, Digest, Eui, Hex, Hip, Ilnp64, Ipv4, Ipv6,
    Loc, Name, Nsap, OldBitmap, OptionalString, OwnerHash, Salt, String, Strings, SvcParams, Text,
    Time, Timestamp, Type, U8, U16, U32, Wks,
};
use super::{Field, Slot};

/// Fields in their order, each after what a message calls it.
macro_rules! fields {
    ($($what:literal $field:expr),+ $(,)?) => {{
        const FIELDS: &[Slot] = &[$(Slot { what: $what, field: $field }),+];
        FIELDS
    }};
}

const NAME: &[Slot] = fields!["a name" Name];
const PREFERENCE_NAME: &[Slot] = fields!["the preference" U16, "a host name" Name];
const TWO_NAMES: &[Slot] = fields!["a mailbox or domain name" Name, "a second name" Name];
const STRINGS: &[Slot] = fields!["a string" Strings];
const KEY: &[Slot] =
    fields!["flags" U16, "the protocol" U8, "an algorithm" Algorithm, "a key" Base64];
const DIGEST: &[Slot] = fields![
    "a key tag" U16, "an algorithm" Algorithm, "a digest type" U8, "a digest" Digest,
];
const SIGNATURE: &[Slot] = fields![
    "the type covered" Type, "an algorithm" Algorithm, "the number of labels" U8,
    "the original TTL" Time, "the expiration" Timestamp, "the inception" Timestamp, "a key tag" U16,
    "the signer's name" Name, "a signature" Base64,
];
const TLSA: &[Slot] = fields![
    "the certificate usage" U8, "the selector" U8, "the matching type" U8, "certificate data" Hex,
];
const SERVICE: &[Slot] =
    fields!["the priority" U16, "the target's name" Name, "a parameter" SvcParams];
const SOA: &[Slot] = fields![
    "the primary server's name" Name, "the mailbox's name" Name, "the serial" U32,
    "the refresh time" Time, "the retry time" Time, "the expire time" Time, "the negative TTL" Time,
];
const NAPTR: &[Slot] = fields![
    "the order" U16, "the preference" U16, "flags" String, "services" String,
    "a regular expression" String, "the replacement's name" Name,
];
const NSEC3: &[Slot] = fields![
    "the hash algorithm" U8, "flags" U8, "iterations" U16, "a salt" Salt,
    "the next owner's hash" OwnerHash, "types" Bitmap,
];
const IPSECKEY: &[Slot] = fields!["the precedence" U8, "the gateway type" Field::IpsecKey];
const SRV: &[Slot] =
    fields!["the priority" U16, "the weight" U16, "the port" U16, "the target's name" Name];
const CSYNC: &[Slot] = fields!["the serial" U32, "flags" U16, "types" Bitmap];
const ZONEMD: &[Slot] = fields!["the serial" U32, "the scheme" U8, "the hash" U8, "a digest" Hex];
const CERT: &[Slot] = fields![
    "a certificate type" CertType, "a key tag" U16, "an algorithm" Algorithm, "a certificate" Base64,
];

/// The fields of a type's RDATA in their order; none for types without a presentation form of their own
/// (NULL, and every type not listed): those are written as `\#` (RFC 3597 5).
pub(super) fn layout(rtype: u16) -> Option<&'static [Slot]> {
    Some(match rtype {
        // RFC 1035 3.3, 3.4
        1 => fields!["an IPv4 address" Ipv4],
        2..=5 | 7..=9 | 12 => NAME,
        6 => SOA,
        11 => fields!["an IPv4 address" Ipv4, "a protocol" Wks],
        13 => fields!["the CPU" String, "the operating system" String],
        14 => TWO_NAMES,
        15 => PREFERENCE_NAME,
        16 => STRINGS,
        // RFC 1183, 1706, 2163, 1712
        17 => TWO_NAMES,
        18 => fields!["the subtype" U16, "a host name" Name],
        19 => fields!["a PSDN address" String],
        20 => fields!["an ISDN address" String, "a subaddress" OptionalString],
        21 => PREFERENCE_NAME,
        22 => fields!["an NSAP address" Nsap],
        23 => NAME,
        26 => fields!["the preference" U16, "the RFC 822 domain" Name, "the X.400 domain" Name],
        27 => fields!["the longitude" String, "the latitude" String, "the altitude" String],
        // RFC 2535
        24 => SIGNATURE,
        25 => KEY,
        30 => fields!["the next owner" Name, "types" OldBitmap],
        28 => fields!["an IPv6 address" Ipv6],
        29 => fields!["degrees of latitude" Loc],
        31 | 32 => fields!["an address" Hex],
        33 => SRV,
        35 => NAPTR,
        36 => PREFERENCE_NAME,
        37 => CERT,
        39 => NAME,
        42 => fields!["an address prefix" Apl],
        43 | 59 | 32768 | 32769 => DIGEST,
        44 => fields!["an algorithm" U8, "the fingerprint type" U8, "a fingerprint" Hex],
        45 => IPSECKEY,
        46 => SIGNATURE,
        47 => fields!["the next owner" Name, "types" Bitmap],
        48 | 57 | 60 => KEY,
        49 => fields!["a digest" Base64],
        50 => NSEC3,
        51 => fields!["the hash algorithm" U8, "flags" U8, "iterations" U16, "a salt" Salt],
        52 | 53 => TLSA,
        55 => fields!["an algorithm" Hip],
        56 => STRINGS,
        58 => TWO_NAMES,
        61 => fields!["a key" Base64],
        62 => CSYNC,
        63 => ZONEMD,
        64 | 65 => SERVICE,
        66 => fields!["a type" Type, "the scheme" U8, "the port" U16, "the target's name" Name],
        99 | 258 | 261 | 262 => STRINGS,
        100 => fields!["a string" String],
        101 | 102 => fields!["a number" U32],
        // RFC 6742, 7043
        104 | 106 => fields!["the preference" U16, "four groups of hexadecimal digits" Ilnp64],
        105 => fields!["the preference" U16, "an IPv4 address" Ipv4],
        107 => PREFERENCE_NAME,
        108 => fields!["a MAC address" Eui(6)],
        109 => fields!["a MAC address" Eui(8)],
        256 => fields!["the priority" U16, "the weight" U16, "a URI" Text],
        257 => fields!["flags" U8, "a tag" CaaTag, "a value" Text],
        _ => return None,
    })
}
