//! What is wrong with one entry: carried up to where the entry was begun, then reported.

use crate::diagnostic::{Diagnostics, Span, nearest};
use crate::zone::NameError;

/// One error of one entry.
#[derive(Debug)]
pub(super) struct Problem {
    span: Span,
    message: String,
    note: Option<(Option<Span>, String)>,
    /// A parenthesis without an end: where the entry ends is not known.
    pub(super) loses_parenthesis: bool,
}

impl Problem {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            note: None,
            loses_parenthesis: false,
        }
    }

    /// A name that is none.
    pub(super) fn name(span: Span, error: NameError) -> Self {
        Self::new(span, error.to_string())
    }

    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some((None, text.into()));
        self
    }

    /// A note that shows another place.
    pub(super) fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.note = Some((Some(span), text.into()));
        self
    }

    /// Notes the nearest known word, if one is near.
    pub(super) fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.note(format!("did you mean \"{near}\"?")),
            None => self,
        }
    }

    pub(super) fn losing_parenthesis(mut self) -> Self {
        self.loses_parenthesis = true;
        self
    }

    /// Puts it among the findings.
    pub(super) fn report(self, found: &mut Diagnostics) {
        let diagnostic = found.error(self.span, self.message);
        match self.note {
            Some((Some(span), text)) => diagnostic.note_at(span, text),
            Some((None, text)) => diagnostic.note(text),
            None => diagnostic,
        };
    }
}
