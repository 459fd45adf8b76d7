//! How many instructions an answer takes: the same on a busy machine, so that it is noticed when they creep up.
//!
//! `cargo bench --bench instructions` compares with `benches/instructions.tsv` and ends with 1 if one takes over 3 % more;
//! `cargo bench --bench instructions -- --save` writes that file. Counted by callgrind, of Debian's package `valgrind`;
//! without it this says so and ends. Another compiler or C library counts otherwise: save before a change, compare after it.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to tell of a broken set-up"
)]

mod setup;

use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nearmost::prefix::Client;
use nearmost::snapshot::Snapshot;
use setup::questions::{self, Kind};
use setup::{Asker, Folder, SMALL};

/// Questions of a kind; each is asked once before it is counted.
const QUESTIONS: usize = 500;
/// Per cent by which a count may be above the stored one.
const TOLERANCE: f64 = 3.0;
/// What is given to this program when callgrind runs it.
const COUNTED: &str = "--counted";

/// What is counted, in the order of its counting.
const CASES: [(&str, Case); 6] = [
    ("static", Case::Answer(Kind::Static)),
    ("pool, ECS", Case::Answer(Kind::Pool)),
    ("NXDOMAIN", Case::Answer(Kind::Missing)),
    ("wildcard", Case::Answer(Kind::Wildcard)),
    ("CNAME chain of 4", Case::Answer(Kind::Chain)),
    ("range look-up", Case::Range),
];

#[derive(Clone, Copy)]
enum Case {
    Answer(Kind),
    Range,
}

fn main() -> ExitCode {
    let told = |word: &str| std::env::args().any(|argument| argument == word);
    if told(COUNTED) {
        work();
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let counts = count();
    if told("--save") {
        save(&counts);
    }
    compare(&counts)
}

/// Does everything, each case in a call of [`measured`] of its own.
fn work() {
    let snapshot = SMALL.snapshot();
    for (_, case) in CASES {
        let kind = match case {
            Case::Answer(kind) => kind,
            Case::Range => Kind::Pool,
        };
        let packets = kind.questions(&SMALL, QUESTIONS);
        let clients = questions::clients(&packets);
        let mut asker = Asker::new();
        let mut once = || match case {
            Case::Answer(_) => answers(&snapshot, &mut asker, &packets),
            Case::Range => ranges(&snapshot, &clients),
        };
        once();
        measured(&mut once);
        done();
    }
}

/// Callgrind sets its counts to zero before this function.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    black_box(work)();
}

/// And writes them out before this one.
#[inline(never)]
fn done() {
    black_box("done");
}

fn answers(snapshot: &Snapshot, asker: &mut Asker, packets: &[Vec<u8>]) {
    let table = snapshot.table.load();
    for packet in packets {
        black_box(asker.ask(snapshot, &table, black_box(packet)));
    }
}

fn ranges(snapshot: &Snapshot, clients: &[Client]) {
    let map = &setup::steering(snapshot).map;
    for client in clients {
        black_box(map.find(black_box(*client)));
    }
}

/// Instructions of each case for one question.
fn count() -> Vec<u64> {
    let folder = Folder::new("instructions");
    let out = folder.path().join("costs");
    let ran = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--zero-before=instructions::measured",
            "--dump-before=instructions::done",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("this program"))
        .arg(COUNTED)
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    // Dumps are numbered from 1.
    let dumps = (1..=CASES.len()).map(|n| folder.path().join(format!("costs.{n}")));
    let counts: Option<Vec<u64>> = dumps.map(|dump| total(&dump)).collect();
    counts.unwrap_or_else(|| panic!("callgrind has not counted all: {said}"))
}

/// The sum of a dump, for one question.
fn total(dump: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(dump).ok()?;
    let sum = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))?;
    let sum: u64 = sum.trim().parse().ok()?;
    Some(sum / QUESTIONS as u64)
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.tsv")
}

/// The compiler's own words for itself.
fn compiler() -> String {
    let said = Command::new("rustc").arg("-V").output();
    let said = said.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    said.unwrap_or_else(|_| "an unknown compiler".into())
}

fn save(counts: &[u64]) {
    let mut text = format!("# {}\n", compiler());
    for ((case, _), count) in CASES.iter().zip(counts) {
        let _ = writeln!(text, "{case}\t{count}");
    }
    std::fs::write(baseline(), text).expect("the baseline is written");
}

fn compare(counts: &[u64]) -> ExitCode {
    let text = std::fs::read_to_string(baseline()).expect("the baseline is in the repository");
    let mut lines = text.lines();
    let made_with = lines.next().unwrap_or_default().trim_start_matches("# ");
    println!(
        "{:20} {:>8} {:>8} {:>8}",
        "instructions", "stored", "now", "change"
    );
    let mut worst = 0.0_f64;
    for ((case, _), count) in CASES.iter().zip(counts) {
        let line = lines
            .clone()
            .find_map(|line| line.strip_prefix(case)?.strip_prefix('\t'));
        let stored: u64 = line
            .and_then(|n| n.parse().ok())
            .expect("a number for each case");
        let change = 100.0 * (*count as f64 / stored as f64 - 1.0);
        worst = worst.max(change);
        println!("{case:20} {stored:>8} {count:>8} {change:>+7.1}%");
    }
    if made_with != compiler() {
        println!("stored with {made_with}, this is {}", compiler());
    }
    ExitCode::from(u8::from(worst > TOLERANCE))
}
