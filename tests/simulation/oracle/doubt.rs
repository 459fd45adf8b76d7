//! A prober that sees everything dead is itself dead (SPEC 4; `[health]` in docs/configuration.md has the numbers).

use super::check::Counter;
use super::{Oracle, Seconds};

/// What is seen of a node's addresses of one family.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) node: String,
    pub(super) v6: bool,
    pub(super) checks: Vec<usize>,
    /// Its addresses as pools judge them: their checks, and how many must be up.
    pub(super) judged: Vec<(Vec<usize>, usize)>,
    pub(super) good: Option<Seconds>,
    pub(super) dark: Option<Dark>,
}

/// Since the first failure of a check that was up nothing has succeeded.
#[derive(Clone, Debug)]
pub(super) struct Dark {
    pub(super) since: Seconds,
    pub(super) was_up: bool,
    /// What was known then.
    pub(super) before: Vec<(usize, Counter)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freeze {
    pub(crate) since: Seconds,
    pub(crate) until: Seconds,
    pub(crate) failed: usize,
    pub(crate) of: usize,
    first: Seconds,
    from: Seconds,
}

/// Freezes of one family that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Series {
    freeze: Option<Freeze>,
    sees: bool,
    used: Seconds,
    ended: Option<Seconds>,
}

impl Oracle {
    pub(crate) fn frozen(&self, v6: bool) -> Option<Freeze> {
        self.series[usize::from(v6)].freeze
    }

    /// When the last freeze of a family ended.
    pub(crate) fn thawed(&self, v6: bool) -> Option<Seconds> {
        self.series[usize::from(v6)].ended
    }

    /// What counts of a check, and whether that is frozen.
    pub(super) fn counted(&self, check: usize) -> (&Counter, bool) {
        let measured = (&self.checks[check].counter, false);
        let Some(sight) = self.checks[check].sight.map(|s| &self.sights[s]) else {
            return measured;
        };
        let (Some(freeze), Some(dark)) = (self.frozen(sight.v6), &sight.dark) else {
            return measured;
        };
        let before = dark.before.iter().find(|b| b.0 == check);
        match before {
            Some((_, before)) if dark.since >= freeze.from => (before, true),
            _ => measured,
        }
    }

    /// A result, before it is counted.
    pub(super) fn see(&mut self, check: usize, good: bool, now: Seconds) {
        let Some(number) = self.checks[check].sight else {
            return;
        };
        let blind = good && self.blind(&self.sights[number]).is_some();
        let sight = &self.sights[number];
        if good {
            let series = &mut self.series[usize::from(sight.v6)];
            let sight = &mut self.sights[number];
            sight.good = Some(now);
            let dark = sight.dark.take();
            if let (Some(freeze), true) = (series.freeze, blind) {
                series.sees = true;
                self.forget(dark.filter(|d| d.since >= freeze.from), now);
            }
        } else if sight.dark.is_none() && self.checks[check].counter.up == Some(true) {
            let known = |n: &usize| (*n, self.checks[*n].counter.clone());
            let dark = Dark {
                since: now,
                was_up: self.is_up(sight),
                before: sight.checks.iter().map(known).collect(),
            };
            self.sights[number].dark = Some(dark);
        }
    }

    /// What failed in the dark does not count.
    fn forget(&mut self, dark: Option<Dark>, now: Seconds) {
        for (check, before) in dark.into_iter().flat_map(|d| d.before) {
            let counter = &mut self.checks[check].counter;
            let last_up = match before.up {
                Some(true) => now,
                _ => counter.last_up,
            };
            *counter = Counter { last_up, ..before };
        }
    }

    /// Since when nothing is seen of a node that was in service: what was up of its quick checks has failed, all of it.
    fn blind(&self, sight: &Sight) -> Option<Seconds> {
        let dark = sight.dark.as_ref().filter(|d| d.was_up)?;
        let every = |n: usize| self.checks[n].probe.every;
        let quickest = sight.checks.iter().map(|n| every(*n)).min()?;
        let failed = |(n, before): &(usize, Counter)| {
            before.up != Some(true)
                || every(*n) > quickest * 2
                || self.checks[*n].newest == Some(false)
        };
        dark.before.iter().all(failed).then_some(dark.since)
    }

    /// By what is measured.
    fn is_up(&self, sight: &Sight) -> bool {
        let up = |n: &&usize| self.checks[**n].counter.up == Some(true);
        let serves =
            |(checks, need): &(Vec<usize>, usize)| checks.iter().filter(up).count() >= *need;
        sight.judged.iter().any(serves)
    }

    fn family(&self, v6: bool) -> impl Iterator<Item = &Sight> {
        self.sights.iter().filter(move |s| s.v6 == v6)
    }

    /// How many nodes are in service, or were until they failed, not before `from`.
    fn were_up(&self, v6: bool, from: Seconds) -> usize {
        let was = |s: &&Sight| {
            let dark = s.dark.as_ref();
            dark.is_some_and(|d| d.was_up && d.since >= from) || self.is_up(s)
        };
        self.family(v6).filter(was).count()
    }

    /// Whether others go on: a quarter of the nodes, and two.
    fn others_go_on(&self, v6: bool, since: Seconds, of: usize) -> bool {
        let well = |s: &&Sight| s.dark.is_none() && s.good > Some(since) && self.is_up(s);
        let well = self.family(v6).filter(well).count();
        well >= 2 && well * 4 >= of
    }

    fn a_canary_sings(&self, v6: bool) -> bool {
        let mut own = self
            .checks
            .iter()
            .filter(|c| c.canary && c.key.ip.is_ipv6() == v6);
        own.any(|c| c.newest != Some(false))
    }

    /// Freezes begin and end.
    pub(super) fn doubt(&mut self, v6: bool, now: Seconds) {
        match self.frozen(v6) {
            Some(freeze) => self.thaw(v6, freeze, now),
            None => self.freeze(v6, now),
        }
    }

    fn freeze(&mut self, v6: bool, now: Seconds) {
        let blind = self.family(v6).filter(|s| s.dark.is_some());
        let blind = blind.filter_map(|s| Some((self.blind(s)?, s)));
        let blind: Vec<(Seconds, &Sight)> = blind.collect();
        if blind.len() < 3 || self.limit == 0 {
            return;
        }
        let quickest = |s: &Sight| s.checks.iter().map(|n| self.checks[*n].probe.every).min();
        let interval = blind.iter().filter_map(|(_, s)| quickest(s)).max();
        let newest = blind.iter().map(|b| b.0).max();
        let from = newest.unwrap() - interval.unwrap() * 2;
        let together: Vec<Seconds> = blind.iter().map(|b| b.0).filter(|at| *at >= from).collect();
        let first = *together.iter().min().unwrap();
        let (failed, of) = (together.len(), self.were_up(v6, from));
        let real = self.others_go_on(v6, first, of) || self.a_canary_sings(v6);
        if failed < 3 || failed * 2 < of || real {
            return;
        }
        let limit = self.limit;
        let series = &mut self.series[usize::from(v6)];
        if series.ended.is_none_or(|ended| now - ended >= limit) {
            series.used = 0;
        }
        if series.used < limit {
            series.sees = false;
            series.freeze = Some(Freeze {
                since: now,
                until: now + limit - series.used,
                failed,
                of,
                first,
                from,
            });
        }
    }

    fn thaw(&mut self, v6: bool, freeze: Freeze, now: Seconds) {
        let of = self.were_up(v6, freeze.from);
        let sees = self.series[usize::from(v6)].sees || self.a_canary_sings(v6);
        let real = !sees && self.others_go_on(v6, freeze.first, of);
        let over = !sees && !real && now >= freeze.until;
        if !(sees || real || over) {
            return;
        }
        let limit = self.limit;
        let series = &mut self.series[usize::from(v6)];
        series.freeze = None;
        series.ended = Some(now);
        series.used = if over {
            limit
        } else {
            series.used + now - freeze.since
        };
        if real {
            return;
        }
        // Once the time is over a node has to fail anew to be in the dark.
        let own = self.sights.iter_mut().filter(|s| s.v6 == v6);
        let darks: Vec<Dark> = own.filter_map(|s| s.dark.take()).collect();
        let meant = darks.into_iter().filter(|d| sees && d.since >= freeze.from);
        meant.for_each(|dark| self.forget(Some(dark), now));
    }
}
