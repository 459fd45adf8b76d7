//! What all signed zones share: the time, what may be signed in it, and what was signed lately.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::rand;

use super::cache::{Cache, Print, Printer};
use super::{Covered, Key, Signature};
use crate::metrics::Counter;

/// An hour: clocks of validators differ.
const BACK: u32 = 3600;

/// How signing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seconds that a new signature holds; some of them hold up to an eighth less, so that not all end at once.
    pub validity: u32,
    /// Signatures that are made for answers in a second, at most.
    pub rate: u32,
}

impl Default for Settings {
    /// Two weeks; 20,000, which is less than one core makes.
    fn default() -> Self {
        Self {
            validity: 14 * 86_400,
            rate: 20_000,
        }
    }
}

/// A secret of this process.
///
/// # Panics
/// If the system has no randomness.
#[must_use]
pub fn random() -> [u8; 16] {
    let mut secret = [0; 16];
    rand::fill(&mut secret).expect("the system has randomness");
    secret
}

/// What a signature is for: who asks for odd names cannot use up what is for the zone's own, nor these what is for pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The addresses of a pool at a name of the zone.
    Pool,
    /// What a name of the zone does not have.
    Known,
    /// Anything that a stranger can ask for without end: names that are not there, or that a wildcard stands for.
    Odd,
}

/// Of so many signatures of a second one is left for pools, and one for the zone's own names; that many times fewer places than strangers have are
/// theirs.
const SHARES: u32 = 4;
/// Signatures of what strangers ask for that are kept: about 8 MB.
const KEPT: usize = 1 << 16;
/// Draws of a pool that are signed at any time: few enough that most answers are in the cache.
const DRAWS: u64 = 256;

/// Signs for answers.
#[derive(Debug)]
pub struct Signing {
    settings: Settings,
    /// Unix time in seconds, as of the last tick.
    now: AtomicU32,
    /// Signatures made since.
    made: AtomicU32,
    /// Made for answers since the start.
    total: Counter,
    /// Not made since the start, as there was no budget for them.
    refused: Counter,
    /// By what they are for: they do not crowd each other out.
    pools: Cache,
    known: Cache,
    odd: Cache,
    printer: Printer,
}

impl Signing {
    /// At this second of Unix time.
    ///
    /// # Panics
    /// If the system has no randomness.
    #[must_use]
    pub fn new(settings: Settings, now: u32) -> Self {
        Self {
            settings,
            now: AtomicU32::new(now),
            made: AtomicU32::new(0),
            total: Counter::default(),
            refused: Counter::default(),
            pools: Cache::new(KEPT / SHARES as usize),
            known: Cache::new(KEPT / SHARES as usize),
            odd: Cache::new(KEPT),
            printer: Printer::new(&random()),
        }
    }

    /// How it signs.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// It is another second: there is a new budget.
    pub fn tick(&self, now: u32) {
        self.now.store(now, Ordering::Relaxed);
        self.made.store(0, Ordering::Relaxed);
    }

    /// Signatures that were not made for want of budget, since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Signatures that were made for answers, since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// The second of Unix time, as of the last tick.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// The draw of a pool whose answer is to be signed: one of few, so that the same sets come again. One is replaced every two seconds,
    /// so that over minutes all nodes have their shares.
    pub(super) fn draw(&self, draw: u64) -> u64 {
        u64::from(self.now() / 2) + (draw >> 32) % DRAWS
    }

    /// Begins a print of what is to be signed.
    pub(super) fn printer(&self) -> Printer {
        self.printer
    }

    /// Whether a signature is to be made anew: less than half of its time is left, or the clock was ahead when it was made.
    pub(super) fn is_old(&self, signature: &Signature) -> bool {
        let (now, validity) = (self.now(), self.settings.validity);
        let left = signature.expiration.wrapping_sub(now);
        let since = now.wrapping_sub(signature.inception);
        // Times wrap (RFC 4034 3.1.5): what is past looks far ahead.
        left < validity / 2 || left > validity || since > validity + BACK
    }

    /// The signature of what has this print: the one that is kept, else a new one over what `rdata` gives in canonical order.
    /// None: the budget of this second is used up.
    pub(super) fn get(
        &self,
        (key, apex): (&Key, &[u8]),
        print: Print,
        purpose: Purpose,
        covered: &Covered<'_>,
        rdata: impl FnOnce() -> Vec<Vec<u8>>,
    ) -> Option<Signature> {
        let cache = self.cache(purpose);
        let kept = cache.get(print);
        if let Some(kept) = kept.filter(|kept| !self.is_old(kept)) {
            return Some(kept);
        }
        let signed = self.make((key, apex), print, purpose, covered, rdata);
        signed.or_else(|| kept.filter(|kept| kept.expiration > self.now()))
    }

    fn cache(&self, purpose: Purpose) -> &Cache {
        match purpose {
            Purpose::Pool => &self.pools,
            Purpose::Known => &self.known,
            Purpose::Odd => &self.odd,
        }
    }

    #[cold]
    fn make(
        &self,
        (key, apex): (&Key, &[u8]),
        print: Print,
        purpose: Purpose,
        covered: &Covered<'_>,
        rdata: impl FnOnce() -> Vec<Vec<u8>>,
    ) -> Option<Signature> {
        let rate = match purpose {
            Purpose::Pool => self.settings.rate,
            Purpose::Known => self.settings.rate - self.settings.rate / SHARES,
            Purpose::Odd => self.settings.rate - self.settings.rate / SHARES * 2,
        };
        let one_more = |made: u32| (made < rate).then_some(made + 1);
        let relaxed = Ordering::Relaxed;
        if self.made.fetch_update(relaxed, relaxed, one_more).is_err() {
            self.refused.count();
            return None;
        }
        self.total.count();
        let signature = self.sign((key, apex), print, covered, &rdata());
        self.cache(purpose).put(print, signature);
        Some(signature)
    }

    /// Signs `rdata`, which are in canonical order.
    pub(super) fn sign(
        &self,
        (key, apex): (&Key, &[u8]),
        print: Print,
        covered: &Covered<'_>,
        rdata: &[Vec<u8>],
    ) -> Signature {
        let now = self.now();
        // Any eighth, always the same of the same: what is signed twice ends at about the same time.
        let early = print.spread(self.settings.validity / 8);
        let (inception, expiration) = (
            now.wrapping_sub(BACK),
            now.wrapping_add(self.settings.validity - early),
        );
        let head = covered.head(key, inception, expiration);
        let signed = covered.signed(&head, apex, rdata.iter().map(Vec::as_slice));
        Signature {
            inception,
            expiration,
            octets: key.sign(&signed),
        }
    }
}
