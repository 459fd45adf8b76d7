//! A master file as words with their places, for who changes some of it and keeps the rest as it stands.

use super::token::{Lexer, Start};
use crate::diagnostic::{Diagnostics, Span};

/// A word or quoted string, escapes still in it.
#[derive(Clone, Copy, Debug)]
pub struct Word<'t> {
    /// The octets as written, without the quotes around a quoted string.
    pub text: &'t [u8],
    /// Where it stands, quotes included.
    pub span: Span,
    /// It stood between quotes.
    pub quoted: bool,
}

/// A directive or a record, up to its last word or the parenthesis that ends it; never empty.
#[derive(Clone, Debug)]
pub struct Entry<'t> {
    /// Where it stands, from the first word on.
    pub span: Span,
    /// It begins with a blank: the last owner goes on.
    pub blank: bool,
    /// Its words.
    pub words: Vec<Word<'t>>,
}

/// All entries of a text, which is file number `file`. What cannot be cut into words is an error in `found`, and left out.
pub fn entries<'t>(text: &'t [u8], file: u32, found: &mut Diagnostics) -> Vec<Entry<'t>> {
    let mark = if text.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let mut lexer = Lexer::new(text, file, mark);
    let mut out = Vec::new();
    while let Some(start) = lexer.begin() {
        match words(&mut lexer) {
            Ok(words) => {
                let Some(first) = words.first() else {
                    continue;
                };
                let end = lexer.span_from(first.span);
                let end = past_parenthesis(text, (end.start + end.len) as usize, lexer.at());
                out.push(Entry {
                    span: Span::new(file, first.span.start as usize, end),
                    blank: start == Start::Blank,
                    words,
                });
            }
            Err(problem) => {
                if problem.loses_parenthesis {
                    lexer.resume_after(lexer.open_at().unwrap_or(lexer.at()));
                    problem.report(found);
                } else {
                    let lost = lexer.skip_entry();
                    lost.unwrap_or(problem).report(found);
                }
            }
        }
    }
    out
}

fn words<'t>(lexer: &mut Lexer<'t>) -> Result<Vec<Word<'t>>, super::problem::Problem> {
    let mut words = Vec::new();
    while let Some(token) = lexer.next()? {
        words.push(Word {
            text: token.text,
            span: token.span,
            quoted: token.quoted,
        });
    }
    Ok(words)
}

/// Past the parenthesis that closes between the last word, which ends at `at`, and the end of the entry; else `at`.
fn past_parenthesis(text: &[u8], at: usize, end: usize) -> usize {
    let mut comment = false;
    for (place, &octet) in text.iter().enumerate().take(end).skip(at) {
        match octet {
            b'\n' => comment = false,
            b';' => comment = true,
            b')' if !comment => return place + 1,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ends_with_its_parenthesis_and_not_with_its_comment() {
        let text = b"; first\n@ SOA a b ( 1 2 ; a )\n 3 ; the last\n ) ; done )\n  A 192.0.2.1 ; x\n\"q;\" TXT \"a b\"";
        let mut found = Diagnostics::default();
        let entries = entries(text, 0, &mut found);
        assert_eq!(found.list.len(), 0);
        let shown: Vec<(&str, bool, usize)> = entries
            .iter()
            .map(|e| {
                let (start, len) = (e.span.start as usize, e.span.len as usize);
                let text = std::str::from_utf8(&text[start..start + len]).unwrap();
                (text, e.blank, e.words.len())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("@ SOA a b ( 1 2 ; a )\n 3 ; the last\n )", false, 7),
                ("A 192.0.2.1", true, 2),
                ("\"q;\" TXT \"a b\"", false, 3),
            ]
        );
    }

    #[test]
    fn what_cannot_be_cut_is_told_and_the_rest_is_read() {
        let mut found = Diagnostics::default();
        let entries = entries(
            b"a TXT \"open\nb A 192.0.2.1\nc A (\nd A 192.0.2.2\n",
            0,
            &mut found,
        );
        assert_eq!(found.errors(), 2, "{:?}", found.list);
        assert_eq!(entries.len(), 2, "{entries:?}");
    }
}
