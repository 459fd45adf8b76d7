//! `max_share`: no member is first for more than its share of the clients. The surplus goes to the next best. And the slow start: a
//! member that has come back is first only for the nearest of those who are its clients otherwise.
//!
//! This is deferred acceptance (Gale and Shapley 1962): clients of one place, a *unit*, ask the first of their list; a member asked by
//! too many keeps the nearest and refuses the farthest, who ask the next; until nobody is refused. Whom a member keeps depends on
//! distances only, all refuse at once, and people are whole numbers: the outcome does not depend on any order.

use std::collections::BTreeMap;

use super::Plan;
use super::steered::Steered;
use crate::geo::{CARRIER, PlaceId, Spot, World};
use crate::policy::map::Entry;
use crate::policy::selector::Whom;
use crate::prefix::Prefix;

/// Of more members only so many may be asked by a place: they are the nearest.
const ASKED: usize = 24;
/// People are counted in so many parts each, as places and answers are divided.
const PARTS: f64 = 16.0;

/// Clients for whom everything is equal.
struct Unit {
    /// Their order as it would be if nobody was refused.
    order: Vec<Entry>,
    /// Kilometres to each of it, as bits: they are ordered as the numbers are.
    km: Vec<u64>,
    /// What has become of each.
    asked: Vec<Asked>,
    /// The one that is first whatever the others say.
    fixed: Option<usize>,
    people: u64,
}

/// What a member is to a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It may still be asked, or keeps them.
    Open,
    /// It has refused them.
    Full,
    /// It is not asked: it is of a higher tier than the first.
    Never,
}

impl Unit {
    /// The number of the band that each of the order is in.
    fn bands(&self) -> impl Iterator<Item = usize> {
        self.order.iter().scan(0, |band, entry| {
            *band += usize::from(entry.begins_band());
            Some(*band)
        })
    }

    /// The first band that still has somebody open, as places in the order.
    fn front(&self) -> Vec<usize> {
        if let Some(fixed) = self.fixed {
            return vec![fixed];
        }
        let open = |(_, i): &(usize, usize)| self.asked[*i] == Asked::Open;
        let mut open = self.bands().zip(0..).filter(open).peekable();
        let first = open.peek().map(|(band, _)| *band);
        open.take_while(|(band, _)| Some(*band) == first)
            .map(|(_, i)| i)
            .collect()
    }

    /// Which of the order are given how many of the people.
    fn given(&self, plan: &Plan) -> Vec<(usize, u64)> {
        let mut front = self.front();
        if plan.sticky {
            front.truncate(plan.answer.unwrap_or(1).into());
        }
        let weight = |i: &usize| {
            let member = usize::from(self.order[*i].member());
            u64::from(plan.members[member].weight)
        };
        let all: u64 = front.iter().map(weight).sum();
        // Without stickiness they are drawn by weight; an answer of several is drawn about so too.
        let by_weight = !plan.sticky && all > 0;
        let count = front.len() as u64;
        let part = |i: usize| {
            let part = if by_weight {
                u128::from(self.people) * u128::from(weight(&i)) / u128::from(all)
            } else {
                u128::from(self.people / count)
            };
            (i, u64::try_from(part).unwrap_or(u64::MAX))
        };
        front.into_iter().map(part).collect()
    }

    /// The order as it came out: the band that has them, those who refused them, the others.
    fn arranged(&self) -> Vec<Entry> {
        let front = self.front();
        let section = |i: usize| match self.asked[i] {
            _ if front.contains(&i) => 0,
            Asked::Full if self.fixed.is_none() => 1,
            _ => 2,
        };
        let mut all: Vec<((u8, usize), Entry)> = self
            .bands()
            .zip(&self.order)
            .enumerate()
            .map(|(i, (band, entry))| ((section(i), band), *entry))
            .collect();
        all.sort_by_key(|(key, _)| *key);
        let mut last = None;
        let entry = |(key, entry): ((u8, usize), Entry)| {
            let begins = last.replace(key) != Some(key);
            Entry::new(entry.member(), begins)
        };
        all.into_iter().map(entry).collect()
    }
}

/// Who has whom.
struct Shares<'a> {
    plan: &'a Plan,
    units: &'a mut [Unit],
    /// People of each member.
    load: Vec<u64>,
    /// What it has, by the distance and the number of the unit, with its place in the unit's order; without those that are fixed.
    has: Vec<BTreeMap<(u64, usize), (usize, u64)>>,
    /// Each member has no more, if it can be helped.
    most: Vec<u64>,
}

impl Shares<'_> {
    fn add(&mut self, number: usize) {
        let unit = &self.units[number];
        for (i, people) in unit.given(self.plan) {
            let member = usize::from(unit.order[i].member());
            self.load[member] += people;
            if unit.fixed.is_none() {
                self.has[member].insert((unit.km[i], number), (i, people));
            }
        }
    }

    fn remove(&mut self, number: usize) {
        let unit = &self.units[number];
        for (i, people) in unit.given(self.plan) {
            let member = usize::from(unit.order[i].member());
            self.load[member] -= people;
            self.has[member].remove(&(unit.km[i], number));
        }
    }

    /// Gives a unit to the first of its order that has room left, whatever comes with it; where none has, to the nearest.
    fn fix(&mut self, number: usize) {
        let unit = &mut self.units[number];
        let has_room = |i: &usize| {
            let member = usize::from(unit.order[*i].member());
            unit.asked[*i] != Asked::Never && self.load[member] < self.most[member]
        };
        unit.fixed = (0..unit.order.len()).find(has_room).or(Some(0));
        self.add(number);
    }

    /// Units that a member refuses now: the farthest, until it has room for the others.
    fn refused(&self, member: usize) -> Vec<(usize, usize)> {
        let mut load = self.load[member];
        let mut out = Vec::new();
        for ((_, number), (i, people)) in self.has[member].iter().rev() {
            if load <= self.most[member] {
                break;
            }
            load -= people;
            out.push((*number, *i));
        }
        out
    }

    /// Gives everybody whom they ask first, where no more than so many fit into one member.
    fn begin(&mut self, most: u64) {
        let numbers = 0..self.units.len();
        // Those who fit nowhere would drive out everybody else first.
        let (large, others): (Vec<usize>, Vec<usize>) =
            numbers.partition(|n| self.units[*n].people > most);
        large.into_iter().for_each(|n| self.fix(n));
        others.into_iter().for_each(|n| self.add(n));
    }

    fn settle(&mut self) {
        let mut left: Vec<usize> = Vec::new();
        loop {
            let members = 0..self.load.len();
            let refused: Vec<(usize, usize)> = members.flat_map(|m| self.refused(m)).collect();
            if refused.is_empty() {
                break;
            }
            let mut numbers: Vec<usize> = refused.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers.iter().for_each(|n| self.remove(*n));
            for (number, i) in refused {
                self.units[number].asked[i] = Asked::Full;
            }
            for number in numbers {
                if self.units[number].front().is_empty() {
                    left.push(number);
                } else {
                    self.add(number);
                }
            }
        }
        left.sort_unstable();
        left.into_iter().for_each(|n| self.fix(n));
    }
}

/// Finds out who is first for whom; the people of each member.
fn settle(plan: &Plan, units: &mut [Unit]) -> Vec<u64> {
    let tier = plan.members.iter().map(|m| m.tier).min();
    let first = plan.members.iter().filter(|m| Some(m.tier) == tier);
    let all: u64 = units.iter().map(|unit| unit.people).sum();
    // Where fewer have addresses of this family than the pool has nodes, a share may hold too few: then parts are equal.
    let of_share = |share: u8| {
        let share = all / 100 * u64::from(share);
        share.max(all.div_ceil(first.count().max(1) as u64))
    };
    let most = plan.max_share.map_or(u64::MAX, of_share);
    let mut shares = Shares {
        plan,
        units,
        load: vec![0; plan.members.len()],
        has: vec![BTreeMap::new(); plan.members.len()],
        most: vec![most; plan.members.len()],
    };
    shares.begin(most);
    shares.settle();
    if !plan.slowed.is_empty() {
        // Whom a slowed member refuses is taken by the others whatever their share: nobody else is to move for its sake.
        shares.most.fill(u64::MAX);
        for (member, percent) in &plan.slowed {
            let member = usize::from(*member);
            shares.most[member] = shares.load[member] / 100 * u64::from(*percent);
        }
        shares.settle();
    }
    shares.load
}

impl Steered<'_> {
    /// Makes the lists of everybody, so that no member is first for more than its share.
    pub(super) fn share_out(&mut self, world: &World, (nets, asns): (&[Prefix], &[u32])) {
        let v4 = world.v4_within(nets, asns).map(|(_, spot)| spot);
        let v6 = world.v6_within(nets, asns).map(|(_, spot)| spot);
        let mut spots: Vec<Spot> = v4.chain(v6).filter(|s| s.place != CARRIER).collect();
        spots.sort_unstable_by_key(|s| (s.place, s.net, s.asn));
        spots.dedup();
        let mut spots_of = vec![0u32; world.places().len()];
        for spot in &spots {
            spots_of[spot.place as usize] += 1;
        }
        let used: Vec<bool> = spots_of.iter().map(|n| *n > 0).collect();
        let people = world.demand(&used, &self.plan.crowds);
        let demand = |place: PlaceId| people[place as usize] / f64::from(spots_of[place as usize]);
        self.share_among(&spots, &demand);
    }

    /// The same by how many clients each spot of a place has.
    fn share_among(&mut self, spots: &[Spot], demand: &dyn Fn(PlaceId) -> f64) {
        let mut units = Vec::with_capacity(spots.len());
        let mut classes = Vec::with_capacity(spots.len());
        let wanted = self.rank.wanted();
        self.rank.want(wanted.max(ASKED));
        for spot in spots {
            let (class, origin) = self.stand(*spot);
            let (order, km) = self.ranked(class, &origin, true);
            classes.push(class);
            units.push(self.unit(order, &km, demand(spot.place)));
        }
        self.rank.want(wanted);
        settle(self.plan, &mut units);
        for ((spot, class), unit) in spots.iter().zip(classes).zip(&units) {
            let head = self.cut(class, unit.arranged());
            let list = self.with_tail(class, head);
            self.of_place.insert(*spot, list);
        }
    }

    fn unit(&self, order: Vec<Entry>, km: &[f64], people: f64) -> Unit {
        let tier = |entry: &Entry| self.plan.members[usize::from(entry.member())].tier;
        let first = order.first().map(tier);
        let asked = |entry| match Some(tier(entry)) == first {
            true => Asked::Open,
            false => Asked::Never,
        };
        let km_of = |entry: &Entry| km[usize::from(entry.member())].to_bits();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "people are not negative, and fewer than 2^50"
        )]
        let people = (people * PARTS).round().max(1.0) as u64;
        Unit {
            km: order.iter().map(km_of).collect(),
            asked: order.iter().map(asked).collect(),
            fixed: None,
            people: if order.is_empty() { 0 } else { people },
            order,
        }
    }

    /// As much of an order as heads have elsewhere: the first band, and enough for an answer with two out.
    fn cut(&self, class: usize, mut order: Vec<Entry>) -> Vec<Entry> {
        let members: usize = self.classes[class].iter().map(Vec::len).sum();
        if self.rank.wanted() < members {
            let band = order.iter().skip(1).take_while(|e| !e.begins_band());
            let band = 1 + band.count();
            order.truncate(band.max(self.rank.wanted()));
        }
        order
    }
}

impl Plan {
    /// Whether some members are not first for all who are nearest to them.
    pub(super) fn is_shared(&self) -> bool {
        let parted = self.max_share.is_some() || !self.slowed.is_empty();
        parted && self.answer.is_some()
    }

    /// Why a client's member stands behind the first band of its list though it is as near or stands before it, in words; none: it
    /// does not. `km` are the distances to all members.
    #[must_use]
    pub fn why_refused(
        &self,
        member: u16,
        first: &[u16],
        km: &[f64],
        whom: Whom,
    ) -> Option<String> {
        if !self.is_shared() {
            return None;
        }
        let slowed = self.slowed.iter().find(|(m, _)| *m == member);
        let leader = *first.first()?;
        if first.contains(&member) || self.why_behind(member, leader, whom).is_some() {
            return None;
        }
        let km = |m: u16| km[usize::from(m)] * self.members[usize::from(m)].bias.factor();
        let nearest = first.iter().map(|m| km(*m)).fold(f64::INFINITY, f64::min);
        let before = self.why_behind(leader, member, whom).is_some();
        let refused = before || km(member) <= self.near.limit_km(nearest);
        if !refused {
            return None;
        }
        match (slowed, self.max_share) {
            (Some((_, percent)), _) => Some(format!(
                "has only the nearest {percent}% of its clients for now"
            )),
            (None, Some(share)) => Some(format!(
                "has its {share}% share of the pool's clients already"
            )),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
