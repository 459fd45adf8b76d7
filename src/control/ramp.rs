//! The slow start: a node that comes back regains its clients in steps, nearest first; one that is drained loses them so, backwards.
//!
//! Each step is a map of its own, compiled aside when it is needed, so the query path knows nothing of it. While a node is out the map
//! of the first step is there already: nobody waits for it when the node comes back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::build::cities;
use crate::geo::World;
use crate::health::{Board, Forced, Time};
use crate::policy::{Instead, Plan, Slowed, Steering, compile};
use crate::snapshot::{Pool, Snapshot};

/// Per cent of its clients that a node has in each part of its slow start; the parts are equal.
const STEPS: [u8; 3] = [10, 25, 50];

/// Who came back when.
#[derive(Debug, Default)]
pub struct Ramps {
    /// By the pool's name and the member's first address.
    came: HashMap<(String, IpAddr), Came>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Came {
    /// It is out.
    Out,
    /// It has some of its clients since then.
    At(Time),
    /// It has all of its clients.
    Whole,
}

/// A map to be compiled.
#[derive(Debug)]
pub struct Job {
    place: Arc<Slowed>,
    step: u8,
    plan: Plan,
    world: Arc<World>,
}

impl Job {
    /// Compiles the map and puts it in its place: a tenth of a second to seconds.
    pub fn run(self) {
        let map = compile(&self.plan, &self.world, &cities);
        self.place.put(Some(Instead {
            step: self.step,
            plan: Arc::new(self.plan),
            map,
        }));
    }
}

impl Ramps {
    /// Looks at who is in service; the maps that are not as they should be. To be called once all checks have a result: who is up
    /// then has all of its clients.
    pub fn look(&mut self, snapshot: &Snapshot, board: &Board, now: Time) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut known = HashMap::new();
        for pool in &snapshot.pools {
            let Some(slow) = pool.slow_start else {
                continue;
            };
            for family in [&pool.v4, &pool.v6].into_iter().flatten() {
                let slowed = self.slowed(
                    (pool, slow),
                    &family.steering,
                    (snapshot, board),
                    now,
                    &mut known,
                );
                let table = snapshot.table.load();
                for family in family.all() {
                    let steering = &family.steering;
                    let Some(place) = &steering.slowed else {
                        continue;
                    };
                    let step = steering.step_of(&table);
                    let there = place.any();
                    let holds =
                        |there: &Arc<Instead>| there.step == step && there.plan.slowed == slowed;
                    if slowed.is_empty() {
                        if there.is_some() {
                            place.put(None);
                        }
                    } else if !there.as_ref().is_some_and(holds) {
                        let usual = &family.plans[usize::from(step).min(family.plans.len() - 1)];
                        let plan = Plan {
                            slowed: slowed.clone(),
                            ..Plan::clone(usual)
                        };
                        jobs.push(Job {
                            place: Arc::clone(place),
                            step,
                            plan,
                            world: Arc::clone(&snapshot.world),
                        });
                    }
                }
            }
        }
        self.came = known;
        jobs
    }

    /// The members that have only a part of their clients.
    fn slowed(
        &self,
        (pool, slow): (&Pool, Duration),
        steering: &Steering,
        (snapshot, board): (&Snapshot, &Board),
        now: Time,
        known: &mut HashMap<(String, IpAddr), Came>,
    ) -> Vec<(u16, u8)> {
        let table = snapshot.table.load();
        let percent = |(number, member): (u16, &crate::policy::Member)| {
            let address = steering.addresses[member.first as usize].ip;
            let key = (pool.name.clone(), address);
            let in_service = steering.word(number, &table).in_service();
            let before = self.came.get(&key);
            let came = match before {
                _ if !in_service => Came::Out,
                None => Came::Whole,
                Some(Came::Out) => Came::At(now),
                Some(Came::At(at)) if now >= *at + slow => Came::Whole,
                Some(other) => *other,
            };
            known.insert(key, came);
            let name = &snapshot.nodes[member.node as usize].name;
            let drained = board
                .orders()
                .get(name)
                .filter(|o| o.forced == Forced::Drained);
            let percent = match (drained, came) {
                (Some(order), Came::At(_) | Came::Whole) => {
                    STEPS[STEPS.len() - 1 - part(order.since, slow, now)]
                }
                (_, Came::Whole) => return None,
                (_, Came::At(at)) => STEPS[part(at, slow, now)],
                (_, Came::Out) => STEPS[0],
            };
            Some((number, percent))
        };
        (0..).zip(&*steering.members).filter_map(percent).collect()
    }
}

/// In which part of a slow start a time is.
fn part(since: Time, slow: Duration, now: Time) -> usize {
    let each = slow / u32::try_from(STEPS.len()).unwrap_or(1);
    let past = now.saturating_sub(since);
    (1..STEPS.len())
        .rev()
        .find(|n| past >= each * u32::try_from(*n).unwrap_or(1))
        .unwrap_or(0)
}
