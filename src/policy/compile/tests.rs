use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::geo::{Override, Subject};
use crate::health::{STEADY, Table, Word};
use crate::policy::walk::{Address, Member as Walked};
use crate::policy::{Answer, NoneLeft, Outcome, Selector, Steering};
use crate::prefix::{Client, Prefix};
use crate::zone::Name;

const BAND_OF_ONE: Near = Near {
    factor: 1.0,
    slack_km: 0.0,
};

/// A made-up world: blocks of `10.0.0.0/8`-like space at points, some of them countries only.
fn world(blocks: &[(u32, u8, f64, f64)]) -> World {
    let mut overrides: Vec<Override> = Vec::new();
    for (addr, len, lat, lon) in blocks {
        let net = Prefix::holding(std::net::Ipv4Addr::from_bits(*addr).into(), *len);
        let subject = Subject::Net(net);
        if overrides.iter().all(|o| o.subject != subject) {
            overrides.push(Override {
                subject,
                at: Point::new(*lat, *lon),
                country: None,
            });
        }
    }
    World::build(&[], &overrides)
}

pub(super) fn plan(places: &[(f64, f64)], answer: Option<u8>, near: Near, sticky: bool) -> Plan {
    let member = |(i, (lat, lon)): (usize, &(f64, f64))| Member {
        name: format!("n{i}"),
        at: Point {
            lat: *lat,
            lon: *lon,
        },
        weight: 100,
        limit: Limit::default(),
        country: None,
        home: Vec::new(),
        asn: None,
        private: false,
        tier: 1,
        bias: Bias::default(),
    };
    Plan {
        members: places.iter().enumerate().map(member).collect(),
        answer,
        near,
        sticky,
        unknown: Unknown::Anywhere,
        rules: Vec::new(),
        prefer: Vec::new(),
        spread: false,
        latency: Vec::new().into(),
        max_share: None,
        slowed: Vec::new(),
        crowds: Vec::new().into(),
    }
}

fn cities(_: Option<Country>) -> Vec<(Point, f64)> {
    vec![
        (
            Point {
                lat: 50.0,
                lon: 8.0,
            },
            3.0,
        ),
        (
            Point {
                lat: 35.0,
                lon: 139.0,
            },
            1.0,
        ),
    ]
}

fn steering(plan: &Plan, map: Map, answer: Answer, none: NoneLeft) -> Steering {
    let count = u32::try_from(plan.members.len()).expect("few");
    let member = |n| Walked {
        node: n,
        first: n,
        count: 1,
        weight: plan.members[n as usize].weight,
        route: None,
    };
    let address = |slot| Address {
        number: slot,
        slot,
        ip: IpAddr::from([192, 0, 2, u8::try_from(slot).expect("few")]),
    };
    Steering {
        spill: None,
        slowed: None,
        map: Arc::new(map),
        members: (0..count).map(member).collect(),
        addresses: (0..count).map(address).collect(),
        twins: false,
        answer,
        sticky: plan.sticky,
        none,
        aliases: BTreeMap::new(),
    }
}

fn table(up: &[bool]) -> Table {
    Table::new(up.iter().map(|&up| Word::new(up, STEADY, 0)).collect())
}

fn v4(addr: u32) -> Client {
    Client::V4 { addr, offset: 0 }
}

fn points(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((-90.0..90.0, -180.0..180.0), n)
}

fn blocks() -> impl Strategy<Value = Vec<(u32, u8, f64, f64)>> {
    prop::collection::vec((any::<u32>(), 0u8..=32, -90.0..90.0, -180.0..180.0), 0..20)
}

/// The order of a plan's members for a place, the slow way: bands cut from all of them, by the definition.
fn order_by_definition(plan: &Plan, km: &[f64], unit: u64) -> Vec<Entry> {
    let band_by_band = |mut left: Vec<u16>, km: &[f64], unit: u64, head: bool| {
        let wanted = usize::from(plan.answer.unwrap_or(1)) + 2;
        let mut out: Vec<Entry> = Vec::new();
        while !left.is_empty() && (!head || out.len() < wanted) {
            let nearest = left
                .iter()
                .map(|m| km[usize::from(*m)])
                .fold(f64::INFINITY, f64::min);
            let limit = plan.near.limit_km(nearest);
            let (mut band, rest): (Vec<u16>, _) =
                left.into_iter().partition(|m| km[usize::from(*m)] <= limit);
            left = rest;
            if plan.sticky {
                band.sort_by_cached_key(|m| {
                    let hash = rank::mix(
                        unit,
                        rank::hash(plan.members[usize::from(*m)].name.as_bytes()),
                    );
                    let drawn = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
                    let score = -drawn.ln() / f64::from(plan.members[usize::from(*m)].weight);
                    (score.to_bits(), hash)
                });
                let least = if out.is_empty() { 32 } else { 0 };
                band.truncate(if head {
                    least.max(wanted - out.len())
                } else {
                    usize::MAX
                });
            }
            out.extend(band.iter().enumerate().map(|(i, m)| Entry::new(*m, i == 0)));
        }
        out
    };
    let all: Vec<u16> = (0..u16::try_from(plan.members.len()).expect("few")).collect();
    let head = band_by_band(all.clone(), km, unit, true);
    let first = head[0].member();
    let anchor = plan.members[usize::from(first)].at;
    let km: Vec<f64> = plan.members.iter().map(|m| anchor.km(m.at)).collect();
    let mut others: Vec<u16> = all.into_iter().filter(|m| *m != first).collect();
    others.sort_by(|a, b| km[usize::from(*a)].total_cmp(&km[usize::from(*b)]));
    let unit = rank::mix(anchor.lat.to_bits(), anchor.lon.to_bits());
    let mut begins = true;
    let mut out = head.clone();
    for entry in band_by_band(others, &km, unit, false) {
        begins |= entry.begins_band();
        if head.iter().all(|h| h.member() != entry.member()) {
            out.push(Entry::new(entry.member(), std::mem::take(&mut begins)));
        }
    }
    out
}

/// Nodes, some of them at a few sites.
fn sites() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let site = prop_oneof![
        4 => (-90.0..90.0, -180.0..180.0),
        1 => (50.0..50.5, 8.0..8.5),
        1 => Just((35.0, 139.0)),
    ];
    prop::collection::vec(site, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Leaving out members that cannot matter changes nothing: everybody's list is what the definition says.
    #[test]
    fn lists_are_as_defined(nodes in sites(), clients in prop::collection::vec((-90.0f64..90.0, -180.0f64..180.0), 1..300), answer in 1u8..5, sticky: bool, factor in 1.0f64..2.0, slack in prop_oneof![Just(0.0), 1.0f64..500.0]) {
        let blocks: Vec<_> = (0u32..).zip(&clients).map(|(i, (lat, lon))| (i << 16, 16, *lat, *lon)).collect();
        let world = world(&blocks);
        let mut plan = plan(&nodes, Some(answer), Near { factor, slack_km: slack }, sticky);
        for (member, weight) in plan.members.iter_mut().zip([100, 0, 50].into_iter().cycle()) {
            member.weight = weight;
        }
        let map = compile(&plan, &world, &cities);
        for (addr, _, lat, lon) in blocks {
            let here = Point { lat, lon };
            let km: Vec<f64> = plan.members.iter().map(|m| here.km(m.at)).collect();
            let expected = order_by_definition(&plan, &km, rank::mix(lat.to_bits(), lon.to_bits()));
            prop_assert_eq!(map.find(v4(addr)).0.entries().collect::<Vec<_>>(), expected);
        }
        // Nothing is known of the last address: it is seen from where people live.
        let people: f64 = cities(None).iter().map(|c| c.1).sum();
        let mean = |m: &Member| cities(None).iter().map(|(at, n)| n / people * at.km(m.at)).sum();
        let km: Vec<f64> = plan.members.iter().map(mean).collect();
        let entries = map.find(v4(u32::MAX)).0.entries().collect::<Vec<_>>();
        prop_assert_eq!(entries, order_by_definition(&plan, &km, 0));
    }
}

proptest! {
    /// Nobody's list differs inside one scope, and the block one bit wider has another list in it.
    #[test]
    fn scopes_are_true_and_widest(nodes in points(1..9), blocks in blocks(), asked: Vec<u32>, inside: u32, near in 1.0f64..2.0) {
        let world = world(&blocks);
        let plan = plan(&nodes, Some(1), Near { factor: near, slack_km: 100.0 }, true);
        let map = compile(&plan, &world, &cities);
        let entries = |addr| map.find(v4(addr)).0.entries().collect::<Vec<_>>();
        for addr in asked.into_iter().chain(blocks.iter().map(|b| b.0)) {
            let (list, scope) = map.find(v4(addr));
            let host = u32::MAX.checked_shr(scope.into()).unwrap_or(0);
            let other = (addr & !host) | (inside & host);
            prop_assert_eq!(list.entries().collect::<Vec<_>>(), entries(other));
            prop_assert_eq!(map.find(v4(other)).1, scope, "blocks of one range do not overlap");
            if scope > 0 {
                let wider = host << 1 | 1;
                let differs = blocks.iter().flat_map(|b| {
                    let net = Prefix::holding(std::net::Ipv4Addr::from_bits(b.0).into(), b.1);
                    let IpAddr::V4(first) = net.addr else { unreachable!("IPv4") };
                    let last = first.to_bits() | u32::MAX.checked_shr(b.1.into()).unwrap_or(0);
                    [first.to_bits(), first.to_bits().wrapping_sub(1), last, last.wrapping_add(1)]
                }).filter(|other| other & !wider == addr & !wider).any(|other| entries(other) != entries(addr));
                prop_assert!(differs, "a scope of {} around {} could be wider", scope, addr);
            }
        }
    }

    /// With a band of one, the oracle is the distance: the nearest in service of the head, else of all.
    #[test]
    fn the_nearest_in_service_is_given(nodes in points(1..12), client in (-90.0f64..90.0, -180.0f64..180.0), up in prop::collection::vec(any::<bool>(), 12)) {
        let world = world(&[(0, 0, client.0, client.1)]);
        let plan = plan(&nodes, Some(1), BAND_OF_ONE, true);
        let steering = steering(&plan, compile(&plan, &world, &cities), Answer::Nodes(1), NoneLeft::NoData);
        let up = &up[..nodes.len()];
        let choice = steering.walk(v4(7), &table(up), 0, &mut ());
        let here = Point { lat: client.0, lon: client.1 };
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|a, b| here.km(plan.members[*a].at).total_cmp(&here.km(plan.members[*b].at)));
        match order.iter().position(|n| up[*n]) {
            None => prop_assert_eq!(choice.outcome, Outcome::NoData),
            Some(rank) if rank < 3 => prop_assert_eq!(usize::from(choice.members()[0]), order[rank]),
            Some(_) => prop_assert!(up[usize::from(choice.members()[0])]),
        }
    }

    /// Every list holds every member once, whatever the policy.
    #[test]
    fn lists_are_complete(nodes in points(1..30), blocks in blocks(), answer in prop::option::of(1u8..5), sticky: bool, factor in 1.0f64..3.0, asked: u32) {
        let plan = plan(&nodes, answer, Near { factor, slack_km: 200.0 }, sticky);
        let map = compile(&plan, &world(&blocks), &cities);
        let mut members: Vec<u16> = map.find(v4(asked)).0.entries().map(Entry::member).collect();
        prop_assert!(map.find(v4(asked)).0.entries().next().is_some_and(Entry::begins_band));
        members.sort_unstable();
        prop_assert_eq!(members, (0..u16::try_from(nodes.len()).expect("few")).collect::<Vec<_>>());
    }

    /// Losing a node moves only its own clients.
    #[test]
    fn a_lost_node_moves_only_its_clients(units in prop::collection::vec((-90.0f64..90.0, -180.0f64..180.0), 1..30), lost in 0usize..5) {
        let nodes = [(50.0, 8.0); 5];
        let blocks: Vec<_> = (0u32..).zip(&units).map(|(i, (lat, lon))| (i << 24, 8, *lat, *lon)).collect();
        let plan = plan(&nodes, Some(1), Near::default(), true);
        let steering = steering(&plan, compile(&plan, &world(&blocks), &cities), Answer::Nodes(1), NoneLeft::NoData);
        let mut up = [true; 5];
        let before = |addr| steering.walk(v4(addr), &table(&[true; 5]), 0, &mut ()).members()[0];
        up[lost] = false;
        for block in blocks {
            let after = steering.walk(v4(block.0), &table(&up), 0, &mut ()).members()[0];
            prop_assert!(before(block.0) == after || usize::from(before(block.0)) == lost);
        }
    }
}

#[test]
fn weights_hold_over_many_places() {
    let mut plan = plan(&[(50.0, 8.0); 3], Some(1), Near::default(), true);
    plan.members[0].weight = 200;
    plan.members[2].weight = 0;
    let blocks: Vec<_> = (0..4000u32)
        .map(|i| (i << 20, 12, f64::from(i) / 50.0, f64::from(i % 90)))
        .collect();
    let steering = steering(
        &plan,
        compile(&plan, &world(&blocks), &cities),
        Answer::Nodes(1),
        NoneLeft::NoData,
    );
    let mut given = [0; 3];
    for block in &blocks {
        given[usize::from(
            steering
                .walk(v4(block.0), &table(&[true; 3]), 0, &mut ())
                .members()[0],
        )] += 1;
    }
    // Two thirds of 4,000 with a standard deviation of 30.
    assert!((2517..=2817).contains(&given[0]), "{given:?}");
    assert_eq!(given[2], 0, "weight 0 is a spare");
    let spare = steering.walk(v4(0), &table(&[false, false, true]), 0, &mut ());
    assert_eq!(spare.members(), [2]);
}

#[test]
fn without_stickiness_nodes_are_drawn_by_weight() {
    let mut plan = plan(
        &[(50.0, 8.0), (50.0, 8.1), (50.0, 8.2), (0.0, 100.0)],
        Some(2),
        Near::default(),
        false,
    );
    plan.members[0].weight = 300;
    let world = world(&[(0, 0, 50.0, 8.0)]);
    let steering = steering(
        &plan,
        compile(&plan, &world, &cities),
        Answer::Nodes(1),
        NoneLeft::NoData,
    );
    let mut given = [0; 4];
    for draw in 0..10_000u64 {
        let choice = steering.walk(
            v4(1),
            &table(&[true; 4]),
            draw.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            &mut (),
        );
        assert_eq!(choice.members().len(), 1);
        given[usize::from(choice.members()[0])] += 1;
    }
    assert!((5850..=6150).contains(&given[0]), "{given:?}");
    assert!((1880..=2120).contains(&given[1]), "{given:?}");
    assert_eq!(given[3], 0, "the far one is not in the band");
}

#[test]
fn an_answer_is_not_filled_up_from_afar() {
    let plan = plan(
        &[(50.0, 8.0), (50.1, 8.0), (35.0, 139.0), (35.1, 139.0)],
        Some(2),
        Near::default(),
        true,
    );
    let world = world(&[(0, 0, 50.0, 8.0)]);
    let steering = steering(
        &plan,
        compile(&plan, &world, &cities),
        Answer::Nodes(2),
        NoneLeft::NoData,
    );
    let given = |up: [bool; 4]| {
        let mut members = steering
            .walk(v4(1), &table(&up), 0, &mut ())
            .members()
            .to_vec();
        members.sort_unstable();
        members
    };
    assert_eq!(given([true; 4]), [0, 1]);
    assert_eq!(given([false, true, true, true]), [1]);
    assert_eq!(given([false, false, true, true]), [2, 3]);
}

/// "All addresses of an answer come from the band when the band has enough" (SPEC 3.6), however many of it are out.
#[test]
fn an_answer_is_filled_up_from_its_band() {
    let mut places = vec![(50.0, 8.0); 12];
    places.push((35.0, 139.0));
    let plan = plan(&places, Some(2), Near::default(), true);
    let map = compile(&plan, &world(&[(0, 0, 50.0, 8.0)]), &cities);
    let steering = steering(&plan, map, Answer::Nodes(2), NoneLeft::NoData);
    let mut up = [true; 13];
    for left in (2..=12).rev() {
        let given = steering
            .walk(v4(1), &table(&up), 0, &mut ())
            .members()
            .to_vec();
        assert_eq!(given.len(), 2, "of {left} in service");
        assert!(!given.contains(&12));
        up[usize::from(given[0])] = false;
    }
}

/// Clients beside a node, and those who are given that node because nothing is known of them: one list, one range.
#[test]
fn equal_lists_are_one_list() {
    let mut plan = plan(
        &[(50.0, 8.0), (52.0, 8.0), (35.0, 139.0)],
        Some(1),
        BAND_OF_ONE,
        true,
    );
    plan.unknown = Unknown::Members(vec![0]);
    let map = compile(
        &plan,
        &world(&[(0x0a00_0000, 8, 50.0, 8.0), (0xc000_0000, 2, 35.0, 139.0)]),
        &cities,
    );
    assert_eq!(
        map.find(v4(0x0a00_0001)).1,
        1,
        "up to where the third node's clients begin"
    );
    let order = |addr| {
        map.find(v4(addr))
            .0
            .entries()
            .map(Entry::member)
            .collect::<Vec<_>>()
    };
    assert_eq!(order(0x0a00_0001), [0, 1, 2]);
    assert_eq!(order(0xc000_0001), [2, 1, 0]);
}

#[test]
fn countries_are_ranked_by_where_their_people_live() {
    let plan = plan(&[(35.0, 139.0), (50.0, 8.0)], Some(1), BAND_OF_ONE, true);
    let net = Prefix::holding(IpAddr::from([10, 0, 0, 0]), 8);
    let world = World::build(
        &[],
        &[Override {
            subject: Subject::Net(net),
            at: None,
            country: Country::new("de"),
        }],
    );
    let map = compile(&plan, &world, &cities);
    assert_eq!(
        map.find(v4(0x0a00_0001))
            .0
            .entries()
            .next()
            .map(Entry::member),
        Some(1)
    );
}

#[test]
fn cities_without_a_population_count_alike() {
    let plan = plan(&[(35.0, 139.0), (50.0, 8.0)], Some(1), BAND_OF_ONE, true);
    let nobody = |_| {
        vec![(
            Point {
                lat: 50.0,
                lon: 8.0,
            },
            0.0,
        )]
    };
    let map = compile(&plan, &world(&[]), &nobody);
    assert_eq!(
        map.find(v4(0)).0.entries().next().map(Entry::member),
        Some(1)
    );
}

#[test]
fn nobody_left() {
    let plan = plan(
        &[(50.0, 8.0), (51.0, 8.0), (35.0, 139.0)],
        Some(1),
        BAND_OF_ONE,
        true,
    );
    let world = world(&[(0, 0, 50.0, 8.0)]);
    let map = compile(&plan, &world, &cities);
    let words = [10, 30, 20]
        .map(|last| Word::new(false, STEADY, last))
        .to_vec();
    let given = |none| {
        let choice = steering(&plan, map.clone(), Answer::Nodes(1), none).walk(
            v4(1),
            &Table::new(words.clone()),
            0,
            &mut (),
        );
        (choice.members().to_vec(), choice.outcome)
    };
    assert_eq!(given(NoneLeft::LeastBad), (vec![1], Outcome::FailOpen));
    assert_eq!(given(NoneLeft::Nearest), (vec![0], Outcome::FailOpen));
    assert_eq!(given(NoneLeft::All), (vec![0, 1, 2], Outcome::FailOpen));
    assert_eq!(given(NoneLeft::NoData), (vec![], Outcome::NoData));
    assert_eq!(given(NoneLeft::ServFail), (vec![], Outcome::ServFail));
}

/// What a plan with limits compiles to is, for clients whom no limit concerns, what the plan without them compiles to.
#[test]
fn limits_that_concern_nobody_change_nothing() {
    let places: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), f64::from(i * 4))).collect();
    let blocks: Vec<_> = (0..64u32)
        .map(|i| (i << 26, 6, f64::from(i), f64::from(i * 2)))
        .collect();
    let (world, mut plan) = (
        world(&blocks),
        plan(&places, Some(2), Near::default(), true),
    );
    let plain = compile(&plan, &world, &cities);
    plan.members[7].limit.except = vec![Selector::Continent("AN")];
    let limited = compile(&plan, &world, &cities);
    assert_eq!(plain.size(), limited.size());
    for (addr, ..) in blocks {
        let entries = |map: &Map| map.find(v4(addr)).0.entries().collect::<Vec<_>>();
        assert_eq!(entries(&plain), entries(&limited));
        assert_eq!(plain.find(v4(addr)).1, limited.find(v4(addr)).1);
    }
}

/// Whatever else is in service: a name alone, or as many addresses as there are, and the first is who would be first without names.
#[test]
fn who_is_given_by_name_is_given_alone() {
    let places = [(50.0, 8.0), (50.0, 8.1), (50.1, 8.0), (50.1, 8.1)];
    let plan = plan(&places, Some(2), Near::default(), true);
    let map = compile(&plan, &world(&[(0, 0, 50.0, 8.0)]), &cities);
    let bits = |mask: u16| (0..4).filter(move |n| mask >> n & 1 == 1);
    let nones = [NoneLeft::Nearest, NoneLeft::All, NoneLeft::LeastBad];
    for (up, named) in (0..16).flat_map(|up| (1..16).map(move |named| (up, named))) {
        for (none, sticky) in nones.iter().flat_map(|n| [(n, true), (n, false)]) {
            let mut steering = steering(&plan, map.clone(), Answer::Nodes(2), none.clone());
            steering.sticky = sticky;
            let table = table(&[0, 1, 2, 3].map(|n| up >> n & 1 == 1));
            let walk = |s: &Steering| s.walk(v4(1), &table, u64::from(up), &mut ());
            let plain = walk(&steering);
            let name = Arc::new(Name::absolute("cdn.example").unwrap());
            steering.aliases = bits(named).map(|n| (n, Arc::clone(&name))).collect();
            let choice = walk(&steering);
            assert_eq!(choice.outcome, plain.outcome);
            let given = choice.members();
            let first = plain.members()[0];
            if named >> first & 1 == 1 {
                assert_eq!(given, [first], "{up:b} {named:b}");
                continue;
            }
            let all = match none {
                NoneLeft::LeastBad if up == 0 => bits(1 << first).count(),
                _ if up == 0 => bits(!named & 15).count(),
                _ => bits(up & !named).count(),
            };
            let most = if up == 0 && *none == NoneLeft::All {
                4
            } else {
                2
            };
            assert_eq!(given.len(), all.min(most), "{up:b} {named:b} {given:?}");
            assert_eq!(given[0], first);
            assert!(given.iter().all(|m| named >> m & 1 == 0));
        }
    }
}
