//! Counters that know nothing of what they count. Each worker has its own; they are added up when somebody looks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one; the number before.
    #[inline]
    pub fn count(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        // Most of what is added after a batch is nothing.
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The largest number since it was taken last.
#[derive(Debug, Default)]
pub struct Peak(AtomicU32);

impl Peak {
    /// Raises it to `n` if it is lower. Most of the time it is not, and nothing is written.
    #[inline]
    pub fn raise(&self, n: u32) {
        if self.0.load(Ordering::Relaxed) < n {
            self.0.fetch_max(n, Ordering::Relaxed);
        }
    }

    /// Takes the number, and starts again at 0.
    #[must_use]
    pub fn take(&self) -> u32 {
        // Most addresses have not been given since.
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// How many response codes are told apart; the last slot counts all above.
pub const CODES: usize = 24;
/// How many kinds of questions are told apart.
pub const KINDS: usize = 14;

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
    /// Replies that were not sent, as their network was over the rate.
    pub limited: Counter,
    /// Replies over the rate that said to come by TCP instead.
    pub slipped: Counter,
    /// Replies that the system did not take.
    pub send_errors: Counter,
    /// Questions whose answering panicked. Always 0, or there is a bug to report.
    pub panics: Counter,
    /// Connections accepted.
    pub connections: Counter,
    /// Connections closed before their time to make room for others.
    pub evicted: Counter,
    codes: [Counter; CODES],
    kinds: [Counter; KINDS],
}

/// What one thread counts on its own and adds to its [`Questions`] after each batch: plain numbers cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// As [`Questions::received`].
    pub received: u64,
    /// As [`Questions::silent`].
    pub silent: u64,
    /// As [`Questions::truncated`].
    pub truncated: u64,
    /// As [`Questions::none_left`].
    pub none_left: u64,
    /// As [`Questions::limited`].
    pub limited: u64,
    /// As [`Questions::slipped`].
    pub slipped: u64,
    /// As [`Questions::panics`].
    pub panics: u64,
    codes: [u64; CODES],
    kinds: [u64; KINDS],
}

impl Tally {
    /// Counts a reply by its response code.
    #[inline]
    pub fn replied(&mut self, rcode: u16) {
        self.codes[usize::from(rcode).min(CODES - 1)] += 1;
    }

    /// Counts a question by its kind, below [`KINDS`].
    #[inline]
    pub fn asked(&mut self, kind: usize) {
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        }
    }
}

impl Questions {
    /// Adds what was counted, and starts it anew.
    pub fn add(&self, tally: &mut Tally) {
        let tally = std::mem::take(tally);
        self.received.add(tally.received);
        self.silent.add(tally.silent);
        self.truncated.add(tally.truncated);
        self.none_left.add(tally.none_left);
        self.limited.add(tally.limited);
        self.slipped.add(tally.slipped);
        self.panics.add(tally.panics);
        for (counter, n) in self.codes.iter().zip(tally.codes) {
            counter.add(n);
        }
        for (counter, n) in self.kinds.iter().zip(tally.kinds) {
            counter.add(n);
        }
    }

    /// Replies by response code.
    #[must_use]
    pub fn codes(&self) -> [u64; CODES] {
        std::array::from_fn(|code| self.codes[code].get())
    }

    /// Questions by kind.
    #[must_use]
    pub fn kinds(&self) -> [u64; KINDS] {
        std::array::from_fn(|kind| self.kinds[kind].get())
    }
}
