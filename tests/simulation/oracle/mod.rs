//! What has to follow, said once more and as plainly as can be: linear scans, distances by the haversine formula, a counter of our own.
//! Nothing here may use the server's own arithmetic. A new rule of SPEC 3 or 4 needs its plain twin here.

mod begin;
mod check;
mod damping;
mod distance;
mod doubt;
mod rank;
mod service;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::{Model, Pool};
use check::Check;
use damping::Flapper;
use doubt::{Series, Sight};
pub(crate) use rank::{Ranked, rank};
use service::least;

/// Seconds since 1970.
pub(crate) type Seconds = u64;

/// A probe of an address under a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) probe: String,
    pub(crate) ip: IpAddr,
    pub(crate) host: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    Drained,
    Up,
    Down,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) forced: Forced,
    pub(crate) since: Seconds,
    pub(crate) until: Option<Seconds>,
}

/// All that is known of nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// In the order of their keys.
    pub(crate) checks: Vec<Check>,
    pub(crate) orders: BTreeMap<String, Order>,
    started: Seconds,
    sights: Vec<Sight>,
    /// How long states are frozen at most.
    limit: Seconds,
    series: [Series; 2],
    flappers: Vec<Flapper>,
    /// Of each pool that damps and each family the nodes, with their addresses.
    damping: Vec<Vec<Vec<usize>>>,
}

/// What an answer has to be.
#[derive(Debug)]
pub(crate) enum Expected {
    /// These nodes in this order.
    Exactly(Vec<String>, u32),
    /// So many of these.
    Drawn(usize, Vec<String>, u32),
    /// One to so many of these: beyond the head of a list the order is by distance from its first member only.
    Some(usize, Vec<String>),
    /// Nobody is in service, and this is given all the same.
    Open(Vec<String>),
    /// As above, one of these.
    OpenOne(Vec<String>),
    Nothing,
    ServFail,
}

/// Who must be compared exactly: the first of a list and two more (ARCHITECTURE, "Lists have a head and a tail").
const SPARE: usize = 2;

impl Oracle {
    /// A result; whether the state of its check is another.
    pub(crate) fn observe(&mut self, check: usize, good: bool, now: Seconds) -> bool {
        self.see(check, good, now);
        let check = &mut self.checks[check];
        check.newest = Some(good);
        check.counter.observe(good, &check.probe, now)
    }

    /// What a check has measured.
    pub(crate) fn measured(&self, check: usize) -> Option<bool> {
        self.checks[check].counter.up
    }

    /// Time passes: freezes begin and end, and so does damping.
    pub(crate) fn look(&mut self, now: Seconds) {
        self.orders
            .retain(|_, order| order.until.is_none_or(|until| until > now));
        self.doubt(false, now);
        self.doubt(true, now);
        self.damp(now);
    }

    /// The answer to a client. `order` decides within bands; the rest of it is checked elsewhere.
    pub(crate) fn answer(
        &self,
        model: &Model,
        pool: &Pool,
        v4: bool,
        ranked: &Ranked,
        order: &[String],
        now: Seconds,
    ) -> Expected {
        let word = |name: &String| self.node(model, pool, name, v4, now);
        let wanted = pool.answer.map_or(64, usize::from);
        let rank = |name: &String| order.iter().position(|o| o == name);
        let (mut outs, mut walked, mut cap, mut given) = (0, 0, None, Vec::new());
        for (number, (band, group)) in ranked.bands.iter().enumerate() {
            let mut band = band.clone();
            band.sort_by_key(rank);
            for name in &band {
                if pool.sticky && given.len() == wanted {
                    break;
                }
                walked += 1;
                let word = word(name);
                cap = least(cap, word.cap);
                if word.up {
                    given.push(name.clone());
                } else {
                    outs += 1;
                }
            }
            let sure = number < ranked.sure && (number == 0 || outs <= SPARE);
            let complete = pool.answer.is_none() || walked <= wanted + SPARE;
            if !given.is_empty() && !(sure && (number == 0 || complete || !pool.sticky)) {
                let of_group = ranked.bands.iter().filter(|b| b.1 == *group);
                let all = of_group.flat_map(|b| &b.0).filter(|n| word(n).up);
                return Expected::Some(wanted, all.cloned().collect());
            }
            if !given.is_empty() {
                let (most, min) = pool.ttl;
                let ttl = cap.map_or(most, |cap| {
                    u32::try_from(cap).unwrap_or(most).min(most).max(min)
                });
                if !pool.sticky && given.len() > wanted {
                    return Expected::Drawn(wanted, given, ttl);
                }
                return match pool.sticky {
                    true => Expected::Exactly(given, ttl),
                    false => Expected::Drawn(given.len(), given, ttl),
                };
            }
        }
        match pool.none {
            "nodata" => Expected::Nothing,
            "servfail" => Expected::ServFail,
            "all" => Expected::Open(order.to_vec()),
            "nearest" => {
                let mut first = ranked.bands.first().map_or(Vec::new(), |b| b.0.clone());
                first.sort_by_key(rank);
                first.truncate(wanted);
                Expected::Open(first)
            }
            _ => {
                let last = |n: &&String| word(n).last;
                let best = order.iter().map(|n| last(&n)).max();
                let some = order.iter().filter(|n| Some(last(n)) == best);
                Expected::OpenOne(some.cloned().collect())
            }
        }
    }
}
