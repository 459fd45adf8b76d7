//! Zones with one thing wrong, and zones that only look so.

use std::path::Path;

use super::check;
use crate::diagnostic::{Diagnostics, Severity, Sources};
use crate::zone::{Data, Name, Record, RecordType, file};

const GOOD: &str = "$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n";

fn load(text: &str) -> (Vec<Record>, Diagnostics, Sources) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let origin = Name::absolute("example").unwrap();
    let contents = file::read_text(
        Path::new("z"),
        text.as_bytes(),
        &origin,
        &mut sources,
        &mut found,
    );
    assert_eq!(found.errors(), 0, "{}", found.render(&sources, false));
    let records = check(
        &contents.origin,
        contents.records,
        &["debian", "arch"],
        &mut found,
    );
    (records, found, sources)
}

/// `line severity message > line of the other place` of each finding.
fn findings(text: &str) -> Vec<String> {
    let (_, found, sources) = load(text);
    let line = |span| sources.place(span).split(':').nth(1).unwrap().to_owned();
    let show = |d: &crate::diagnostic::Diagnostic| {
        let severity = if d.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let other = d
            .notes
            .iter()
            .find_map(|(span, _)| *span)
            .map_or(String::new(), |s| format!(" > {}", line(s)));
        format!(
            "{} {severity}: {}{other}",
            d.span.map_or("-".into(), line),
            d.message
        )
    };
    found.list.iter().map(show).collect()
}

/// The findings in a good zone with these lines after it, which begin at line 5.
fn with(lines: &str) -> Vec<String> {
    findings(&format!("{GOOD}{lines}"))
}

#[test]
fn nsec3_has_a_bound_and_stands_below_a_dname_too() {
    let hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
    let chain = format!("{hash} NSEC3 1 0 0 - {hash} NS SOA DNAME NSEC3PARAM\n");
    let apex = |iterations: u16| {
        let zone = GOOD
            .replace("ns1 A 192.0.2.1\n", "")
            .replace("NS ns1", "NS ns1.net.");
        findings(&format!(
            "{zone}@ DNAME net.\n@ NSEC3PARAM 1 0 {iterations} -\n{chain}"
        ))
    };
    assert_eq!(apex(500), [""; 0]);
    assert_eq!(
        apex(501),
        ["5 error: NSEC3 with 501 iterations: 500 is the most that is served"]
    );
}

#[test]
fn a_good_zone_is_good_and_sorted() {
    assert_eq!(with("").len(), 0);
    let (records, ..) = load(&format!(
        "{GOOD}B.a TXT x\n\\001.a TXT x\nz TXT x\na TXT x\n*.a A 192.0.2.1\nz A 192.0.2.1\n"
    ));
    let order: Vec<String> = records
        .iter()
        .map(|r| format!("{} {}", r.owner, kind(r)))
        .collect();
    let below = [
        "a.example. TXT",
        "\\001.a.example. TXT",
        "*.a.example. A",
        "B.a.example. TXT",
    ];
    let expected = [
        &["example. NS", "example. SOA"][..],
        &below,
        &["ns1.example. A", "z.example. A", "z.example. TXT"],
    ];
    assert_eq!(order, expected.concat());
}

fn kind(record: &Record) -> String {
    match record.data {
        Data::Plain { rtype, .. } => RecordType(rtype).to_string(),
        Data::Pool { .. } => "POOL".into(),
    }
}

#[test]
fn the_apex_has_one_soa_and_name_servers() {
    let none = findings("$TTL 1\na A 192.0.2.1\n");
    assert_eq!(
        none[0],
        "2 error: the zone example. has no SOA at its own name"
    );
    assert_eq!(
        none[1],
        "2 error: the zone example. has no NS at its own name"
    );
    assert_eq!(findings("").len(), 2);
    assert_eq!(
        with("@ SOA ns1 h 2 2 3 4 5\n"),
        ["5 error: a second SOA > 2"]
    );
    assert_eq!(
        with("a SOA ns1 h 2 2 3 4 5\n"),
        ["5 error: a SOA stands only at the zone's own name, example."]
    );
}

#[test]
fn owners_outside_the_zone() {
    assert_eq!(
        with("a.example.org. A 192.0.2.1\n"),
        ["5 error: a.example.org. A is outside the zone example."]
    );
    assert_eq!(
        with("aexample. 9/9 POOL debian\n"),
        ["5 error: aexample. POOL is outside the zone example."]
    );
}

#[test]
fn a_forgotten_dot() {
    let expected =
        "5 warning: www.example.example. has the zone's name twice: is a dot missing at its end?";
    assert_eq!(
        with("www.example A 192.0.2.1\nexample.a A 192.0.2.1\naexample A 192.0.2.1\n"),
        [expected]
    );
}

#[test]
fn aliases_stand_alone() {
    let beside = "5 error: a CNAME beside other data: the name it points to would have them > 6";
    assert_eq!(with("a CNAME b\na TXT x\n"), [beside]);
    assert_eq!(with("a CNAME b\na POOL debian\n"), [beside]);
    assert_eq!(
        with("a CNAME b\nA CNAME c\n"),
        ["6 error: a second CNAME at one name > 5"]
    );
    assert_eq!(
        with("a CNAME b\na NSEC b CNAME\na KEY 256 3 8 AAAA\n"),
        [""; 0]
    );
    assert_eq!(
        with("a DNAME b\na DNAME c\n"),
        ["6 error: a second DNAME at one name > 5"]
    );
    assert_eq!(
        with("a DNAME b\na NS ns1\n"),
        ["5 error: a DNAME at a delegation > 6"]
    );
    assert_eq!(with("a DNAME b\na TXT x\naa TXT x\n"), [""; 0]);
    let below = "6 error: this name is below a DNAME: nobody would be given it > 5";
    assert_eq!(with("a DNAME b\nx.y.a TXT x\n"), [below]);
}

#[test]
fn duplicates_are_dropped_and_ttls_made_one() {
    let text = format!(
        "{GOOD}a 9 A 192.0.2.1\na 9 A 192.0.2.1\na 5 A 192.0.2.2\na 7 A 192.0.2.3\nA 1 AAAA ::\n"
    );
    let expected = [
        "6 warning: this record of a.example. is written twice > 5",
        "7 warning: the A records of a.example. differ in TTL: 5, the smallest, is taken > 5",
    ];
    assert_eq!(findings(&text), expected);
    let ttls: Vec<u32> = load(&text)
        .0
        .iter()
        .filter(|r| kind(r) == "A")
        .map(|r| r.ttl)
        .collect();
    assert_eq!(ttls, [5, 5, 5, 60]);
}

#[test]
fn pools_and_what_stands_around_them() {
    assert_eq!(
        with("a 9/3 POOL debian\na MX 1 ns1\na TXT x\n@ POOL arch\n"),
        [""; 0]
    );
    assert_eq!(
        with("a POOL debain\n"),
        ["5 error: there is no pool \"debain\""]
    );
    let beside =
        "5 error: a POOL beside addresses: the pool's nodes are the addresses of this name > 6";
    assert_eq!(with("a POOL debian\na AAAA ::\n"), [beside]);
    assert_eq!(
        with("a POOL debian\na POOL debian\n"),
        ["6 error: a second POOL at one name > 5"]
    );
    let cut = "a POOL in a part of the zone that is delegated: nobody would be sent here for it";
    assert_eq!(
        with("a POOL debian\na NS ns1\n"),
        [format!("5 error: {cut} > 6")]
    );
    assert_eq!(
        with("a NS ns1\nx.y.a POOL debian\n"),
        [format!("6 error: {cut} > 5")]
    );
    let (_, found, sources) = load(&format!("{GOOD}a POOL debain\n"));
    assert!(
        found
            .render(&sources, false)
            .contains("did you mean \"debian\"?")
    );
}

#[test]
fn targets_inside_the_zone() {
    let pool = "p POOL debian\n";
    assert_eq!(
        with(&format!("{pool}a NS P\n")),
        ["6 error: this NS points to P.example., which is a pool > 5"]
    );
    assert_eq!(
        with(&format!("{pool}a MX 1 p\n")),
        ["6 warning: this MX points to p.example., which is a pool > 5"]
    );
    assert_eq!(
        with(&format!("{pool}a SRV 1 1 1 p\n")),
        ["6 warning: this SRV points to p.example., which is a pool > 5"]
    );
    let alias =
        "6 warning: this MX points to c.example., which is an alias: many will not follow it > 5";
    assert_eq!(with("c CNAME ns1\na MX 1 c\n"), [alias]);
    assert_eq!(
        with("a NS nowhere\n"),
        ["5 warning: the name server nowhere.example. has no address"]
    );
    let glue = "5 warning: ns.a.example. is below the delegation and has no address here: it cannot be found without glue";
    assert_eq!(with("a NS ns.a\n"), [glue]);
    assert_eq!(with("a NS ns.a\nns.a A 192.0.2.1\n"), [""; 0]);
    assert_eq!(with("a NS ns.b\nb NS ns.a\nns.a A 192.0.2.1\n"), [""; 0]);
    assert_eq!(with("a NS x.w\n*.w A 192.0.2.1\n"), [""; 0]);
    assert_eq!(with("a NS ns.example.org.\na MX 0 .\n"), [""; 0]);
    assert_eq!(
        with("*.a NS ns1\n"),
        ["5 warning: what a wildcard NS means is not defined (RFC 4592 4)"]
    );
}
