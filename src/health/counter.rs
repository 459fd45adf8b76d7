//! How results become a state: the leaky counter.
//!
//! ```text
//!              first result                down failures, not cleared by ok successes in a row
//!   unknown ---------------> up or down      up --------------------------------------> down
//!                                             <---------------------------------------
//!                                                       up successes in a row
//! ```

/// What results say of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No result yet.
    Unknown,
    /// In service.
    Up,
    /// Out of service.
    Down,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The numbers of [`super::Probe`] that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures until down.
    pub down: u32,
    /// Successes in a row that clear the failures.
    pub ok: u32,
    /// Successes in a row until up.
    pub up: u32,
}

/// Counts results and says what follows. Failures leak only by `ok` successes in a row, so an address that fails every
/// third time goes out of service too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    state: State,
    failures: u32,
    successes: u32,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            state: State::Unknown,
            failures: 0,
            successes: 0,
        }
    }
}

impl Counter {
    /// A counter that goes on from a state.
    #[must_use]
    pub fn resumed(state: State) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// What the results say.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes one result; whether the state changed.
    pub fn observe(&mut self, success: bool, limits: Thresholds) -> bool {
        let before = self.state;
        match (self.state, success) {
            (State::Unknown, true) => self.enter(State::Up),
            (State::Unknown, false) => self.enter(State::Down),
            (State::Up, false) => {
                self.successes = 0;
                self.failures += 1;
                if self.failures >= limits.down {
                    self.enter(State::Down);
                }
            }
            (State::Up, true) if self.failures > 0 => {
                self.successes += 1;
                if self.successes >= limits.ok {
                    self.enter(State::Up);
                }
            }
            (State::Up, true) => {}
            (State::Down, false) => self.successes = 0,
            (State::Down, true) => {
                self.successes += 1;
                if self.successes >= limits.up {
                    self.enter(State::Up);
                }
            }
        }
        self.state != before
    }

    fn enter(&mut self, state: State) {
        *self = Self {
            state,
            failures: 0,
            successes: 0,
        };
    }

    /// How many results are still needed to change the state, once it has begun to move; none while it is steady.
    #[must_use]
    pub fn moving(&self, limits: Thresholds) -> Option<u32> {
        let moves = match self.state {
            State::Unknown => true,
            State::Up => self.failures > 0,
            State::Down => self.successes > 0,
        };
        moves.then(|| self.needed(limits))
    }

    /// How many results it takes at least to change the state.
    #[must_use]
    pub fn needed(&self, limits: Thresholds) -> u32 {
        match self.state {
            State::Unknown => 0,
            State::Up => limits.down - self.failures,
            State::Down => limits.up - self.successes,
        }
    }

    /// The counters in words, for people: `2 of 3 failures`.
    #[must_use]
    pub fn progress(&self, limits: Thresholds) -> Option<String> {
        match self.state {
            State::Up if self.failures > 0 => {
                Some(format!("{} of {} failures", self.failures, limits.down))
            }
            State::Down if self.successes > 0 => {
                Some(format!("{} of {} successes", self.successes, limits.up))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Thresholds = Thresholds {
        down: 3,
        ok: 6,
        up: 6,
    };

    fn after(results: &str) -> Counter {
        let mut counter = Counter::default();
        for c in results.chars() {
            counter.observe(c == '+', LIMITS);
        }
        counter
    }

    #[test]
    fn as_the_specification_draws_it() {
        assert_eq!(after("+").state(), State::Up);
        assert_eq!(after("-").state(), State::Down);
        assert_eq!(after("+--").state(), State::Up);
        assert_eq!(after("+---").state(), State::Down);
        assert_eq!(
            after("+-++-+++++-").state(),
            State::Down,
            "successes between failures do not lower the count"
        );
        assert_eq!(
            after("+--++++++-").state(),
            State::Up,
            "six in a row clear it"
        );
        assert_eq!(after("-+++++").state(), State::Down);
        assert_eq!(after("-+++++-++++++").state(), State::Up);
    }

    #[test]
    fn results_that_are_still_needed() {
        assert_eq!(after("+").moving(LIMITS), None);
        assert_eq!(after("+-").moving(LIMITS), Some(2));
        assert_eq!(after("-").moving(LIMITS), None);
        assert_eq!(after("-++").moving(LIMITS), Some(4));
    }

    proptest! {
        /// Never down with fewer than `down` failures since it came up, never up without `up` successes in a row.
        #[test]
        fn no_flip_before_its_threshold(first: bool, results: Vec<bool>, down in 1u32..6, ok in 1u32..6, up in 1u32..6) {
            let limits = Thresholds { down, ok, up };
            let mut counter = Counter::default();
            counter.observe(first, limits);
            let (mut failures, mut row) = (0, 0);
            for result in results {
                failures += u32::from(!result);
                row = if result { row + 1 } else { 0 };
                let was = counter.state();
                if counter.observe(result, limits) {
                    match was {
                        State::Up => prop_assert!(failures >= down),
                        _ => prop_assert!(row >= up),
                    }
                    (failures, row) = (0, 0);
                } else if was == State::Up && row >= ok {
                    failures = 0;
                } else if was == State::Up {
                    prop_assert!(failures < down);
                }
            }
        }
    }
}
