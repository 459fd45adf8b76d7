//! One file as tables and values with positions; what is no TOML is reported, the rest goes on.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostics, Sources, Span};

/// One file, parsed.
pub(super) struct File<'s> {
    /// As [`Sources`] numbers it.
    pub(super) number: u32,
    /// Its folder, which relative paths in it start from.
    pub(super) folder: PathBuf,
    /// What could be read.
    pub(super) root: DeTable<'s>,
    /// The parts that are no TOML. Something may be lost then, so nothing that is missing in it is complained of.
    syntax: Vec<Range<usize>>,
}

impl<'s> File<'s> {
    /// Parses a text that was added to the sources.
    pub(super) fn parse(
        number: u32,
        folder: PathBuf,
        sources: &'s Sources,
        found: &mut Diagnostics,
    ) -> Self {
        let (text, strange) = utf8(number, sources.text(number), found);
        let mut syntax: Vec<Range<usize>> = strange.into_iter().collect();
        let (root, errors) = DeTable::parse_recoverable(text);
        let root = root.into_inner();
        let mut errors: Vec<(&str, Range<usize>)> = errors
            .iter()
            .map(|e| (e.message(), e.span().unwrap_or_default()))
            .collect();
        errors.sort_by_key(|(_, span)| span.start);
        let twice = twice_defined(text, &errors);
        let mut line = None;
        for (message, span) in errors {
            let at = Span::new(number, span.start, span.end);
            let spoilt = spoilt(text, &span);
            if message == DUPLICATE {
                // The keys of a table that is there twice go without saying.
                if twice
                    .iter()
                    .any(|t| t.contains(&span.start) && t.start != span.start)
                {
                    continue;
                }
                report_duplicate(text, &root, &span, at, found);
            } else if line.replace(spoilt.start) != Some(spoilt.start) {
                // Only the first of a line: the parser stumbles on over what the first has upset.
                found.error(at, message);
            }
            syntax.push(spoilt);
        }
        Self {
            number,
            folder,
            root,
            syntax,
        }
    }

    /// Whether something of it could not be read.
    pub(super) fn broken(&self) -> bool {
        !self.syntax.is_empty()
    }

    /// Whether this place is in a part that could not be read as it was meant: what is found there is a consequence.
    pub(super) fn is_garbled(&self, span: Span) -> bool {
        span.file == self.number
            && self
                .syntax
                .iter()
                .any(|s| s.contains(&(span.start as usize)))
    }
}

/// What a syntax error spoils: its line, and if that is a header the whole table.
fn spoilt(text: &str, span: &Range<usize>) -> Range<usize> {
    let (before, after) = text.split_at_checked(span.start).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    if before[start..].trim_start().starts_with('[') {
        return start..next_header(text, before.len());
    }
    let rest = after.find('\n').unwrap_or(after.len());
    start..before.len() + rest + 1
}

/// What the parser says of a key or a table that is there already.
const DUPLICATE: &str = "duplicate key";

/// The text up to the first octet that is no UTF-8.
fn utf8<'a>(
    number: u32,
    octets: &'a [u8],
    found: &mut Diagnostics,
) -> (&'a str, Option<Range<usize>>) {
    match std::str::from_utf8(octets) {
        Ok(text) => (text, None),
        Err(e) => {
            let at = e.valid_up_to();
            found.error(Span::new(number, at, at + 1), "this is not UTF-8");
            let text = octets
                .get(..at)
                .and_then(|t| std::str::from_utf8(t).ok())
                .unwrap_or_default();
            (text, Some(at..at + 1))
        }
    }
}

/// The extents, from a header's key to the next header, of tables whose header is a repetition.
fn twice_defined(text: &str, errors: &[(&str, Range<usize>)]) -> Vec<Range<usize>> {
    let duplicates = errors
        .iter()
        .filter(|(message, span)| *message == DUPLICATE && header_at(text, span.start).is_some());
    duplicates
        .map(|(_, span)| span.start..next_header(text, span.end))
        .collect()
}

/// The line that holds an octet, if it is a table's header: without spaces and what follows the brackets.
fn header_at(text: &str, at: usize) -> Option<String> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |i| i + 1);
    header(text.get(start..)?.lines().next()?)
}

fn header(line: &str) -> Option<String> {
    let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let end = line.rfind(']')?;
    line.starts_with('[').then(|| line[..=end].to_owned())
}

fn next_header(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.find("\n[").map_or(text.len(), |i| from + i)
}

fn report_duplicate(
    text: &str,
    root: &DeTable<'_>,
    span: &Range<usize>,
    at: Span,
    found: &mut Diagnostics,
) {
    let word = text.get(span.clone()).unwrap_or_default();
    let (message, first) = match header_at(text, span.start) {
        Some(header) => (
            format!("{header} is defined twice"),
            first_header(text, &header, span.start),
        ),
        None => {
            let mut first = None;
            first_key(root, word.trim_matches(['"', '\'']), span.start, &mut first);
            (
                format!("\"{}\" is given twice", word.trim_matches(['"', '\''])),
                first,
            )
        }
    };
    let error = found.error(at, message);
    if let Some(first) = first {
        error.note_at(Span::new(at.file, first.start, first.end), "first here");
    }
}

fn first_header(text: &str, wanted: &str, before: usize) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.get(..before)?.split_inclusive('\n') {
        if header(line).as_deref() == Some(wanted) {
            return Some(start..start + line.trim_end().len());
        }
        start += line.len();
    }
    None
}

/// The last key called `word` that stands before an octet, inline tables that end before it left out.
fn first_key(table: &DeTable<'_>, word: &str, before: usize, best: &mut Option<Range<usize>>) {
    for (key, value) in table {
        let span = key.span();
        if key.get_ref() == word
            && span.end <= before
            && best.as_ref().is_none_or(|b| b.start < span.start)
        {
            *best = Some(span.clone());
        }
        let inline = value.span().start > span.end;
        if !inline || value.span().contains(&before) {
            first_in(value, word, before, best);
        }
    }
}

fn first_in(
    value: &Spanned<DeValue<'_>>,
    word: &str,
    before: usize,
    best: &mut Option<Range<usize>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => first_key(table, word, before, best),
        DeValue::Array(items) => items.iter().for_each(|i| first_in(i, word, before, best)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> (File<'static>, String) {
        let mut sources = Sources::default();
        let mut found = Diagnostics::default();
        let number = sources.add("a", text);
        let sources = Box::leak(Box::new(sources));
        let file = File::parse(number, PathBuf::new(), sources, &mut found);
        (file, found.render(sources, false))
    }

    #[test]
    fn all_syntax_errors_are_told_and_the_rest_is_read() {
        let (file, text) = parse(b"a = \nb = 1\nc = 'x\nd = 2\n");
        assert_eq!(text.matches("error:").count(), 2, "{text}");
        assert!(file.broken() && file.root.contains_key("b") && file.root.contains_key("d"));
    }

    #[test]
    fn a_table_twice_is_one_error_that_shows_both() {
        let (_, text) = parse(b"[n.a]\nx = 1\n[n.b]\nx = 1\n[n.a] # again\nx = 2\n");
        assert_eq!(text.matches("error:").count(), 1, "{text}");
        assert!(
            text.starts_with("a:5:4: error: [n.a] is defined twice"),
            "{text}"
        );
        assert!(text.contains("  a:1:1: first here"), "{text}");
    }

    #[test]
    fn a_key_twice_shows_the_first_of_the_same_table() {
        let (_, text) = parse(b"[p]\nx = 1\ny = { x = 2 }\nx = 3\n");
        assert!(
            text.contains("a:4:1: error: \"x\" is given twice") && text.contains("  a:2:1: first"),
            "{text}"
        );
    }

    #[test]
    fn octets_that_are_no_text() {
        let (file, text) = parse(b"a = 1\nb = \"\xff\"\n");
        assert!(text.contains("a:2:6: error: this is not UTF-8"), "{text}");
        assert!(file.broken());
    }
}
