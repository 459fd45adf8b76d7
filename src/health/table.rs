//! What queries read of all this: one word per address of a pool.

/// What a query needs to know of one address of a pool, in one word.
///
/// ```text
///   63            32 31            16 15          1 0
///   | last in service | TTL cap       |            |in service|
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

/// The TTL cap of an address whose state is not about to change.
pub const STEADY: u16 = u16::MAX;

impl Word {
    /// An address without probes: always in service.
    pub const UNPROBED: Self = Self::new(true, STEADY, u32::MAX);

    /// A word. `ttl_cap` is the number of seconds after which the state may have changed, or [`STEADY`];
    /// `last` is when the address was last in service, in seconds since 1970, 0 for never.
    #[must_use]
    pub const fn new(in_service: bool, ttl_cap: u16, last: u32) -> Self {
        Self((last as u64) << 32 | (ttl_cap as u64) << 16 | in_service as u64)
    }

    /// Whether clients may be given the address.
    #[must_use]
    pub const fn in_service(self) -> bool {
        self.0 & 1 == 1
    }

    /// Seconds that an answer which depends on this state may be kept.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a field of the word")]
    pub const fn ttl_cap(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// When it was last in service, seconds since 1970.
    #[must_use]
    pub const fn last_in_service(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// One word per slot; which address of which pool a slot is belongs to the generation that the table is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    words: Box<[Word]>,
    /// Steps of pools, as [`Table::step`] tells them.
    steps: Box<[u8]>,
}

impl Table {
    /// A table of these words.
    #[must_use]
    pub fn new(words: Vec<Word>) -> Self {
        Self {
            words: words.into(),
            steps: Box::default(),
        }
    }

    /// The same table with the steps that follow from it.
    #[must_use]
    pub fn with_steps(self, steps: Vec<u8>) -> Self {
        let steps = steps.into();
        Self { steps, ..self }
    }

    /// How many steps a pool has gone because too little of it is in service; by the number that the generation gave it.
    #[must_use]
    #[inline]
    pub fn step(&self, number: u32) -> u8 {
        self.steps.get(number as usize).copied().unwrap_or(0)
    }

    /// The word of a slot. A slot of another generation reads as out of service.
    #[must_use]
    #[inline]
    pub fn word(&self, slot: u32) -> Word {
        self.words
            .get(slot as usize)
            .copied()
            .unwrap_or(Word::new(false, 0, 0))
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether no pool has an address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}
