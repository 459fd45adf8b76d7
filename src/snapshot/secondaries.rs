//! Who may have a zone whole, and what they are given.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::metrics::Counter;
use crate::prefix::Prefix;
use crate::wire::tsig::Key;
use crate::zone::version::Journal;

/// The keys that messages are signed with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// By their numbers.
    pub list: Vec<Arc<Key>>,
    /// Tells the seconds since 1970, by the clock that other machines go by. Only signed messages ask.
    pub clock: fn() -> u64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            clock: crate::clock::wall,
        }
    }
}

/// One line of who may: all that it says must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// From where; none: from anywhere.
    pub from: Option<Prefix>,
    /// Signed with this key, by its number; none: signed or not.
    pub key: Option<usize>,
}

impl Allow {
    /// Whether it lets in a message from there, signed with this key.
    #[must_use]
    pub fn lets_in(&self, source: IpAddr, key: Option<usize>) -> bool {
        let here = self.from.is_none_or(|net| net.contains(source));
        here && (self.key.is_none() || self.key == key)
    }
}

/// Another name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub at: SocketAddr,
    /// What messages to it are signed with, by its number; none: they are not.
    pub key: Option<usize>,
    /// The address of ours that they come from; none: one that fits.
    pub source: Option<IpAddr>,
}

/// What a zone's secondaries are given.
#[derive(Debug, Default)]
pub struct Secondaries {
    /// Who may have it; nobody is let in by an empty list.
    pub allow: Vec<Allow>,
    /// Who is told of another version.
    pub notify: Vec<Peer>,
    /// Whether there are any, or may be.
    pub is_served: bool,
    /// Whether the serial is our own: the zone has secondaries, and pools or signatures.
    pub moves: bool,
    /// The zone as they know it; none: not yet.
    pub journal: ArcSwapOption<Journal>,
    /// How transfers ended, since the start.
    pub counts: Arc<TransferCounts>,
}

impl Secondaries {
    /// Whether a message from there, signed with this key, is of one of them.
    #[must_use]
    pub fn lets_in(&self, source: IpAddr, key: Option<usize>) -> bool {
        self.allow.iter().any(|line| line.lets_in(source, key))
    }
}

/// How transfers of a zone ended.
#[derive(Debug, Default)]
pub struct TransferCounts {
    /// The whole zone was sent.
    pub whole: Counter,
    /// Differences were sent.
    pub differences: Counter,
    /// They had it already: only the SOA was sent.
    pub current: Counter,
    /// It did not come to its end.
    pub broken: Counter,
    /// It was refused.
    pub refused: Counter,
}

/// Where a zone of others comes from.
#[derive(Debug, Default)]
pub struct Primaries {
    /// Whom it is asked of, the first first.
    pub peers: Vec<Peer>,
    /// Who of them may say that it has changed, in the same order.
    pub allow: Vec<Allow>,
    /// How many zones it may list, if it is a catalog.
    pub members: Option<usize>,
    /// Those who have said so, and nobody has looked since: a bit each, by their numbers.
    pub told: Arc<AtomicU64>,
}

impl Primaries {
    /// The bit of a peer; the last one is of all that come late.
    #[must_use]
    pub fn bit(number: usize) -> u64 {
        1 << number.min(63)
    }

    /// Takes a notice from there, signed with this key, unless it is no news; whether it is of one of them.
    #[must_use]
    pub fn hear(&self, source: IpAddr, key: Option<usize>, is_news: bool) -> bool {
        let lines = self.allow.iter().enumerate();
        let own = lines.filter(|(_, line)| line.lets_in(source, key));
        let own = own.fold(0, |own, (number, _)| own | Self::bit(number));
        if own != 0 && is_news {
            self.told.fetch_or(own, Ordering::Relaxed);
        }
        own != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_told_is_remembered_and_old_news_is_not() {
        let line = |from: &str| Allow {
            from: Some(Prefix::holding(from.parse().unwrap(), 128)),
            key: None,
        };
        let primaries = Primaries {
            allow: vec![line("192.0.2.1"), line("192.0.2.2"), line("192.0.2.3")],
            ..Primaries::default()
        };
        let hear = |from: &str, is_news| primaries.hear(from.parse().unwrap(), None, is_news);
        let told = || primaries.told.load(Ordering::Relaxed);
        assert!(!hear("192.0.2.4", true));
        assert!(hear("192.0.2.2", false));
        assert_eq!(told(), 0);
        assert!(hear("192.0.2.2", true) && hear("192.0.2.3", true));
        assert_eq!(told(), Primaries::bit(1) | Primaries::bit(2));
    }
}
