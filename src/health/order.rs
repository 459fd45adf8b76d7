//! What an operator has ordered for a node, whatever its probes say; they go on measuring.

use std::time::Duration;

use super::board::Time;

/// A state that is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Out of service, so that the node can be stopped.
    Drained,
    /// In service.
    Up,
    /// Out of service.
    Down,
}

impl Forced {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Drained, Self::Up, Self::Down];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Up => "forced-up",
            Self::Down => "forced-down",
        }
    }

    /// The state that a word is for.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|forced| forced.word() == word)
    }
}

/// An order for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What its addresses are taken for.
    pub forced: Forced,
    /// The operator's reason; may be empty.
    pub why: String,
    /// Who gave it.
    pub who: String,
    /// When.
    pub since: Time,
    /// When it ends by itself.
    pub until: Option<Time>,
    /// Whether it takes hold at once also where a drain is slow.
    pub at_once: bool,
}

impl Order {
    /// When it decides whether a node is in service, if a drain takes so long: until then it loses its clients.
    #[must_use]
    pub fn takes_hold(&self, slow: Duration) -> Time {
        match self.forced {
            Forced::Drained if !self.at_once => self.since + slow,
            _ => self.since,
        }
    }

    /// `drained by ola: disk swap`.
    #[must_use]
    pub fn words(&self) -> String {
        let by = format!("{} by {}", self.forced.word(), self.who);
        if self.why.is_empty() {
            by
        } else {
            format!("{by}: {}", self.why)
        }
    }
}
