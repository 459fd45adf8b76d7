//! Words of a master file (RFC 1035 5.1). They borrow from the text: nothing is copied until RDATA is made.

use super::problem::Problem;
use crate::diagnostic::Span;

/// One word or quoted string, escapes still in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    /// The octets as written, without the quotes around a quoted string.
    pub(super) text: &'t [u8],
    /// Where it stands, quotes included.
    pub(super) span: Span,
    /// It stood between quotes.
    pub(super) quoted: bool,
    /// A word with a quoted part inside, as `alpn="h2,h3"`.
    pub(super) mixed: bool,
}

impl Token<'_> {
    /// The text for a message, cut to a readable length.
    pub(super) fn show(&self) -> String {
        let text = String::from_utf8_lossy(&self.text[..self.text.len().min(80)]);
        text.chars()
            .take(60)
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    }

    /// Whether it is this unquoted word, in any letter case.
    pub(super) fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// What an entry starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A word in the first column: an owner or a directive.
    Word,
    /// A blank: the last owner goes on.
    Blank,
}

/// Cuts a text into entries, and those into tokens.
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    file: u32,
    at: usize,
    /// Where the parenthesis that is open was opened.
    paren: Option<usize>,
    /// Where the last token ended.
    last_end: usize,
    /// The text was made by a template, which stands here.
    made_at: Option<Span>,
}

impl<'t> Lexer<'t> {
    /// Reads `text`, which is file number `file`, from octet `at`, the start of a line.
    pub(super) fn new(text: &'t [u8], file: u32, at: usize) -> Self {
        Self {
            text,
            file,
            at,
            paren: None,
            last_end: at,
            made_at: None,
        }
    }

    /// Reads text that `$GENERATE` made: every span is that of the template.
    pub(super) fn made(text: &'t [u8], made_at: Span) -> Self {
        Self {
            text,
            file: made_at.file,
            at: 0,
            paren: None,
            last_end: 0,
            made_at: Some(made_at),
        }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to the next entry, past empty lines and comments. None at the end of the text.
    pub(super) fn begin(&mut self) -> Option<Start> {
        loop {
            let line = self.at;
            self.skip_blanks();
            match self.text.get(self.at)? {
                b'\n' => self.at += 1,
                b';' => self.skip_line(),
                _ => {
                    self.paren = None;
                    self.last_end = self.at;
                    return Some(if line == self.at {
                        Start::Word
                    } else {
                        Start::Blank
                    });
                }
            }
        }
    }

    /// The next token of the entry, none at its end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'t>>, Problem> {
        loop {
            self.skip_blanks();
            match self.text.get(self.at) {
                None => return self.paren.map_or(Ok(None), |open| Err(self.unclosed(open))),
                Some(b'\n') if self.paren.is_none() => return Ok(None),
                Some(b'\n') => self.at += 1,
                Some(b';') => self.skip_line(),
                Some(b'(') => self.open()?,
                Some(b')') if self.paren.is_some() => {
                    self.paren = None;
                    self.at += 1;
                }
                Some(b')') => {
                    self.at += 1;
                    return Err(Problem::new(
                        self.span(self.at - 1, self.at),
                        "no parenthesis is open here",
                    ));
                }
                Some(b'"') => return self.quoted().map(Some),
                Some(_) => return self.word().map(Some),
            }
        }
    }

    /// The next token, which must be there and not be quoted; `what` is the noun for the message.
    pub(super) fn expect(&mut self, what: &str) -> Result<Token<'t>, Problem> {
        let token = self.expect_any(what)?;
        if token.quoted || token.mixed {
            return Err(Problem::new(
                token.span,
                format!("expected {what} without quotes"),
            ));
        }
        Ok(token)
    }

    /// The next token, quoted or not, which must be there.
    pub(super) fn expect_any(&mut self, what: &str) -> Result<Token<'t>, Problem> {
        match self.next()? {
            Some(token) => Ok(token),
            None => Err(Problem::new(
                self.end_span(),
                format!("expected {what}, found the end of the record"),
            )),
        }
    }

    /// The next token if it is `\#`, which announces octets (RFC 3597 5); else nothing is read.
    pub(super) fn generic(&mut self) -> Result<Option<Token<'t>>, Problem> {
        let (at, paren, last_end) = (self.at, self.paren, self.last_end);
        let token = self.next()?.filter(|t| !t.quoted && t.text == b"\\#");
        if token.is_none() {
            (self.at, self.paren, self.last_end) = (at, paren, last_end);
        }
        Ok(token)
    }

    /// Nothing may follow in this entry.
    pub(super) fn expect_end(&mut self) -> Result<(), Problem> {
        match self.next()? {
            None => Ok(()),
            Some(token) => Err(Problem::new(
                token.span,
                format!("\"{}\" is one word too many for this record", token.show()),
            )),
        }
    }

    /// Whether the parenthesis that is open has no end that could be told: the rest of the entry is then unknown.
    fn unclosed(&self, open: usize) -> Problem {
        Problem::new(
            self.span(open, open + 1),
            "this parenthesis is never closed",
        )
        .losing_parenthesis()
    }

    fn open(&mut self) -> Result<(), Problem> {
        if let Some(open) = self.paren {
            let second = self.span(self.at, self.at + 1);
            let text = "this parenthesis is not closed before the next one opens";
            let problem = Problem::new(self.span(open, open + 1), text);
            return Err(problem
                .at(second, "parentheses do not nest")
                .losing_parenthesis());
        }
        self.paren = Some(self.at);
        self.at += 1;
        Ok(())
    }

    /// Goes to the end of an entry that had an error. Where a parenthesis without an end would swallow what follows,
    /// the problem with it is returned, and reading goes on at the next line that starts in the first column.
    pub(super) fn skip_entry(&mut self) -> Option<Problem> {
        loop {
            match self.next() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(problem) if problem.loses_parenthesis => {
                    self.resume_after(self.paren.unwrap_or(self.at));
                    return Some(problem);
                }
                Err(_) => {}
            }
        }
    }

    /// Goes to the first line after `open` that looks like the start of a record.
    pub(super) fn resume_after(&mut self, open: usize) {
        self.at = open;
        self.paren = None;
        loop {
            self.skip_line();
            match self.text.get(self.at + 1) {
                None => {
                    self.at = self.text.len();
                    return;
                }
                Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b')') => self.at += 1,
                Some(_) => {
                    self.at += 1;
                    return;
                }
            }
        }
    }

    /// Where the parenthesis that is open was opened.
    pub(super) fn open_at(&self) -> Option<usize> {
        self.paren
    }

    /// From the octet `start` to the end of the last token.
    pub(super) fn span_from(&self, start: Span) -> Span {
        match self.made_at {
            Some(span) => span,
            None => Span::new(self.file, start.start as usize, self.last_end),
        }
    }

    /// Where a missing token would stand.
    pub(super) fn end_span(&self) -> Span {
        self.span(self.last_end, self.last_end)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        self.made_at
            .unwrap_or_else(|| Span::new(self.file, start, end))
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// To the line feed that ends this line.
    fn skip_line(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }

    fn quoted(&mut self) -> Result<Token<'t>, Problem> {
        let start = self.at;
        self.skip_quoted()?;
        let token = self.token(start, true, false);
        // Two strings may touch, as other servers take them; a word may not: its quote was meant as \".
        match self.text.get(self.at) {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"') => Ok(token),
            Some(_) => {
                let message = "the string ends here: a blank must follow";
                Err(Problem::new(self.span(self.at - 1, self.at), message)
                    .note("a quote inside a string is written \\\""))
            }
        }
    }

    /// From an opening quote past the closing one. A line feed may stand inside only between parentheses.
    fn skip_quoted(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let mut at = self.at + 1;
        loop {
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(());
                }
                Some(b'\n') if self.paren.is_none() => break,
                Some(b'\\') if self.text.get(at + 1).is_some_and(|&b| b != b'\n') => at += 2,
                Some(_) => at += 1,
                None => break,
            }
        }
        self.at = at.min(self.text.len());
        let problem = Problem::new(self.span(start, start + 1), "this quote is never closed");
        Err(if self.paren.is_some() {
            problem.losing_parenthesis()
        } else {
            problem
        })
    }

    fn word(&mut self) -> Result<Token<'t>, Problem> {
        let start = self.at;
        let mut mixed = false;
        while let Some(&b) = self.text.get(self.at) {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' if self.text.get(self.at + 1).is_some_and(|&b| b != b'\n') => self.at += 2,
                b'"' => {
                    mixed = true;
                    self.skip_quoted()?;
                }
                _ => self.at += 1,
            }
        }
        Ok(self.token(start, false, mixed))
    }

    fn token(&mut self, start: usize, quoted: bool, mixed: bool) -> Token<'t> {
        self.last_end = self.at;
        let inner = if quoted {
            start + 1..self.at - 1
        } else {
            start..self.at
        };
        let text = self.text.get(inner).unwrap_or_default();
        Token {
            text,
            span: self.span(start, self.at),
            quoted,
            mixed,
        }
    }
}
