//! The packets and the replies.

use nearmost::answer::Transport;

use super::dns::message::{
    AA, AD, CD, Edns, QR, RA, RD, TC, header, name, option, query, question, rtype,
};

pub(crate) const APEX: &str = "example";
pub(crate) const ZONE: &str = r"
$ORIGIN example.
$TTL 300
@       SOA   ns1 hostmaster 1 2 3 4 5
        NS    ns1
ns1     A     192.0.2.1
www     A     192.0.2.2
";
pub(crate) const CONFIGURATION: &str = "[server]\nnsid = \"here\"\n";

/// A packet and what it leads to.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) by: Transport,
    pub(crate) packet: Vec<u8>,
    /// Our reply.
    pub(crate) ours: &'static str,
    /// Knot's, where it is another.
    pub(crate) knot: &'static str,
    /// NSD's, where it is another.
    pub(crate) nsd: &'static str,
}

fn udp(what: &'static str, packet: Vec<u8>, ours: &'static str) -> Case {
    Case {
        what,
        by: Transport::Udp,
        packet,
        ours,
        knot: "",
        nsd: "",
    }
}

fn tcp(what: &'static str, packet: Vec<u8>, ours: &'static str) -> Case {
    Case {
        by: Transport::Tcp,
        ..udp(what, packet, ours)
    }
}

impl Case {
    fn knot(self, knot: &'static str) -> Self {
        Self { knot, ..self }
    }

    fn nsd(self, nsd: &'static str) -> Self {
        Self { nsd, ..self }
    }

    fn both(self, reply: &'static str) -> Self {
        self.knot(reply).nsd(reply)
    }
}

/// The question that most packets have.
fn www() -> Vec<u8> {
    question(&name("www.example"), rtype::A, 1)
}

fn packet(flags: u16, counts: [u16; 4], sections: &[&[u8]]) -> Vec<u8> {
    let mut out = header(0x1234, flags, counts);
    sections.iter().for_each(|s| out.extend_from_slice(s));
    out
}

fn with_edns(edns: &Edns) -> Vec<u8> {
    query(0x1234, &name("www.example"), rtype::A, Some(edns))
}

fn with_options(options: Vec<u8>) -> Vec<u8> {
    with_edns(&Edns {
        options,
        ..Edns::of_size(1232)
    })
}

fn of_type(qtype: u16) -> Vec<u8> {
    query(0x1234, &name("www.example"), qtype, None)
}

fn of_class(class: u16) -> Vec<u8> {
    packet(
        0,
        [1, 0, 0, 0],
        &[&question(&name("www.example"), rtype::A, class)],
    )
}

/// A record with a pointer to the question's name.
fn record(rtype: u16, class: u16, rdata: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rdata.len()).unwrap();
    [
        &[0xc0, 12][..],
        &rtype.to_be_bytes(),
        &class.to_be_bytes(),
        &[0; 4],
        &len.to_be_bytes(),
        rdata,
    ]
    .concat()
}

pub(crate) fn all() -> Vec<Case> {
    [
        headers(),
        opcodes(),
        counts(),
        names(),
        sections(),
        opts(),
        options(),
        ecs(),
        types(),
        transfers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Only the code of operation and RD are echoed (RFC 1035 4.1.1); AD and CD are cleared (RFC 4035 3.1.6). What is no
/// query gets no reply, malformed or not. NSD minds a response code in a query; nothing says that it must be 0.
fn headers() -> Vec<Case> {
    let with = |flags| packet(flags, [1, 0, 0, 0], &[&www()]);
    vec![
        udp("plain", with(0), "NOERROR AA answer 1"),
        udp("RD", with(RD), "NOERROR AA RD answer 1"),
        udp("CD", with(CD), "NOERROR AA answer 1"),
        udp("AD", with(AD), "NOERROR AA answer 1"),
        udp("RA", with(RA), "NOERROR AA answer 1"),
        udp("Z", with(0x40), "NOERROR AA answer 1"),
        udp("AA", with(AA), "NOERROR AA answer 1"),
        udp("TC", with(TC), "NOERROR AA answer 1"),
        udp("a code", with(5), "NOERROR AA answer 1").nsd("FORMERR no question"),
        udp("all bits but QR and the code of operation", with(0x87ff & !QR), "NOERROR AA RD answer 1")
            .nsd("FORMERR RD no question"),
        udp("QR", with(QR), "silent"),
        udp("QR, malformed", packet(QR, [1, 0, 0, 0], &[]), "silent"),
        udp("QR, another operation", with(QR | 0x2000), "silent"),
        udp("no octets", vec![], "silent"),
        udp("one octet", vec![0], "silent"),
        udp("eleven octets", vec![0; 11], "silent"),
        tcp("eleven octets by TCP", vec![0; 11], "silent"),
    ]
}

/// NOTIMP (RFC 1035 4.1.1), with the question where it can be read, as Knot has it, and OPT where the query had it (RFC 6891
/// 6.1.1). NOTIFY (RFC 1996) is taken, and of a zone that is not a secondary here NOTAUTH. Knot takes UPDATE (RFC 2136), which we do not.
fn opcodes() -> Vec<Case> {
    let with = |opcode: u16| packet(opcode << 11, [1, 0, 0, 0], &[&www()]);
    vec![
        udp("IQUERY", with(1), "NOTIMP").nsd("NOTIMP no question"),
        udp("STATUS", with(2), "NOTIMP").nsd("NOTIMP no question"),
        udp("operation 3", with(3), "NOTIMP").nsd("NOTIMP no question"),
        udp("NOTIFY", with(4), "NOTAUTH").nsd("NXDOMAIN no question"),
        udp("UPDATE", with(5), "NOTIMP").knot("FORMERR").nsd("NOTIMP no question"),
        udp("DSO", with(6), "NOTIMP").nsd("NOTIMP no question"),
        udp("operation 15", with(15), "NOTIMP").nsd("NOTIMP no question"),
        udp("STATUS without a question", packet(2 << 11, [0, 0, 0, 0], &[]), "NOTIMP no question"),
        udp("STATUS with OPT", packet(2 << 11, [1, 0, 0, 1], &[&www(), &Edns::of_size(1232).octets()]), "NOTIMP OPT")
            .nsd("NOTIMP no question"),
    ]
}

/// FORMERR for anything but one question (RFC 9619); Knot is silent where it cannot read that far. A query without
/// a question is answered where it brings a cookie (RFC 7873 5.4); by NSD in any case, by Knot never. Octets after the message are damage, as
/// for Knot; NSD passes over them.
fn counts() -> Vec<Case> {
    let two = [www(), www()].concat();
    let bare = |cookie: &[u8]| {
        let options = option(10, cookie);
        let edns = Edns { options, ..Edns::of_size(1232) };
        packet(0, [0, 0, 0, 1], &[&edns.octets()])
    };
    vec![
        udp("a header alone", packet(0, [0; 4], &[]), "FORMERR no question"),
        udp("no question but OPT", packet(0, [0, 0, 0, 1], &[&Edns::of_size(1232).octets()]), "FORMERR no question OPT")
            .nsd("NOERROR no question OPT"),
        udp("no question but a client's cookie", bare(&[1; 8]), "NOERROR no question OPT")
            .knot("FORMERR no question OPT"),
        udp("no question but a cookie of others", bare(&[1; 24]), "BADCOOKIE no question OPT")
            .knot("FORMERR no question OPT").nsd("NOERROR no question OPT"),
        udp("no question but a cookie of 7 octets", bare(&[1; 7]), "FORMERR no question OPT")
            .nsd("NOERROR no question OPT"),
        udp("a question that is not there", packet(0, [1, 0, 0, 0], &[]), "FORMERR no question").knot("silent"),
        udp("two questions", packet(0, [2, 0, 0, 0], &[&two]), "FORMERR no question").knot("silent"),
        udp("two questions counted, one there", packet(0, [2, 0, 0, 0], &[&www()]), "FORMERR no question")
            .knot("silent"),
        udp("65535 questions", packet(0, [65_535, 0, 0, 0], &[&www()]), "FORMERR no question").knot("silent"),
        udp("octets behind the end", packet(0, [1, 0, 0, 0], &[&www(), &[0]]), "FORMERR").nsd("NOERROR AA answer 1"),
        udp("a question behind the end", packet(0, [1, 0, 0, 0], &[&two]), "FORMERR").nsd("NOERROR AA answer 1"),
        udp("an OPT that is not counted", packet(0, [1, 0, 0, 0], &[&www(), &Edns::of_size(1232).octets()]), "FORMERR")
            .nsd("NOERROR AA answer 1"),
    ]
}

/// FORMERR (RFC 1035 3.1, 4.1.4): the first name of a message has nothing to point to. Knot is silent.
fn names() -> Vec<Case> {
    let with = |octets: &[u8]| packet(0, [1, 0, 0, 0], &[octets, &[0, 1, 0, 1]]);
    let long = [&[63; 64].repeat(4)[..], &[0]].concat();
    let cut = |len: usize| packet(0, [1, 0, 0, 0], &[&www()[..len]]);
    vec![
        udp("the root", with(&[0]), "REFUSED"),
        udp("a pointer to itself", with(&[0xc0, 12]), "FORMERR no question").knot("silent"),
        udp("a pointer to the header", with(&[0xc0, 0]), "FORMERR no question").knot("silent"),
        udp("a pointer forward", with(&[0xc0, 14]), "FORMERR no question").knot("silent"),
        udp("a label, then a pointer back", with(&[1, b'a', 0xc0, 12]), "FORMERR no question").knot("silent"),
        udp("a label of type 01", with(&[0x41, 0, 0]), "FORMERR no question").knot("silent"),
        udp("a label of type 10", with(&[0x81, 0, 0]), "FORMERR no question").knot("silent"),
        udp("a name of 257 octets", with(&long), "FORMERR no question").knot("silent"),
        udp("a name that does not end", packet(0, [1, 0, 0, 0], &[&[3, b'w', b'w', b'w']]), "FORMERR no question")
            .knot("silent"),
        udp("a label that is cut short", cut(2), "FORMERR no question").knot("silent"),
        udp("a type that is cut short", cut(www().len() - 3), "FORMERR no question").knot("silent"),
        udp("a class that is cut short", cut(www().len() - 1), "FORMERR no question").knot("silent"),
    ]
}

/// A query has no answer and, but for IXFR, no authority (RFC 1035 4.1.1): FORMERR, as by NSD. Other additional records do
/// not matter to us, as to Knot; a signature does (RFC 8945 5.2).
fn sections() -> Vec<Case> {
    let a = record(rtype::A, 1, &[192, 0, 2, 9]);
    let opt = Edns::of_size(1232).octets();
    let tsig_rdata = [
        &name("hmac-sha256")[..],
        &[0; 6],
        &[1, 44],
        &[0, 0],
        &[0x12, 0x34],
        &[0; 4],
    ]
    .concat();
    let tsig = record(250, 255, &tsig_rdata);
    vec![
        udp("an answer", packet(0, [1, 1, 0, 0], &[&www(), &a]), "FORMERR")
            .knot("NOERROR AA answer 1").nsd("FORMERR no question"),
        udp("an answer that is not there", packet(0, [1, 1, 0, 0], &[&www()]), "FORMERR").nsd("FORMERR no question"),
        udp("an authority", packet(0, [1, 0, 1, 0], &[&www(), &a]), "FORMERR")
            .knot("NOERROR AA answer 1").nsd("FORMERR no question"),
        udp("an additional record", packet(0, [1, 0, 0, 1], &[&www(), &a]), "NOERROR AA answer 1")
            .nsd("FORMERR no question"),
        udp("an additional record before OPT", packet(0, [1, 0, 0, 2], &[&www(), &a, &opt]), "NOERROR AA answer 1 OPT")
            .nsd("FORMERR no question"),
        udp("an additional record after OPT", packet(0, [1, 0, 0, 2], &[&www(), &opt, &a]), "NOERROR AA answer 1 OPT")
            .nsd("FORMERR no question"),
        udp("an additional record that is not there", packet(0, [1, 0, 0, 1], &[&www()]), "FORMERR")
            .nsd("FORMERR no question"),
        udp("an additional record that is cut short", packet(0, [1, 0, 0, 1], &[&www(), &a[..a.len() - 1]]), "FORMERR")
            .nsd("FORMERR no question"),
        udp("TSIG with a key that nobody has", packet(0, [1, 0, 0, 1], &[&www(), &tsig]), "NOTAUTH additional 1")
            .nsd("NOTAUTH no question additional 1"),
        udp("OPT as an answer", packet(0, [1, 1, 0, 0], &[&www(), &opt]), "FORMERR").nsd("FORMERR no question"),
    ]
}

/// RFC 6891: 6.1.1 one OPT, and OPT in every reply to it; 6.1.2 the root's; 6.1.3 BADVERS before all else; 6.2.5 sizes below
/// 512 are 512. Knot and NSD leave OPT out of FORMERR.
fn opts() -> Vec<Case> {
    let opt = Edns::of_size(1232).octets();
    let mut named = record(41, 1232, &[]);
    named[..2].copy_from_slice(&[0xc0, 12]);
    let size = |size| with_edns(&Edns::of_size(size));
    let mut flags = size(1232);
    let z = flags.len() - 4;
    flags[z..z + 2].copy_from_slice(&[0x7f, 0xff]);
    let version = |version, options| {
        with_edns(&Edns {
            version,
            options,
            ..Edns::of_size(1232)
        })
    };
    vec![
        udp("OPT", size(1232), "NOERROR AA answer 1 OPT"),
        udp("OPT and DO", with_edns(&Edns { dnssec_ok: true, ..Edns::of_size(1232) }), "NOERROR AA answer 1 OPT DO"),
        udp("all other flags of OPT", flags, "NOERROR AA answer 1 OPT"),
        udp("two OPTs", packet(0, [1, 0, 0, 2], &[&www(), &opt, &opt]), "FORMERR OPT")
            .knot("FORMERR").nsd("FORMERR no question"),
        udp("OPT that is not the root's", packet(0, [1, 0, 0, 1], &[&www(), &named]), "FORMERR OPT")
            .knot("NOERROR AA answer 1 OPT").nsd("FORMERR no question"),
        udp("OPT that is cut short", packet(0, [1, 0, 0, 1], &[&www(), &opt[..9]]), "FORMERR")
            .nsd("FORMERR no question"),
        udp("size 0", size(0), "NOERROR AA answer 1 OPT"),
        udp("size 100", size(100), "NOERROR AA answer 1 OPT"),
        udp("size 65535", size(65_535), "NOERROR AA answer 1 OPT"),
        udp("version 1", version(1, vec![]), "BADVERS OPT"),
        udp("version 255 with odd options", version(255, vec![1]), "BADVERS OPT").knot("FORMERR"),
    ]
}

/// Options that we do not know are passed over (RFC 6891 6.1.2), whatever is in them. A cookie has one of its lengths (RFC 7873 5.2.2), which Knot and NSD do
/// not mind here.
fn options() -> Vec<Case> {
    let mut long = with_options(option(65_001, b"abc"));
    let at = long.len() - 4;
    long[at] = 50;
    vec![
        udp("an unknown option", with_options(option(65_001, b"abc")), "NOERROR AA answer 1 OPT"),
        udp("an unknown option twice", with_options(option(65_001, b"abc").repeat(2)), "NOERROR AA answer 1 OPT"),
        udp("an option longer than OPT", long, "FORMERR OPT").knot("FORMERR").nsd("FORMERR no question"),
        udp("an option without a length", with_options(vec![0, 3]), "FORMERR OPT")
            .knot("FORMERR").nsd("FORMERR no question"),
        udp("one octet of options", with_options(vec![0]), "FORMERR OPT").knot("FORMERR").nsd("FORMERR no question"),
        udp("NSID", with_options(option(3, b"")), "NOERROR AA answer 1 OPT"),
        udp("NSID with data", with_options(option(3, b"x")), "NOERROR AA answer 1 OPT"),
        udp("a client's cookie", with_options(option(10, &[1; 8])), "NOERROR AA answer 1 OPT"),
        udp("a cookie of 7 octets", with_options(option(10, &[1; 7])), "FORMERR OPT")
            .knot("NOERROR AA answer 1 OPT")
            .nsd("NOERROR AA answer 1 OPT"),
        udp("padding", with_options(option(12, &[0; 20])), "NOERROR AA answer 1 OPT"),
        udp("keepalive by UDP", with_options(option(11, &[])), "NOERROR AA answer 1 OPT"),
    ]
}

/// FORMERR for what RFC 7871 6 and 7.1.2 forbid. Knot and NSD do not read the option.
fn ecs() -> Vec<Case> {
    let with = |data: &[u8]| with_options(option(8, data));
    let fine = "NOERROR AA answer 1 OPT";
    let bad =
        |what, data: &[u8]| udp(what, with(data), "FORMERR OPT").both("NOERROR AA answer 1 OPT");
    vec![
        udp("ECS", with(&[0, 1, 24, 0, 192, 0, 2]), fine),
        udp("ECS of IPv6", with(&[0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8]), fine),
        udp("ECS of SOURCE 0", with(&[0, 1, 0, 0]), fine),
        udp("ECS of family 0", with(&[0, 0, 0, 0]), fine),
        bad("ECS of no octets", &[]),
        bad("ECS of family 3", &[0, 3, 0, 0]),
        bad("ECS of SOURCE 33", &[0, 1, 33, 0, 192, 0, 2, 0, 0]),
        bad("ECS of too few octets", &[0, 1, 24, 0, 192, 0]),
        bad("ECS of too many octets", &[0, 1, 24, 0, 192, 0, 2, 0]),
        bad("ECS with bits beyond SOURCE", &[0, 1, 20, 0, 192, 0, 0xff]),
        bad("ECS with SCOPE", &[0, 1, 24, 24, 192, 0, 2]),
        udp("ECS twice", with_options(option(8, &[0, 1, 24, 0, 192, 0, 2]).repeat(2)), "FORMERR OPT").both(fine),
    ]
}

/// Types that are none are not there, as for NSD; Knot takes type 0 for an operation. Other classes are refused; any class is
/// ours too, without AA, as by NSD (RFC 1035 6.2). Both tell their version in class CH.
fn types() -> Vec<Case> {
    let nothing = "NOERROR AA authority 1";
    vec![
        udp("type 0", of_type(0), nothing).knot("NOTIMP"),
        udp("type OPT", of_type(41), nothing),
        udp("type TKEY", of_type(249), nothing),
        udp("type TSIG", of_type(250), nothing),
        udp("type MAILB", of_type(253), nothing),
        udp("type MAILA", of_type(254), nothing),
        udp("type ANY", of_type(255), "NOERROR AA answer 1"),
        udp("type 128", of_type(128), "FORMERR").knot(nothing).nsd(nothing),
        udp("type 65280", of_type(65_280), nothing),
        udp("type 65535", of_type(65_535), nothing),
        udp("class CH", of_class(3), "REFUSED"),
        udp("class HS", of_class(4), "REFUSED").nsd("REFUSED no question"),
        udp("class NONE", of_class(254), "REFUSED").nsd("REFUSED no question"),
        udp("class ANY", of_class(255), "NOERROR answer 1").knot("NOERROR AA answer 1"),
        udp("class 0", of_class(0), "REFUSED").nsd("REFUSED no question"),
        udp("class 65535", of_class(65_535), "REFUSED").nsd("REFUSED no question"),
        udp("version.bind", packet(0, [1, 0, 0, 0], &[&question(&name("version.bind"), rtype::TXT, 3)]), "REFUSED")
            .both("NOERROR answer 1"),
        udp("another zone", query(1, &name("elsewhere"), rtype::A, None), "REFUSED"),
    ]
}

/// Refused by us, whoever asks and however. AXFR by UDP is not defined (RFC 5936 4.2): both have NOTIMP for it.
fn transfers() -> Vec<Case> {
    let of = |name_of: &str, qtype| query(0x1234, &name(name_of), qtype, None);
    let soa = record(rtype::SOA, 1, &[&[0, 0][..], &[0; 20]].concat());
    let ixfr = packet(
        0,
        [1, 0, 1, 0],
        &[&question(&name("example"), 251, 1), &soa],
    );
    vec![
        udp("AXFR by UDP", of("example", 252), "REFUSED").both("NOTIMP"),
        udp("AXFR by UDP of a name", of("www.example", 252), "REFUSED").both("NOTIMP"),
        udp("AXFR by UDP of another zone", of("elsewhere", 252), "REFUSED").both("NOTIMP"),
        tcp("AXFR by TCP", of("example", 252), "REFUSED").knot("NOTAUTH"),
        tcp("AXFR by TCP of another zone", of("elsewhere", 252), "REFUSED").both("NOTAUTH"),
        udp("IXFR by UDP", ixfr.clone(), "REFUSED").knot("NOTAUTH"),
        tcp("IXFR by TCP", ixfr, "REFUSED").knot("NOTAUTH"),
        udp("IXFR without SOA", of("example", 251), "REFUSED").knot("NOTAUTH"),
    ]
}
