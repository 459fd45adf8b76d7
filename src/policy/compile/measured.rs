//! What was measured for the clients of a spot, and the order of members that follows from it.

use hashbrown::HashMap;

use super::rank::Rank;
use super::{Cities, Plan, Whom, km_from};
use crate::geo::{Country, Place, PlaceSource, Point, Spot, Subject, World};
use crate::policy::latency::{Measured, Sample, equivalents, least_ms};
use crate::prefix::{Client, Prefix};

/// How clients stand to the members of a plan by what was measured for them.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// Where they are taken to be; not where the databases put them, if they are nearer to a node than that allows.
    pub point: Option<Point>,
    /// Kilometres from there to each member.
    pub km: Vec<f64>,
    /// What was measured.
    pub samples: Vec<Sample>,
    /// Kilometres that members are ranked by instead, as nobody nearer is as good; none: by distance.
    pub worth: Option<Vec<f64>>,
    /// Whether the place of the databases was not believed.
    pub moved: bool,
}

/// What was measured, by what is known of a spot.
pub(super) struct Subjects {
    /// By the numbers of the networks: that of the narrowest one around it that was measured.
    nets: Vec<Option<usize>>,
    systems: HashMap<(u32, Option<Country>), usize>,
}

impl Subjects {
    /// Of `nets` those that were measured are among.
    pub(super) fn new(plan: &Plan, nets: &[Prefix]) -> Self {
        let (mut of_net, mut systems) = (HashMap::new(), HashMap::new());
        for (number, measured) in plan.latency.iter().enumerate() {
            match measured.subject {
                Subject::Net(net) => of_net.insert(net, number).is_some(),
                Subject::Asn(asn, country) => systems.insert((asn, country), number).is_some(),
            };
        }
        let around = |net: &Prefix| {
            let mut wider = (0..=net.len)
                .rev()
                .map(|len| Prefix::holding(net.addr, len));
            wider.find_map(|wider| of_net.get(&wider).copied())
        };
        let nets = if of_net.is_empty() {
            vec![None; nets.len()]
        } else {
            nets.iter().map(around).collect()
        };
        Self { nets, systems }
    }

    /// What was measured for a spot, by its number. What the operator has said of its place stands.
    pub(super) fn of(&self, spot: Spot, place: &Place) -> Option<usize> {
        if is_stated(place) {
            return None;
        }
        let by_net = spot.net.and_then(|net| self.nets[net as usize]);
        let by_country = || self.systems.get(&(spot.asn, Some(place.country?)));
        let by_system = || by_country().or_else(|| self.systems.get(&(spot.asn, None)));
        by_net.or_else(|| by_system().copied())
    }
}

fn is_stated(place: &Place) -> bool {
    matches!(
        place.source,
        PlaceSource::Override(_) | PlaceSource::AsnOverride(_)
    )
}

impl Measurements {
    /// Of clients at a place, who may be given the members `among`.
    pub(super) fn new(
        measured: &Measured,
        rank: &Rank<'_>,
        plan: &Plan,
        place: &Place,
        cities: Cities<'_>,
        among: &[u16],
    ) -> Self {
        let mut found = Self {
            point: place.point,
            km: km_from(rank, plan, place, cities),
            samples: measured.samples.clone(),
            worth: None,
            moved: false,
        };
        let km = |sample: &Sample| found.km[usize::from(sample.member)];
        let possible = |sample: &Sample| sample.rtt_ms >= least_ms(km(sample));
        if place.point.is_some() && !found.samples.iter().all(possible) {
            match measured.subject {
                // A network is in one place: beside the node that it reaches soonest.
                Subject::Net(_) => found.move_to_soonest(rank, plan),
                // A system is in many, and this one is none of those that were measured.
                Subject::Asn(..) => {
                    let possible: Vec<Sample> =
                        found.samples.iter().copied().filter(possible).collect();
                    found.samples = possible;
                }
            }
        }
        found.worth = equivalents(&found.km, &found.samples, among);
        found
    }

    fn move_to_soonest(&mut self, rank: &Rank<'_>, plan: &Plan) {
        let soonest = self
            .samples
            .iter()
            .min_by(|a, b| a.rtt_ms.total_cmp(&b.rtt_ms));
        if let Some(soonest) = soonest {
            let point = plan.members[usize::from(soonest.member)].at;
            self.km = rank.km_from(point);
            self.point = Some(point);
            self.moved = true;
        }
    }
}

impl Plan {
    /// What was measured for a client, if anything was.
    #[must_use]
    pub fn measurements(
        &self,
        client: Client,
        world: &World,
        cities: Cities<'_>,
    ) -> Option<Measurements> {
        let (place, _) = world.locate(client);
        let asn = world.asn(client).map(|asn| asn.number);
        let holds = |measured: &&Measured| match measured.subject {
            Subject::Net(net) => net.contains(client.addr()),
            Subject::Asn(number, country) => {
                asn == Some(number) && (country.is_none() || country == place.country)
            }
        };
        let narrow = |measured: &&Measured| match measured.subject {
            Subject::Net(net) => (2, net.len),
            Subject::Asn(_, Some(_)) => (1, 0),
            Subject::Asn(_, None) => (0, 0),
        };
        let measured = self.latency.iter().filter(holds).max_by_key(narrow);
        let measured = measured.filter(|_| !is_stated(&place) && self.answer.is_some())?;
        let groups = self.groups(Whom::of(client, world));
        let rank = Rank::unbiased(self);
        let found = Measurements::new(measured, &rank, self, &place, cities, &groups.concat());
        Some(found)
    }
}
