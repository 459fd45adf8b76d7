//! Keys of signed zones: taken from BIND, called off, and the way out of DNSSEC.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::program::{Folder, PATIENCE, Ran, Server, eventually, other};
use crate::transfers::given::Primary;
use crate::transfers::peers::serial;
use crate::world::server;

const ZONE: &str = "get.example.org";
const RECORDS: &str = "\
$TTL 300
@     SOA   ns hostmaster 1 7200 1800 1209600 300
@     NS    ns
ns    A     192.0.2.53
";

/// A folder with a signed zone from a file, which has no keys yet.
fn folder() -> Folder {
    let config = format!(
        "{}\n[zone.\"{ZONE}\"]\nfile = \"get.zone\"\nsigned = true\n",
        server().replace("workers", "watch = false\nworkers")
    );
    let folder = Folder::with(&config);
    folder.write("get.zone", RECORDS);
    folder
}

fn done(folder: &Folder, arguments: &[&str]) -> Ran {
    let ran = folder.run(arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
    ran
}

/// What it says that is refused.
fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let ran = folder.run(arguments);
    assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
    ran.err
}

fn tags(folder: &Folder) -> Vec<u64> {
    let list = done(folder, &["keys", "--json"]).json();
    let keys = list[0]["keys"].as_array().unwrap().iter();
    keys.map(|key| key["tag"].as_u64().unwrap()).collect()
}

#[test]
fn a_zone_leaves_dnssec_by_asking_its_parent_and_may_stay() {
    let folder = Arc::new(folder());
    done(&folder, &["keys", "new", ZONE]);
    let server = Server::start_in(&folder);
    let given = |rtype: &str| {
        let reloaded = done(&folder, &["reload"]);
        assert!(!reloaded.out.contains("serial"), "{reloaded:?}");
        let given = server.dig(&["+short", ZONE, rtype]).out;
        given.split_whitespace().collect::<String>()
    };
    let ds = done(&folder, &["keys", "ds", ZONE]).out;
    let (_, ds) = ds.split_once(" DS ").unwrap();
    let ds: String = ds.split_whitespace().collect();
    assert_eq!(given("CDS"), ds);
    done(&folder, &["keys", "unsign", ZONE]);
    assert_eq!(given("CDS"), "00000");
    assert_eq!(given("CDNSKEY"), "030AA==");
    let shown = done(&folder, &["keys"]).out;
    assert!(shown.contains("take its DS out"), "{shown}");
    for no in [
        &["keys", "unsign", ZONE][..],
        &["keys", "ds", ZONE],
        &["keys", "roll", ZONE],
    ] {
        refused(&folder, no);
    }
    done(&folder, &["keys", "unsign", ZONE, "--cancel"]);
    assert_eq!(given("CDS"), ds);
    refused(&folder, &["keys", "unsign", ZONE, "--cancel"]);

    // A roll that is called off.
    let old = tags(&folder)[0];
    done(&folder, &["keys", "roll", ZONE]);
    done(&folder, &["reload"]);
    let keys = server.json(&["status"])["keys"].clone();
    let line = |key: u64| {
        let all = keys.as_array().unwrap().iter();
        let mut of_key = all.filter(|line| line["key"] == key);
        of_key.next().unwrap().clone()
    };
    let new = tags(&folder)[1];
    assert_eq!(line(old)["left"], serde_json::Value::Null);
    assert_eq!(line(new)["state"], "published");
    assert!(line(new)["left"].as_u64().unwrap() <= 7200, "{keys}");
    let why = refused(&folder, &["keys", "remove", ZONE, &old.to_string()]);
    assert!(why.contains("it signs the zone"), "{why}");
    done(&folder, &["keys", "remove", ZONE, &new.to_string()]);
    assert_eq!(tags(&folder), [old]);
    assert_eq!(given("CDS"), ds);

    // A key that others have: the one that is published takes its place.
    done(&folder, &["keys", "roll", ZONE]);
    let new = tags(&folder)[1];
    done(
        &folder,
        &["keys", "remove", ZONE, &old.to_string(), "--anyway"],
    );
    assert!(given("CDS").starts_with(&new.to_string()));
    refused(
        &folder,
        &["keys", "remove", ZONE, &new.to_string(), "--anyway"],
    );
}

#[test]
fn whoever_holds_the_keys_holds_up_no_transfer() {
    let primary = Primary::start(2, 1, [3600, 600, 86_400]);
    let folder = Arc::new(folder());
    let config = std::fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    let theirs = format!(
        "[zone.\"theirs.example\"]\nprimary = [\"{}\"]\n",
        primary.address
    );
    folder.write("nearmost.toml", &(config + &theirs));
    done(&folder, &["keys", "new", ZONE]);
    let server = Server::start_in(&folder);
    let comes = |wanted| {
        eventually("it is fetched", || {
            serial(server.address, "theirs.example").filter(|s| *s == wanted)
        });
    };
    comes(1);
    let held = File::open(folder.path("keys")).unwrap();
    held.lock().unwrap();
    // It looks once a minute.
    let (begun, said) = (Instant::now(), "somebody else holds their folder");
    while !server.log.text().contains(said) {
        assert!(begun.elapsed() < 4 * PATIENCE, "{}", server.log.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    primary.with(|given| given.serial = 2);
    done(&folder, &["fetch", "theirs.example"]);
    comes(2);
}

#[test]
fn the_key_before_stays_for_as_long_as_its_ds_lives_at_the_parent() {
    let folder = folder();
    done(&folder, &["keys", "new", ZONE]);
    done(&folder, &["keys", "roll", ZONE]);
    refused(&folder, &["keys", "ds-seen", ZONE]);
    // Two hours later.
    let list = folder.path(&format!("keys/{ZONE}.json"));
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace("published", "ready")).unwrap();
    let shown = done(&folder, &["keys"]).out;
    assert!(shown.contains("--ttl"), "{shown}");
    let new = tags(&folder)[1];
    let why = refused(&folder, &["keys", "remove", ZONE, &new.to_string()]);
    assert!(why.contains("the parent may have its DS"), "{why}");
    let wrong = folder.run(&["keys", "ds-seen", ZONE, "--ttl", "week"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    done(&folder, &["keys", "ds-seen", ZONE, "--ttl", "7d"]);
    let keys = done(&folder, &["keys", "--json"]).json()[0]["keys"].clone();
    assert_eq!(keys[0]["state"], "retired");
    assert_eq!(keys[0]["ds_ttl"], 7 * 86_400);
    assert_eq!(keys[1]["state"], "active");
}

#[test]
fn a_roll_waits_for_secondaries() {
    let folder = Arc::new(folder());
    let config = std::fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    folder.write("nearmost.toml", &(config + "transfer = [\"192.0.2.54\"]\n"));
    done(&folder, &["keys", "new", ZONE]);
    done(&folder, &["keys", "roll", ZONE]);
    let server = Server::start_in(&folder);
    let status = server.json(&["status"]);
    let left = status["keys"][1]["left"].as_u64().unwrap();
    // The TTL, and the SOA's refresh and retry.
    let longest = 3600 + 7200 + 1800;
    assert!((longest - 60..=longest).contains(&left), "{status}");
}

#[test]
fn keys_of_zones_that_are_not_signed_are_shown() {
    let folder = folder();
    let config = std::fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    folder.write("nearmost.toml", &config.replace("signed = true", ""));
    let none = done(&folder, &["keys"]).out;
    assert!(none.contains("no zone is signed"), "{none}");
    let made = done(&folder, &["keys", "new", ZONE, "--split", "--json"]).json();
    let files = made["files"].as_array().unwrap().iter();
    let there = files.filter(|file| folder.path(file.as_str().unwrap()).exists());
    assert_eq!(there.count(), 3, "{made}");
    assert_eq!(made["zone"], format!("{ZONE}."));
    let made = done(&folder, &["keys", "new", "other.example"]).out;
    assert!(made.contains("keys/other.example.json"), "{made}");
    let (_, key) = made.lines().next().unwrap().split_once(": ").unwrap();
    assert!(folder.path(key).exists(), "{made}");
    let shown = done(&folder, &["keys"]).out;
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = format!("`signed = true` in [zone.\"{ZONE}\"]");
    assert!(shown.contains(&wanted), "{shown}");
    let list = done(&folder, &["keys", "--json"]).json();
    let signed = |zone: usize| (&list[zone]["signed"], &list[zone]["zone"]);
    assert_eq!(signed(0), (&false.into(), &"other.example.".into()));
    assert_eq!(signed(1), (&false.into(), &format!("{ZONE}.").into()));
    folder.write("nearmost.toml", &config);
    let list = done(&folder, &["keys", "--json"]).json();
    assert_eq!(list[0]["signed"], true);
    let ds = done(&folder, &["keys", "ds", ZONE, "--json"]).json();
    assert!(ds["records"][0]["ds"].is_string(), "{ds}");
}

#[test]
fn the_root_is_written_as_it_must_be() {
    let made = done(&folder(), &["keys", "new", "."]).out;
    assert!(made.contains("[zone.\".\"]"), "{made}");
}

#[test]
fn bind_makes_the_same_ds_of_our_keys() {
    let Some(program) = other("dnssec-dsfromkey") else {
        return;
    };
    let folder = folder();
    done(&folder, &["keys", "new", ZONE]);
    let record = done(&folder, &["keys", "dnskey", ZONE]).out;
    folder.write("record", &record.replace(" IN ", " 3600 IN "));
    for (word, theirs) in [("sha256", "SHA-256"), ("sha384", "SHA-384")] {
        let ours = done(&folder, &["keys", "ds", ZONE, "--digest", word]).out;
        let mut bind = Command::new(&program);
        bind.args(["-a", theirs, "-f"]).arg(folder.path("record"));
        let theirs = Ran::of(bind.arg(ZONE).stdin(Stdio::null()));
        let rdata = |line: &str| {
            let (_, rdata) = line.split_once(" DS ").unwrap_or_else(|| panic!("{line}"));
            rdata.split_whitespace().collect::<String>()
        };
        assert_eq!(rdata(&ours), rdata(&theirs.out), "{theirs:?}");
    }
}

#[test]
fn keys_of_bind_keep_the_part_that_they_had() {
    let Some(program) = other("dnssec-keygen") else {
        return;
    };
    let folder = folder();
    let made = |place: &str, zone: &str, more: &[&str]| {
        std::fs::create_dir_all(folder.path(place)).unwrap();
        let mut keygen = Command::new(&program);
        keygen.arg("-K").arg(folder.path(place)).args(more);
        let ran = Ran::of(keygen.arg(zone));
        assert_eq!(ran.code, 0, "{ran:?}");
        let file = folder.path(place).join(ran.out.trim());
        format!("{}.private", file.display())
    };
    let (p256, sep) = (["-a", "ECDSAP256SHA256"], ["-f", "KSK"]);
    // The key of BIND's default policy is one for all.
    let csk = made("csk", ZONE, &[p256, sep].concat());
    let theirs = made("theirs", "example.com", &[p256, sep].concat());
    let why = refused(&folder, &["keys", "import", ZONE, &theirs]);
    assert!(why.contains("it is a key of example.com"), "{why}");
    let taken = done(&folder, &["keys", "import", ZONE, &csk]).out;
    assert!(taken.contains("(csk, ecdsap256sha256)"), "{taken}");
    done(&folder, &["keys", "ds", ZONE]);
    let other_kind = made("ed", ZONE, &[&["-a", "ED25519"], &sep[..]].concat());
    let why = refused(&folder, &["keys", "import", ZONE, &other_kind]);
    assert!(why.contains("two algorithms"), "{why}");
    done(&folder, &["keys", "roll", ZONE]);
    done(&folder, &["check"]);

    // Two keys in one folder share the work.
    let folder = self::folder();
    let pair = |more: &[&str]| {
        let mut keygen = Command::new(&program);
        keygen.arg("-K").arg(folder.path("")).args(p256).args(more);
        let ran = Ran::of(keygen.arg(ZONE));
        format!("{}.private", ran.out.trim())
    };
    let (ksk, zsk) = (pair(&sep), pair(&[]));
    let taken = done(&folder, &["keys", "import", ZONE, &ksk]).out;
    assert!(taken.contains("(ksk, "), "{taken}");
    let why = refused(&folder, &["keys", "import", ZONE, &zsk, "--role", "csk"]);
    assert!(why.contains("flags 256"), "{why}");
    let taken = done(&folder, &["keys", "import", ZONE, &zsk]).out;
    assert!(taken.contains("(zsk, "), "{taken}");
    done(&folder, &["check"]);
}
