//! What signing costs on one thread: a zone of 100,000 names when it is loaded, names that are asked for the first time, and a pool's
//! addresses from the cache beside the same answer without signatures.
//!
//! `cargo bench --bench signing`.

#![expect(clippy::print_stdout, reason = "a benchmark says what it has measured")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a benchmark ends with what goes wrong"
)]

mod setup;

use std::hint::black_box;
use std::time::Duration;

use nearmost::control::{KeyState, Keyring, load_text};
use nearmost::dnssec::{Algorithm, Key, Role};
use nearmost::snapshot::Snapshot;
use nearmost::zone::Name;
use nix::time::{ClockId, clock_gettime};
use setup::questions::Kind;
use setup::{Asker, Folder, SMALL, Size};

const NAMES: usize = 100_000;
const ODD: usize = 20_000;
const ROUNDS: usize = 31;
const QUESTIONS: usize = 20_000;

fn main() {
    for (word, algorithm) in [
        ("ECDSA P-256", Algorithm::EcdsaP256),
        ("Ed25519", Algorithm::Ed25519),
    ] {
        let size = Size {
            names: NAMES,
            ..SMALL
        };
        let (plain, _) = timed(|| snapshot(&size, None));
        let (signed, snapshot) = timed(|| snapshot(&size, Some(algorithm)));
        println!(
            "{word}: a zone of {NAMES} names is built in {:.2} s, and signed in {:.2} s more",
            plain.as_secs_f64(),
            (signed - plain).as_secs_f64()
        );
        first(word, &snapshot, &size);
        cached(word, &snapshot, &size);
    }
}

fn snapshot(size: &Size, algorithm: Option<Algorithm>) -> Snapshot {
    let folder = Folder::new("signing");
    let mut text = size.write(folder.path());
    if let Some(algorithm) = algorithm {
        let zone = Name::absolute("example.org").unwrap();
        let keyring = Keyring::at(&folder.path().join("keys"));
        let kind = (algorithm, Role::Csk, KeyState::Active);
        let key = Key::make(algorithm).unwrap();
        keyring.add(&zone, kind, &key, Duration::ZERO).unwrap();
        text = text.replace(
            "[zone.\"example.org\"]\n",
            "[zone.\"example.org\"]\nsigned = true\n",
        );
        text += "\n[dnssec]\nsignatures_per_second = 1000000\n";
    }
    let loaded = load_text(&folder.path().join("nearmost.toml"), &text);
    let shown = loaded.found.render(&loaded.sources, false);
    setup::snapshot(&loaded.parts.unwrap_or_else(|| panic!("{shown}")), 1)
}

/// CPU time of this thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = cpu();
    let done = work();
    (cpu() - begun, done)
}

/// Sets the bit DO in the OPT record that a question ends with, options and all.
fn wants(mut packet: Vec<u8>) -> Vec<u8> {
    let opt = packet.windows(3).rposition(|w| w == [0, 0, 41]).unwrap();
    packet[opt + 7] |= 0x80;
    packet
}

/// Names that are not there, each asked once.
fn first(word: &str, snapshot: &Snapshot, size: &Size) {
    let (table, mut asker) = (snapshot.table.load(), Asker::new());
    let packets = Kind::Missing.questions(size, ODD);
    let packets: Vec<Vec<u8>> = packets.into_iter().map(wants).collect();
    let (took, ()) = timed(|| {
        for packet in &packets {
            assert!(asker.ask(snapshot, &table, packet).len > 200);
        }
    });
    println!(
        "{word}: {:.0} names a second of CPU time are signed for the first time",
        ODD as f64 / took.as_secs_f64()
    );
}

fn cached(word: &str, snapshot: &Snapshot, size: &Size) {
    let (table, mut asker) = (snapshot.table.load(), Asker::new());
    let plain = Kind::Pool.questions(size, QUESTIONS);
    let signed: Vec<Vec<u8>> = plain.iter().cloned().map(wants).collect();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (packets, times) in [&plain, &signed].into_iter().zip(&mut times) {
            let (took, ()) = timed(|| {
                for packet in packets {
                    black_box(asker.ask(snapshot, &table, packet).len);
                }
            });
            times.push(took.as_secs_f64() / QUESTIONS as f64 * 1e9);
        }
    }
    let [plain, signed] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    println!(
        "{word}: an answer of a pool costs {plain:.0} ns, and signed from the cache {signed:.0} ns, without sockets"
    );
}
