//! The generation that `query`, `ecs` and `transfer` ask: plain zones, pools of all policies, a signed zone with pools, zones that
//! are signed elsewhere, and zones that are transferred. Its time is told, and states are those of a few tables.

use std::cell::RefCell;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nearmost::answer::{LONGEST, Outcome, Request, Scratch, Transport, answer};
use nearmost::control::{self, KeyState, Keyring};
use nearmost::dnssec::{Algorithm, Key, Role};
use nearmost::health::{Table, Word};
use nearmost::snapshot::Snapshot;
use nearmost::transfer::flat;
use nearmost::zone::Name;
use nearmost::zone::version::Journal;

/// When all of this happens, seconds since 1970.
pub const NOW: u32 = 1_800_000_000;

/// The key that is known, and its secret.
pub const KEY: (&str, &[u8]) = ("transfer.example", b"secret of thirty-two octets.....");

const CONFIGURATION: &str = include_str!("generation.toml");
const RICH: &str = include_str!("../../zones/rich.example.zone");
const SIGNED: &str = include_str!("signed.zone");
/// Signed by dnssec-signzone, with NSEC, and with NSEC3 that leaves insecure delegations out; until 2036.
const STORED: &str = include_str!("stored.zone");
const HASHED: &str = include_str!("hashed.zone");
const PLAIN: &str = include_str!("plain.zone");
const CITIES: &[u8] = include_bytes!("../../tests/data/mmdb/GeoIP2-City-Test.mmdb");
const SYSTEMS: &[u8] = include_bytes!("../../tests/data/mmdb/GeoLite2-ASN-Test.mmdb");

/// What the key's clock says; one for all threads, as the generation has one.
static SECONDS: AtomicU64 = AtomicU64::new(NOW as u64);

/// A generation and tables of its slots.
pub struct Generation {
    pub snapshot: Snapshot,
    /// All in service; every other; two of three, about to change; none.
    pub tables: [Table; 4],
}

/// Sets of all sizes, up to those that no datagram holds.
fn sizes() -> String {
    let mut text = String::from("$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n");
    for records in [1, 5, 20, 80, 250] {
        for i in 0..records {
            text += &format!("a{records} A 198.51.100.{i}\n");
            text += &format!("mx{records} MX {i} host{i}.mx{records}\n");
            text += &format!("host{i}.mx{records} A 203.0.113.{i}\n");
            text += &format!("txt{records} TXT \"{i:0100}\"\n");
            text += &format!("sub{records} NS ns{i}.sub{records}\n");
            text += &format!("ns{i}.sub{records} AAAA 2001:db8::{i}\n");
        }
        text += &format!("*.wild{records} CNAME a{records}\nd{records} DNAME wild{records}\n");
    }
    text
}

/// The generation, made when it is first asked for.
pub fn get() -> &'static Generation {
    static GENERATION: OnceLock<Generation> = OnceLock::new();
    GENERATION.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("nearmost-fuzz-{}", std::process::id()));
        let made = make(&folder);
        let _ = fs::remove_dir_all(folder);
        made
    })
}

fn make(folder: &Path) -> Generation {
    fs::create_dir_all(folder).unwrap();
    for (name, octets) in [
        ("rich.zone", RICH.as_bytes()),
        ("signed.zone", SIGNED.as_bytes()),
        ("plain.zone", PLAIN.as_bytes()),
        ("stored.zone", STORED.as_bytes()),
        ("hashed.zone", HASHED.as_bytes()),
        ("sizes.zone", sizes().as_bytes()),
        ("city.mmdb", CITIES),
        ("asn.mmdb", SYSTEMS),
    ] {
        fs::write(folder.join(name), octets).unwrap();
    }
    let zone = Name::absolute("signed.example").unwrap();
    let key = Key::make(Algorithm::Ed25519).unwrap();
    let kind = (Algorithm::Ed25519, Role::Csk, KeyState::Active);
    let keyring = Keyring::at(&folder.join("keys"));
    keyring.add(&zone, kind, &key, Duration::ZERO).unwrap();
    let loaded = control::load_text(&folder.join("nearmost.toml"), CONFIGURATION);
    let shown = loaded.found.render(&loaded.sources, false);
    let parts = loaded.parts.unwrap_or_else(|| panic!("{shown}"));
    let now = Duration::from_secs(NOW.into());
    let mut snapshot = control::build(&parts, 1, now).unwrap().snapshot;
    snapshot.keys.clock = || SECONDS.load(Ordering::Relaxed);
    let slots = u32::try_from(snapshot.table.load().len()).unwrap();
    let table = |word: fn(u32) -> Word| {
        let words = (0..slots).map(word).collect();
        snapshot.judge(Table::new(words))
    };
    let tables = [
        table(|_| Word::UNPROBED),
        table(|n| Word::new(n % 2 == 0, 300, NOW - n)),
        table(|n| Word::new(n % 3 != 0, 7, NOW)),
        table(|n| Word::new(false, 10, NOW - 60 * (n % 5))),
    ];
    for (number, zone) in snapshot.zones.list().iter().enumerate() {
        // As after a node has gone: a version, and the step to it.
        let of = |table| flat(&snapshot, table, zone, None);
        let journal = of(&tables[0]).map(Journal::new);
        let journal = journal.map(|j| j.next(of(&tables[1]).unwrap(), true, |_| ()).unwrap_or(j));
        if let Some(own) = snapshot.secondaries.get(number) {
            own.journal.store(journal.map(Into::into));
        }
    }
    Generation { snapshot, tables }
}

/// A generation of one zone that anybody on this machine may have whole.
pub fn primary() -> Snapshot {
    let text = "[zone.\"x.example\"]\nns = [\"ns.x.example\"]\ntransfer = [\"127.0.0.1\"]\n";
    let loaded = control::load_text(Path::new("/nearmost-fuzz/nearmost.toml"), text);
    let shown = loaded.found.render(&loaded.sources, false);
    let parts = loaded.parts.unwrap_or_else(|| panic!("{shown}"));
    control::build(&parts, 1, Duration::ZERO).unwrap().snapshot
}

impl Generation {
    /// It is another second: for signatures, cookies and keys. Of one thread at a time.
    pub fn tick(&self, now: u32) {
        SECONDS.store(now.into(), Ordering::Relaxed);
        if let Some(cookies) = &self.snapshot.settings.cookies {
            cookies.tick(now);
        }
        let signed = self.snapshot.signed.as_ref();
        if let Some(signing) = signed.and_then(|signed| signed.signing.as_ref()) {
            signing.tick(now);
        }
    }

    /// Asks, with nothing in the scratch that an earlier question has left, or with what `before` has.
    pub fn ask(
        &self,
        table: &Table,
        request: Request<'_>,
        before: Option<&[u8]>,
    ) -> (Outcome, Vec<u8>) {
        thread_local! {
            static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST]);
        }
        let mut scratch = Scratch::default();
        ROOM.with_borrow_mut(|out| {
            if let Some(packet) = before {
                let request = Request { packet, ..request };
                let _ = answer(&self.snapshot, table, request, &mut scratch, out);
            }
            let outcome = answer(&self.snapshot, table, request, &mut scratch, out);
            assert!(outcome.len <= out.len());
            (outcome, out[..outcome.len].to_vec())
        })
    }
}

/// Who asks, by a number.
pub fn source(number: u8) -> IpAddr {
    const SOURCES: [&str; 8] = [
        "127.0.0.1",
        "81.2.69.160",
        "192.0.2.99",
        "2001:db8::1",
        "::ffff:81.2.69.160",
        "2a02:d2c0::1",
        "10.1.2.3",
        "89.160.20.113",
    ];
    SOURCES[usize::from(number) % SOURCES.len()]
        .parse()
        .unwrap()
}

/// How it came, by a number.
pub fn transport(number: u8) -> Transport {
    match number % 4 {
        0 => Transport::Udp,
        1 => Transport::Tcp,
        2 => Transport::Dot,
        _ => Transport::Doh,
    }
}
