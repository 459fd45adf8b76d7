//! The prober's doubt of itself: one that sees everything dead is itself dead.
//!
//! What is known of a node's addresses of one family is a *view*. It goes *blind* with the first failure of a check that was up,
//! after the last success of any of its checks, once each check as quick as its quickest has failed too. IPv4 and IPv6 are
//! judged apart.
//!
//! States freeze when at least half of the nodes that were up, and at least three, went blind within two intervals of each
//! other, while less than a quarter of those nodes, or only one, have succeeded since, and the newest result of every canary
//! is a failure. What blind nodes were before counts then, and goes on being measured, until
//!
//! - a canary, or a node that went blind, succeeds: the prober sees again, and what failed meanwhile is forgotten;
//! - a quarter of the nodes, and at least two, that had not gone blind have succeeded since: the failures are real;
//! - the time is over. Freezes that follow each other within that time share it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{Check, Status, Time};
use super::counter::State;
use super::slot::Slot;

/// Fewer nodes that fail at once are no sign of anything.
const LEAST: usize = 3;
/// Of so many nodes one must go on succeeding, for the failures of others to be real.
const WITNESSES: usize = 4;

/// The node of canaries, in messages; no node can have this name.
pub const CANARY: &str = "(canary)";

/// Why states count as measured again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thaw {
    /// A node that had failed succeeded, or a canary: failures meanwhile do not count.
    Sees,
    /// Enough other nodes went on succeeding: failures meanwhile count.
    Real,
    /// The time is over: failures meanwhile count.
    Over,
}

/// States of one family that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Since when.
    pub since: Time,
    /// Until when, if nothing happens before.
    pub until: Time,
    /// How many nodes had failed when it began.
    pub failed: usize,
    /// Of how many that were up.
    pub of: usize,
    /// When the first of them failed.
    first: Time,
    /// Who failed before that is not meant.
    from: Time,
}

/// A node's addresses of one family.
#[derive(Clone, Debug, Default)]
struct View {
    checks: Vec<usize>,
    slots: Vec<usize>,
    /// The shortest interval of its checks.
    every: Duration,
    last_success: Option<Time>,
    failing: Option<Failing>,
}

/// A view without a success since.
#[derive(Clone, Debug)]
struct Failing {
    since: Time,
    /// Whether it was in service before.
    was_up: bool,
    /// What was known of its checks before, in their order.
    held: Vec<Status>,
}

/// All views of one family.
#[derive(Clone, Debug, Default)]
struct Family {
    views: Vec<View>,
    canaries: Vec<usize>,
    frozen: Option<Frozen>,
    /// A node that had gone blind has succeeded since the last look.
    sees: bool,
    /// How long states were frozen in this series of freezes, and when the last one ended.
    used: Duration,
    ended: Option<Time>,
}

/// What makes a prober doubt itself, for IPv4 and for IPv6.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    /// How long states are frozen at most; zero: never.
    limit: Duration,
    families: [Family; 2],
    /// The view of each check that has a vote, in its family.
    views: Vec<Option<usize>>,
}

/// What the checks find, as far as it matters here.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) checks: &'a [Check],
    pub(super) statuses: &'a [Status],
    pub(super) slots: &'a [Slot],
}

impl Known<'_> {
    /// Whether the newest result of a check is a failure.
    fn failed(&self, check: usize) -> bool {
        let last = self.statuses[check].last.as_ref();
        last.is_some_and(|(_, outcome)| outcome.result.is_err())
    }

    fn in_service(&self, slot: usize) -> bool {
        let Slot { checks, need, .. } = &self.slots[slot];
        let up = |c: &&usize| self.statuses[**c].counter.state() == State::Up;
        checks.iter().filter(up).count() >= *need
    }

    fn up(&self, view: &View) -> bool {
        view.slots.iter().any(|slot| self.in_service(*slot))
    }
}

/// The number of a check's family.
fn family(check: &Check) -> usize {
    usize::from(check.address.is_ipv6())
}

impl Doubt {
    pub(super) fn new(
        checks: &[Check],
        slots: &[Slot],
        canaries: &[usize],
        limit: Duration,
    ) -> Self {
        let mut families: [Family; 2] = Default::default();
        let mut views = vec![None; checks.len()];
        let mut numbers: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        for (number, slot) in slots.iter().enumerate() {
            let Some(&first) = slot.checks.first() else {
                continue;
            };
            let side = family(&checks[first]);
            let all = &mut families[side].views;
            let view = *numbers.entry((&slot.node, side)).or_insert_with(|| {
                all.push(View::default());
                all.len() - 1
            });
            all[view].slots.push(number);
            for &check in &slot.checks {
                if views[check].replace(view).is_none() {
                    all[view].checks.push(check);
                }
            }
        }
        for view in families.iter_mut().flat_map(|f| &mut f.views) {
            let every = view.checks.iter().map(|&c| checks[c].probe.every).min();
            view.every = every.unwrap_or_default();
        }
        for &canary in canaries {
            families[family(&checks[canary])].canaries.push(canary);
        }
        Self {
            limit,
            families,
            views,
        }
    }

    /// Goes on from that of the board before: `numbers` has for each check its number there. A node is the same if one of its checks
    /// is; of those that are new, nothing was known before it began to fail.
    pub(super) fn go_on(&mut self, last: &Self, numbers: &[Option<usize>], statuses: &[Status]) {
        for (family, before) in self.families.iter_mut().zip(&last.families) {
            (family.frozen, family.sees) = (before.frozen, before.sees);
            (family.used, family.ended) = (before.used, before.ended);
            for view in &mut family.views {
                let mut checks = view.checks.iter();
                let number = checks.find_map(|check| last.views[numbers[*check]?]);
                if let Some(number) = number {
                    view.go_on(&before.views[number], numbers, statuses);
                }
            }
        }
    }

    /// Takes note of a result before it is counted; what counts from now on of checks whose states were frozen until then.
    pub(super) fn note(
        &mut self,
        check: usize,
        ok: bool,
        now: Time,
        known: Known<'_>,
    ) -> Vec<(usize, Status)> {
        let Some(number) = self.views[check] else {
            return Vec::new();
        };
        let family = &mut self.families[family(&known.checks[check])];
        let view = &mut family.views[number];
        if ok {
            let blind = view.blind_since(known).is_some();
            let failing = view.failing.take();
            view.last_success = Some(now);
            if let Some(frozen) = family.frozen.filter(|_| blind) {
                family.sees = true;
                let held = failing.filter(|f| f.since >= frozen.from);
                return held.map_or(Vec::new(), |f| view.with(f.held));
            }
        } else if view.failing.is_none() && known.statuses[check].counter.state() == State::Up {
            let held = view.checks.iter().map(|&c| known.statuses[c].clone());
            view.failing = Some(Failing {
                since: now,
                was_up: known.up(view),
                held: held.collect(),
            });
        }
        Vec::new()
    }

    /// What counts of a check instead of what is measured, if that is frozen.
    pub(super) fn held(&self, check: usize, v6: bool) -> Option<&Status> {
        let family = &self.families[usize::from(v6)];
        let (frozen, view) = (family.frozen?, &family.views[self.views[check]?]);
        let failing = view.failing.as_ref().filter(|f| f.since >= frozen.from)?;
        let place = view.checks.iter().position(|c| *c == check)?;
        failing.held.get(place)
    }

    /// The freezes there are now, of IPv4 and IPv6.
    pub(super) fn frozen(&self) -> [Option<Frozen>; 2] {
        [self.families[0].frozen, self.families[1].frozen]
    }

    /// Looks whether a freeze of a family begins.
    pub(super) fn begin(&mut self, v6: bool, now: Time, known: Known<'_>) -> Option<Frozen> {
        let limit = self.limit;
        let family = &mut self.families[usize::from(v6)];
        if family.frozen.is_some() || limit.is_zero() {
            return None;
        }
        let Together {
            from,
            first,
            failed,
        } = family.blind_together(known)?;
        let of = family.up_before(from, known);
        if failed < LEAST
            || failed * 2 < of
            || family.witnessed(first, of, known)
            || !family.canaries.iter().all(|&c| known.failed(c))
        {
            return None;
        }
        if family.ended.is_none_or(|ended| now >= ended + limit) {
            family.used = Duration::ZERO;
        }
        let left = limit.saturating_sub(family.used);
        if left.is_zero() {
            return None;
        }
        family.sees = false;
        family.frozen = Some(Frozen {
            since: now,
            until: now + left,
            failed,
            of,
            first,
            from,
        });
        family.frozen
    }

    /// Looks whether a freeze of a family ends: why, and what counts now of checks that failed meanwhile, if not what was measured.
    pub(super) fn end(
        &mut self,
        v6: bool,
        now: Time,
        known: Known<'_>,
    ) -> Option<(Thaw, Vec<(usize, Status)>)> {
        let limit = self.limit;
        let family = &mut self.families[usize::from(v6)];
        let frozen = family.frozen?;
        let of = family.up_before(frozen.from, known);
        let thaw = if family.sees || family.canaries.iter().any(|&c| !known.failed(c)) {
            Thaw::Sees
        } else if family.witnessed(frozen.first, of, known) {
            Thaw::Real
        } else if now >= frozen.until {
            Thaw::Over
        } else {
            return None;
        };
        family.frozen = None;
        family.ended = Some(now);
        family.used = match thaw {
            Thaw::Over => limit,
            _ => family.used + now.saturating_sub(frozen.since),
        };
        let mut restored = Vec::new();
        if thaw != Thaw::Real {
            for view in &mut family.views {
                let failing = view.failing.take();
                let meant = failing.filter(|f| thaw == Thaw::Sees && f.since >= frozen.from);
                if let Some(failing) = meant {
                    restored.extend(view.with(failing.held));
                }
            }
        }
        Some((thaw, restored))
    }
}

/// Views that went blind within two intervals of each other.
struct Together {
    /// Two intervals before the last of them.
    from: Time,
    /// When the first of them did.
    first: Time,
    failed: usize,
}

impl Family {
    /// Those that went blind with the newest of all.
    fn blind_together(&self, known: Known<'_>) -> Option<Together> {
        let blind: Vec<(Time, Duration)> = self
            .views
            .iter()
            .filter_map(|view| Some((view.blind_since(known)?, view.every)))
            .collect();
        let every = blind.iter().map(|b| b.1).max()?;
        let newest = blind.iter().map(|b| b.0).max()?;
        let from = newest.saturating_sub(every * 2);
        let together = blind.iter().map(|b| b.0).filter(|since| *since >= from);
        Some(Together {
            from,
            first: together.clone().min()?,
            failed: together.count(),
        })
    }

    /// How many nodes are up, or were until they began to fail, which was not before `from`.
    fn up_before(&self, from: Time, known: Known<'_>) -> usize {
        let up = |view: &&View| {
            let failing = view.failing.as_ref();
            known.up(view) || failing.is_some_and(|f| f.was_up && f.since >= from)
        };
        self.views.iter().filter(up).count()
    }

    /// Whether enough nodes have succeeded since, and none of them is failing now.
    fn witnessed(&self, since: Time, of: usize, known: Known<'_>) -> bool {
        let succeeded = |view: &&View| {
            let newer = view.last_success.is_some_and(|at| at > since);
            newer && view.failing.is_none() && known.up(view)
        };
        let count = self.views.iter().filter(succeeded).count();
        count >= 2 && count * WITNESSES >= of
    }
}

impl View {
    fn go_on(&mut self, last: &Self, numbers: &[Option<usize>], statuses: &[Status]) {
        self.last_success = last.last_success;
        self.failing = last.failing.as_ref().map(|failing| {
            let held = |check: &usize| {
                let same = |c: &usize| Some(*c) == numbers[*check];
                let place = last.checks.iter().position(same);
                place.map_or(&statuses[*check], |p| &failing.held[p])
            };
            let held: Vec<Status> = self.checks.iter().map(|c| held(c).clone()).collect();
            let up = |status: &Status| status.counter.state() == State::Up;
            Failing {
                since: failing.since,
                was_up: failing.was_up && held.iter().any(up),
                held,
            }
        });
    }

    /// What was known of each of its checks.
    fn with(&self, held: Vec<Status>) -> Vec<(usize, Status)> {
        self.checks.iter().copied().zip(held).collect()
    }

    /// Since when it is blind: each of its quick checks that was up has failed.
    fn blind_since(&self, known: Known<'_>) -> Option<Time> {
        let failing = self.failing.as_ref().filter(|f| f.was_up)?;
        let mut quick = self.checks.iter().zip(&failing.held).filter(|(c, held)| {
            let every = known.checks[**c].probe.every;
            held.counter.state() == State::Up && every <= self.every * 2
        });
        quick
            .all(|(c, _)| known.failed(*c))
            .then_some(failing.since)
    }
}
