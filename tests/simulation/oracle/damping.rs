//! Who goes down again and again stays out for a while (docs/operators.md; the numbers are those of `damping` in docs/configuration.md).

use std::time::Duration;

use super::{Forced, Oracle, Seconds};

/// An address of a node as pools that damp judge it.
#[derive(Clone, Debug)]
pub(super) struct Flapper {
    pub(super) node: String,
    pub(super) checks: Vec<usize>,
    pub(super) need: usize,
    /// Where it stands among those who are above the limit since the same second: nothing says who is first.
    pub(super) place: usize,
    pub(super) flaps: Flaps,
}

/// How often it went down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flaps {
    was_up: bool,
    penalty: f64,
    at: Seconds,
    high: Option<Seconds>,
    /// Since when it is damped, and until when.
    pub(super) damped: Option<(Seconds, Duration)>,
}

impl Flaps {
    /// Each time 1000, half of it after five minutes, too much above 2500 and until below 1000, which is 20 minutes at most.
    fn see(&mut self, up: bool, now: Seconds) {
        let age = (now - self.at) as f64;
        self.penalty *= (-age / 300.0).exp2();
        self.at = now;
        if self.was_up && !up {
            self.penalty = (self.penalty + 1000.0).min(16_000.0);
        }
        self.was_up = up;
        if self.penalty > 2500.0 {
            self.high = self.high.or(Some(now));
        }
        if self.penalty < 1000.0 {
            self.high = None;
        }
    }

    fn until(&self) -> Duration {
        let halves = (self.penalty / 1000.0).log2().max(0.0);
        Duration::from_secs(self.at) + Duration::from_secs_f64(halves * 300.0)
    }
}

impl Oracle {
    /// How many addresses are damped.
    pub(crate) fn damped(&self) -> Vec<usize> {
        let all = 0..self.flappers.len();
        all.filter(|n| self.flappers[*n].flaps.damped.is_some())
            .collect()
    }

    /// By what counts of its checks, orders aside.
    fn serves(&self, flapper: &Flapper) -> bool {
        let up = |n: &&usize| self.counted(**n).0.up == Some(true);
        flapper.checks.iter().filter(up).count() >= flapper.need
    }

    pub(super) fn damp(&mut self, now: Seconds) {
        let measured: Vec<bool> = self.flappers.iter().map(|f| self.serves(f)).collect();
        for (flapper, up) in self.flappers.iter_mut().zip(&measured) {
            flapper.flaps.see(*up, now);
            flapper.flaps.damped = None;
        }
        let high = (0..).zip(&self.flappers);
        let high = high.filter_map(|(n, f)| Some((f.flaps.high?, f.place, n)));
        let mut high: Vec<(Seconds, usize, usize)> = high.collect();
        high.sort_unstable();
        for (since, _, number) in high {
            if measured[number] && self.can_do_without(number, &measured) {
                let flaps = &mut self.flappers[number].flaps;
                flaps.damped = Some((since, flaps.until()));
            }
        }
    }

    /// In each of its pools another node is in service, and half of the others.
    fn can_do_without(&self, number: usize, measured: &[bool]) -> bool {
        let given = |n: &usize| {
            let Flapper { node, flaps, .. } = &self.flappers[*n];
            let up = match self.orders.get(node) {
                Some(order) => order.forced == Forced::Up,
                None => measured[*n],
            };
            up && flaps.damped.is_none()
        };
        let own = self
            .damping
            .iter()
            .filter(|pool| pool.iter().flatten().any(|n| *n == number));
        own.into_iter().all(|pool| {
            let others: Vec<&Vec<usize>> =
                pool.iter().filter(|node| !node.contains(&number)).collect();
            let serving = others.iter().filter(|node| node.iter().any(given)).count();
            serving > 0 && serving * 2 >= others.len()
        })
    }
}
