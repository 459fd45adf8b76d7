//! What the documents say: their examples are read as an operator's files are, and the reference names every key there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nearmost::config;
use nearmost::control;
use nearmost::diagnostic::{Diagnostics, Sources};

const REFERENCE: &str = "docs/configuration.md";

/// The lists of keys in `src/config`, and the sections of the reference that describe them.
const SECTIONS: [(&str, &str, &str); 30] = [
    ("files.rs", "TOP", "Tables of `nearmost.toml`"),
    ("server.rs", "SERVER", "`[server]`"),
    ("server.rs", "LIMITS", "`[limits]`"),
    ("tls.rs", "TLS", "`[tls]`"),
    ("admin.rs", "ADMIN", "`[admin]`"),
    ("admin.rs", "TOKEN", "`[[admin.token]]`"),
    ("health.rs", "HEALTH", "`[health]`"),
    ("health.rs", "CANARY", "`canaries`"),
    ("querylog.rs", "QUERYLOG", "`[querylog]`"),
    ("abuse.rs", "RRL", "`[rrl]`"),
    ("abuse.rs", "COOKIES", "`[cookies]`"),
    ("dnssec.rs", "DNSSEC", "`[dnssec]`"),
    ("network.rs", "GEO", "`[geo]`"),
    ("network.rs", "OVERRIDE", "`[[geo.override]]`"),
    ("keys.rs", "KEY", "`[key.NAME]`"),
    ("transfer.rs", "FROM", "`transfer`"),
    ("transfer.rs", "SERVER", "`notify`"),
    ("catalog.rs", "MEMBERS", "`members`"),
    ("zones.rs", "KEYS", "`[zone.\"NAME\"]`"),
    ("pool.rs", "KEYS", "`[pool.NAME]`"),
    ("node.rs", "KEYS", "`[node.NAME]`"),
    ("keep.rs", "KEEP", "`keep`"),
    ("require.rs", "REQUIRE", "`require`"),
    ("low.rs", "LOW", "`low`"),
    ("node.rs", "ADDRESS", "`[[address]]`"),
    ("rules.rs", "RULE", "`rules`"),
    ("selector.rs", "LIMIT", "`limit`"),
    ("probe.rs", "KEYS", "`[probe.NAME]`"),
    ("expect.rs", "EXPECT", "`expect`"),
    ("expect.rs", "DNS", "`expect` of `\"dns\"`"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the project")
}

/// A fenced block.
struct Block {
    /// The line of its first fence, from 1.
    line: usize,
    /// The file that its first line says it is.
    file: Option<PathBuf>,
    text: String,
}

/// The blocks of a document that are fenced as `language`.
fn blocks(document: &str, language: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let (mut fenced, mut wanted) = (false, false);
    for (number, line) in (1..).zip(document.lines()) {
        if let Some(word) = line.strip_prefix("```") {
            fenced = !fenced;
            wanted = fenced && word == language;
            if wanted {
                out.push(Block {
                    line: number,
                    file: None,
                    text: String::new(),
                });
            }
        } else if wanted && let Some(block) = out.last_mut() {
            if block.text.is_empty() {
                block.file = marked(line);
            }
            block.text += line;
            block.text.push('\n');
        }
    }
    assert!(!fenced, "a block without an end");
    out
}

/// The file that a comment such as `# nodes/kcl.toml` names, if it is one of a configuration.
fn marked(line: &str) -> Option<PathBuf> {
    let name = line.strip_prefix("# ").or(line.strip_prefix("; "))?.trim();
    let ours = name == "nearmost.toml"
        || ["nodes/", "pools/", "probes/", "zones/"]
            .iter()
            .any(|f| name.starts_with(f));
    ours.then(|| name.into())
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("nearmost-documents-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the files");
        Self(path)
    }

    fn write(&self, file: &Path, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("a file stands in a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is wrong with a block that is a whole `nearmost.toml`, or a part of one.
fn errors_alone(text: &str) -> Option<String> {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    config::read_text(
        Path::new("/etc/nearmost/nearmost.toml"),
        text,
        &mut sources,
        &mut found,
    );
    (found.errors() > 0).then(|| found.render(&sources, false))
}

/// What is wrong with the blocks of a document that say which files they are: together they are a configuration.
fn errors_together(name: &str, blocks: &[Block]) -> Option<String> {
    let folder = Folder::new(name);
    let mut seen = BTreeSet::new();
    for block in blocks {
        if let Some(file) = &block.file {
            assert!(
                seen.insert(file),
                "{name}:{}: {} again",
                block.line,
                file.display()
            );
            folder.write(file, &block.text);
        }
    }
    let loaded = control::load(&folder.0.join("nearmost.toml"));
    (loaded.found.errors() + loaded.found.warnings() > 0 || loaded.parts.is_none())
        .then(|| loaded.found.render(&loaded.sources, false))
}

/// Reads all examples of a document; how many stand alone, and how many are files of one system.
fn examples(path: &str) -> (usize, usize) {
    let document = text_of(path);
    let mut all = blocks(&document, "toml");
    for block in all.iter().filter(|b| b.file.is_none()) {
        let errors = errors_alone(&block.text);
        assert!(
            errors.is_none(),
            "{path}:{}: the example is wrong:\n{}",
            block.line,
            errors.unwrap_or_default()
        );
    }
    all.extend(blocks(&document, "zone"));
    let name = path.replace('/', "-");
    let errors = errors_together(&name, &all);
    assert!(
        errors.is_none(),
        "{path}: the files are wrong:\n{}",
        errors.unwrap_or_default()
    );
    let files = all.iter().filter(|b| b.file.is_some()).count();
    (all.len() - files, files)
}

#[test]
fn examples_are_read_without_errors() {
    assert_eq!(examples("README.md"), (0, 1));
    assert_eq!(examples(REFERENCE), (31, 6));
}

/// A list of keys as it stands in the source.
struct Keys {
    name: String,
    known: BTreeSet<String>,
    later: BTreeSet<String>,
}

/// All `static NAME: Keys = Keys { known: &[…], later: &[…] }` of a source text.
fn key_lists(source: &str) -> Vec<Keys> {
    let list = |text: &str, field: &str| -> BTreeSet<String> {
        let (_, rest) = text.split_once(&format!("{field}: &[")).expect("the field");
        let (items, _) = rest.split_once(']').expect("the end of the list");
        items
            .split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let mut parts = source.split(": Keys = Keys {");
    let mut before = parts.next().unwrap_or_default();
    let mut out = Vec::new();
    for part in parts {
        let name = before.rsplit(' ').next().unwrap_or_default().to_owned();
        let (known, later) = (list(part, "known"), list(part, "later"));
        out.push(Keys { name, known, later });
        before = part;
    }
    out
}

/// The text under a heading of the second level.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let found = document.split_once(&start);
    assert!(found.is_some(), "there is no section {heading}");
    let (_, rest) = found.unwrap_or_default();
    rest.split("\n## ").next().unwrap_or_default()
}

/// The keys that a section describes: the first cells of its tables of keys.
fn described(section: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut inside = false;
    for line in section.lines() {
        inside = line.starts_with("| key |") || inside && line.starts_with('|');
        if inside && let Some((key, _)) = line.strip_prefix("| `").and_then(|l| l.split_once("` |"))
        {
            assert!(keys.insert(key.to_owned()), "{key} is described twice");
        }
    }
    keys
}

/// The keys after the "Not yet:" of a section. Words in quotes are values.
fn planned(section: &str) -> BTreeSet<String> {
    let (_, rest) = section.split_once("\nNot yet: ").unwrap_or_default();
    let paragraph = rest.split("\n\n").next().unwrap_or_default();
    let words = paragraph.split('`').skip(1).step_by(2);
    words
        .filter(|w| !w.starts_with('"'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let reference = text_of(REFERENCE);
    let mut compared = 0;
    let folder = fs::read_dir(root().join("src/config")).expect("the sources");
    for path in folder.map(|e| e.expect("a file").path()) {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for keys in key_lists(&text_of(&path)) {
            let (_, _, heading) = SECTIONS
                .iter()
                .find(|s| (s.0, s.1) == (file.as_str(), keys.name.as_str()))
                .unwrap_or_else(|| panic!("{file}: {} has no section in {REFERENCE}", keys.name));
            let text = section(&reference, heading);
            assert_eq!(
                described(text),
                keys.known,
                "{heading}: left {REFERENCE}, right {file}"
            );
            assert_eq!(
                planned(text),
                keys.later,
                "{heading}, not yet: left {REFERENCE}, right {file}"
            );
            assert!(!keys.known.is_empty(), "{file}: {}", keys.name);
            compared += 1;
        }
    }
    assert_eq!(compared, SECTIONS.len());
}

/// The words of a text that stand between two marks.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

/// The keys that a reload refuses to change, as the source has them.
fn settled_in_source(source: &str) -> BTreeSet<String> {
    let (_, rest) = source
        .split_once("const SETTLED: &[(&str, &[&str])] = &[")
        .expect("the list of settled keys");
    let (list, _) = rest.split_once("\n];").expect("its end");
    let mut parts = list.split("&[");
    let mut before = parts.next().unwrap_or_default();
    let mut out = BTreeSet::new();
    for part in parts {
        let table = between(before, '"').last().expect("a table");
        let (keys, after) = part.split_once(']').expect("the end of its keys");
        out.extend(between(keys, '"').map(|key| format!("[{table}] {key}")));
        before = after;
    }
    out
}

/// The same as the reference has them.
fn settled_in_reference(reference: &str) -> BTreeSet<String> {
    let (_, rest) = reference
        .split_once("\n| table | settled at the start |\n")
        .expect("the table of settled keys");
    let rows = rest.lines().take_while(|line| line.starts_with('|'));
    let mut out = BTreeSet::new();
    for row in rows {
        let mut words = between(row, '`');
        let Some(table) = words.next() else {
            continue;
        };
        out.extend(words.map(|key| format!("{table} {key}")));
    }
    out
}

#[test]
fn the_reference_names_what_needs_a_restart() {
    let source = settled_in_source(&text_of("src/control/reload.rs"));
    assert!(source.contains("[server] listen"), "{source:?}");
    assert_eq!(settled_in_reference(&text_of(REFERENCE)), source);
}

#[test]
fn the_page_of_the_api_names_every_page_and_who_may_ask() {
    let text = text_of("docs/api.md");
    let pages = section(&text, "Pages").split("\n### ").next();
    let mut written = BTreeSet::new();
    for row in pages.unwrap_or_default().lines() {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let (Some(pages), Some(role)) = (cells.next(), cells.next()) else {
            continue;
        };
        for page in between(pages, '`') {
            let page = page.split('?').next().unwrap_or_default();
            assert!(written.insert(format!("{page}: {role}")), "{page} again");
        }
    }
    // The files of the dashboard stand in the row of its page.
    let is_file = |path: &str| path.contains('.') && !path.starts_with("/v1/");
    let served: BTreeSet<String> = nearmost::admin::routes()
        .filter(|(_, path, _)| !is_file(path))
        .map(|(method, path, role)| {
            let role = role.map_or("anyone", |role| role.word());
            format!("{method} {path}: {role}")
        })
        .collect();
    assert_eq!(written, served);
}

/// Where links within the document lead: headings as GitHub numbers them.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        .collect()
}

#[test]
fn links_in_the_reference_lead_somewhere() {
    let reference = text_of(REFERENCE);
    let headings = |document: &str| -> BTreeSet<String> {
        let lines = document.lines().filter(|l| l.starts_with("##"));
        lines
            .map(|l| anchor(l.trim_start_matches('#').trim()))
            .collect()
    };
    let own = headings(&reference);
    let mut links = 0;
    for rest in reference.split("](").skip(1) {
        let target = rest.split(')').next().unwrap_or_default();
        links += 1;
        if target.starts_with("https:") {
            continue;
        }
        if let Some(name) = target.strip_prefix('#') {
            assert!(own.contains(name), "#{name}: {own:?}");
        } else if let Some((page, name)) = target.split_once('#') {
            let there = headings(&text_of(format!("docs/{page}")));
            assert!(there.contains(name), "{target}: {there:?}");
        } else {
            assert!(root().join("docs").join(target).exists(), "{target}");
        }
    }
    assert!(links > 50, "{links}");
}

/// The threat model says where each thing is decided and what would fail without it: that is only worth something while these files are there.
#[test]
fn the_threat_model_names_files_that_are_there() {
    let text = text_of("docs/threat-model.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let mut seen = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, _, _, _, test, _] = cells[..]
            && test != "test"
        {
            assert!(test.contains('`') || test.starts_with("none: "), "{row}");
        }
        for cell in row.split('|').skip(3) {
            for path in cell.split('`').skip(1).step_by(2) {
                let there = root().join(path).exists() || root().join("src").join(path).exists();
                assert!(there, "{path}: {row}");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
}
