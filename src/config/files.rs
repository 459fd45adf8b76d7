//! Which files there are, and the one list that tables in `nearmost.toml` and files in folders make together.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::File;
use super::table::{Keys, Table};
use super::{node, pool, probe};
use crate::diagnostic::{Diagnostics, Sources, Span};

/// What can be defined by a table or by a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Pool,
    Probe,
}

/// A table with a name.
pub(super) struct Definition<'a> {
    pub(super) name: &'a str,
    /// Its name where it is defined; the start of a file that defines it as a whole.
    pub(super) span: Span,
    pub(super) table: Table<'a>,
}

/// A file that is not in its folder, read as if it was: in the place of one of the same name, or of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extra {
    /// Whether it defines a pool; else it defines a node.
    pub pool: bool,
    /// The name of what it defines.
    pub name: String,
    /// What messages call the file.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// The files there are, their texts in the sources.
pub(super) struct Found {
    main: Listed,
    parts: Vec<(Kind, String, Listed)>,
    /// Tables that do not count, as a file stands in their place.
    replaced: Vec<(Kind, String)>,
    zones: Vec<(PathBuf, String)>,
}

/// A file's number and its folder.
struct Listed(u32, PathBuf);

/// All files, parsed.
pub(super) struct Files<'s> {
    main: File<'s>,
    /// Name and contents, by name.
    parts: Vec<(Kind, &'s str, File<'s>)>,
    replaced: &'s [(Kind, String)],
    /// Zone files: path beside `nearmost.toml` as that was given, and the file's name without its end.
    pub(super) zones: &'s [(PathBuf, String)],
}

/// The tables of `nearmost.toml`.
static TOP: Keys = Keys {
    known: &[
        "server", "limits", "tls", "admin", "querylog", "dnssec", "rrl", "cookies", "geo",
        "health", "key", "zone", "pool", "node", "probe",
    ],
    later: &["alarm", "share", "peers", "cluster", "nats"],
};

/// The largest file of ours that makes sense.
const LARGEST: u64 = 16 << 20;

impl Kind {
    const ALL: [Self; 3] = [Self::Node, Self::Pool, Self::Probe];

    fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pool => "pool",
            Self::Probe => "probe",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pool => "pools",
            Self::Probe => "probes",
        }
    }

    fn keys(self) -> &'static Keys {
        match self {
            Self::Node => &node::KEYS,
            Self::Pool => &pool::KEYS,
            Self::Probe => &probe::KEYS,
        }
    }
}

impl Found {
    /// One text only.
    pub(super) fn alone(path: &Path, text: &str, sources: &mut Sources) -> Self {
        let main = Listed::add(path, text.as_bytes().to_vec(), sources);
        Self {
            main,
            parts: Vec::new(),
            replaced: Vec::new(),
            zones: Vec::new(),
        }
    }

    /// A file alone; none if it cannot be read.
    pub(super) fn without_folders(
        path: &Path,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        Some(Self {
            main: Listed::add(path, read_octets(path, None, found)?, sources),
            parts: Vec::new(),
            replaced: Vec::new(),
            zones: Vec::new(),
        })
    }

    /// A file and the folders beside it; none if the file cannot be read.
    pub(super) fn with_folders(
        path: &Path,
        extras: &[Extra],
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        sources.look_at(path);
        let main = Listed::add(path, read_octets(path, None, found)?, sources);
        let beside = path.parent().unwrap_or(Path::new(""));
        let mut parts = Vec::new();
        for kind in Kind::ALL {
            let folder = beside.join(kind.folder());
            sources.look_at(&folder);
            for (path, name) in list(&folder, "toml", found) {
                sources.look_at(&path);
                if let Some(text) = read_octets(&path, None, found) {
                    parts.push((kind, name, Listed::add(&path, text, sources)));
                }
            }
        }
        let mut replaced = Vec::new();
        for Extra {
            pool,
            name,
            path: file,
            text,
        } in extras
        {
            let kind = if *pool { Kind::Pool } else { Kind::Node };
            parts.retain(|(k, n, _): &(Kind, String, Listed)| (*k, n) != (kind, name));
            // Paths in it are relative to where it would stand.
            let number = sources.add(file.as_str(), text.as_bytes().to_vec());
            let folder = absolute(&beside.join(kind.folder()));
            parts.push((kind, name.clone(), Listed(number, folder)));
            replaced.push((kind, name.clone()));
        }
        let zones = beside.join("zones");
        sources.look_at(&zones);
        let zones = list(&zones, "zone", found);
        Some(Self {
            main,
            parts,
            replaced,
            zones,
        })
    }
}

impl Listed {
    fn add(path: &Path, text: Vec<u8>, sources: &mut Sources) -> Self {
        let number = sources.add(path.display().to_string(), text);
        Self(number, absolute(path.parent().unwrap_or(Path::new(""))))
    }

    fn parse<'s>(&self, sources: &'s Sources, found: &mut Diagnostics) -> File<'s> {
        File::parse(self.0, self.1.clone(), sources, found)
    }
}

impl<'s> Files<'s> {
    /// Parses them all.
    pub(super) fn parse(files: &'s Found, sources: &'s Sources, found: &mut Diagnostics) -> Self {
        let main = files.main.parse(sources, found);
        let parts = files.parts.iter();
        let parts = parts
            .map(|(kind, name, file)| (*kind, name.as_str(), file.parse(sources, found)))
            .collect();
        Self {
            main,
            parts,
            replaced: &files.replaced,
            zones: &files.zones,
        }
    }

    /// The tables of `nearmost.toml`.
    pub(super) fn top(&self, found: &mut Diagnostics) -> Table<'_> {
        Table::of_file(&self.main, &TOP, found)
    }

    /// Whether no file has syntax errors, so that all names are known.
    pub(super) fn whole(&self) -> bool {
        !self.main.broken() && !self.parts.iter().any(|p| p.2.broken())
    }

    /// All definitions of a kind. Names that are no names or are there twice are reported.
    pub(super) fn definitions<'a>(
        &'a self,
        top: &Table<'a>,
        kind: Kind,
        found: &mut Diagnostics,
    ) -> Vec<Definition<'a>> {
        let mut out = Vec::new();
        for (value, span) in top
            .get(kind.word())
            .and_then(|v| v.entries(found))
            .unwrap_or_default()
        {
            let replaced = |(k, name): &(Kind, String)| *k == kind && name == value.key;
            if self.replaced.iter().any(replaced) {
                continue;
            }
            if let Some(table) = value.table(span, kind.keys(), found) {
                out.push(Definition {
                    name: value.key,
                    span,
                    table,
                });
            }
        }
        for (_, name, file) in self.parts.iter().filter(|p| p.0 == kind) {
            let table = Table::of_file(file, kind.keys(), found);
            out.push(Definition {
                name,
                span: table.span,
                table,
            });
        }
        let mut first: HashMap<&str, Span> = HashMap::new();
        out.retain(|d: &Definition<'_>| {
            check_name(d.name, kind.word(), d.span, found);
            let Some(at) = first.get(d.name) else {
                first.insert(d.name, d.span);
                return true;
            };
            found
                .error(
                    d.span,
                    format!("{} \"{}\" is defined twice", kind.word(), d.name),
                )
                .note_at(*at, "first here");
            false
        });
        out
    }

    /// Drops what was found since `from` on lines that are no TOML: it would only repeat that.
    pub(super) fn drop_consequences(&self, from: usize, found: &mut Diagnostics) {
        let files = self.parts.iter().map(|p| &p.2).chain([&self.main]);
        let broken: Vec<&File<'_>> = files.filter(|f| f.broken()).collect();
        if broken.is_empty() {
            return;
        }
        let fresh = found.list.split_off(from);
        let garbled = |span: Span| broken.iter().any(|f| f.is_garbled(span));
        found
            .list
            .extend(fresh.into_iter().filter(|d| !d.span.is_some_and(garbled)));
    }
}

/// Whether a name of ours is one: letters, digits and `.`, `_`, `-`.
fn check_name(name: &str, word: &str, span: Span, found: &mut Diagnostics) {
    if let Some(problem) = name_problem(name) {
        found.error(span, format!("a {word}'s name {problem}"));
    }
}

/// What is wrong with a name or tag, as the rest of a sentence.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    let strange = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'));
    match strange {
        Some(c) => Some(format!(
            "cannot hold {c:?}: only A-Z, a-z, 0-9, \".\", \"_\" and \"-\""
        )),
        None if name.is_empty() => Some("cannot be empty".to_owned()),
        None if name.len() > 128 => Some("cannot be longer than 128 characters".to_owned()),
        None => None,
    }
}

/// The octets of a file; none, with an error where it is named, if it cannot be read or is absurdly large.
pub(super) fn read_octets(
    path: &Path,
    at: Option<Span>,
    found: &mut Diagnostics,
) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut text));
    match read {
        Err(e) => {
            found.error(at, format!("cannot read {}: {e}", path.display()));
            None
        }
        Ok(_) if text.len() as u64 > LARGEST => {
            found.error(at, format!("{} is larger than 16 MiB", path.display()));
            None
        }
        Ok(_) => Some(text),
    }
}

/// Paths are kept absolute, so that they mean the same wherever the program stands later.
pub(super) fn absolute(folder: &Path) -> PathBuf {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The files of a folder that end in `.{end}`, by name: path and name without the end. A folder need not exist.
/// Hidden files, editors' copies (`~`) and notes (`.md`) are passed over, other files warned of.
fn list(folder: &Path, end: &str, found: &mut Diagnostics) -> Vec<(PathBuf, String)> {
    let names =
        match fs::read_dir(folder).and_then(|d| d.map(|e| e.map(|e| e.file_name())).collect()) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                found.error(
                    None,
                    format!("cannot read the folder {}: {e}", folder.display()),
                );
                Vec::new()
            }
        };
    let mut out = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let Some(name) = name.to_str() else {
            found.error(None, format!("the name of {} is not UTF-8", path.display()));
            continue;
        };
        let stem = name.strip_suffix(end).and_then(|n| n.strip_suffix('.'));
        match stem {
            _ if name.starts_with('.') || name.ends_with('~') || name.ends_with(".md") => {}
            Some(stem) => out.push((path, stem.to_owned())),
            // What zone files include lies beside them.
            None if end == "zone" => {}
            None => {
                found.warning(
                    None,
                    format!(
                        "{} is not read: its name does not end in .{end}",
                        path.display()
                    ),
                );
            }
        }
    }
    out.sort();
    out
}
