//! Who may import whom, and which file is the door of which foreign crate: rustc does not keep a crate's modules free of
//! cycles, so this test does. ARCHITECTURE.md shows the same table.

use std::fs;
use std::path::{Path, PathBuf};

/// The rows from the bottom up. A module imports only from rows below its own.
const ROWS: [&[&str]; 9] = [
    &["prefix", "clock", "diagnostic", "metrics"],
    &["zone", "geo", "health"],
    &["policy", "wire", "dnssec"],
    &["snapshot"],
    &["answer", "transfer"],
    &["config", "probe", "server"],
    &["control"],
    &["admin"],
    &["cli"],
];

/// Foreign crates and the only places that may name them.
const DOORS: [(&str, &[&str]); 28] = [
    (
        "arc_swap",
        &[
            "snapshot",
            "policy/slowed.rs",
            "server/tls.rs",
            "dnssec/zone.rs",
        ],
    ),
    // A module of rustls has the same name.
    (
        "aws_lc_rs",
        &[
            "admin/token.rs",
            "dnssec",
            "probe/http/tls.rs",
            "server/tls.rs",
            "wire/tsig",
        ],
    ),
    ("async_trait", &["server/h3.rs"]),
    ("axum", &["admin", "cli/demo.rs"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli/completions.rs"]),
    ("clap_mangen", &["cli/man.rs"]),
    ("unicode_width", &["cli/table.rs"]),
    ("data_encoding", &["dnssec/bind.rs", "dnssec/key.rs"]),
    (
        "hashbrown",
        &[
            "zone/tree",
            "geo/database.rs",
            "geo/places.rs",
            "policy/compile",
            "server/rrl.rs",
        ],
    ),
    (
        "hickory_proto",
        &[
            "admin/view.rs",
            "dnssec/key.rs",
            "probe/dns.rs",
            "probe/resolve.rs",
            "zone/file",
        ],
    ),
    (
        "hyper",
        &[
            "admin/ask.rs",
            "admin/listen.rs",
            "probe/http",
            "server/https.rs",
        ],
    ),
    ("hickory_server", &["server/h3.rs"]),
    ("landlock", &["control/reach.rs"]),
    ("maxminddb", &["geo/database.rs"]),
    (
        "nix",
        &[
            "cli/serve.rs",
            "clock.rs",
            "control/calls.rs",
            "control/handed.rs",
            "control/rights.rs",
            "control/socket_file.rs",
            "control/trim.rs",
            "probe/exec.rs",
            "server/udp.rs",
            "server/mmsg.rs",
        ],
    ),
    ("prometheus_client", &["admin/metrics"]),
    ("quinn", &["server/quic.rs"]),
    ("reqwest", &["probe"]),
    (
        "rustix",
        &[
            "cli/watch.rs",
            "control/build.rs",
            "control/descriptors.rs",
            "control/handed.rs",
            "control/keep.rs",
            "control/rights.rs",
            "control/socket_file.rs",
            "control/takeover.rs",
            "server/udp.rs",
        ],
    ),
    ("rustls", &["dnssec/key.rs", "probe", "server/tls.rs"]),
    ("seccompiler", &["control/calls.rs"]),
    ("sd_notify", &["cli/systemd.rs"]),
    ("siphasher", &["dnssec/cache.rs", "wire/cookie.rs"]),
    (
        "tokio_rustls",
        &["admin/listen.rs", "server/tcp.rs", "server/https.rs"],
    ),
    ("toml", &["config"]),
    ("tracing_appender", &["cli/log.rs"]),
    ("tracing_subscriber", &["cli/log.rs"]),
];

/// Above this a file is more than one concept.
const LONGEST_FILE: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|p| {
            (
                p.strip_prefix(&root).expect("below src").to_path_buf(),
                fs::read_to_string(&p).expect("text"),
            )
        })
        .collect()
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|c| c.as_os_str() == "tests")
}

/// The lines of a file that are program: no comments, nothing from the test module on.
fn program(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn module(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .expect("a path below src")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_import_only_from_rows_below() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let module = module(&path);
        if ["lib", "main"].contains(&module.as_str()) || is_test(&path) {
            continue;
        }
        let own = row(&module).unwrap_or_else(|| panic!("{module} is in no row of the table"));
        for (number, line) in program(&text) {
            for part in line.split("crate::").skip(1) {
                let used: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if used.is_empty() || used == module {
                    continue;
                }
                seen += 1;
                let theirs = row(&used).unwrap_or_else(|| {
                    panic!("{}:{number}: `{used}` is in no row", path.display())
                });
                if theirs >= own {
                    broken.push(format!(
                        "{}:{number}: row {own} imports `{used}` of row {theirs}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(
        seen > 100,
        "only {seen} imports were seen: the scan is broken"
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn foreign_crates_come_in_by_their_doors() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        for (krate, doors) in DOORS {
            let open = doors.iter().any(|door| path.starts_with(door));
            let uses = |line: &str| {
                line.match_indices(krate).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let whole = !before
                        .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.');
                    whole && line[at + krate.len()..].starts_with("::")
                })
            };
            for (number, _) in program(&text).filter(|(_, line)| !open && uses(line)) {
                broken.push(format!(
                    "{}:{number}: `{krate}` comes in by {doors:?} only",
                    path.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_clock_reads_the_time() {
    for (path, text) in sources() {
        for (number, line) in program(&text) {
            let reads = ["Instant::now", "SystemTime::now"]
                .iter()
                .any(|read| line.contains(read));
            // tokio's timers are how row 5 and above wait, not how they judge.
            let waits = line.contains("Instant::now") && text.contains("tokio::time");
            assert!(
                !reads || waits || path == Path::new("clock.rs"),
                "{}:{number}: time is an argument",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_code_is_in_two_files() {
    let known = ["server/mmsg.rs", "control/trim.rs"].map(Path::new);
    for (path, text) in sources() {
        let allowed = program(&text).any(|(_, line)| line.contains("unsafe"));
        assert_eq!(allowed, known.contains(&&*path), "{}", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_and_is_one_concept() {
    for (path, text) in sources() {
        if !is_test(&path) {
            assert!(
                text.starts_with("//!"),
                "{} does not begin with what it is",
                path.display()
            );
        }
        let lines = program(&text).count();
        assert!(
            lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn architecture_md_shows_this_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (number, row) in ROWS.iter().enumerate() {
        let shown = row
            .iter()
            .map(|m| format!("`{m}`"))
            .collect::<Vec<_>>()
            .join(" · ");
        assert!(
            text.contains(&format!("| {number} | {shown} |")),
            "row {number} is to read: {shown}"
        );
    }
}
