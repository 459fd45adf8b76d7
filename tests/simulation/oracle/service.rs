//! Who is in service by checks and orders (SPEC 4), and the steps of `low` that follow (SPEC 3.8).

use std::net::IpAddr;
use std::time::Duration;

use super::{Flapper, Forced, Key, Oracle, Seconds};
use crate::model::{Below, Model, Node, Pool};

/// Of an address or a node: in service, how long that is sure, when it last was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) up: bool,
    pub(super) cap: Option<u64>,
    pub(super) last: u64,
}

impl Oracle {
    fn address(&self, model: &Model, pool: &Pool, node: &Node, ip: IpAddr, now: Seconds) -> Word {
        if let Some(order) = self.orders.get(&node.name) {
            let fresh = now < order.since + 60;
            let left = order.until.map(|until| until.saturating_sub(now));
            let up = order.forced == Forced::Up;
            return Word {
                up,
                cap: if fresh { Some(0) } else { left },
                last: if up { u64::MAX } else { 0 },
            };
        }
        let checks = self.numbers(model, pool, ip);
        let judged = checks.iter().map(|check| {
            let (counter, frozen) = self.counted(*check);
            let up = counter.up == Some(true);
            let cap = counter.cap(&self.checks[*check].probe, self.started, now);
            Word {
                up,
                cap: if frozen { Some(0) } else { cap },
                last: if up { u64::MAX } else { counter.last_up },
            }
        });
        let word = together(&judged.collect::<Vec<Word>>(), pool.need());
        let own = |f: &&Flapper| (&f.checks, f.need) == (&checks, pool.need());
        let damped = self.flappers.iter().filter(|_| pool.damping).find(own);
        let Some((since, until)) = damped.and_then(|f| f.flaps.damped) else {
            return word;
        };
        let left = until.saturating_sub(Duration::from_secs(now)).as_secs();
        Word {
            up: false,
            cap: Some(if now < since + 60 { 0 } else { left }),
            last: word.last,
        }
    }

    pub(super) fn node(
        &self,
        model: &Model,
        pool: &Pool,
        name: &str,
        v4: bool,
        now: Seconds,
    ) -> Word {
        let node = model.node(name).unwrap();
        let ips = node.ips.iter().filter(|ip| ip.is_ipv4() == v4);
        let words = ips.map(|ip| self.address(model, pool, node, *ip, now));
        words
            .reduce(|a, b| Word {
                up: a.up || b.up,
                cap: least(a.cap, b.cap),
                last: a.last.max(b.last),
            })
            .unwrap()
    }

    /// How many steps of `low` hold: while less than so much of the nodes before is in service, the next join (SPEC 3.8).
    pub(crate) fn step(&self, model: &Model, pool: &Pool, v4: bool, now: Seconds) -> usize {
        let family = |n: &&Node| n.ips.iter().any(|ip| ip.is_ipv4() == v4);
        let members: Vec<&Node> = model.members(pool).filter(family).collect();
        let stated = members.iter().all(|n| n.capacity.is_some());
        let part = |nodes: &[&Node]| -> (u64, u64) {
            let weight = |n: &&Node| n.capacity.filter(|_| stated).unwrap_or(n.weight.into());
            (nodes.iter().map(weight).sum(), nodes.len() as u64)
        };
        for (step, low) in pool.low.iter().enumerate() {
            let waits = |n: &&&Node| pool.low[step..].iter().any(|l| l.means(n));
            let before: Vec<&Node> = members.iter().filter(|n| !waits(n)).copied().collect();
            let up = |n: &&&Node| self.node(model, pool, &n.name, v4, now).up;
            let serving: Vec<&Node> = before.iter().filter(up).copied().collect();
            let ((whole, _), (left, count)) = (part(&before), part(&serving));
            let holds = match low.below {
                Below::Percent(n) => left * 100 < whole * n,
                Below::Nodes(n) => count < n,
            };
            if !holds {
                return step;
            }
        }
        pool.low.len()
    }

    /// The addresses of a node that clients may be given.
    pub(crate) fn up(
        &self,
        model: &Model,
        pool: &Pool,
        name: &str,
        v4: bool,
        now: Seconds,
    ) -> Vec<IpAddr> {
        let node = model.node(name).unwrap();
        let ips = node.ips.iter().filter(|ip| ip.is_ipv4() == v4);
        ips.filter(|ip| self.address(model, pool, node, **ip, now).up)
            .copied()
            .collect()
    }
}

/// The verdict of several checks of which `need` must be up. It is sure until so many of those that are moving have moved that it is
/// another.
fn together(checks: &[Word], need: usize) -> Word {
    let ups = checks.iter().filter(|c| c.up).count();
    let up = ups >= need;
    let turned = |by: u64| {
        let moved = |c: &&Word| c.up == up && c.cap.is_some_and(|cap| cap <= by);
        let moved = checks.iter().filter(moved).count();
        if up {
            ups - moved < need
        } else {
            ups + moved >= need
        }
    };
    let mut lasts: Vec<u64> = checks.iter().map(|c| c.last).collect();
    lasts.sort_unstable();
    Word {
        up,
        cap: checks
            .iter()
            .filter_map(|c| c.cap)
            .filter(|cap| turned(*cap))
            .min(),
        last: lasts.iter().rev().take(need).min().map_or(u64::MAX, |l| *l),
    }
}

pub(super) fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn keys(model: &Model, pool: &Pool, ip: IpAddr) -> Vec<Key> {
    let key = |name: &String| Key {
        probe: name.clone(),
        ip,
        host: model.probe(name).host.clone().unwrap_or(pool.host()),
    };
    pool.probes.iter().map(key).collect()
}
