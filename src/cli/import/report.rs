//! What was carried over, and what was not.

use crate::diagnostic::{Sources, Span};

/// One thing that the peer does and the new system does not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    /// Where the peer's files say it.
    pub(super) span: Span,
    /// What it is.
    pub(super) what: String,
    /// What to do instead.
    pub(super) instead: String,
}

/// All that is to be told at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    lost: Vec<Lost>,
    /// Records that became pools.
    pub(super) records: usize,
}

impl Report {
    /// Tells of something that did not carry over; the same twice is told once.
    pub(super) fn lost(&mut self, span: Span, what: impl Into<String>, instead: impl Into<String>) {
        let lost = Lost {
            span,
            what: what.into(),
            instead: instead.into(),
        };
        if !self.lost.contains(&lost) {
            self.lost.push(lost);
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// A line for each, in the order of the files and their lines.
    pub(super) fn text(&self, sources: &Sources) -> String {
        let mut lost: Vec<&Lost> = self.lost.iter().collect();
        lost.sort_by_key(|l| (l.span.file, l.span.start));
        let line = |l: &&Lost| {
            let text = format!("{}: {}: {}", sources.place(l.span), l.what, l.instead);
            let printable = |c: char| if c.is_control() { ' ' } else { c };
            text.chars()
                .map(printable)
                .chain(['\n'])
                .collect::<String>()
        };
        let lines: String = lost.iter().map(line).collect();
        match lost.len() {
            0 => "everything carried over\n".to_owned(),
            1 => format!("1 thing did not carry over:\n{lines}"),
            n => format!("{n} things did not carry over:\n{lines}"),
        }
    }
}
