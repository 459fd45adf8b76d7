//! Flap damping after the pattern of RFC 2439: who goes down again and again stays out for a while.
//!
//! Each time that an address goes out of service it gets a penalty of 1000, which halves every five minutes. Above 2500 it is
//! damped, below 1000 not any more, which is 20 minutes after it went down last at most. It is out only while its pool can
//! spare it: while one other node is in service, and at least half of the others.

use std::time::Duration;

use super::board::Time;
use crate::clock::utc;

const PENALTY: f64 = 1000.0;
const SUPPRESS: f64 = 2500.0;
const REUSE: f64 = 1000.0;
/// Below this nothing is remembered.
const FORGET: f64 = 500.0;
const HALF_LIFE: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(1200);

/// An address that is kept out although its probes say that it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damped {
    /// Since when its penalty has been too high.
    pub since: Time,
    /// When it is low enough, if the address does not go down again.
    pub until: Time,
    /// How often it went down.
    pub downs: u32,
}

impl Damped {
    /// `damped until about 12:34 UTC, went down 3 times`.
    #[must_use]
    pub fn words(&self) -> String {
        let until = utc(self.until);
        let (until, downs) = (until.get(11..16).unwrap_or(&until), self.downs);
        format!("damped until about {until} UTC, went down {downs} times")
    }
}

/// A pool that damps, for one family: the slots of each of its nodes.
#[derive(Clone, Debug, Default)]
pub struct Damping {
    /// The nodes' slots.
    pub nodes: Vec<Vec<usize>>,
}

/// How often a slot went down lately.
#[derive(Clone, Copy, Debug, Default)]
struct Flaps {
    in_service: bool,
    penalty: f64,
    at: Time,
    downs: u32,
    /// Since when it is too high.
    since: Option<Time>,
}

/// All slots of pools that damp.
#[derive(Clone, Debug, Default)]
pub(super) struct Damper {
    pools: Vec<Damping>,
    /// By slot; empty where no pool damps.
    flaps: Vec<Flaps>,
    damped: Vec<Option<Damped>>,
}

impl Damper {
    pub(super) fn new(pools: Vec<Damping>, slots: usize) -> Self {
        let slots = if pools.is_empty() { 0 } else { slots };
        Self {
            pools,
            flaps: vec![Flaps::default(); slots],
            damped: vec![None; slots],
        }
    }

    /// Goes on from the one of the board before; `slots` has for each slot its number there.
    pub(super) fn go_on(&mut self, last: &Self, slots: &[Option<usize>]) {
        let own = self.flaps.iter_mut().zip(&mut self.damped);
        for ((flaps, damped), number) in own.zip(slots) {
            if let Some(before) = number.and_then(|n| last.flaps.get(n)) {
                (*flaps, *damped) = (*before, number.and_then(|n| last.of(n)));
            }
        }
    }

    pub(super) fn of(&self, slot: usize) -> Option<Damped> {
        self.damped.get(slot).copied().flatten()
    }

    /// Decides anew who is damped: `measured` says of a slot whether it is in service by its probes, `counts` whether it is by an
    /// order or else by its probes. The slots for which the decision changed.
    pub(super) fn look(
        &mut self,
        now: Time,
        measured: impl Fn(usize) -> bool,
        counts: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        for slot in 0..self.flaps.len() {
            self.flaps[slot].see(measured(slot), now);
        }
        let before = std::mem::take(&mut self.damped);
        self.damped = vec![None; before.len()];
        let high = self.flaps.iter().enumerate();
        let mut high: Vec<(Time, usize)> = high
            .filter_map(|(slot, flaps)| Some((flaps.since?, slot)))
            .collect();
        // Who has been damped for longer stays so when there is room for one only.
        high.sort_unstable();
        for (since, slot) in high {
            if measured(slot) && self.can_spare(slot, &counts) {
                let flaps = &self.flaps[slot];
                self.damped[slot] = Some(Damped {
                    since,
                    until: flaps.until(),
                    downs: flaps.downs,
                });
            }
        }
        let changed = before.iter().zip(&self.damped).enumerate();
        changed
            .filter(|(_, (before, after))| before.is_some() != after.is_some())
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Whether each pool of a slot that damps can do without its node.
    fn can_spare(&self, slot: usize, counts: &impl Fn(usize) -> bool) -> bool {
        let serves = |slot: &usize| counts(*slot) && self.damped[*slot].is_none();
        let mut own = self
            .pools
            .iter()
            .filter(|pool| pool.nodes.iter().any(|node| node.contains(&slot)))
            .peekable();
        own.peek().is_some()
            && own.all(|pool| {
                let others = pool.nodes.iter().filter(|node| !node.contains(&slot));
                let (all, up) = others.fold((0, 0), |(all, up), node| {
                    (all + 1, up + usize::from(node.iter().any(serves)))
                });
                up > 0 && up * 2 >= all
            })
    }
}

impl Flaps {
    fn see(&mut self, in_service: bool, now: Time) {
        let age = now.saturating_sub(self.at).as_secs_f64();
        self.penalty *= (-age / HALF_LIFE.as_secs_f64()).exp2();
        self.at = now;
        if self.in_service && !in_service {
            let most = REUSE * (LONGEST.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
            self.penalty = (self.penalty + PENALTY).min(most);
            self.downs += 1;
        }
        self.in_service = in_service;
        if self.penalty > SUPPRESS {
            self.since.get_or_insert(now);
        } else if self.penalty < REUSE {
            self.since = None;
        }
        if self.penalty < FORGET {
            self.downs = 0;
        }
    }

    /// When the penalty is low enough.
    fn until(&self) -> Time {
        let halves = (self.penalty / REUSE).log2().max(0.0);
        self.at + HALF_LIFE.mul_f64(halves)
    }
}
