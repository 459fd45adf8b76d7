//! Configurations that are right and that are wrong, and exactly what is said of them.

#[path = "common/meaning.rs"]
mod meaning;

use std::fs;
use std::path::{Path, PathBuf};

use nearmost::config::{self, Config, ZoneSource};
use nearmost::diagnostic::{Diagnostics, Sources};
use nearmost::health::{HttpCheck, Kind};
use proptest::prelude::*;

use meaning::meaning;

/// Where the texts pretend to stand: messages hold no path of this machine.
const AT: &str = "/etc/nearmost";

struct Read {
    config: Config,
    found: Diagnostics,
    report: String,
}

fn read(text: &str) -> Read {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let path = Path::new(AT).join("nearmost.toml");
    let config = config::read_text(&path, text, &mut sources, &mut found);
    let report = found.render(&sources, false);
    Read {
        config,
        found,
        report,
    }
}

/// The files of a folder of the corpus that end in `.toml`, by name.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(folder);
    let files = fs::read_dir(folder)
        .expect("the corpus")
        .map(|e| e.expect("a file").path());
    let mut files: Vec<PathBuf> = files
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn quick_start() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/nearmost.toml");
    fs::read_to_string(path).expect("the example")
}

/// Whether a report is the one in a file. With `UPDATE_EXPECTED` set the file is written, to be read in the diff.
fn is_expected(file: &Path, report: &str) -> bool {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(file, report).expect("written");
    }
    fs::read_to_string(file).unwrap_or_default() == report
}

#[test]
fn each_invalid_file_gives_exactly_its_messages() {
    let files = corpus("invalid");
    let mut wrong = Vec::new();
    for path in &files {
        let read = read(&fs::read_to_string(path).unwrap());
        assert!(read.found.errors() > 0, "{}: no error", path.display());
        if !is_expected(&path.with_extension("stderr"), &read.report) {
            wrong.push(format!("{}:\n{}", path.display(), read.report));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(files.len(), 98);
    let five = fs::read_to_string(files[0].with_file_name("five-mistakes.stderr")).unwrap();
    assert_eq!(five.matches(": error: ").count(), 5);
}

#[test]
fn each_valid_file_is_shown_as_a_file_that_means_the_same() {
    let mut texts: Vec<(String, String)> = vec![("quick start".to_owned(), quick_start())];
    let files = corpus("valid");
    texts.extend(
        files
            .iter()
            .map(|p| (p.display().to_string(), fs::read_to_string(p).unwrap())),
    );
    for (name, text) in texts {
        let first = read(&text);
        assert_eq!(first.found.errors(), 0, "{name}:\n{}", first.report);
        let shown = config::show(&first.config);
        let second = read(&shown);
        assert_eq!(
            second.found.errors(),
            0,
            "{name}:\n{}\n{shown}",
            second.report
        );
        assert_eq!(config::show(&second.config), shown, "{name}");
        assert_eq!(meaning(first.config), meaning(second.config), "{name}");
    }
    assert_eq!(files.len(), 8);
}

/// What the warnings of a configuration without errors are.
#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    let read = read(text);
    assert_eq!(read.found.errors(), 0, "{}", read.report);
    read.found.list.into_iter().map(|d| d.message).collect()
}

#[test]
fn the_quick_start_is_understood() {
    let Read { config, found, .. } = read(&quick_start());
    assert_eq!(found.list.len(), 0);
    let pool = &config.pools[0];
    assert_eq!(
        (pool.name.as_str(), &pool.nodes[..]),
        ("site", &[0, 1, 2][..])
    );
    assert_eq!(config.probes.len(), 1);
    let probe = &config.probes[pool.probes[0]];
    assert_eq!(
        (
            probe.kind.word(),
            probe.port,
            probe.down,
            probe.ok,
            probe.up
        ),
        ("https", 443, 3, 6, 6)
    );
    assert_eq!((probe.every.as_secs(), probe.timeout.as_secs()), (10, 4));
    assert_eq!(config.server.listen[0].to_string(), "127.0.0.1:5300");
    assert_eq!(
        config.server.control,
        Path::new("/etc/nearmost/nearmost.sock")
    );
    let ZoneSource::Made { ns, pools, ttl } = &config.zones[0].source else {
        panic!("a made zone")
    };
    assert_eq!(
        (ns.len(), &pools[0].0, pools[0].1, *ttl),
        (2, &config.zones[0].name, 0, (300, 30))
    );
    let places: Vec<_> = config.nodes.iter().map(|n| n.at.unwrap()).collect();
    let known = [(51.5, -0.1), (59.3, 18.1), (35.7, 139.7)];
    for (at, (lat, lon)) in places.iter().zip(known) {
        assert!(
            (at.lat - lat).abs() < 0.5 && (at.lon - lon).abs() < 0.5,
            "{at:?}"
        );
    }
}

#[test]
fn what_is_probably_a_mistake_is_warned_of() {
    let rest = "[zone.x]\nns = ['ns.example']\npools = { '@' = 'p' }\n[pool.p]\nnodes = ['a']\nprobe = 'tcp:80'\n";
    let with = |more: &str| warnings(&format!("{rest}{more}"));
    let a = "[node.a]\nip = ['192.0.2.1']\n";
    assert_eq!(with(a), [""; 0]);
    assert_eq!(
        with(&format!("{a}[node.b]\nip = ['192.0.2.2']")),
        ["node \"b\" is in no pool"]
    );
    assert_eq!(
        with(&format!("{a}country = 'XX'")),
        ["XX is not in ISO 3166"]
    );
    assert_eq!(
        with(&format!("{a}at = 'LHR'\ncountry = 'JP'")),
        ["node \"a\" stands 8647 km from any city of JP; London, GB is nearest"]
    );
    assert_eq!(with(&format!("{a}at = 'BSL'\ncountry = 'CH'")), [""; 0]);
    assert_eq!(
        with(&format!("{a}[probe.q]\nkind = 'http'")),
        ["probe \"q\" is used by no pool"]
    );
    assert_eq!(
        with(&format!("{a}[pool.q]\n")),
        [
            "pool \"q\" has no probes: its nodes always count as up",
            "no name leads to pool \"q\""
        ]
    );
    assert_eq!(
        with(&format!(
            "{a}[node.b]\nip = ['192.0.2.1']\n[pool.q]\nprobe = 'http'\n[zone.y]\nfile = 'y.zone'"
        )),
        ["node \"b\" has the address 192.0.2.1 of another node"]
    );
    assert_eq!(
        warnings(""),
        ["there is no zone: every question will be refused"]
    );
    assert_eq!(
        warnings("zone.x.ns = ['ns.x']"),
        ["ns.x. is inside of the zone, which holds no address for it"]
    );
}

/// Reads a folder; tests stand in the package's own, so that messages have relative paths.
fn read_folder(folder: &str) -> (Option<Config>, Diagnostics, String) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let path = Path::new("tests/config/folders")
        .join(folder)
        .join("nearmost.toml");
    let config = config::read(&path, &mut sources, &mut found);
    let report = found.render(&sources, false);
    (config, found, report)
}

#[test]
fn folders_are_read_like_tables() {
    let (config, found, report) = read_folder("good");
    let config = config.unwrap();
    assert_eq!(found.list.len(), 0, "{report}");
    let names: Vec<&str> = config.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["first", "ams", "kcl"]);
    assert_eq!(config.pools[0].nodes, [2, 0, 1]);
    let here = std::env::current_dir()
        .unwrap()
        .join("tests/config/folders/good");
    let zones: Vec<_> = config
        .zones
        .iter()
        .map(|z| (z.name.to_string(), z.span.is_some(), &z.source))
        .collect();
    for (zone, (name, in_table, file)) in zones.iter().zip([
        ("example.net.", true, "zones/example.net.zone"),
        ("example.org.", false, "zones/example.org.zone"),
    ]) {
        assert_eq!((zone.0.as_str(), zone.1), (name, in_table));
        assert!(
            matches!(zone.2, ZoneSource::File(path) if *path == here.join(file)),
            "{zone:?}"
        );
    }
    assert_eq!(zones.len(), 2);
    assert_eq!(config.server.control, here.join("state/control.sock"));
    let Kind::Http(HttpCheck { ca, .. }) = &config.probes[0].kind else {
        panic!("an https probe")
    };
    assert_eq!(
        ca.as_deref(),
        Some(here.join("probes/roots.pem.md").as_path())
    );
}

#[test]
fn all_errors_of_all_files_are_told() {
    let (config, _, report) = read_folder("bad");
    assert!(config.is_some());
    assert!(
        is_expected(
            Path::new("tests/config/folders/bad/expected.stderr"),
            &report
        ),
        "{report}"
    );
    let (config, _, report) = read_folder("none");
    assert!(
        config.is_none()
            && report.starts_with("error: cannot read tests/config/folders/none/nearmost.toml: ")
    );
}

/// The grown-up form of each kind of file: what is not supported yet is told as such, and no key is unknown.
#[test]
fn every_planned_key_is_known_as_planned() {
    let (_, found, report) = read_folder("planned");
    assert!(
        is_expected(
            Path::new("tests/config/folders/planned/expected.stderr"),
            &report
        ),
        "{report}"
    );
    for finding in &found.list {
        assert!(
            finding
                .message
                .ends_with(" is not yet supported by this version"),
            "{}",
            finding.message
        );
    }
    assert!(found.errors() > 0);
}

/// A change to a text: what is there from a place on gives way to something else.
#[derive(Clone, Debug)]
struct Edit {
    at: prop::sample::Index,
    cut: usize,
    put: String,
}

/// What upsets a text: marks of TOML, numbers at and beyond bounds, names that are elsewhere in it.
const WORDS: [&str; 30] = [
    "[",
    "]",
    "[[",
    "\"",
    "'''",
    "\\",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "-",
    "0",
    "99999999999999999999",
    "1.5",
    "nan",
    "inf",
    "true",
    "1979-05-27",
    "[node.lon]\n",
    "[zone.a.b]\n",
    "\"*\"",
    "at",
    "ip",
    "\u{feff}",
    "\0",
    "é",
    "km",
];

fn edit() -> impl Strategy<Value = Edit> {
    let put = prop_oneof![
        prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        prop::collection::vec(any::<char>(), 0..4).prop_map(String::from_iter),
    ];
    (any::<prop::sample::Index>(), 0..12usize, put).prop_map(|(at, cut, put)| Edit { at, cut, put })
}

fn apply(text: &mut String, edit: &Edit) {
    let boundary = |at: usize| {
        (0..=at.min(text.len()))
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0)
    };
    let start = boundary(edit.at.index(text.len() + 1));
    let end = boundary(start + edit.cut);
    text.replace_range(start..end, &edit.put);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing makes it panic, and what is taken can be shown and read again.
    #[test]
    fn no_text_is_too_strange(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let files: Vec<PathBuf> = corpus("valid").into_iter().chain(corpus("invalid")).collect();
        let mut text = fs::read_to_string(which.get(&files)).unwrap();
        edits.iter().for_each(|e| apply(&mut text, e));
        let first = read(&text);
        if first.found.errors() == 0 {
            let shown = config::show(&first.config);
            let second = read(&shown);
            prop_assert_eq!(second.found.errors(), 0, "{}\n{}", second.report, shown);
            prop_assert_eq!(meaning(first.config), meaning(second.config));
        }
    }
}
