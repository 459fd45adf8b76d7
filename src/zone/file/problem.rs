//! What is wrong with one entry: carried up to where the entry was begun, then reported.

use crate::diagnostic::{Diagnostics, Span};
use crate::zone::NameError;

/// The words that would have been right.
pub(super) type Known = fn() -> Vec<&'static str>;

/// So many findings get a suggestion: no more are shown, and a file of the wrong kind may have a million.
const SUGGESTIONS: usize = 100;

/// One error of one entry.
#[derive(Debug)]
pub(super) struct Problem {
    span: Span,
    message: String,
    notes: Vec<(Option<Span>, String)>,
    near: Option<(String, Known)>,
    /// A parenthesis without an end: where the entry ends is not known.
    pub(super) loses_parenthesis: bool,
}

impl Problem {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            notes: Vec::new(),
            near: None,
            loses_parenthesis: false,
        }
    }

    /// A name that is none.
    pub(super) fn name(span: Span, error: NameError) -> Self {
        Self::new(span, error.to_string())
    }

    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push((None, text.into()));
        self
    }

    /// A note that shows another place.
    pub(super) fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push((Some(span), text.into()));
        self
    }

    /// Will note the nearest of the known words, if one is near.
    pub(super) fn suggest(mut self, word: String, known: Known) -> Self {
        self.near = Some((word, known));
        self
    }

    pub(super) fn losing_parenthesis(mut self) -> Self {
        self.loses_parenthesis = true;
        self
    }

    /// Puts it among the findings.
    pub(super) fn report(self, found: &mut Diagnostics) {
        let near = self.near.filter(|_| found.list.len() < SUGGESTIONS);
        let diagnostic = found.error(self.span, self.message);
        if let Some((word, known)) = near {
            diagnostic.suggest(&word, known());
        }
        diagnostic.notes.extend(self.notes);
    }
}
