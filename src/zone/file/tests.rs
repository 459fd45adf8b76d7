//! Master files as operators write them, and as they should not.

use std::path::Path;

use proptest::prelude::*;

use super::{Contents, read, read_text};
use crate::diagnostic::{Diagnostics, Severity, Sources};
use crate::zone::{Data, Name, Record, RecordType};

fn name(text: &str) -> Name {
    Name::absolute(text).unwrap()
}

/// What a text says, and what was found wrong with it.
fn load(text: impl AsRef<[u8]>) -> (Contents, Diagnostics, Sources) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let path = Path::new("example.zone");
    let contents = read_text(
        path,
        text.as_ref(),
        &name("example"),
        &mut sources,
        &mut found,
    );
    (contents, found, sources)
}

/// `owner TTL TYPE hex` of each record of a text without errors.
fn records(text: impl AsRef<[u8]>) -> Vec<String> {
    let (contents, found, sources) = load(text);
    assert_eq!(found.errors(), 0, "{}", found.render(&sources, false));
    contents.records.iter().map(show).collect()
}

fn show(record: &Record) -> String {
    let (owner, ttl) = (&record.owner, record.ttl);
    match &record.data {
        Data::Plain { rtype, rdata } => {
            let hex: String = rdata.iter().map(|o| format!("{o:02x}")).collect();
            format!("{owner} {ttl} {} {hex}", RecordType(*rtype))
        }
        Data::Pool { pool, min_ttl, .. } => format!("{owner} {ttl}/{min_ttl} POOL {pool}"),
    }
}

/// `line:column message` of each error.
fn errors(text: impl AsRef<[u8]>) -> Vec<String> {
    let (_, found, sources) = load(text);
    let errors = found.list.iter().filter(|d| d.severity == Severity::Error);
    errors
        .map(|d| {
            let place = sources.place(d.span.unwrap());
            format!(
                "{} {}",
                place.strip_prefix("example.zone:").unwrap(),
                d.message
            )
        })
        .collect()
}

/// The one error of a text.
fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    errors.into_iter().next().unwrap()
}

const A1: &str = "c0000201";

#[test]
fn owner_ttl_and_class_may_be_left_out_or_swapped() {
    let text =
        "$TTL 60\na IN 5 A 192.0.2.1\n\t6 in A 192.0.2.1\n A 192.0.2.1\n@ class1 7 type1 192.0.2.1";
    let expected = [
        "a.example. 5",
        "a.example. 6",
        "a.example. 60",
        "example. 7",
    ];
    assert_eq!(records(text), expected.map(|head| format!("{head} A {A1}")));
}

#[test]
fn a_ttl_is_the_last_one_stated_where_no_directive_states_one() {
    let text = "a A 192.0.2.1\nb 5 A 192.0.2.1\nc A 192.0.2.1\n$TTL 1m\nd A 192.0.2.1\ne 9 A 192.0.2.1\nf A 192.0.2.1\n";
    let ttls: Vec<u32> = load(text).0.records.iter().map(|r| r.ttl).collect();
    assert_eq!(ttls, [3600, 5, 5, 60, 9, 60]);
    let (_, found, sources) = load(text);
    assert_eq!(found.warnings(), 1);
    assert!(
        found
            .render(&sources, false)
            .starts_with("example.zone:1:1: warning: no TTL is stated")
    );
}

#[test]
fn comments_parentheses_and_line_ends() {
    let text = "$TTL 1\r\n; a comment (\r\n\r\na TXT ( \"x;y\" ; z )\r\n  y\\;z\r\n ) ; end\r\n \t \r\n( b A ) 192.0.2.1";
    assert_eq!(
        records(text),
        [
            "a.example. 1 TXT 03783b7903793b7a",
            &format!("b.example. 1 A {A1}")
        ]
    );
    assert_eq!(
        records("$TTL 1\na TXT ( \"x\ny\" )"),
        ["a.example. 1 TXT 03780a79"]
    );
    assert_eq!(records(""), [""; 0]);
    assert_eq!(records("()\n( ) ; x"), [""; 0]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let (contents, found, _) = load("\u{feff}a 1 A 192.0.2.1\n");
    assert_eq!(show(&contents.records[0]), format!("a.example. 1 A {A1}"));
    assert_eq!((found.errors(), found.warnings()), (0, 1));
}

#[test]
fn strings_may_hold_any_octet() {
    assert_eq!(
        records(b"a 1 TXT \"\xff\x01\" \xc3\xbc \\000\\255"),
        ["a.example. 1 TXT 02ff0102c3bc0200ff"]
    );
    assert_eq!(
        records("a 1 TXT \"a\"\"b\" \"\""),
        ["a.example. 1 TXT 0161016200"]
    );
    let fits = format!("a 1 TXT {}", "x".repeat(255));
    assert_eq!(records(&fits).len(), 1);
    assert!(error(&format!("{fits}x")).contains("256 octets are too long for one string"));
    let most = format!("a 1 TXT{}", format!(" {}", "x".repeat(254)).repeat(257));
    assert_eq!(records(&most).len(), 1);
    assert!(error(&format!("{most} x")).contains("65537 octets"));
}

#[test]
fn origins() {
    let text = "$TTL 1\n$ORIGIN a.example.\n@ A 192.0.2.1\n$ORIGIN b\nx A 192.0.2.1\n";
    assert_eq!(
        records(text),
        [
            format!("a.example. 1 A {A1}"),
            format!("x.b.a.example. 1 A {A1}")
        ]
    );
    let soa = "SOA . . 1 2 3 4 5\n";
    let origin = |text: &str| load(text).0.origin.to_string();
    assert_eq!(origin("$ORIGIN other.\n@ 1 SOA . . 1 2 3 4 5\n"), "other.");
    assert_eq!(
        origin("@ 1 SOA . . 1 2 3 4 5\n$ORIGIN other.\n"),
        "example."
    );
    assert_eq!(
        origin(&format!("$TTL 1\n$ORIGIN .\nexample {soa}")),
        "example."
    );
}

#[test]
fn pools() {
    let text = "$TTL 20\na 300/40 POOL debian\nb 1h IN POOL \"a b\"\nc pool x\nd 10 POOL x\ne IN 5/5 POOL x\n";
    let expected = [
        "a.example. 300/40 POOL debian",
        "b.example. 3600/30 POOL a b",
        "c.example. 20/20 POOL x",
    ];
    let rest = ["d.example. 10/10 POOL x", "e.example. 5/5 POOL x"];
    assert_eq!(records(text), [&expected[..], &rest].concat());
    assert_eq!(
        error("a 30/300 POOL x"),
        "1:3 a TTL of at most 30 and at least 300: write MAX/MIN"
    );
    assert_eq!(
        error("a 300/30 A 192.0.2.1"),
        "1:3 only a POOL has two TTLs"
    );
    assert_eq!(error("$TTL 300/30"), "1:6 \"300/30\" is no TTL");
    assert!(error("a 1 POOL").contains("expected a pool's name"));
    assert!(error("a 1 POOL x y").contains("one word too many"));
}

#[test]
fn generated_records() {
    let text = "$TTL 1\n$GENERATE 1-5/2 h$ A 192.0.2.$\n$GENERATE 9-10 $ 7 IN CNAME \\$.x${-1,3}\n";
    let (contents, found, _) = load(text);
    assert_eq!(found.errors(), 0);
    let owners: Vec<String> = contents
        .records
        .iter()
        .map(|r| format!("{} {}", r.owner, r.ttl))
        .collect();
    assert_eq!(
        owners,
        [
            "h1.example. 1",
            "h3.example. 1",
            "h5.example. 1",
            "9.example. 7",
            "10.example. 7"
        ]
    );
    let target = |record: &Record| match &record.data {
        Data::Plain { rdata, .. } => Name::from_wire(rdata).unwrap().to_string(),
        Data::Pool { .. } => String::new(),
    };
    assert_eq!(target(&contents.records[3]), "\\$.x008.example.");
    for (modifier, made) in [
        ("$", "18"),
        ("a$$b", "a\\$b"),
        ("${0}", "18"),
        ("${2,4,d}", "0020"),
        ("${0,0,o}", "22"),
        ("${0,4,x}", "0012"),
        ("${13,0,X}", "1F"),
        ("${0,7,n}", "2.1.0.0"),
        ("${13,1,N}", "F.1"),
    ] {
        let (contents, found, sources) = load(format!("$GENERATE 18-18 {modifier} 1 A 192.0.2.1"));
        assert_eq!(found.errors(), 0, "{}", found.render(&sources, false));
        assert_eq!(
            contents.records[0].owner.to_string(),
            format!("{made}.example."),
            "{modifier}"
        );
    }
    assert_eq!(
        records("$GENERATE 1-1 a 1 MX \"10 m$\""),
        ["a.example. 1 MX 000a026d31076578616d706c6500"]
    );
    assert_eq!(
        records("$GENERATE 1-1 a 1 TXT \"x $\""),
        ["a.example. 1 TXT 03782031"]
    );
    assert_eq!(records("$GENERATE 0-65535 a$ 1 A 192.0.2.1").len(), 65_536);
}

#[test]
fn generate_says_what_is_wrong_once() {
    assert!(error("$GENERATE 1-100 h$ 1 A 192.0.2.400").contains("is no IPv4 address"));
    assert_eq!(
        error("$GENERATE 0-65536 h$ 1 A 1.2.3.4"),
        "1:11 65537 records: at most 65536 can be made at a time"
    );
    for range in ["1", "2-1", "1-2/0", "-1-2", "a-b", "1-99999999999"] {
        assert_eq!(
            error(&format!("$GENERATE {range} a$ 1 A 192.0.2.1")),
            format!("1:11 \"{range}\" is no range")
        );
    }
    for bad in ["${", "${1,2,3,4}", "${x}", "${0,256}", "${0,1,z}", "${-2}"] {
        assert!(
            error(&format!("$GENERATE 1-9 {bad} 1 A 192.0.2.1")).starts_with("1:15 "),
            "{bad}"
        );
    }
}

#[test]
fn every_error_is_told_and_the_rest_is_read() {
    let text = "$TTL 1\na AAA 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.300\nd CH A 192.0.2.1\n$ORIGN x\ne A 192.0.2.1 x\nf A 192.0.2.1\n";
    let (contents, found, sources) = load(text);
    let owners: Vec<String> = contents
        .records
        .iter()
        .map(|r| r.owner.to_string())
        .collect();
    assert_eq!(owners, ["b.example.", "f.example."]);
    let expected = [
        "2:3 unknown record type \"AAA\"",
        "4:5 \"192.0.2.300\" is no IPv4 address",
        "5:3 class CH is not served: only IN",
        "6:1 unknown directive \"$ORIGN\"",
        "7:15 \"x\" is one word too many for this record",
    ];
    assert_eq!(errors(text), expected);
    let shown = found.render(&sources, false);
    assert!(shown.contains("did you mean \"AAAA\"?"), "{shown}");
    assert!(shown.contains("did you mean \"$ORIGIN\"?"), "{shown}");
    let (_, found, sources) = load("$TTL 1\nMX 10 mail\n");
    let shown = found.render(&sources, false);
    assert!(
        shown.contains("\"MX\" in the first column is an owner"),
        "{shown}"
    );
}

#[test]
fn common_slips_are_told_where_they_are() {
    for (text, expected) in [
        (
            " A 192.0.2.1",
            "1:2 this record has no owner, and there is none before it to go on with",
        ),
        ("a..b 1 A 192.0.2.1", "1:1 the name has an empty label"),
        (
            "a 2147483648 A 192.0.2.1",
            "1:3 a TTL is at most 2147483647 seconds",
        ),
        (
            "$TTL 99999999999999999999999",
            "1:6 a TTL is at most 2147483647 seconds",
        ),
        ("a 1x A 192.0.2.1", "1:3 \"1x\" is no TTL"),
        (
            "a 1 A",
            "1:6 expected an IPv4 address, found the end of the record",
        ),
        (
            "a 1 MX mail",
            "1:8 expected the preference, a number from 0 to 65535, found \"mail\"",
        ),
        (
            "a 1 MX 10 mail extra",
            "1:16 \"extra\" is one word too many for this record",
        ),
        (
            "\"a\" 1 A 192.0.2.1",
            "1:1 a name is written without quotes",
        ),
        (
            "a 1 ANY \\# 0",
            "1:5 ANY is a type for questions: no record has it",
        ),
        ("a 1 NULL x", "1:9 NULL has no text form here"),
        (
            "a 1 TXT \"x\"y",
            "1:11 the string ends here: a blank must follow",
        ),
        ("a 1 TXT x\"y\"", "1:9 a quote inside a word"),
        (
            "a 1 TXT \\25",
            "1:9 bad escape: write \\DDD with a decimal octet, or \\ and a character",
        ),
        ("a 1 A 192.0.2.1 )", "1:17 no parenthesis is open here"),
        (
            "a 1 TYPE65280 \\# 4 0102",
            "1:15 4 octets are announced, 2 are given",
        ),
        (
            "a 1 A \\# 3 010203",
            "1:7 not the data of A: an IPv4 address: the data end early",
        ),
        (
            "$INCLUDE ../x",
            "1:10 a file outside the zone's folder may not be included",
        ),
        (
            "$INCLUDE /etc/passwd",
            "1:10 a file outside the zone's folder may not be included",
        ),
        ("$INCLUDE there-is-none", "1:10 there is no such file"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn an_open_quote_ends_with_its_line() {
    let text = "$TTL 1\na TXT \"open\nb A 192.0.2.1\nc A x\n";
    assert_eq!(
        errors(text),
        [
            "2:7 this quote is never closed",
            "4:5 \"x\" is no IPv4 address"
        ]
    );
    assert_eq!(load(text).0.records.len(), 1);
}

#[test]
fn an_open_parenthesis_does_not_swallow_what_follows() {
    let text =
        "$TTL 1\n@ SOA a b ( 1\n   2 3 4 5 ; no end\nb A 192.0.2.1\nc A x\nd TXT ( x )\ne A y\n";
    let expected = [
        "2:11 this parenthesis is not closed before the next one opens",
        "5:5 \"x\" is no IPv4 address",
        "7:5 \"y\" is no IPv4 address",
    ];
    assert_eq!(errors(text), expected);
    assert_eq!(load(text).0.records.len(), 2);
    assert_eq!(
        errors("$TTL 1\na TXT ( x\nb A 192.0.2.1\nc A y"),
        [
            "2:7 this parenthesis is never closed",
            "4:5 \"y\" is no IPv4 address"
        ]
    );
}

#[test]
fn includes_stay_in_the_folder_and_give_back_what_was() {
    let folder = std::env::temp_dir().join(format!("nearmost-include-{}", std::process::id()));
    let zones = folder.join("zones");
    std::fs::create_dir_all(zones.join("sub")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    write(
        "zones/top",
        "$TTL 1\na A 192.0.2.1\n$INCLUDE sub/part part.example.\n A 192.0.2.1\n$INCLUDE \"sub/part\"\nb A 192.0.2.1\n",
    );
    write(
        "zones/sub/part",
        "x A 192.0.2.1\n$ORIGIN y\n$TTL 9\nz A 192.0.2.1",
    );
    write("secret", "s A 192.0.2.1");
    write("zones/loop", "$TTL 1\n$INCLUDE loop2\na A 192.0.2.1\n");
    write("zones/loop2", "$INCLUDE loop\nb A 192.0.2.1\n");
    std::os::unix::fs::symlink(folder.join("secret"), zones.join("link")).unwrap();
    write("zones/link-out", "$INCLUDE link\n$INCLUDE sub\n");
    for depth in 0..20 {
        write(
            &format!("zones/deep{depth}"),
            &format!("$INCLUDE deep{}\n", depth + 1),
        );
    }
    let load = |file: &str| {
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let contents = read(
            &zones.join(file),
            &name("example"),
            &mut sources,
            &mut found,
        );
        let errors: Vec<String> = found.list.iter().map(|d| d.message.clone()).collect();
        let places: Vec<String> = found
            .list
            .iter()
            .map(|d| sources.place(d.span.unwrap()))
            .collect();
        let owners: Vec<String> = contents
            .records
            .iter()
            .map(|r| format!("{} {}", r.owner, r.ttl))
            .collect();
        (owners, errors, places, sources.len())
    };
    let (owners, errors, _, files) = load("top");
    let expected = [
        "a.example. 1",
        "x.part.example. 1",
        "z.y.part.example. 9",
        "a.example. 1",
    ];
    assert_eq!(
        owners,
        [
            &expected[..],
            &["x.example. 1", "z.y.example. 9", "b.example. 1"]
        ]
        .concat()
    );
    assert_eq!((errors.len(), files), (0, 2));
    let (owners, errors, places, _) = load("loop");
    assert_eq!(owners, ["b.example. 1", "a.example. 1"]);
    assert_eq!(
        errors,
        ["this file includes itself, here or through others"]
    );
    assert!(places[0].ends_with("zones/loop2:1:10"), "{places:?}");
    let (_, errors, _, _) = load("link-out");
    assert_eq!(
        errors,
        [
            "a file outside the zone's folder may not be included",
            "it is no regular file"
        ]
    );
    let (_, errors, places, _) = load("deep0");
    assert_eq!(errors, ["files are included more than 16 deep"]);
    assert!(places[0].ends_with("zones/deep16:1:10"), "{places:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn each_slip_of_a_good_zone_is_found_or_harmless() {
    let good = "$TTL 1\n@ SOA ns h ( 1 2\n 3 4 5 )\n@ NS ns\nns A 192.0.2.1\nt 5 TXT \"a b\" c\n$GENERATE 1-2 g$ A 192.0.2.$\np 9/3 POOL x\n";
    let mut wrong = 0;
    for at in 0..good.len() {
        for put in [
            "", "(", ")", "\"", "\\", ";", "$", "\n", " ", "x", "\u{fffd}", "0",
        ] {
            let text = format!("{}{put}{}", &good[..at], &good[at + 1..]);
            let (contents, found, sources) = load(&text);
            let _ = found.render(&sources, true);
            wrong += found.errors();
            // One slip never hides more than the entries around it.
            assert!(
                contents.records.len() + found.errors() * 3 >= 4,
                "{text}\n{}",
                found.render(&sources, false)
            );
        }
    }
    assert!(wrong > 1000, "{wrong}");
}

/// Pieces of zone files in any order.
fn soup() -> impl Strategy<Value = String> {
    let types = RecordType::mnemonics()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let piece = prop_oneof![
        4 => Just("\n".to_owned()),
        6 => Just(" ".to_owned()),
        3 => proptest::sample::select(types),
        1 => "[0-9]{1,12}",
        1 => "\\\\#",
        1 => "[0-9a-f]{1,20}",
        1 => "(192|2001|/|:|\\.|!|-|=|,|@|\\*){1,5}",
        1 => "(\\(|\\)|\"|\\\\|;|\\$|\\{|\\}){1,3}",
        1 => proptest::sample::select(vec![
            "$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE 1-3 $", "IN", "POOL", "CH", "alpn=\"h2,h3\"", "mandatory=port",
            "port=53", "key9=\\\\", "192.0.2.1", "2001:db8::1", "example.", "52 N 4 E 0m", "20300101000000",
        ]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn octets_never_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (_, found, sources) = load(&text);
        let _ = found.render(&sources, false);
    }

    #[test]
    fn soup_never_panics_and_what_it_means_comes_back(text in soup()) {
        let (contents, found, sources) = load(&text);
        let _ = found.render(&sources, false);
        let mut found = Diagnostics::default();
        // Octets that we made of text are octets that we take.
        for record in &contents.records {
            if let Data::Plain { rtype, rdata } = &record.data {
                let hex: String = rdata.iter().map(|o| format!("{o:02x}")).collect();
                let (again, told, sources) = load(format!("x 1 TYPE{rtype} \\# {} {hex}", rdata.len()));
                prop_assert_eq!(told.errors(), 0, "{}", told.render(&sources, false));
                prop_assert_eq!(&again.records[0].data, &record.data);
            }
        }
        let _ = super::check(&contents.origin, contents.records, &["x"], &mut found);
        let _ = found.render(&sources, false);
    }
}
