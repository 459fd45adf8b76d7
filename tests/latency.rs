//! Latency tables as files: rows that are wrong are told of with their places, and lose nothing but themselves.

#![allow(clippy::unwrap_used, reason = "a test ends with what goes wrong")]

use std::path::Path;

use nearmost::control::{Loaded, load_text};
use nearmost::geo::{Country, Subject};

fn load(latency: &str) -> Loaded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/latency");
    let text = format!(
        "[geo]\ndatabases = [\"../../data/mmdb/GeoIP2-City-Test.mmdb\"]\nlatency = {latency}\n\
         [zone.\"a.example\"]\nns = [\"ns.example.net\"]\npools = {{ \"@\" = \"site\" }}\n[pool.site]\nprobe = \"tcp:80\"\n\
         [node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n[node.syd]\nat = \"SYD\"\nip = [\"192.0.2.2\"]\n"
    );
    load_text(&folder.join("nearmost.toml"), &text)
}

#[test]
fn a_wrong_row_loses_only_itself() {
    let loaded = load("[\"table.tsv\"]");
    assert_eq!(loaded.found.errors(), 0);
    let told = loaded.found.list.iter().map(|d| {
        let place = loaded.sources.place(d.span.unwrap());
        let (_, place) = place.rsplit_once('/').unwrap();
        format!("{place}: {}", d.message)
    });
    let told: Vec<String> = told.collect();
    assert_eq!(
        told,
        [
            "table.tsv:5:18: there is no node \"fro\"",
            "table.tsv:6:1: 20.0.1.7 is not the first address of its network",
            "table.tsv:7:1: \"ASX\" is no autonomous system",
            "table.tsv:8:1: \"DEU\" is no country: two letters of ISO 3166",
            "table.tsv:9:24: a round-trip time is above 0 and at most 3000 ms",
            "table.tsv:10:24: a round-trip time is above 0 and at most 3000 ms",
            "table.tsv:10:32: the number of samples is a whole number above 0",
            "table.tsv:10:41: the time of measuring is in seconds since 1970",
            "table.tsv:11:1: a row has five fields: subject, node, rtt_ms, samples, measured_at",
            "table.tsv:12:1: GeoIP says Changchun, CN, but 175.16.199.0/24 is 9 ms from syd",
        ]
    );
    let fro = &loaded.found.list[0].notes;
    let fro: Vec<&str> = fro.iter().map(|n| &*n.1).collect();
    assert_eq!(fro, ["did you mean \"fra\"?", "this row is not used"]);
    let rows = loaded.parts.unwrap().latency;
    let subjects: Vec<Subject> = rows.iter().map(|r| r.subject).collect();
    let de = Country::new("DE");
    assert_eq!((rows.len(), subjects[1]), (4, Subject::Asn(64500, de)));
    assert_eq!(
        (rows[0].node, rows[0].samples, rows[0].measured_at),
        (0, 240, 1_795_000_000)
    );
    assert!((rows[0].rtt_ms - 11.8).abs() < 1e-9);
}

#[test]
fn a_table_that_is_not_there_is_an_error() {
    let loaded = load("[\"table.tsv\", \"none.tsv\", \"table.tsv\"]");
    let report = loaded.found.render(&loaded.sources, false);
    assert!(report.contains("error: cannot read "), "{report}");
    assert!(
        report.contains("error: this table is listed twice"),
        "{report}"
    );
    assert!(loaded.parts.is_none());
}
