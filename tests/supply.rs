//! Which crates of others are let in: what the lock files can tell of deny.toml. `cargo deny check` reads the crates themselves, and so their licences.

use std::fs;
use std::path::Path;

/// nearmost's own, and that of the programs that fuzz it.
const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Banned, and in the lock files all the same: others have it as an option that nobody turns on.
const OPTION: &str = "ring";
/// What strangers' octets meet first, and the least version without known errors.
const NEEDED: [(&str, [u64; 3]); 3] = [
    ("hickory-proto", [0, 26, 3]),
    ("h2", [0, 4, 16]),
    ("quinn-proto", [0, 11, 15]),
];

#[derive(Debug)]
struct Package {
    name: String,
    version: Vec<u64>,
    source: Option<String>,
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).expect(file)
}

/// The numbers of a version, without what stands behind them.
fn version(text: &str) -> Vec<u64> {
    let numbers = text.split(['-', '+']).next().expect("a version");
    let numbers = numbers.split('.');
    numbers.map(|n| n.parse().expect("a number")).collect()
}

/// The packages of a lock file.
fn packages(file: &str) -> Vec<Package> {
    let lock = text(file);
    let package = |text: &str| {
        let value = |key: &str| {
            let start = format!("{key} = \"");
            let value = |line: &str| Some(line.strip_prefix(&start)?.strip_suffix('"')?.to_owned());
            text.lines().find_map(value)
        };
        Package {
            name: value("name").expect("a name"),
            version: version(&value("version").expect("a version")),
            source: value("source"),
        }
    };
    let packages: Vec<Package> = lock.split("[[package]]").skip(1).map(package).collect();
    assert!(packages.len() > 100, "{file}: {}", packages.len());
    packages
}

/// What deny.toml bans: a crate, whole or below a version.
fn banned() -> Vec<(String, Option<Vec<u64>>)> {
    let deny = text("deny.toml");
    let ban = |line: &str| {
        let line = line.trim().strip_prefix("{ crate = \"")?;
        let krate = line.strip_suffix("\" },")?;
        Some(match krate.split_once(":<") {
            Some((name, least)) => (name.to_owned(), Some(version(least))),
            None => (krate.to_owned(), None),
        })
    };
    let banned: Vec<_> = deny.lines().filter_map(ban).collect();
    assert_eq!(
        banned.len(),
        deny.matches("{ crate = ").count(),
        "{banned:?}"
    );
    banned
}

#[test]
fn all_crates_come_from_the_one_registry() {
    let deny = text("deny.toml");
    for others in ["unknown-registry", "unknown-git"] {
        assert!(deny.contains(&format!("{others} = \"deny\"")), "{others}");
    }
    for file in LOCKS {
        for package in packages(file) {
            match &package.source {
                Some(source) => assert_eq!(source, REGISTRY, "{file}: {package:?}"),
                // In this repository.
                None => assert!(package.name.starts_with("nearmost"), "{file}: {package:?}"),
            }
        }
    }
}

#[test]
fn what_is_banned_is_not_there() {
    let banned = banned();
    for (name, least) in NEEDED {
        let ban = banned.iter().find(|(banned, _)| banned == name);
        let (_, bound) = ban.unwrap_or_else(|| panic!("deny.toml lets any {name} in"));
        assert!(bound.as_deref() >= Some(&least[..]), "{name}: {bound:?}");
    }
    for file in LOCKS {
        let packages = packages(file);
        for (name, least) in &banned {
            for package in packages.iter().filter(|package| package.name == *name) {
                match least {
                    Some(least) => assert!(package.version >= *least, "{file}: {package:?}"),
                    None => assert_eq!(name, OPTION, "{file}: {package:?}"),
                }
            }
        }
    }
    // Nobody turns the option on, of whatever crate.
    for file in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let manifest = text(file);
        let mut words = manifest.split('"');
        let ring = words.find(|word| *word == OPTION || word.ends_with("-ring"));
        assert_eq!(ring, None, "{file}");
    }
}
