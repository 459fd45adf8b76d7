//! The order of members as a place sees them. Exact, but not by sorting all of them: of hundreds only the few are ranked that can be
//! among the first for any place of a neighbourhood.

use super::{Member, Plan};
use crate::geo::{EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};
use crate::policy::Near;
use crate::policy::map::Entry;

/// Ranks the members of a plan; what it works with is kept from place to place.
pub(super) struct Rank<'a> {
    plan: &'a Plan,
    units: Vec<[f64; 3]>,
    names: Vec<u64>,
    /// What the distance of each member is multiplied by; empty: none has a bias.
    factors: Vec<f64>,
    /// Kilometres by member, from the place that is ranked for; of those that cannot matter to it something old.
    km: Vec<f64>,
    /// Members not yet in a band, in their order.
    left: Vec<u16>,
    band: Vec<u16>,
    drawn: Vec<(u64, u64, u16)>,
    chords: Vec<f64>,
    /// Members that a head has at least.
    wanted: usize,
}

/// What a place's distances are reckoned from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    Point(Point),
    Residents(&'a Residents),
    /// They are known, by member.
    Km(&'a [f64]),
}

/// Of a longer first band only so many are in a head: a hundred thousand of them stay below 7 MB.
const LONGEST_BAND: usize = 32;
/// So many are ranked without asking who of them can matter: that costs as much.
const FEW: usize = 12;
/// Distances that are compared in different ways differ by less: beside the point opposite, 32 bits of a chord make 10 cm.
const INEXACT_KM: f64 = 0.01;

impl<'a> Rank<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let factors = match plan.is_biased() {
            true => plan.members.iter().map(|m| m.bias.factor()).collect(),
            false => Vec::new(),
        };
        Self {
            factors,
            ..Self::unbiased(plan)
        }
    }

    /// One that knows distances as they are.
    pub(super) fn unbiased(plan: &'a Plan) -> Self {
        let name = |m: &Member| hash(m.name.as_bytes());
        Self {
            plan,
            factors: Vec::new(),
            units: plan.members.iter().map(|m| m.at.unit()).collect(),
            names: plan.members.iter().map(name).collect(),
            km: vec![0.0; plan.members.len()],
            left: Vec::new(),
            band: Vec::new(),
            drawn: Vec::new(),
            chords: Vec::new(),
            wanted: usize::from(plan.answer.unwrap_or(1)) + 2,
        }
    }

    /// All members, in their order.
    pub(super) fn all(&self) -> Vec<u16> {
        (0..).zip(&self.units).map(|(m, _)| m).collect()
    }

    /// Kilometres to each member, as many as its bias makes of them.
    pub(super) fn km(&self, from: From<'_>) -> Vec<f64> {
        let mut km = match from {
            // Those count their bias already.
            From::Point(point) => return self.km_from(point),
            From::Residents(people) => self.km_from_residents(people),
            From::Km(km) => km.to_vec(),
        };
        km.iter_mut()
            .zip(&self.factors)
            .for_each(|(km, f)| *km *= f);
        km
    }

    /// Kilometres to each member.
    pub(super) fn km_from(&self, point: Point) -> Vec<f64> {
        let here = point.unit();
        let km = |there: &[f64; 3]| chord_to_km(squared_chord(here, *there));
        let mut all: Vec<f64> = self.units.iter().map(km).collect();
        all.iter_mut()
            .zip(&self.factors)
            .for_each(|(km, f)| *km *= f);
        all
    }

    /// Kilometres to each member, as a mean over people.
    pub(super) fn km_from_residents(&self, residents: &Residents) -> Vec<f64> {
        self.units
            .iter()
            .map(|there| residents.mean_km(*there))
            .collect()
    }

    /// Those `of` some members that can be in the head of a place at most `radius_km` from a point, in their order. A place's distances
    /// differ from the point's by no more than the radius; so do the means of several places within it.
    pub(super) fn near(&mut self, here: [f64; 3], radius_km: f64, of: &[u16], out: &mut Vec<u16>) {
        out.clear();
        let wanted = self.wanted();
        // Where distances are biased, any of them can.
        if of.len() <= wanted || !self.factors.is_empty() {
            out.extend_from_slice(of);
            return;
        }
        let units = &self.units;
        let chord = |member: &u16| squared_chord(here, units[usize::from(*member)]);
        self.chords.clear();
        self.chords.extend(of.iter().map(chord));
        // The last band of a head begins with one of the first `wanted`.
        let (_, last, _) = self
            .chords
            .select_nth_unstable_by(wanted - 1, f64::total_cmp);
        let last = chord_to_km(*last) + radius_km + INEXACT_KM;
        let limit = km_to_chord(self.plan.near.limit_km(last) + radius_km + INEXACT_KM);
        out.extend(of.iter().filter(|member| chord(member) <= limit));
    }

    /// The head of a place, of the members that can be in it.
    pub(super) fn head_from(&mut self, point: Point, of: &[u16], head: &mut Vec<Entry>) {
        head.clear();
        self.look_from(point, of);
        self.head(unit(point), head);
    }

    /// The head of a place, one group of members after the other.
    pub(super) fn groups_from(
        &mut self,
        from: From<'_>,
        unit: u64,
        groups: &[Vec<u16>],
        head: &mut Vec<Entry>,
    ) {
        head.clear();
        for group in groups {
            if head.len() < self.wanted() {
                match from {
                    From::Point(point) => self.look_from(point, group),
                    From::Residents(people) => self.look_from_residents(people, group),
                    From::Km(km) => self.look_by(km, group),
                }
                self.head(unit, head);
            }
        }
    }

    /// Takes those of some members as left that can matter to a place.
    fn look_from(&mut self, point: Point, of: &[u16]) {
        let here = point.unit();
        if of.len() > FEW {
            let mut left = std::mem::take(&mut self.left);
            self.near(here, 0.0, of, &mut left);
            self.left = left;
        } else {
            self.left.clear();
            self.left.extend_from_slice(of);
        }
        for member in &self.left {
            let member = usize::from(*member);
            self.km[member] = chord_to_km(squared_chord(here, self.units[member]));
        }
        self.count_bias();
    }

    /// The head of all who are known to live in some cities, by the mean distance.
    pub(super) fn head_from_residents(
        &mut self,
        people: &Residents,
        unit: u64,
        head: &mut Vec<Entry>,
    ) {
        let all = self.all();
        self.groups_from(From::Residents(people), unit, &[all], head);
    }

    fn look_from_residents(&mut self, people: &Residents, of: &[u16]) {
        let mut left = std::mem::take(&mut self.left);
        match people.cities.first() {
            Some((center, _)) => self.near(*center, people.mean_km(*center), of, &mut left),
            None => left = of.to_vec(),
        }
        for member in &left {
            let member = usize::from(*member);
            self.km[member] = people.mean_km(self.units[member]);
        }
        self.left = left;
        self.count_bias();
    }

    fn look_by(&mut self, km: &[f64], of: &[u16]) {
        self.left.clear();
        self.left.extend_from_slice(of);
        for member in of.iter().map(|m| usize::from(*m)) {
            self.km[member] = km[member];
        }
        self.count_bias();
    }

    /// Has those left count as far as their bias says.
    fn count_bias(&mut self) {
        if self.factors.is_empty() {
            return;
        }
        for member in &self.left {
            let member = usize::from(*member);
            self.km[member] *= self.factors[member];
        }
    }

    /// Members that a head has at least, if there are so many: those of one answer, with two of them out.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// From here on heads have at least so many.
    pub(super) fn want(&mut self, wanted: usize) {
        self.wanted = wanted;
    }

    /// Adds the first of those left, band by band: enough for an answer with two of them out, and the whole of the first band, which
    /// answers are filled from. Of the bands behind it a part is enough: the fewer heads differ, the wider are scopes.
    fn head(&mut self, unit: u64, head: &mut Vec<Entry>) {
        let wanted = self.wanted();
        while head.len() < wanted && !self.left.is_empty() {
            self.take_band();
            if self.plan.sticky {
                let least = if head.is_empty() { LONGEST_BAND } else { 0 };
                self.rendezvous(unit, least.max(wanted - head.len()));
            }
            push_band(&self.band, head);
        }
    }

    /// Takes the nearest of those left and all that are about as near; both keep their order. At least one is taken.
    fn take_band(&mut self) {
        let km = |member: &u16| self.km[usize::from(*member)];
        let nearest = self.left.iter().map(km).fold(f64::INFINITY, f64::min);
        let limit = self.plan.near.limit_km(nearest);
        self.band.clear();
        self.band
            .extend(self.left.iter().filter(|member| km(member) <= limit));
        self.left
            .retain(|member| self.km[usize::from(*member)] > limit);
    }

    /// Orders the band by weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithm after Schindelhauer and Schomaker 2005):
    /// a member that goes leaves the others' order as it was. Weight 0 comes last. Keeps the first `most`.
    fn rendezvous(&mut self, unit: u64, most: usize) {
        if self.band.len() < 2 {
            return;
        }
        self.drawn.clear();
        self.drawn.extend(self.band.iter().map(|&number| {
            let member = usize::from(number);
            let hash = mix(unit, self.names[member]);
            #[expect(
                clippy::cast_precision_loss,
                reason = "53 bits are kept, which an f64 holds"
            )]
            let drawn = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            let score = -drawn.ln() / f64::from(self.plan.members[member].weight);
            // Scores are positive or infinite, and such bits are ordered as the numbers are.
            (score.to_bits(), hash, number)
        }));
        if self.plan.spread {
            self.spread();
        } else {
            if self.drawn.len() > most {
                self.drawn.select_nth_unstable(most);
                self.drawn.truncate(most);
            }
            self.drawn.sort_unstable();
        }
        self.drawn.truncate(most);
        self.band.clear();
        self.band.extend(self.drawn.iter().map(|drawn| drawn.2));
    }

    /// Orders what was drawn so that the first of each autonomous system come before the second of any. Of whom it is not known is in
    /// one of its own.
    fn spread(&mut self) {
        self.drawn.sort_unstable();
        let asn = |number: u16| self.plan.members[usize::from(number)].asn;
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(self.drawn.len());
        for (at, (_, _, number)) in self.drawn.iter().enumerate() {
            let before = self.drawn[..at].iter();
            let same = before.filter(|d| asn(*number).is_some() && asn(d.2) == asn(*number));
            places.push((same.count(), at));
        }
        places.sort_unstable();
        self.drawn = places.iter().map(|(_, at)| self.drawn[*at]).collect();
    }

    /// For each member all others, nearest first.
    pub(super) fn tails(&mut self) -> Vec<Box<[Entry]>> {
        (0..self.units.len())
            .map(|anchor| self.tail(anchor))
            .collect()
    }

    fn tail(&mut self, anchor: usize) -> Box<[Entry]> {
        let km = self.km_from(self.plan.members[anchor].at);
        let mut tail = Vec::with_capacity(km.len() - 1);
        let others = (0..).zip(&km).filter(|(m, _)| usize::from(*m) != anchor);
        self.push_by_km(anchor, others, &mut tail);
        tail.into()
    }

    /// All but the first member of the groups, one group after the other, as seen from that member.
    pub(super) fn tail_of_groups(&mut self, first: u16, groups: &[Vec<u16>]) -> Box<[Entry]> {
        let km = self.km_from(self.plan.members[usize::from(first)].at);
        let mut tail = Vec::new();
        for group in groups {
            let others = group.iter().filter(|m| **m != first);
            let others = others.map(|m| (*m, &km[usize::from(*m)]));
            self.push_by_km(first.into(), others, &mut tail);
        }
        tail.into()
    }

    /// Adds members with their distances from another, band by band.
    fn push_by_km<'k>(
        &mut self,
        anchor: usize,
        others: impl Iterator<Item = (u16, &'k f64)>,
        tail: &mut Vec<Entry>,
    ) {
        let at = self.plan.members[anchor].at;
        // Distances are positive, and such bits are ordered as the numbers are.
        let mut others: Vec<(u64, u16)> = others.map(|(m, km)| (km.to_bits(), m)).collect();
        others.sort_unstable();
        let mut left = &others[..];
        while let Some((nearest, _)) = left.first() {
            let limit = self.plan.near.limit_km(f64::from_bits(*nearest));
            let (band, rest) =
                left.split_at(left.partition_point(|o| f64::from_bits(o.0) <= limit));
            self.band.clear();
            self.band.extend(band.iter().map(|other| other.1));
            if self.plan.sticky {
                self.rendezvous(unit(at), usize::MAX);
            }
            push_band(&self.band, tail);
            left = rest;
        }
    }
}

fn push_band(band: &[u16], out: &mut Vec<Entry>) {
    let entries = (0..)
        .zip(band)
        .map(|(i, member)| Entry::new(*member, i == 0));
    out.extend(entries);
}

/// Where the people are that a client may be one of.
pub(super) struct Residents {
    /// Cities, as points of the unit sphere, with their share of the people.
    cities: Vec<([f64; 3], f64)>,
}

impl Residents {
    pub(super) fn new(cities: &[(Point, f64)]) -> Self {
        // Of some places no population is known; with all weights 0 there would be no mean.
        let weight = |people: f64| people.max(1.0);
        let people: f64 = cities.iter().map(|c| weight(c.1)).sum();
        let share = |(at, n): &(Point, f64)| (at.unit(), weight(*n) / people);
        Self {
            cities: cities.iter().map(share).collect(),
        }
    }

    /// The mean distance over the people.
    pub(super) fn mean_km(&self, there: [f64; 3]) -> f64 {
        let cities = self.cities.iter();
        cities
            .map(|(at, w)| w * chord_to_km(squared_chord(*at, there)))
            .sum()
    }
}

impl Near {
    /// The distance up to which members are about as near as the nearest.
    #[must_use]
    pub fn limit_km(&self, nearest: f64) -> f64 {
        (nearest * self.factor + self.slack_km).max(nearest)
    }
}

/// The squared chord for a distance; infinite for more than half around the globe.
fn km_to_chord(km: f64) -> f64 {
    let half = km / EARTH_RADIUS_KM / 2.0;
    if half >= std::f64::consts::FRAC_PI_2 {
        return f64::INFINITY;
    }
    (2.0 * half.sin()).powi(2)
}

/// A place's number for the rendezvous hash.
pub(super) fn unit(point: Point) -> u64 {
    mix(point.lat.to_bits(), point.lon.to_bits())
}

/// FNV-1a, mixed once more: names of nodes and countries are short and few.
pub(super) fn hash(text: &[u8]) -> u64 {
    let fnv = text.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv, 0)
}

/// The finisher of splitmix64 over both numbers.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ b.rotate_left(32).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
