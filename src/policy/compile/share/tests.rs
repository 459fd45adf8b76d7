use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::super::{Near, compile, tests};
use super::*;
use crate::geo::{Override, Point, Subject};
use crate::prefix::Client;

type At = (f64, f64);

fn plan(nodes: &[At], share: u8, answer: u8, sticky: bool) -> Plan {
    let near = Near {
        factor: 1.2,
        slack_km: 100.0,
    };
    Plan {
        max_share: Some(share),
        ..tests::plan(nodes, Some(answer), near, sticky)
    }
}

/// Units at points, their members by distance, each in a band of its own but those that `joined` says.
fn units(plan: &Plan, places: &[(At, u64)], joined: u8) -> Vec<Unit> {
    let unit = |((lat, lon), people): &(At, u64)| {
        let here = Point {
            lat: *lat,
            lon: *lon,
        };
        let km: Vec<f64> = plan.members.iter().map(|m| here.km(m.at)).collect();
        let mut by_km: Vec<usize> = (0..km.len()).collect();
        by_km.sort_by(|a, b| km[*a].total_cmp(&km[*b]));
        let begins = |i: usize| i == 0 || joined >> (i % 8) & 1 == 0;
        let order = by_km.iter().enumerate();
        Unit {
            order: order
                .map(|(i, m)| Entry::new(u16::try_from(*m).expect("few"), begins(i)))
                .collect(),
            km: by_km.iter().map(|m| km[*m].to_bits()).collect(),
            asked: vec![Asked::Open; km.len()],
            fixed: None,
            people: *people,
        }
    };
    places.iter().map(unit).collect()
}

fn points(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<At>> {
    prop::collection::vec((-80.0..80.0, -170.0..170.0), n)
}

fn nobody(_: Option<crate::geo::Country>) -> Vec<(Point, f64)> {
    vec![(Point { lat: 0.0, lon: 0.0 }, 1.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No member has more than its share by more than the people of one unit; nobody is lost, and every order is complete.
    #[test]
    fn no_share_is_exceeded_by_more_than_a_unit(nodes in points(2..9), places in prop::collection::vec(((-80.0..80.0, -170.0..170.0), 1u64..1_000_000), 1..150), more in 0u8..20, answer in 1u8..3, sticky: bool, joined: u8) {
        let count = u8::try_from(nodes.len()).expect("few");
        let plan = plan(&nodes, (100u8.div_ceil(count) + more).min(99), answer, sticky);
        let mut units = units(&plan, &places, joined);
        let load = settle(&plan, &mut units);
        let all: u64 = places.iter().map(|p| p.1).sum();
        let largest = places.iter().map(|p| p.1).max().unwrap_or(0);
        let most = (all / 100 * u64::from(plan.max_share.unwrap_or(0))).max(all.div_ceil(count.into()));
        prop_assert!(load.iter().all(|l| *l <= most + largest), "{:?} of {}, at most {} + {}", load, all, most, largest);
        let rounding = places.len() as u64 * 8;
        let given: u64 = load.iter().sum();
        prop_assert!(given <= all && all - given <= rounding);
        for unit in &units {
            let mut members: Vec<u16> = unit.arranged().iter().map(|e| e.member()).collect();
            prop_assert!(unit.arranged()[0].begins_band());
            members.sort_unstable();
            prop_assert_eq!(members, (0..u16::from(count)).collect::<Vec<_>>());
        }
    }

    /// In which order the pool lists its nodes changes nothing.
    #[test]
    fn the_order_of_nodes_does_not_matter(nodes in points(3..8), places in points(1..60), turn in 1usize..7, answer in 1u8..3) {
        let one = plan(&nodes, 40, answer, true);
        let mut other = one.clone();
        let turn = turn % nodes.len();
        other.members.rotate_left(turn);
        let overrides: Vec<Override> = (1u8..).zip(&places).map(|(i, (lat, lon))| Override {
            subject: Subject::Net(Prefix::holding(IpAddr::from([i, 0, 0, 0]), 8)),
            at: Point::new(*lat, *lon),
            country: None,
        }).collect();
        let world = World::build(&[], &overrides);
        let maps = [(&one, compile(&one, &world, &nobody)), (&other, compile(&other, &world, &nobody))];
        for first in 0u8..=70 {
            let client = Client::V4 { addr: Ipv4Addr::new(first, 0, 0, 1).to_bits(), offset: 0 };
            let [a, b] = maps.each_ref().map(|(plan, map)| {
                let (list, scope) = map.find(client);
                let name = |e: Entry| (plan.members[usize::from(e.member())].name.clone(), e.begins_band());
                (list.entries().map(name).collect::<Vec<_>>(), scope)
            });
            prop_assert_eq!(a, b);
        }
    }
}

/// The nearest stay; those refused have the full one behind their next band.
#[test]
fn the_farthest_are_refused() {
    let plan = plan(&[(50.0, 0.0), (50.0, 60.0), (50.0, 61.0)], 40, 1, true);
    let places: Vec<(At, u64)> = (0..10).map(|i| ((50.0, f64::from(i)), 10)).collect();
    let mut units = units(&plan, &places, 0b100);
    assert_eq!(settle(&plan, &mut units), [40, 40, 20]);
    let order = |i: usize| {
        units[i]
            .arranged()
            .iter()
            .map(|e| (e.member(), e.begins_band()))
            .collect::<Vec<_>>()
    };
    assert_eq!(order(0), [(0, true), (1, true), (2, false)]);
    assert_eq!(order(9), [(1, true), (2, false), (0, true)]);
    assert_eq!(order(4), [(2, true), (0, true), (1, true)]);
}
