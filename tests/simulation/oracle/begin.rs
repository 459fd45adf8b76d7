//! What there is to know in a generation, and what stays known when another takes its place.

use std::collections::BTreeSet;

use super::check::Check;
use super::damping::{Flapper, Flaps};
use super::doubt::{Dark, Sight};
use super::service::keys;
use super::{Key, Oracle, Seconds};
use crate::model::{Model, Node, Pool};

impl Oracle {
    /// The checks that there have to be: one per address, probe and name asked for, however many pools use it. What is known of one
    /// stays; of one whose probe is another its state does.
    pub(crate) fn begin(&mut self, model: &Model, now: Seconds) {
        let old = std::mem::take(self);
        let mut all: BTreeSet<(Key, bool)> = BTreeSet::new();
        for pool in &model.pools {
            let ips = model.members(pool).flat_map(|node| &node.ips);
            all.extend(
                ips.flat_map(|ip| keys(model, pool, *ip))
                    .map(|key| (key, false)),
            );
        }
        all.extend(model.canary_keys().map(|key| (key, true)));
        let check = |(key, canary): (Key, bool)| Check::new(model, key, canary, now);
        self.checks = all.into_iter().map(check).collect();
        let known: Vec<Option<usize>> = self.checks.iter().map(|c| old.same(c)).collect();
        for (check, before) in self.checks.iter_mut().zip(&known) {
            if let Some(before) = before.map(|n| &old.checks[n]) {
                (check.counter, check.newest) = (before.counter.clone(), before.newest);
            } else if let Some(before) = old.number(&check.key).map(|n| &old.checks[n])
                && before.counter.up.is_some()
            {
                check.counter = before.counter.without_counts();
            }
        }
        self.see_nodes(model, &old, &known);
        self.see_flappers(model, &old, &known);
        self.limit = model.freeze;
        self.series = old.series;
        self.orders = old.orders;
        self.orders.retain(|node, _| model.node(node).is_some());
        self.started = if old.started == 0 { now } else { old.started };
    }

    fn same(&self, check: &Check) -> Option<usize> {
        let same = self.number(&check.key);
        same.filter(|n| self.checks[*n].probe == check.probe)
    }

    /// The number of a check.
    pub(crate) fn number(&self, key: &Key) -> Option<usize> {
        self.checks.binary_search_by(|c| c.key.cmp(key)).ok()
    }

    /// The checks of an address in a pool.
    pub(super) fn numbers(&self, model: &Model, pool: &Pool, ip: std::net::IpAddr) -> Vec<usize> {
        let keys = keys(model, pool, ip).into_iter();
        keys.map(|key| self.number(&key).unwrap()).collect()
    }

    fn see_nodes(&mut self, model: &Model, old: &Self, known: &[Option<usize>]) {
        for node in &model.nodes {
            for v6 in [false, true] {
                let mut sight = Sight {
                    node: node.name.clone(),
                    v6,
                    checks: Vec::new(),
                    judged: self.judged(model, node, v6),
                    good: None,
                    dark: None,
                };
                let checks = sight.judged.iter().flat_map(|j| &j.0);
                let checks: BTreeSet<usize> = checks.copied().collect();
                sight.checks = checks.into_iter().collect();
                if sight.checks.is_empty() {
                    continue;
                }
                for check in &sight.checks {
                    self.checks[*check].sight = Some(self.sights.len());
                }
                let same = |s: &&Sight| (&s.node, s.v6) == (&sight.node, v6);
                if let Some(before) = old.sights.iter().find(same)
                    && sight.checks.iter().any(|n| known[*n].is_some())
                {
                    sight.good = before.good;
                    sight.dark = before
                        .dark
                        .as_ref()
                        .map(|dark| self.still_dark(&sight, dark, known));
                }
                self.sights.push(sight);
            }
        }
    }

    fn judged(&self, model: &Model, node: &Node, v6: bool) -> Vec<(Vec<usize>, usize)> {
        let mut judged = Vec::new();
        let has = |pool: &&Pool| pool.nodes.contains(&node.name) && !pool.probes.is_empty();
        for pool in model.pools.iter().filter(has) {
            let ips = node.ips.iter().filter(|ip| ip.is_ipv6() == v6);
            judged.extend(ips.map(|ip| (self.numbers(model, pool, *ip), pool.need())));
        }
        judged
    }

    /// Of a check that is new nothing was known before either.
    fn still_dark(&self, sight: &Sight, dark: &Dark, known: &[Option<usize>]) -> Dark {
        let before = |n: &usize| {
            let held = dark.before.iter().find(|b| Some(b.0) == known[*n]);
            let counter = held.map_or(&self.checks[*n].counter, |held| &held.1);
            (*n, counter.clone())
        };
        let before: Vec<_> = sight.checks.iter().map(before).collect();
        Dark {
            since: dark.since,
            was_up: dark.was_up && before.iter().any(|b| b.1.up == Some(true)),
            before,
        }
    }

    fn see_flappers(&mut self, model: &Model, old: &Self, known: &[Option<usize>]) {
        let damp = |pool: &&Pool| pool.damping && !pool.probes.is_empty();
        for pool in model.pools.iter().filter(damp) {
            for v6 in [false, true] {
                let mut nodes = Vec::new();
                for node in model.members(pool) {
                    let ips = node.ips.iter().filter(|ip| ip.is_ipv6() == v6);
                    let checks: Vec<_> = ips.map(|ip| self.numbers(model, pool, *ip)).collect();
                    let own = checks.into_iter();
                    let own = own.map(|checks| self.flapper(pool, node, checks, old, known));
                    let own: Vec<usize> = own.collect();
                    if !own.is_empty() {
                        nodes.push(own);
                    }
                }
                self.damping.push(nodes);
            }
        }
    }

    fn flapper(
        &mut self,
        pool: &Pool,
        node: &Node,
        checks: Vec<usize>,
        old: &Self,
        known: &[Option<usize>],
    ) -> usize {
        let same = |f: &Flapper| (&f.checks, f.need) == (&checks, pool.need());
        if let Some(there) = self.flappers.iter().position(same) {
            return there;
        }
        let then: Option<Vec<usize>> = checks.iter().map(|n| known[*n]).collect();
        let same = |f: &&Flapper| Some(&f.checks) == then.as_ref() && f.need == pool.need();
        let before = old.flappers.iter().find(same);
        self.flappers.push(Flapper {
            node: node.name.clone(),
            checks,
            need: pool.need(),
            place: 0,
            flaps: before.map_or(Flaps::default(), |f| f.flaps),
        });
        self.flappers.len() - 1
    }

    /// Who stands where among those who are damped since the same second.
    pub(crate) fn place_flappers(&mut self, order: &[Vec<usize>]) {
        for flapper in &mut self.flappers {
            let place = order.iter().position(|checks| *checks == flapper.checks);
            flapper.place = place.unwrap();
        }
    }
}
