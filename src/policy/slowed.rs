//! Another map in the place of a pool's own, for while some members have only a part of their clients.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use super::compile::Plan;
use super::map::Map;

/// Where a pool's other map is put, while questions are answered.
#[derive(Debug, Default)]
pub struct Slowed(ArcSwapOption<Instead>);

/// A map that holds instead of a pool's own.
#[derive(Debug)]
pub struct Instead {
    /// How many of the pool's reserves had joined when it was compiled; it holds for no other step.
    pub step: u8,
    /// What it was compiled from.
    pub plan: Arc<Plan>,
    /// The map.
    pub map: Map,
}

impl Slowed {
    /// The map that holds at a step; none: the pool's own does.
    #[must_use]
    pub fn get(&self, step: u8) -> Option<Arc<Instead>> {
        self.any().filter(|instead| instead.step == step)
    }

    /// The map that was put, whatever the step.
    #[must_use]
    pub fn any(&self) -> Option<Arc<Instead>> {
        self.0.load_full()
    }

    /// As [`Slowed::get`], for a moment.
    #[inline]
    pub(super) fn load(&self, step: u8) -> Option<Guard<Option<Arc<Instead>>>> {
        let guard = self.0.load();
        let holds = guard.as_ref().is_some_and(|instead| instead.step == step);
        holds.then_some(guard)
    }

    /// Puts a map, or none: the pool's own holds then.
    pub fn put(&self, instead: Option<Instead>) {
        self.0.store(instead.map(Arc::new));
    }
}
