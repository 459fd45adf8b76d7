//! Signed zones in process, judged by hickory-proto: each set that is given has a signature that verifies, each denial denies what was asked, and time passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what goes wrong"
)]

mod budget;
mod chains;
mod denials;
#[path = "../dns/mod.rs"]
mod dns;
mod rolls;
mod sizes;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::dnssec::Verifier;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use nearmost::answer::Transport;
use nearmost::clock;
use nearmost::control::{self, KeyState, Keyring};
use nearmost::dnssec::{Algorithm, Key, Role, Signing};
use nearmost::snapshot::Snapshot;

use dns::message::{Edns, name, query};
use dns::ours::ask;

/// When all of this happens, in seconds of Unix time.
const NOW: u32 = 1_800_000_000;
const DAY: u32 = 86_400;
const TWO_WEEKS: u32 = 14 * DAY;

const ZONE: &str = "\
$TTL 3600
@           SOA    ns1 hostmaster 1 3600 600 86400 300
@           NS     ns1
@           NS     NS2.Example.NET.
@           MX     10 Mail
ns1         A      192.0.2.53
get 300/30  POOL   site
v4  300/30  POOL   v4
www         CNAME  get
far         CNAME  www.example.com.
Text        TXT    \"hello\" \"World\"
many        A      192.0.2.30
many        A      192.0.2.3
many        A      192.0.2.100
many        A      192.0.2.3
mx          MX     10 Mail.Example.ORG.
mx          MX     5 mail
mail        A      192.0.2.77
mail        AAAA   2001:db8::77
srv         SRV    1 2 3 Mail
naptr       NAPTR  1 2 \"s\" \"x\" \"\" Mail.Example.ORG.
odd         TYPE65280 \\# 4 01020304
a.b.ent     TXT    \"deep\"
*.wild      TXT    \"wild\"
*.wild      MX     10 Mail
*.wp 300/30 POOL   site
*.wc        CNAME  mail
dn          DNAME  other
x.other     A      192.0.2.9
sub         NS     ns.sub
ns.sub      A      192.0.2.50
sec         NS     ns.sec
sec         DS     12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.sec      A      192.0.2.51
boot        CDS    12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
*.wn        NS     ns1
*.wn        A      192.0.2.8
*.wn        TXT    \"wn\"
cdn 300/30  POOL   cdn
on          CNAME  cdn
";

const POOLS: &str = "\
[server]
at = \"FRA\"
[pool.site]
nodes = [\"fra\", \"nyc\"]
answer = \"all\"
[pool.v4]
nodes = [\"nyc\"]
[pool.cdn]
nodes = [\"elsewhere\"]
[node.fra]
at = \"FRA\"
ip = [\"192.0.2.1\", \"192.0.2.200\", \"2001:db8::1\"]
[node.nyc]
at = \"NYC\"
ip = [\"192.0.2.2\"]
[node.elsewhere]
at = \"NYC\"
host = \"elsewhere.example.com\"
cname = true
";

/// Names with as many hosts as no reply by UDP holds whole, at one of ours and at another's.
fn fleet() -> String {
    let host = |n: u8| {
        let both = |name: &str| format!("{name} A 192.0.2.{n}\n{name} AAAA 2001:db8::{n}\n");
        let (ours, theirs) = (format!("host{n}"), format!("host{n}.big"));
        let served = format!("fleet MX {n} {ours}\nbig NS {theirs}\n");
        served + &both(&ours) + &both(&theirs)
    };
    (1..9).map(host).collect()
}

/// How and what a key signs, and where it is on its way.
type Kind = (Algorithm, Role, KeyState);
/// A zone's key, and the key as PKCS#8.
type OwnKey<'z> = (&'z str, Kind, Vec<u8>);

/// A signed zone, and the folder of its keys.
struct Signed {
    folder: PathBuf,
    snapshot: Snapshot,
    /// What was said of its configuration.
    said: String,
}

impl Drop for Signed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Signed {
    /// With keys that are made for it, all active, and more lines of configuration.
    fn with(test: &str, keys: &[(Algorithm, Role)], more: &str) -> Self {
        Self::beside(test, &[], keys, more)
    }

    /// And with such keys for other zones that the configuration has.
    fn beside(test: &str, others: &[&str], keys: &[(Algorithm, Role)], more: &str) -> Self {
        let mut made = Vec::new();
        for zone in [&["example.org"], others].concat() {
            for (algorithm, role) in keys {
                let kind = (*algorithm, *role, KeyState::Active);
                made.push((zone, kind, Key::make(*algorithm).unwrap()));
            }
        }
        Self::made(test, &made, more)
    }

    /// With these keys, each given as PKCS#8, and more lines of configuration.
    fn of(test: &str, keys: &[(Kind, Vec<u8>)], more: &str) -> Self {
        let keys = keys.iter().cloned();
        let keys = keys.map(|(kind, key)| ("example.org", kind, key));
        Self::made(test, &keys.collect::<Vec<_>>(), more)
    }

    fn made(test: &str, keys: &[OwnKey<'_>], more: &str) -> Self {
        let folder = format!("nearmost-signed-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("example.org.zone"), ZONE.to_owned() + &fleet()).unwrap();
        let keyring = Keyring::at(&folder.join("keys"));
        for (zone, kind, key) in keys {
            let zone = nearmost::zone::Name::absolute(zone).unwrap();
            keyring.add(&zone, *kind, key, Duration::ZERO).unwrap();
        }
        let text = format!(
            "{POOLS}\n[zone.\"example.org\"]\nfile = \"example.org.zone\"\nsigned = {}\n{more}",
            !keys.is_empty()
        );
        let loaded = control::load_text(&folder.join("nearmost.toml"), &text);
        let shown = loaded.found.render(&loaded.sources, false);
        let parts = loaded.parts.unwrap_or_else(|| panic!("{shown}"));
        let now = Duration::from_secs(NOW.into());
        let snapshot = control::build(&parts, 1, now).unwrap().snapshot;
        Self {
            folder,
            snapshot,
            said: shown,
        }
    }

    fn csk(test: &str) -> Self {
        Self::with(test, &[(Algorithm::EcdsaP256, Role::Csk)], "")
    }

    /// Asks with DO.
    fn ask(&self, qname: &str, qtype: u16) -> Reply {
        self.send(qname, qtype, true, Transport::Tcp)
    }

    fn send(&self, qname: &str, qtype: u16, dnssec_ok: bool, transport: Transport) -> Reply {
        let edns = Edns {
            dnssec_ok,
            ..Edns::of_size(1232)
        };
        let packet = query(7, &name(qname), qtype, Some(&edns));
        let octets = ask(&self.snapshot, &packet, transport).unwrap();
        Reply::of(qname, qtype, &octets)
    }

    fn signing(&self) -> &Signing {
        let signed = self.snapshot.signed.as_ref().unwrap();
        signed.signing.as_ref().unwrap()
    }

    fn keys(&self) -> Vec<DNSKEY> {
        let reply = self.ask("example.org", RecordType::DNSKEY.into());
        let keys = reply.message.answers.iter().filter_map(|r| match &r.data {
            RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key.clone()),
            _ => None,
        });
        keys.collect()
    }
}

/// The library puts name servers in order before it makes their letters small (RFC 4034 6.3 has it the other way).
fn lower(record: &Record) -> Record {
    let mut record = record.clone();
    if let RData::NS(server) = &mut record.data {
        server.0 = server.0.to_lowercase();
    }
    record
}

struct Reply {
    what: String,
    len: usize,
    message: Message,
}

/// Owner in lower case and type.
type SetName = (String, RecordType);
/// Records, and signatures with the TTL that they are given with.
type Set<'r> = (Vec<&'r Record>, Vec<(&'r RRSIG, u32)>);

impl Reply {
    fn of(qname: &str, qtype: u16, octets: &[u8]) -> Self {
        let what = format!("{qname} {}", RecordType::from(qtype));
        let mut decoder = BinDecoder::new(octets);
        let message = Message::read(&mut decoder);
        let message = message.unwrap_or_else(|e| panic!("{what}: {e}: {octets:02x?}"));
        assert!(
            decoder.is_empty(),
            "{what}: behind the last record: {octets:02x?}"
        );
        Self {
            what,
            len: octets.len(),
            message,
        }
    }

    /// The sets of the answer and of the authority, and the signatures of each.
    fn sets(&self) -> BTreeMap<SetName, Set<'_>> {
        let mut sets: BTreeMap<SetName, Set<'_>> = BTreeMap::new();
        for record in self.message.answers.iter().chain(&self.message.authorities) {
            let owner = record.name.to_lowercase().to_string();
            match &record.data {
                RData::DNSSEC(DNSSECRData::RRSIG(signature)) => {
                    let covered = (owner, signature.input().type_covered);
                    sets.entry(covered)
                        .or_default()
                        .1
                        .push((signature, record.ttl));
                }
                _ => {
                    let set = sets.entry((owner, record.record_type())).or_default();
                    set.0.push(record);
                }
            }
        }
        sets
    }

    /// Checks each set by these keys at this time; how many there were.
    fn verify(&self, keys: &[DNSKEY], now: u32) -> usize {
        let synthetic = |(owner, rtype): &SetName| {
            *rtype == RecordType::CNAME && owner.ends_with(".dn.example.org.")
        };
        let of_others = |(owner, rtype): &SetName| {
            *rtype == RecordType::NS
                && ["sub", "sec", "big"]
                    .map(|cut| format!("{cut}.example.org."))
                    .contains(owner)
        };
        let mut checked = 0;
        for (set, (records, signatures)) in self.sets() {
            let what = format!("{}: {set:?}", self.what);
            if synthetic(&set) || of_others(&set) {
                assert_eq!(signatures.len(), 0, "{what}");
                continue;
            }
            assert!(!signatures.is_empty(), "{what} is not signed");
            for (signature, ttl) in signatures {
                let input = signature.input();
                let key = keys
                    .iter()
                    .find(|k| k.calculate_key_tag().unwrap() == input.key_tag);
                let owner = Name::from_ascii(&set.0).unwrap();
                let records: Vec<Record> = records.iter().map(|r| lower(r)).collect();
                let records = records.iter();
                let verified =
                    key.unwrap()
                        .verify_rrsig(&owner, DNSClass::IN, signature, records.clone());
                verified.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(input.sig_inception.get() < now, "{what}");
                assert!(input.sig_expiration.get() > now + DAY, "{what}");
                for record in records {
                    assert_eq!(record.ttl, ttl, "{what}: RFC 4034 3");
                    assert!(record.ttl <= input.original_ttl, "{what}");
                }
                checked += 1;
            }
        }
        checked
    }

    fn nsec(&self) -> Option<(&Name, &NSEC)> {
        let mut records = self.message.answers.iter().chain(&self.message.authorities);
        records.find_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        })
    }

    fn denied(&self) -> Vec<u16> {
        let (_, nsec) = self
            .nsec()
            .unwrap_or_else(|| panic!("{}: no NSEC", self.what));
        nsec.type_bit_maps().map(u16::from).collect()
    }
}

const NAMES: [&str; 38] = [
    "example.org",
    "ns1.example.org",
    "get.example.org",
    "GET.Example.ORG",
    "v4.example.org",
    "www.example.org",
    "far.example.org",
    "text.example.org",
    "many.example.org",
    "mx.example.org",
    "mail.example.org",
    "srv.example.org",
    "naptr.example.org",
    "odd.example.org",
    "ent.example.org",
    "b.ent.example.org",
    "a.b.ent.example.org",
    "wild.example.org",
    "x.wild.example.org",
    "X.y.wild.example.org",
    "*.wild.example.org",
    "x.wp.example.org",
    "x.wc.example.org",
    "dn.example.org",
    "x.dn.example.org",
    "nope.dn.example.org",
    "sub.example.org",
    "deep.sub.example.org",
    "sec.example.org",
    "boot.example.org",
    "x.wn.example.org",
    "cdn.example.org",
    "on.example.org",
    "fleet.example.org",
    "big.example.org",
    "host1.big.example.org",
    "nope.example.org",
    "no.such.nope.example.org",
];
const TYPES: [u16; 17] = [
    1, 2, 5, 6, 15, 16, 28, 33, 35, 39, 43, 46, 47, 48, 59, 60, 65280,
];

#[test]
fn each_set_that_is_given_verifies() {
    let kinds: [&[(Algorithm, Role)]; 3] = [
        &[(Algorithm::EcdsaP256, Role::Csk)],
        &[(Algorithm::Ed25519, Role::Csk)],
        &[
            (Algorithm::EcdsaP256, Role::Ksk),
            (Algorithm::EcdsaP256, Role::Zsk),
        ],
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let signed = Signed::with(&format!("verifies-{number}"), kind, "");
        let keys = signed.keys();
        assert_eq!(keys.len(), kind.len());
        let mut checked = 0;
        for qname in NAMES {
            for qtype in TYPES {
                let reply = signed.ask(qname, qtype);
                // Of one that is asked for signatures there is nothing to verify them by.
                if qtype != 46 {
                    checked += reply.verify(&keys, NOW);
                }
            }
        }
        assert!(checked > NAMES.len() * TYPES.len(), "{checked}");
    }
}

#[test]
fn who_does_not_want_signatures_is_answered_as_if_there_were_none() {
    let (signed, plain) = (Signed::csk("plain"), Signed::with("unsigned", &[], ""));
    let keys = [46, 47, 48, 59, 60];
    for qname in NAMES {
        for qtype in TYPES.into_iter().filter(|qtype| !keys.contains(qtype)) {
            let packet = query(7, &name(qname), qtype, Some(&Edns::of_size(1232)));
            let [ours, theirs] =
                [&signed, &plain].map(|s| ask(&s.snapshot, &packet, Transport::Udp));
            assert_eq!(ours, theirs, "{qname} {qtype}");
        }
    }
}

#[test]
fn secondaries_that_would_be_left_with_nothing_good_are_warned_of() {
    let said = |test: &str, more: &str| {
        let csk = [(Algorithm::EcdsaP256, Role::Csk)];
        let said = &Signed::with(test, &csk, more).said;
        let warnings = [
            "is signed and has secondaries",
            "expires at its secondaries",
        ];
        warnings.map(|warning| said.contains(warning))
    };
    let transfer = "transfer = [{ from = \"127.0.0.1\" }]\n";
    // The zone expires after a day.
    let short = "[dnssec]\nvalidity = \"2d\"\n";
    assert_eq!(said("alone", short), [false, false]);
    assert_eq!(said("long", transfer), [true, false]);
    assert_eq!(said("short", &format!("{transfer}{short}")), [true, true]);
}

#[test]
fn who_is_within_a_signed_zone_is_to_be_delegated_by_it() {
    let made = |name: &str| {
        format!(
            "[zone.\"{name}.example.org\"]\nns = [\"ns.example.net\"]\npools = {{ \"@\" = \"v4\" }}\n"
        )
    };
    let all = ["in", "sub", "x.sub", "deep.in"].map(made).concat();
    let signed = Signed::with("within", &[(Algorithm::EcdsaP256, Role::Csk)], &all);
    let lines: Vec<&str> = signed
        .said
        .lines()
        .filter(|l| l.contains("is within"))
        .collect();
    assert_eq!(lines.len(), 1, "{}", signed.said);
    assert!(lines[0].contains("zone \"in.example.org.\" is within \"example.org.\""));
}

#[test]
fn signatures_are_made_anew_before_they_end() {
    let signed = Signed::csk("anew");
    let keys = signed.keys();
    let signing = signed.signing();
    let all = |now: u32| {
        for qname in [
            "example.org",
            "get.example.org",
            "mail.example.org",
            "nope.example.org",
            "x.wild.example.org",
        ] {
            for qtype in [1, 6, 16, 48] {
                signed.ask(qname, qtype).verify(&keys, now);
            }
        }
    };
    all(NOW);
    let again = || {
        let own = signed.snapshot.signed(0).unwrap();
        own.refresh(&signed.snapshot.zones.list()[0])
    };
    assert!(!again(), "all are new");
    let mut made = 0;
    // A year, as the server sees it: each minute would be the same.
    for hour in (0..24 * 365).step_by(6) {
        let now = NOW + hour * 3600;
        signing.tick(now);
        made += u32::from(again());
        all(now);
    }
    assert!(
        made > 26,
        "{made} times in a year, where each holds {TWO_WEEKS} s at most"
    );
}

#[test]
fn what_is_built_later_is_signed_by_the_systems_clock() {
    let before = Signed::csk("clock");
    let text = format!(
        "{POOLS}\n[zone.\"example.org\"]\nfile = \"example.org.zone\"\nsigned = true\n[dnssec]\nvalidity = \"30d\"\n"
    );
    let loaded = control::load_text(&before.folder.join("nearmost.toml"), &text);
    let parts = loaded.parts.unwrap();
    let wall = clock::wall();
    // The process was started when the system's clock was at the beginning of its time.
    let early = Duration::from_secs(60);
    let next = control::rebuild(&parts, &before.snapshot, early).unwrap();
    let signing = next.snapshot.signed.unwrap().signing.unwrap();
    assert_eq!(signing.settings().validity, 30 * DAY);
    assert!(u64::from(signing.now()) >= wall);
}
