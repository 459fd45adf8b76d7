//! The inputs that fuzzing has found worth keeping (`fuzz/corpus`), each once through the body of its target: what once was a finding stays
//! mended, and whoever changes a body sees it here. docs/fuzzing.md says what the targets hold.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    reason = "they are the library of a package of its own"
)]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// What is done with an input.
type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 7] = [
    ("config", bodies::config::run),
    ("ecs", bodies::ecs::run),
    ("mmdb", bodies::mmdb::run),
    ("query", bodies::query::run),
    ("transfer", bodies::transfer::run),
    ("tsig", bodies::tsig::run),
    ("zone", bodies::zone::run),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names of what is in a folder.
fn list(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let name = |e: fs::DirEntry| e.file_name().into_string().unwrap();
    entries.map(|e| name(e.unwrap())).collect()
}

/// Runs all inputs of a target; a panic is told with the input's name, and the others run still.
fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|t| t.0 == target).unwrap();
    let folder = fuzz().join("corpus").join(target);
    let inputs = list(&folder);
    let broken = inputs.iter().filter(|input| {
        let octets = fs::read(folder.join(input)).unwrap();
        catch_unwind(|| run(&octets)).is_err()
    });
    let broken: Vec<&String> = broken.collect();
    println!("{target}: {} inputs replayed", inputs.len());
    assert!(!inputs.is_empty(), "{target}: there are no inputs");
    assert!(broken.is_empty(), "{target}: {broken:?}");
}

#[test]
fn configurations() {
    replay("config");
}

#[test]
fn client_subnets() {
    replay("ecs");
}

#[test]
fn databases() {
    replay("mmdb");
}

#[test]
fn messages() {
    replay("query");
}

#[test]
fn transfers() {
    replay("transfer");
}

#[test]
fn signatures() {
    replay("tsig");
}

#[test]
fn zones() {
    replay("zone");
}

/// None is forgotten: each target has a body, a corpus and a place in the manifest.
#[test]
fn each_target_is_replayed() {
    let ours: BTreeSet<String> = TARGETS.iter().map(|t| t.0.to_owned()).collect();
    let binaries = list(&fuzz().join("fuzz_targets"));
    let binaries = binaries
        .iter()
        .map(|b| b.trim_end_matches(".rs").to_owned());
    assert_eq!(binaries.collect::<BTreeSet<_>>(), ours);
    assert_eq!(list(&fuzz().join("corpus")), ours);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in ours {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")));
    }
}
