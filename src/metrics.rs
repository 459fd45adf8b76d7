//! Counters that know nothing of what they count. Each worker has its own; they are added up when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. One thread writes it, others read it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many response codes are told apart; the last slot counts all above.
pub const CODES: usize = 24;

/// What a worker counts of questions and replies.
#[derive(Debug, Default)]
pub struct Questions {
    /// Messages received.
    pub received: Counter,
    /// Messages that got no reply: no questions.
    pub silent: Counter,
    /// Replies cut short.
    pub truncated: Counter,
    /// Questions for a pool without a node in service.
    pub none_left: Counter,
    /// Replies that the system did not take.
    pub send_errors: Counter,
    /// Questions whose answering panicked. Always 0, or there is a bug to report.
    pub panics: Counter,
    /// Connections accepted.
    pub connections: Counter,
    /// Connections closed before their time to make room for others.
    pub evicted: Counter,
    codes: [Counter; CODES],
}

impl Questions {
    /// Counts a reply by its response code.
    #[inline]
    pub fn replied(&self, rcode: u16) {
        self.codes[usize::from(rcode).min(CODES - 1)].count();
    }

    /// Replies by response code.
    #[must_use]
    pub fn codes(&self) -> [u64; CODES] {
        std::array::from_fn(|code| self.codes[code].get())
    }
}
