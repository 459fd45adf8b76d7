//! RDATA against examples of the RFCs and against hickory. (`tests/zone_file.rs` compares every type with Knot and NSD.)

use std::path::Path;

use hickory_proto::rr::{RData, RecordType as Theirs};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::diagnostic::{Diagnostics, Sources};
use crate::zone::{Data, Name, file};

/// The RDATA of `TYPE text`, or the first error.
fn rdata(text: &str) -> Result<(u16, Box<[u8]>), String> {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let line = format!("a 1 {text}\n");
    let origin = Name::absolute("example").unwrap();
    let contents = file::read_text(
        Path::new("z"),
        line.into_bytes(),
        &origin,
        &mut sources,
        &mut found,
    );
    if let Some(first) = found.list.first() {
        return Err(first.message.clone());
    }
    match &contents.records[0].data {
        Data::Plain { rtype, rdata } => Ok((*rtype, rdata.clone())),
        Data::Pool { .. } => Err("a pool".into()),
    }
}

fn hex(text: &str) -> String {
    rdata(text)
        .unwrap_or_else(|why| panic!("{text}: {why}"))
        .1
        .iter()
        .map(|o| format!("{o:02x}"))
        .collect()
}

#[test]
fn examples_of_the_rfcs() {
    for (text, expected) in [
        // RFC 1876 4
        (
            "LOC 42 21 54 N 71 06 18 W -24m 30m",
            "003316138917 2dd070be15f000988d20",
        ),
        ("LOC 52 N 4 E 0", "001216138b28720080dbba0000989680"),
        // RFC 3123 4
        (
            "APL 1:192.168.32.0/21 !1:192.168.38.0/28",
            "00011503c0a82000011c83c0a826",
        ),
        (
            "APL 1:224.0.0.0/4 2:FF00:0:0:0:0:0:0:0/8",
            "00010401e000020801ff",
        ),
        // RFC 3597 5, RFC 4034 4.3
        ("TYPE731 \\# 6 abcdef ( 01 23 45 )", "abcdef012345"),
        (
            "NSEC host.example.com. A MX RRSIG NSEC TYPE1234",
            "04686f7374076578616d706c6503636f6d000006400100000003041b000000000000000000000000000000000000000000000000000020",
        ),
        // RFC 6742 2, RFC 7043 3
        ("NID 10 0014:4fff:ff20:ee64", "000a00144fffff20ee64"),
        ("L32 10 10.1.2.0", "000a0a010200"),
        ("EUI48 00-00-5e-00-53-2a", "00005e00532a"),
        // RFC 8005 6
        (
            "HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAQ== rvs.example.com.",
            "1002000420010010 7b1a74df365639cc39f1d57803010001037276730 76578616d706c6503636f6d00",
        ),
        // RFC 9460 D.2
        (
            "SVCB 0 foo.example.com.",
            "000003666f6f076578616d706c6503636f6d00",
        ),
        ("SVCB 1 .", "000100"),
        (
            "SVCB 16 foo.example.com. port=53",
            "001003666f6f076578616d706c6503636f6d00000300020035",
        ),
        (
            "SVCB 1 foo.example.com. key667=hello",
            "000103666f6f076578616d706c6503636f6d00029b000568656c6c6f",
        ),
        (
            "SVCB 1 foo.example.com. key667=\"hello\\210qoo\"",
            "000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f",
        ),
        (
            "SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
            "001003666f6f076578616d706c65036f72670000000004000100040001000902683205 68332d313900040004c0000201",
        ),
        (
            "SVCB 16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
            "001003666f6f076578616d706c65036f72670000010 00c08665c6f6f2c626172026832",
        ),
        (
            "SVCB 16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
            "001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832",
        ),
    ] {
        assert_eq!(hex(text), expected.replace(' ', ""), "{text}");
    }
}

#[test]
fn malformed_data_are_refused() {
    for text in [
        // RFC 9460 D.3
        "SVCB 1 a key123=abc key123=def",
        "SVCB 1 a mandatory",
        "SVCB 1 a alpn",
        "SVCB 1 a port",
        "SVCB 1 a ipv4hint",
        "SVCB 1 a ipv6hint",
        "SVCB 1 a no-default-alpn=abc",
        "SVCB 1 a mandatory=key123",
        "SVCB 1 a mandatory=mandatory",
        "SVCB 1 a mandatory=key123,key123 key123=abc",
        "SVCB 1 a alpn=h2,,h3",
        "SVCB 1 a alpn=\"h2\"x",
        "SVCB 1 a key3=abc",
        "SVCB 1 a port=65536",
        "SVCB 1 a ALPN=h2",
        "SVCB 1 a ech=A",
        "SVCB 1 a \"alpn=h2\"",
        "SVCB \\# 13 0001 00 0003 0002 0035 0001 0002 0161",
        "HTTPS \\# 7 0001 00 0003 0001",
        "LOC 52 22 N",
        "LOC 91 N 4 E 0m",
        "LOC 52 60 N 4 E 0m",
        "LOC 52 0 60 N 4 E 0m",
        "LOC 52 N 4 E -100000.01m",
        "LOC 52 N 4 E 0m 90000000.01m",
        "LOC 52 0 0 0 N 4 E 0m",
        "APL 1:192.0.2.0/33",
        "APL 3:00/1",
        "APL \\# 5 0001 20 01 00",
        "CAA 0 is-sue x",
        "CAA 0 \"\" x",
        "CAA 256 issue x",
        "DS 1 8 2 00",
        "DS 1 8 2",
        "DS 1 RSASHA257 2 00",
        "DS \\# 5 0001 08 02 00",
        "DNSKEY 256 3 8",
        "DNSKEY 256 3 8 AAA",
        "DNSKEY 256 3 8 AA=A",
        "DNSKEY 256 3 8 ====",
        "TLSA 3 1 1 0",
        "TLSA 3 1 1 -",
        "NSEC b BOGUS",
        "NSEC \\# 3 00 00 00",
        "NSEC3 1 0 0 - x",
        "NSEC3 1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM= A",
        "RRSIG A 8 2 300 20301301000000 20200101000000 1 . AAAA",
        "NXT b TYPE128",
        "EUI48 00:00:5e:00:53:2a",
        "EUI48 00-00-5e-00-53",
        "NID 1 0014:4fff:ff20",
        "IPSECKEY 10 0 2 a AAAA",
        "IPSECKEY 10 4 2 a AAAA",
        "IPSECKEY 10 3 2 a",
        "WKS 192.0.2.1 TCP 65536",
        "NSAP 47",
        "NSAP 0x4",
        "X25",
        "HINFO one",
        "MX \\# 4 000a c00c",
        "MX \\# 6 000a 0162 00 00",
        "TXT \\# 2 0561",
        "TXT \\# 0",
        "TXT \\# 65536 00",
        "A \\#",
        "A \\# x 00",
    ] {
        assert!(rdata(text).is_err(), "{text}");
    }
}

/// Types that hickory decodes, with the text that it shows for them where that is plain.
const KNOWN: &[(&str, &str)] = &[
    ("A 192.0.2.1", "192.0.2.1"),
    ("AAAA 2001:db8::1", "2001:db8::1"),
    ("NS ns", "ns.example."),
    ("CNAME Target.example.org.", "Target.example.org."),
    ("PTR ptr", "ptr.example."),
    ("MX 10 mail", "10 mail.example."),
    (
        "SOA ns h 1 1h 2m 3 4w",
        "ns.example. h.example. 1 3600 120 3 2419200",
    ),
    ("SRV 1 2 3 target", "1 2 3 target.example."),
    ("TXT one", "one"),
    ("HINFO cpu os", "cpu os"),
    ("CAA 128 issue ca.example.net", ""),
    ("NAPTR 1 2 s http \"\" target", ""),
    (
        "SSHFP 1 1 123456789abcdef67890123456789abcdef67890",
        "1 1 123456789abcdef67890123456789abcdef67890",
    ),
    (
        "TLSA 3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3",
        "",
    ),
    ("SMIMEA 3 0 0 308203", ""),
    ("OPENPGPKEY mQENBFVHm5sBCADf", "mQENBFVHm5sBCADf"),
    ("CERT PKIX 1 RSASHA256 AAAA", ""),
    ("CSYNC 66 3 A NS AAAA", "66 3 A NS AAAA"),
    (
        "SVCB 1 svc alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 key667=x",
        "",
    ),
    ("HTTPS 1 . mandatory=port port=8443", ""),
    ("DNAME other.example.org.", ""),
];

#[test]
fn hickory_decodes_what_we_make() {
    for (text, shown) in KNOWN {
        let (rtype, rdata) = rdata(text).unwrap();
        let mut decoder = BinDecoder::new(&rdata);
        let length = Restrict::new(u16::try_from(rdata.len()).unwrap());
        let decoded = RData::read(&mut decoder, Theirs::from(rtype), length)
            .unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(decoder.is_empty(), "{text}: {decoded}");
        assert_eq!(u16::from(decoded.record_type()), rtype, "{text}");
        if !shown.is_empty() {
            assert_eq!(decoded.to_string(), *shown, "{text}");
        }
    }
}
