//! What dig is given, with the right key, the wrong one and none.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::given::wire;
use super::{OTHER, SECRET, large, records, server_of, signed, transferred};
use crate::program::{PATIENCE, other};

#[test]
fn dig_gets_the_zone_with_the_right_key_only() {
    if other("dig").is_none() {
        return;
    }
    let zone = large(1, 2000);
    let server = server_of(
        &zone,
        "transfer = [\"key:transfer.key\", { from = \"127.0.0.0/8\", key = \"other.key\" }]",
        "",
    );
    let key = signed();
    let all = transferred(server.address, "large.example", &key);
    assert_eq!(all.len(), 4015, "{:#?}", &all[..all.len().min(20)]);
    assert!(all.contains(&"*.wild.large.example. 300 in txt \"a\" \"b\"".to_owned()));
    assert!(all.contains(&"ns.sub.large.example. 300 in a 192.0.2.54".to_owned()));
    assert_eq!(
        transferred(
            server.address,
            "large.example",
            &format!("hmac-sha512:other.key:{OTHER}")
        ),
        all
    );
    let refused = |arguments: &[&str], words: &[&str]| {
        let ran = server.dig(arguments);
        for word in words {
            assert!(
                ran.out.contains(word) || ran.err.contains(word),
                "{arguments:?}: no {word} in\n{}{}",
                ran.out,
                ran.err
            );
        }
        assert!(!ran.out.contains("192.0.2.54"), "{}", ran.out);
    };
    let axfr = ["AXFR", "large.example"];
    refused(
        &[&axfr[..], &["+comments", "+all"]].concat(),
        &["REFUSED", "EDE: 18"],
    );
    let wrong = format!("hmac-sha256:transfer.key:{OTHER}");
    refused(&[&axfr[..], &["-y", &wrong]].concat(), &["BADSIG"]);
    let unknown = format!("hmac-sha256:no.key:{SECRET}");
    refused(&[&axfr[..], &["-y", &unknown]].concat(), &["BADKEY"]);
    // That key makes its codes in another way.
    let algorithm = format!("hmac-sha384:transfer.key:{SECRET}");
    refused(&[&axfr[..], &["-y", &algorithm]].concat(), &["BADKEY"]);
    refused(
        &["SOA", "large.example", "-y", &key, "+fuzztime=1000000"],
        &["BADTIME"],
    );
    refused(&["AXFR", "other.example", "-y", &key], &["Transfer failed"]);
    // Every answer to a signed question is signed, and dig verifies it.
    let ran = server.dig(&["n7.large.example", "-y", &key]);
    assert!(
        ran.out.contains("TSIG PSEUDOSECTION") && ran.out.contains("192.0.2.7"),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains("Couldn't verify") && !ran.err.contains("verify"),
        "{}{}",
        ran.out,
        ran.err
    );
    // Of both the serial is known: 1 is what there is, 0 was never there.
    let ran = server.dig(&["IXFR=1", "large.example", "-y", &key, "+noall", "+answer"]);
    assert_eq!(ran.out.matches("SOA").count(), 1, "{}", ran.out);
    let ran = server.dig(&["IXFR=0", "large.example", "-y", &key, "+noall", "+answer"]);
    assert!(ran.out.contains("192.0.2.54"), "{}", ran.out);
    let ran = server.dig(&[
        "IXFR=0",
        "large.example",
        "-y",
        &key,
        "+notcp",
        "+noall",
        "+answer",
    ]);
    assert_eq!(ran.out.matches("SOA").count(), 1, "{}", ran.out);
}

#[test]
fn nobody_gets_a_zone_unless_told() {
    if other("dig").is_none() {
        return;
    }
    let server = server_of(&large(1, 10), "", "");
    let ran = server.dig(&["AXFR", "large.example"]);
    assert!(ran.out.contains("Transfer failed"), "{}", ran.out);
    let server = server_of(
        &large(1, 10),
        "transfer = [\"192.0.2.1\", \"2001:db8::/32\"]",
        "",
    );
    let ran = server.dig(&["AXFR", "large.example"]);
    assert!(ran.out.contains("Transfer failed"), "{}", ran.out);
    let server = server_of(&large(1, 10), "transfer = [\"127.0.0.0/8\"]", "");
    assert_eq!(transferred(server.address, "large.example", "").len(), 35);
}

#[test]
fn names_keep_their_letters_and_soas_their_ttls() {
    if other("dig").is_none() {
        return;
    }
    let server = server_of(&large(1, 10), "transfer = [\"127.0.0.0/8\"]", "");
    // The question's letters are the asker's, not the zone's (RFC 5936 3.4).
    let all = records(server.address, "large.example", "");
    assert_eq!(records(server.address, "LARGE.eXample", ""), all);
    assert_eq!(all.len(), 35);
    let zone = large(2, 10).replace("$TTL 300", "$TTL 600");
    server.folder.write("zones/large.example.zone", &zone);
    assert_eq!(server.run(&["reload"]).code, 0);
    let ran = server.dig(&["IXFR=1", "large.example", "+noall", "+answer"]);
    let ttl = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[3] == "SOA").then(|| words[1].to_owned())
    };
    let ttls: Vec<String> = ran.out.lines().filter_map(ttl).collect();
    assert_eq!(ttls, ["600", "300", "600", "600"], "{}", ran.out);
}

/// RFC 1995 3: the SOA that is known comes with the question.
#[test]
fn who_does_not_say_what_is_known_is_told_so() {
    let server = server_of(&large(1, 10), "transfer = [\"127.0.0.0/8\"]", "");
    let mut question = vec![0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(wire("large.example"));
    question.extend([0, 251, 0, 1]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let len = u16::try_from(question.len()).unwrap().to_be_bytes();
    stream.write_all(&[&len[..], &question].concat()).unwrap();
    let mut head = [0; 14];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[5] & 0xf, 1, "FORMERR");
}
