//! What is wrong in the operator's files, and where: collected, never stopping at the first, rendered as compilers do.

mod stamp;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use stamp::Stamp;

/// Where in which file: a range of octets. Line and column are worked out only when somebody reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file, as [`Sources::add`] numbered it.
    pub file: u32,
    /// First octet.
    pub start: u32,
    /// Octets; 0 points between two characters.
    pub len: u32,
}

impl Span {
    /// The octets `start..end` of `file`. A file is at most 4 GiB ([`Sources::add`]), so offsets fit.
    #[must_use]
    pub fn new(file: u32, start: usize, end: usize) -> Self {
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            file,
            start: cut(start),
            len: cut(end.saturating_sub(start)),
        }
    }
}

/// The files that were read, kept so that a message can show its line.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    looks: Vec<(PathBuf, Option<Stamp>)>,
}

#[derive(Debug)]
struct Source {
    path: String,
    text: Box<[u8]>,
}

impl Sources {
    /// Keeps a file's text and numbers it. Texts over 4 GiB are the caller's to refuse.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<Box<[u8]>>) -> u32 {
        self.files.push(Source {
            path: path.into(),
            text: text.into(),
        });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// Notes what a file or a folder is. That is before it is read: what changes meanwhile is another afterwards.
    pub fn look_at(&mut self, path: &Path) {
        self.looks.push((path.into(), Stamp::of(path)));
    }

    /// What was looked at, and what it was; none: not there.
    pub fn looks(&self) -> impl Iterator<Item = (&Path, Option<Stamp>)> {
        self.looks.iter().map(|(path, stamp)| (&**path, *stamp))
    }

    /// The octets of a file.
    #[must_use]
    pub fn text(&self, file: u32) -> &[u8] {
        &self.files[file as usize].text
    }

    /// The path of a file as it was given.
    #[must_use]
    pub fn path(&self, file: u32) -> &str {
        &self.files[file as usize].path
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// `path:line:column`; line and column count from 1, columns in characters.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        let (line, column, _) = self.line_of(span);
        format!("{}:{line}:{column}", self.path(span.file))
    }

    fn line_of(&self, span: Span) -> (usize, usize, &[u8]) {
        let text = self.text(span.file);
        let at = (span.start as usize).min(text.len());
        let start = text[..at]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |i| i + 1);
        let end = text[at..]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(text.len(), |i| at + i);
        let number = text[..start].iter().filter(|&&b| b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&text[start..at]).chars().count() + 1;
        (number, column, &text[start..end])
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing of this load is used.
    Error,
    /// Probably a mistake; the load goes on.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where, unless it concerns no place in a file.
    pub span: Option<Span>,
    /// What is wrong, one line.
    pub message: String,
    /// Further lines: the other place of a duplicate, "did you mean", what would be accepted.
    pub notes: Vec<(Option<Span>, String)>,
}

impl Diagnostic {
    /// Adds a line below: what would be accepted, or which near name exists.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push((None, text.into()));
        self
    }

    /// Adds a line that shows another place, such as the first definition.
    pub fn note_at(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.notes.push((Some(span), text.into()));
        self
    }

    /// Adds `did you mean "…"?` where one of `known` is near to `word`.
    pub fn suggest<'a>(
        &mut self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        if let Some(near) = nearest(word, known) {
            self.note(format!("did you mean \"{near}\"?"));
        }
        self
    }
}

/// The findings of one load, in the order in which they were met.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// All of them.
    pub list: Vec<Diagnostic>,
}

/// So many findings are shown; a file of the wrong kind would else print a line for each of its lines.
const SHOWN: usize = 100;

impl Diagnostics {
    /// Records an error; the value returned takes notes.
    pub fn error(
        &mut self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, span.into(), message.into())
    }

    /// Records a warning; the value returned takes notes.
    pub fn warning(
        &mut self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, span.into(), message.into())
    }

    fn push(&mut self, severity: Severity, span: Option<Span>, message: String) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(Diagnostic {
            severity,
            span,
            message,
            notes: Vec::new(),
        });
        &mut self.list[at]
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// All findings as text: `path:line:column: error: message`, the line, a caret below it, notes.
    /// `colour` paints for a terminal. Beyond 100 findings only their number is told, errors first.
    #[must_use]
    pub fn render(&self, sources: &Sources, colour: bool) -> String {
        self.shown(sources, colour).concat()
    }

    /// As [`Self::render`], a text for each.
    #[must_use]
    pub fn render_each(&self, sources: &Sources) -> Vec<String> {
        let all = self.shown(sources, false).into_iter();
        all.map(|text| text.trim_end().to_owned()).collect()
    }

    fn shown(&self, sources: &Sources, colour: bool) -> Vec<String> {
        let mut shown: Vec<&Diagnostic> = self.list.iter().collect();
        if shown.len() > SHOWN {
            shown.sort_by_key(|d| d.severity != Severity::Error);
        }
        let more = shown.len().saturating_sub(SHOWN);
        let shown = shown.into_iter().take(SHOWN);
        let mut all: Vec<String> = shown.map(|d| render_one(d, sources, colour)).collect();
        if more > 0 {
            all.push(format!("… and {more} more\n"));
        }
        all
    }
}

fn render_one(d: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let mut text = String::new();
    let out = &mut text;
    let (word, paint) = match d.severity {
        Severity::Error => ("error", "\x1b[1;31m"),
        Severity::Warning => ("warning", "\x1b[1;33m"),
    };
    let (paint, bold, off) = if colour {
        (paint, "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    if let Some(span) = d.span {
        let _ = write!(out, "{bold}{}:{off} ", sources.place(span));
    }
    let _ = writeln!(out, "{paint}{word}:{off} {bold}{}{off}", d.message);
    if let Some(span) = d.span {
        excerpt(out, span, sources, paint, off);
    }
    for (span, text) in &d.notes {
        match span {
            Some(span) => {
                let _ = writeln!(out, "  {}: {text}", sources.place(*span));
                excerpt(out, *span, sources, "", "");
            }
            None => {
                let _ = writeln!(out, "  = {text}");
            }
        }
    }
    text
}

/// The widest piece of a line that is shown: lines of a zone file can be 64 KiB long.
const WIDTH: usize = 160;

fn excerpt(out: &mut String, span: Span, sources: &Sources, paint: &str, off: &str) {
    let (number, column, line) = sources.line_of(span);
    let hidden = hidden_from(sources.text(span.file), number);
    let text: Vec<char> = String::from_utf8_lossy(line)
        .char_indices()
        .map(|(at, c)| match hidden {
            Some(from) if at >= from && !c.is_whitespace() => '*',
            _ if c.is_control() => ' ',
            _ => c,
        })
        .collect();
    let from = if column > WIDTH - 40 { column - 40 } else { 0 };
    let shown: String = text.iter().skip(from).take(WIDTH).collect();
    let start = span.start as usize;
    let rest = &sources.text(span.file)[start.min(sources.text(span.file).len())..];
    let marked = &rest[..(span.len as usize).min(rest.len())];
    let marked = marked.split(|&b| b == b'\n').next().unwrap_or_default();
    let carets = String::from_utf8_lossy(marked)
        .trim_end()
        .chars()
        .count()
        .clamp(1, WIDTH);
    let gutter = number.to_string().len();
    let _ = writeln!(out, " {number} | {}", shown.trim_end());
    let _ = writeln!(
        out,
        " {:gutter$} | {}{paint}{}{off}",
        "",
        " ".repeat(column - 1 - from),
        "^".repeat(carets)
    );
}

/// From which octet on line `number` of a configuration is not shown, as a secret may stand there. What is wrong may be the key or the table itself, so in tables
/// that have secrets no value is shown.
fn hidden_from(text: &[u8], number: usize) -> Option<usize> {
    let (mut table, mut list, mut from) = (false, false, None);
    for line in text.split(|&b| b == b'\n').take(number) {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        from = None;
        if list {
            // The values of a list, one a line, until it ends.
            from = Some(0);
            list = !line.contains(']');
        } else if line.trim_start().starts_with('[') {
            let name = line.trim_start_matches(['[', ' ', '\t']);
            table = name.starts_with("key") || name.starts_with("cookies");
        } else if let Some(at) = line.find('=') {
            let (key, value) = line.split_at(at);
            let key = key.trim();
            let of = table || key.starts_with("key.") || key.starts_with("cookies.");
            let named = key.contains("secret") || value.contains('{') && value.contains("secret");
            if (of || named) && !["algorithm", "secret_file", "give"].contains(&key) {
                from = Some(at + 1);
                list = value.contains('[') && !value.contains(']');
            }
        } else if table {
            from = Some(0);
        }
    }
    from
}

/// The known word nearest to `word`, if it is near enough to be a slip: at most a third of its letters differ.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name is longer, and the time that it takes is bounded.
    if word.len() > 255 {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_place_line_and_caret() {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", *b"x = 1\nprobee = 2\n");
        let mut found = Diagnostics::default();
        found
            .error(Span::new(file, 6, 12), "unknown key \"probee\"")
            .suggest("probee", ["pools", "probe"]);
        let text = found.render(&sources, false);
        assert_eq!(
            text,
            "a.toml:2:1: error: unknown key \"probee\"\n 2 | probee = 2\n   | ^^^^^^\n  = did you mean \"probe\"?\n"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = b"x = \"seen\"\n[key.a]\nsecret = \"S1\nsecrte = \"S2\"\nS3\n[pool.b]\nx = \"seen\"\n[cookies]\nsecrets = [\n  \"S4==\",\n  S5\n]\n\
            [zone.c]\nfrom = { secret = \"S6\" }\ncookies.secrets = [\"S7\"]\nx = \"seen\"\n";
        let mut sources = Sources::default();
        let file = sources.add("a.toml", *text);
        let mut found = Diagnostics::default();
        for at in 0..text.len() {
            if at == 0 || text[at - 1] == b'\n' {
                found.error(Span::new(file, at, at + 1), "no");
            }
        }
        let shown = found.render(&sources, false);
        assert!(!shown.contains('S'), "{shown}");
        assert_eq!(shown.matches("seen").count(), 3, "{shown}");
        for key in [
            "secret = *",
            "secrte = *",
            "[key.a]",
            "[cookies]",
            "from = * ",
        ] {
            assert!(shown.contains(key), "{key}: {shown}");
        }
    }

    #[test]
    fn far_words_are_not_suggested() {
        assert_eq!(nearest("zebra", ["pool", "probe"]), None);
        assert_eq!(nearest("Pol", ["pool", "probe"]), Some("pool"));
    }

    #[test]
    fn a_span_past_the_end_is_shown_at_the_end() {
        let mut sources = Sources::default();
        let file = sources.add("a", *b"ab");
        assert_eq!(sources.place(Span::new(file, 9, 12)), "a:1:3");
    }
}
