//! Zone files of a peer, of which some records are changed and all else stays as it stands, comments and layout included.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Diagnostics, Sources, Span};
use crate::zone::Name;
use crate::zone::file::{Entry, Word, entries};

/// Files may include files this deep, and so many in all; more is a circle.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 4096;
/// A larger file is no zone that anybody moves in an afternoon.
pub(super) const LARGEST: u64 = 64 << 20;

/// A name that only this peer knows, such as `@Z`, as a name that everybody knows; with the zone's name and the file's first origin.
pub(super) type Special = fn(&[u8], &Name, &Name) -> Option<String>;

/// A file of a zone.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) file: u32,
    /// From the folder of the zone's own file; empty for that file.
    pub(super) path: PathBuf,
    pub(super) zone: Name,
    pub(super) origin: Name,
    /// Which piece an `$INCLUDE` at this place means.
    pub(super) includes: HashMap<Span, usize>,
}

/// An entry as a record or directive.
pub(super) struct Line<'t, 'e> {
    pub(super) entry: &'e Entry<'t>,
    /// The owner, as far as it is known.
    pub(super) owner: Option<Name>,
    /// As it is written, of this record or of the one before it that has it.
    pub(super) written: String,
    pub(super) ttl: Option<Word<'t>>,
    /// The type, or the directive with its `$`, in capitals.
    pub(super) kind: String,
    pub(super) kind_word: Word<'t>,
    pub(super) data: &'e [Word<'t>],
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Keep,
    /// These places get other text.
    Words(Vec<(Span, String)>),
    /// It becomes a comment, and these lines follow.
    Gone(String),
}

/// The zone's file and all that it includes, the file itself first. Errors go to `found`.
pub(super) fn gather(
    path: &Path,
    zone: &Name,
    special: Special,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Vec<Piece> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let mut pieces: Vec<Piece> = Vec::new();
    let Some(file) = open(path, None, sources, found) else {
        return pieces;
    };
    pieces.push(Piece {
        file,
        path: PathBuf::new(),
        zone: zone.clone(),
        origin: zone.clone(),
        includes: HashMap::new(),
    });
    let mut depths = vec![0];
    let mut next = 0;
    while let Some(piece) = pieces.get(next).cloned() {
        let text = sources.text(piece.file).to_vec();
        let mut wanted = Vec::new();
        // What is wrong with the words is told once, when they are changed.
        walk(
            &text,
            &piece,
            special,
            &mut Diagnostics::default(),
            |line| {
                if line.kind == "$INCLUDE"
                    && let Some(file) = line.data.first()
                {
                    let origin = line.data.get(1);
                    let origin =
                        origin.and_then(|w| name_of(w.text, &piece, special, line.owner.as_ref()));
                    wanted.push((file.span, file.text.to_vec(), origin.or(line.owner.clone())));
                }
                Change::Keep
            },
        );
        for (span, name, origin) in wanted {
            let here = piece.path.parent().unwrap_or(Path::new(""));
            let path = here.join(String::from_utf8_lossy(&name).as_ref());
            if depths[next] >= DEEPEST || pieces.len() >= MOST_FILES {
                found.error(
                    span,
                    "files include each other without end, or there are too many",
                );
                return pieces;
            }
            let Some(path) = within(&folder, &path, span, found) else {
                continue;
            };
            let origin = origin.unwrap_or_else(|| piece.origin.clone());
            let same = |p: &Piece| p.path == path && p.origin == origin;
            let number = match pieces.iter().position(same) {
                Some(number) => number,
                None => {
                    let Some(file) = open(&folder.join(&path), Some(span), sources, found) else {
                        continue;
                    };
                    pieces.push(Piece {
                        file,
                        path,
                        zone: zone.clone(),
                        origin,
                        includes: HashMap::new(),
                    });
                    depths.push(depths[next] + 1);
                    pieces.len() - 1
                }
            };
            pieces[next].includes.insert(span, number);
        }
        next += 1;
    }
    pieces
}

/// A path that leads to a file of the folder or below, links followed.
fn within(folder: &Path, path: &Path, span: Span, found: &mut Diagnostics) -> Option<PathBuf> {
    let inside = !path.is_absolute() && !path.components().any(|c| c == Component::ParentDir);
    let real = |p: &Path| p.canonicalize().ok();
    match (real(folder), real(&folder.join(path))) {
        (Some(folder), Some(file)) if inside && file.starts_with(&folder) => Some(path.to_owned()),
        (Some(_), None) if inside => {
            found.error(span, "there is no such file");
            None
        }
        _ => {
            found.error(span, "a file outside the zone's folder may not be included");
            None
        }
    }
}

fn open(
    path: &Path,
    span: Option<Span>,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<u32> {
    match super::read::octets(path, LARGEST) {
        Ok(text) => Some(sources.add(path.display().to_string(), text)),
        Err(why) => {
            found.error(span, format!("{}: {why}", path.display()));
            None
        }
    }
}

fn name_of(text: &[u8], piece: &Piece, special: Special, origin: Option<&Name>) -> Option<Name> {
    match special(text, &piece.zone, &piece.origin) {
        Some(name) => Name::absolute(&name).ok(),
        None => Name::parse(text, Some(origin.unwrap_or(&piece.origin))).ok(),
    }
}

/// The text with each entry changed as `change` says. Of an `$INCLUDE` and an `$ORIGIN`, the owner is the origin that holds there.
pub(super) fn walk<'t>(
    text: &'t [u8],
    piece: &Piece,
    special: Special,
    found: &mut Diagnostics,
    mut change: impl FnMut(&Line<'t, '_>) -> Change,
) -> Vec<u8> {
    let mut out = Text::default();
    let mut origin = piece.origin.clone();
    let mut owner: (Option<Name>, String) = (None, String::new());
    // The owner of an entry that became a comment, which the next one may go on with.
    let mut missing: Option<String> = None;
    for entry in &entries(text, piece.file, found) {
        let Some(first) = entry.words.first() else {
            continue;
        };
        let directive = first.text.starts_with(b"$") && !first.quoted && !entry.blank;
        let line = if directive {
            Line {
                entry,
                owner: Some(origin.clone()),
                written: String::new(),
                ttl: None,
                kind: upper(first.text),
                kind_word: *first,
                data: &entry.words[1..],
            }
        } else {
            let rest = if entry.blank {
                &entry.words[..]
            } else {
                owner = (
                    name_of(first.text, piece, special, Some(&origin)),
                    String::from_utf8_lossy(first.text).into_owned(),
                );
                missing = None;
                &entry.words[1..]
            };
            match record(entry, rest, &owner) {
                Some(line) => line,
                None => {
                    found.error(entry.span, "this is no record: it has no type");
                    continue;
                }
            }
        };
        let mut edits = specials(&line, piece, special);
        match change(&line) {
            Change::Keep => {}
            Change::Words(words) => {
                edits.retain(|(span, _)| !words.iter().any(|(other, _)| other == span));
                edits.extend(words);
            }
            Change::Gone(lines) => {
                out.gone(text, entry, &lines);
                if !directive && (!entry.blank || missing.is_some()) {
                    missing = Some(line.written.clone()).filter(|_| lines.is_empty());
                }
                continue;
            }
        }
        if entry.blank
            && !directive
            && let Some(owner) = missing.take()
        {
            let start = Span::new(
                piece.file,
                entry.span.start as usize,
                entry.span.start as usize,
            );
            edits.push((start, format!("{owner} ")));
            out.at_line_start(text, entry.span.start as usize);
        }
        if line.kind == "$ORIGIN"
            && let Some(name) = line.data.first()
        {
            origin = name_of(name.text, piece, special, Some(&origin)).unwrap_or(origin);
        }
        edits.sort_by_key(|(span, _)| span.start);
        for (span, new) in &edits {
            out.replace(text, *span, new);
        }
    }
    out.end(text)
}

fn upper(text: &[u8]) -> String {
    String::from_utf8_lossy(text).to_ascii_uppercase()
}

/// `[TTL] [class] type data`, TTL and class in either order.
fn record<'t, 'e>(
    entry: &'e Entry<'t>,
    rest: &'e [Word<'t>],
    owner: &(Option<Name>, String),
) -> Option<Line<'t, 'e>> {
    let mut ttl = None;
    for (number, word) in rest.iter().enumerate() {
        if ttl.is_none() && word.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(*word);
        } else if !word.text.eq_ignore_ascii_case(b"IN") {
            return Some(Line {
                entry,
                owner: owner.0.clone(),
                written: owner.1.clone(),
                ttl,
                kind: upper(word.text),
                kind_word: *word,
                data: &rest[number + 1..],
            });
        }
    }
    None
}

/// Names that only the peer knows, as others.
fn specials(line: &Line<'_, '_>, piece: &Piece, special: Special) -> Vec<(Span, String)> {
    if line.kind == "TXT" {
        let first = line.entry.words.first().filter(|_| !line.entry.blank);
        return first
            .and_then(|w| Some((w.span, special(w.text, &piece.zone, &piece.origin)?)))
            .into_iter()
            .collect();
    }
    let words = line.entry.words.iter().filter(|word| !word.quoted);
    words
        .filter_map(|w| Some((w.span, special(w.text, &piece.zone, &piece.origin)?)))
        .collect()
}

/// A text being copied with changes.
#[derive(Default)]
struct Text {
    out: Vec<u8>,
    /// So far it was copied.
    at: usize,
}

impl Text {
    fn upto(&mut self, text: &[u8], end: usize) {
        self.out
            .extend_from_slice(text.get(self.at..end).unwrap_or_default());
        self.at = self.at.max(end);
    }

    fn replace(&mut self, text: &[u8], span: Span, new: &str) {
        self.upto(text, span.start as usize);
        self.out.extend_from_slice(new.as_bytes());
        self.at = self.at.max((span.start + span.len) as usize);
    }

    /// Leaves out the blanks before an entry that gets an owner.
    fn at_line_start(&mut self, text: &[u8], entry: usize) {
        let line = text[..entry].iter().rposition(|&b| b == b'\n');
        self.upto(text, line.map_or(0, |at| at + 1));
        self.at = entry;
    }

    /// The lines of the entry as comments, then others.
    fn gone(&mut self, text: &[u8], entry: &Entry<'_>, lines: &str) {
        let (start, len) = (entry.span.start as usize, entry.span.len as usize);
        let line = text[..start].iter().rposition(|&b| b == b'\n');
        self.upto(text, line.map_or(0, |at| at + 1));
        let rest = text.get(start + len..).unwrap_or_default();
        let end = start + len + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let old = text.get(self.at..end).unwrap_or_default();
        for line in old.split(|&b| b == b'\n') {
            self.out.extend_from_slice(b"; ");
            self.out.extend_from_slice(line);
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(lines.as_bytes());
        self.at = (end + 1).min(text.len());
    }

    fn end(mut self, text: &[u8]) -> Vec<u8> {
        self.upto(text, text.len());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, change: impl Fn(&Line<'_, '_>) -> Change) -> String {
        let mut sources = Sources::default();
        let file = sources.add("z", text.as_bytes());
        let zone = Name::absolute("example.org").unwrap();
        let piece = Piece {
            file,
            path: PathBuf::new(),
            zone: zone.clone(),
            origin: zone,
            includes: HashMap::new(),
        };
        let mut found = Diagnostics::default();
        let out = walk(text.as_bytes(), &piece, |_, _, _| None, &mut found, change);
        assert_eq!(found.list, []);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_changed_stays_octet_by_octet() {
        let text =
            "; top\n$TTL 1h\n@ IN SOA a b ( 1 2\n 3 4 5 ) ; serial\n\n www 60 A 192.0.2.1 ; x";
        assert_eq!(changed(text, |_| Change::Keep), text);
    }

    #[test]
    fn a_record_that_goes_leaves_its_owner_to_the_next() {
        let text = "www 60 IN LUA A ( \"x\"\n \"y\" ) ; c\n    MX 10 m ; k\n  TXT \"t\"\n";
        let gone = |line: &Line<'_, '_>| match line.kind.as_str() {
            "LUA" => Change::Gone(String::new()),
            _ => Change::Keep,
        };
        assert_eq!(
            changed(text, gone),
            "; www 60 IN LUA A ( \"x\"\n;  \"y\" ) ; c\nwww MX 10 m ; k\n  TXT \"t\"\n"
        );
        let placed = |line: &Line<'_, '_>| match line.kind.as_str() {
            "LUA" => Change::Gone(format!("{} 60 POOL p\n", line.written)),
            _ => Change::Keep,
        };
        assert!(
            changed(text, placed).ends_with("; c\nwww 60 POOL p\n    MX 10 m ; k\n  TXT \"t\"\n")
        );
    }
}
