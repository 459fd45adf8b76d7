//! gdnsd's language of configuration, vscf: tables, lists and texts within each other, comments, and files that are included.

use std::path::{Path, PathBuf};

use crate::cli::import::read;
use crate::diagnostic::{Diagnostics, Sources, Span};

/// Tables within tables; nobody writes deeper ones, and a file of brackets alone may not use up the stack.
const DEEPEST: usize = 64;
/// Files may include files this deep.
const DEEPEST_FILES: usize = 16;
/// So many in all, as two files that include the next twice would else run for ever.
const MOST_FILES: usize = 1000;
/// Octets of a file.
const LARGEST: u64 = 16 << 20;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Text(String),
    List(Vec<Value>),
    Table(Vec<(Key, Value)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Value {
    /// A table's value.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|(k, _)| k.text == key);
        entry.map(|(_, value)| value)
    }

    /// The entries of a table; of all else none.
    pub(super) fn entries(&self) -> &[(Key, Self)] {
        match &self.data {
            Data::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; any other value stands for a list of itself.
    pub(super) fn items(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, or the one text.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.items().iter().filter_map(Self::text).collect()
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.data, Data::Table(_))
    }

    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|t| t.eq_ignore_ascii_case("true"))
    }

    pub(super) fn number<T: std::str::FromStr>(&self) -> Option<T> {
        self.text()?.parse().ok()
    }
}

/// Reads a file and what it includes, which must lie in `root` or below. Errors go to `found`, all of them.
pub(super) fn read_file(
    path: &Path,
    root: &Path,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Value> {
    let text = match read::octets(path, LARGEST) {
        Ok(text) => text,
        Err(why) => {
            found.error(None, format!("{}: {why}", path.display()));
            return None;
        }
    };
    let mut files = Files {
        sources,
        found,
        root: root.canonicalize().unwrap_or_else(|_| root.to_owned()),
        read: 0,
        depth: 0,
    };
    Some(files.file(path, &text))
}

/// What all files of one configuration share.
struct Files<'a> {
    sources: &'a mut Sources,
    found: &'a mut Diagnostics,
    root: PathBuf,
    read: usize,
    depth: usize,
}

impl Files<'_> {
    fn file(&mut self, path: &Path, text: &[u8]) -> Value {
        let file = self.sources.add(path.display().to_string(), text);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut parser = Parser {
            files: self,
            folder,
            text,
            file,
            at: 0,
            depth: 0,
        };
        parser.top()
    }

    /// The value of an included file.
    fn include(&mut self, folder: &Path, name: &str, span: Span) -> Option<Value> {
        let path = folder.join(name);
        let real = path.canonicalize();
        let why = if self.depth >= DEEPEST_FILES || self.read >= MOST_FILES {
            "files include each other without end, or there are too many".to_owned()
        } else if real
            .as_ref()
            .is_ok_and(|real| !real.starts_with(&self.root))
        {
            "a file outside the folder of the configuration is not read: copy it there".to_owned()
        } else {
            match read::octets(&path, LARGEST) {
                Ok(text) => {
                    self.read += 1;
                    self.depth += 1;
                    let value = self.file(&path, &text);
                    self.depth -= 1;
                    return Some(value);
                }
                Err(why) => why,
            }
        };
        self.found.error(span, why);
        None
    }
}

struct Parser<'p, 'a, 't> {
    files: &'p mut Files<'a>,
    folder: PathBuf,
    text: &'t [u8],
    file: u32,
    at: usize,
    depth: usize,
}

impl Parser<'_, '_, '_> {
    /// A file is the inside of a table, or a list.
    fn top(&mut self) -> Value {
        self.skip();
        if self.peek() == Some(b'[') {
            let list = self.value();
            self.skip();
            if self.at < self.text.len() {
                self.error(self.at, self.at + 1, "nothing may follow the list");
            }
            return list.unwrap_or_else(|| self.table_of(Vec::new(), 0));
        }
        let entries = self.table(None);
        self.table_of(entries, 0)
    }

    fn table_of(&self, entries: Vec<(Key, Value)>, start: usize) -> Value {
        Value {
            span: self.span(start, (start + 1).min(self.at)),
            data: Data::Table(entries),
        }
    }

    /// Entries up to the closing brace, which is read; without `open` up to the end of the text.
    fn table(&mut self, open: Option<usize>) -> Vec<(Key, Value)> {
        let mut entries = Vec::new();
        loop {
            self.skip();
            match (self.peek(), open) {
                (None, Some(open)) => {
                    self.error(open, open + 1, "this brace is never closed");
                    return entries;
                }
                (None, None) => return entries,
                (Some(b'}'), Some(_)) => {
                    self.at += 1;
                    return entries;
                }
                _ => {}
            }
            let before = self.at;
            if self.entry(&mut entries).is_none() {
                // The rest of the line is lost with it; the next line may be good again.
                let rest = self.text.get(self.at..).unwrap_or_default();
                let line = rest.iter().position(|&b| b == b'\n');
                self.at += line
                    .unwrap_or(rest.len())
                    .max(usize::from(self.at == before));
            }
        }
    }

    /// One entry, or an included file's entries. None after an error.
    fn entry(&mut self, entries: &mut Vec<(Key, Value)>) -> Option<()> {
        if self.peek() == Some(b'$') {
            let (included, span) = self.include()?;
            if !included.is_table() {
                self.files.found.error(
                    span,
                    "this file holds a list: in a table only entries can be included",
                );
                return Some(());
            }
            if let Data::Table(more) = included.data {
                for (key, value) in more {
                    self.put(entries, key, value);
                }
            }
            self.comma();
            return Some(());
        }
        let start = self.at;
        let text = self.word("a key")?;
        let key = Key {
            text,
            span: self.span(start, self.at),
        };
        self.skip();
        if self.peek() != Some(b'=') {
            self.error(self.at, self.at + 1, "expected = or => after a key");
            return None;
        }
        self.at += 1;
        if self.peek() == Some(b'>') {
            self.at += 1;
        }
        self.skip();
        let value = self.value()?;
        self.put(entries, key, value);
        self.comma();
        Some(())
    }

    fn put(&mut self, entries: &mut Vec<(Key, Value)>, key: Key, value: Value) {
        if let Some((first, _)) = entries.iter().find(|(k, _)| k.text == key.text) {
            let message = format!("\"{}\" stands here twice", key.text);
            self.files
                .found
                .error(key.span, message)
                .note_at(first.span, "first here");
            return;
        }
        entries.push((key, value));
    }

    fn value(&mut self) -> Option<Value> {
        let start = self.at;
        if self.depth >= DEEPEST {
            self.error(
                start,
                start + 1,
                "tables and lists are too deep in each other",
            );
            // What is inside is not worth reading.
            self.at = self.text.len();
            return None;
        }
        self.depth += 1;
        let value = match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let entries = self.table(Some(start));
                Some(self.table_of(entries, start))
            }
            Some(b'[') => self.list(start),
            Some(b'$') => self.include().map(|(value, span)| Value { span, ..value }),
            _ => self.word("a value").map(|text| Value {
                span: self.span(start, self.at),
                data: Data::Text(text),
            }),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self, start: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => {
                    self.error(start, start + 1, "this bracket is never closed");
                    return None;
                }
                Some(b']') => {
                    self.at += 1;
                    return Some(Value {
                        span: self.span(start, start + 1),
                        data: Data::List(items),
                    });
                }
                _ => items.push(self.value()?),
            }
            self.comma();
        }
    }

    /// `$include{file}`
    fn include(&mut self) -> Option<(Value, Span)> {
        let start = self.at;
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(b"$include{") {
            self.error(
                start,
                start + 1,
                "expected $include{FILE}: no word begins with a dollar sign",
            );
            return None;
        }
        self.at += b"$include{".len();
        self.skip();
        let name = self.word("a file's name")?;
        self.skip();
        if self.peek() != Some(b'}') {
            self.error(
                self.at,
                self.at + 1,
                "expected the closing brace of $include",
            );
            return None;
        }
        self.at += 1;
        let span = self.span(start, self.at);
        let folder = self.folder.clone();
        let value = self.files.include(&folder, &name, span)?;
        Some((value, span))
    }

    /// A text, quoted or not; `what` is the noun for the message.
    fn word(&mut self, what: &str) -> Option<String> {
        let start = self.at;
        let quoted = self.peek() == Some(b'"');
        self.at += usize::from(quoted);
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') if quoted => {
                    self.at += 1;
                    break;
                }
                None if quoted => {
                    self.error(start, start + 1, "this quote is never closed");
                    return None;
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(b) if quoted || !(b.is_ascii_whitespace() || b"][}{;#,\"=".contains(&b)) => {
                    out.push(b);
                    self.at += 1;
                }
                _ => break,
            }
        }
        if out.is_empty() && !quoted {
            self.error(start, start + 1, &format!("expected {what}"));
            return None;
        }
        Some(String::from_utf8_lossy(&out).into_owned())
    }

    /// `\x` or `\ddd`
    fn escape(&mut self) -> Option<u8> {
        let start = self.at;
        let next = self.text.get(start + 1..).unwrap_or_default();
        let digits = next.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let octet = match next.first() {
            Some(b'0'..=b'9') => digits
                .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|d| d.parse().ok())
                .map(|octet| (octet, 4)),
            Some(&octet) => Some((octet, 2)),
            None => None,
        };
        let Some((octet, length)) = octet else {
            self.error(
                start,
                start + 1,
                "after a backslash stands a character, or the three digits of an octet",
            );
            return None;
        };
        self.at += length;
        Some(octet)
    }

    fn comma(&mut self) {
        self.skip();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }

    fn skip(&mut self) {
        while let Some(b) = self.peek() {
            match b {
                b'#' | b';' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                }
                b if b.is_ascii_whitespace() => self.at += 1,
                _ => return,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn error(&mut self, start: usize, end: usize, message: &str) {
        let span = self.span(start, end.min(self.text.len()));
        self.files.found.error(span, message);
    }
}

#[cfg(test)]
mod tests;
