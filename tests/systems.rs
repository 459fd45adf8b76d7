//! Autonomous systems: the full ASN database is searched address by address and compared; and what is said where there is none.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

#[path = "common/databases.rs"]
mod databases;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use databases::full;
use maxminddb::{Reader, path};
use nearmost::control::load_text;
use nearmost::geo::{Database, World};
use nearmost::prefix::Client;

#[test]
fn systems_are_as_the_database_has_them() {
    let Some(file) = full(&["asn"]) else { return };
    let reader = Reader::open_readfile(&file).unwrap();
    let world = World::build(&[Database::open(&file).unwrap()], &[]);
    let mut known = 0;
    // The golden ratio walks evenly through the /24s, and through the /56s of 2a00::/12 and 2600::/12.
    let walk = (0..200_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for n in walk {
        let v4 = Ipv4Addr::from_bits(u32::try_from(n >> 40).unwrap() << 8);
        let first = if n & 1 == 0 { 0x2a0 } else { 0x260 };
        let v6 = Ipv6Addr::from_bits(first << 116 | u128::from(n >> 20) << 72);
        for ip in [IpAddr::from(v4), v6.into()] {
            let found = reader.lookup(ip).unwrap();
            let number: Option<u32> = found
                .decode_path(&path!["autonomous_system_number"])
                .unwrap();
            let name: Option<String> = found
                .decode_path(&path!["autonomous_system_organization"])
                .unwrap();
            let ours = world.asn(Client::of(ip));
            assert_eq!(ours.map(|a| a.number), number, "{ip}");
            let ours = ours.and_then(|a| a.organisation);
            assert_eq!(ours, name.as_deref(), "{ip}");
            known += u32::from(number.is_some());
        }
    }
    assert!(
        known > 100_000,
        "{known} of 400,000 addresses are anybody's"
    );
}

#[test]
fn what_no_database_can_tell_is_warned_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mmdb");
    let told = |databases: &str| {
        let text = format!(
            "[geo]\ndatabases = {databases}\n[zone.\"a.example\"]\nns = [\"ns.example.net\"]\npools = {{ \"@\" = \"site\" }}\n\
             [pool.site]\nprobe = \"tcp:80\"\nrules = [{{ from = [\"AS64501\", \"subdivision:US-CA\"], use = [\"*\"] }}]\n\
             [node.lon]\nat = \"LHR\"\nip = [\"192.0.2.1\"]\nlimit = {{ only = [\"AS64500\", \"AS64501\"] }}\n\
             [[geo.override]]\nasn = \"AS64500/GB\"\nat = \"LHR\"\n"
        );
        let loaded = load_text(&folder.join("nearmost.toml"), &text);
        assert!(loaded.parts.is_some(), "{:?}", loaded.found);
        loaded
            .found
            .list
            .into_iter()
            .map(|d| d.message)
            .collect::<Vec<_>>()
    };
    let asn = "the limit of node \"lon\": \"AS64500\" means nobody, as there is no ASN database";
    let over = "the override of AS64500/GB holds for nobody, as there is no ASN database";
    let part = "the rules of pool \"site\": \"subdivision:US-CA\" means nobody, as there is no database that knows parts of countries";
    assert_eq!(told("[]"), [over, asn, part]);
    assert_eq!(told("[\"GeoIP2-City-Test.mmdb\"]"), [over, asn]);
    // Places then come from the small database.
    assert_eq!(told("[\"GeoLite2-ASN-Test.mmdb\"]"), [part]);
    assert!(told("[\"GeoLite2-ASN-Test.mmdb\", \"GeoIP2-City-Test.mmdb\"]").is_empty());
}
