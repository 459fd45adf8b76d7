//! What a pool's map is compiled from: nodes to members, indices of nodes to numbers of members.

use crate::geo::Point;
use crate::policy::{
    Answer, Member, Node, Plan, PlanMember, PlanRule, Pool, Reserve, Route, Rule, Unknown,
    UnknownClient,
};

/// Reserves that have not joined come after all tiers, if no tier of their own puts them behind those that serve first.
const BEHIND: u16 = 1000;

/// The plan of a pool for the members of one family; no reserve has joined.
pub(super) fn of(
    pool: &Pool,
    members: &[Member],
    (nodes, server): (&[Node], Option<Point>),
    reserves: &[Reserve],
) -> Plan {
    let member = |m: &Member| {
        let node = &nodes[m.node as usize];
        PlanMember {
            name: node.name.clone(),
            at: node.at.expect("nodes without a place were refused"),
            weight: m.weight,
            limit: node.limit.clone(),
            country: node.country,
            asn: node.asn,
            home: route(node, m).map_or_else(Vec::new, |r| r.clients.clone()),
            private: route(node, m).is_some_and(|r| r.private),
            tier: node.tier.into(),
            bias: node.bias,
        }
    };
    let answer = match pool.answer {
        Answer::Nodes(n) => Some(n),
        Answer::All => None,
    };
    let plan = Plan {
        members: members.iter().map(member).collect(),
        answer,
        near: pool.near,
        sticky: pool.sticky,
        spread: pool.spread,
        unknown: unknown(pool, members, server),
        rules: pool.rules.iter().map(|r| rule(r, members)).collect(),
        prefer: pool.prefer.clone(),
        latency: Vec::new().into(),
        max_share: pool.max_share,
        slowed: Vec::new(),
        crowds: Vec::new().into(),
    };
    with_joined(&plan, reserves, 0)
}

/// The same with so many of the reserves among those that serve first.
pub(super) fn with_joined(plan: &Plan, reserves: &[Reserve], joined: usize) -> Plan {
    let mut plan = plan.clone();
    let first = first(plan.members.len(), reserves);
    let tiers = first.iter().map(|m| plan.members[usize::from(*m)].tier);
    let lowest = tiers.min().unwrap_or(1);
    for (place, reserve) in (0..).zip(reserves) {
        for member in &reserve.members {
            let tier = &mut plan.members[usize::from(*member)].tier;
            if usize::from(place) < joined {
                *tier = lowest;
            } else if *tier <= lowest {
                *tier = BEHIND + place;
            }
        }
    }
    plan
}

/// The members that are in no reserve.
pub(super) fn first(members: usize, reserves: &[Reserve]) -> Vec<u16> {
    let reserved = |m: &u16| reserves.iter().any(|r| r.members.contains(m));
    let all = 0..u16::try_from(members).unwrap_or(u16::MAX);
    all.filter(|m| !reserved(m)).collect()
}

/// What nodes can serve: what they state if all do, else their weights.
pub(super) fn capacities(members: &[Member], nodes: &[Node]) -> Vec<Option<u64>> {
    let node = |m: &Member| &nodes[m.node as usize];
    let all = members.iter().all(|m| node(m).capacity.is_some());
    let capacity = |(number, m): (usize, &Member)| {
        let before = number.checked_sub(1).map(|before| members[before].node);
        let counts = before == Some(m.node);
        let stated = node(m).capacity.filter(|_| all);
        (!counts).then(|| stated.unwrap_or(node(m).weight).into())
    };
    members.iter().enumerate().map(capacity).collect()
}

/// The route whose addresses a member has; none: it has those for everybody.
fn route<'n>(node: &'n Node, member: &Member) -> Option<&'n Route> {
    node.routes.get(usize::from(member.route?))
}

/// The reserves of a pool; a node that is in two is in the first.
pub(super) fn reserves(pool: &Pool, members: &[Member]) -> Vec<Reserve> {
    let mut taken: Vec<u16> = Vec::new();
    let reserve = |low: &crate::policy::Low| {
        let nodes = low.uses.nodes.as_deref().unwrap_or_default();
        let mut own = numbers(nodes, members);
        own.retain(|m| !taken.contains(m));
        taken.extend(&own);
        Reserve {
            name: low.uses.text.clone(),
            below: low.below,
            members: own,
        }
    };
    pool.low.iter().map(reserve).collect()
}

fn unknown(pool: &Pool, members: &[Member], server: Option<Point>) -> Unknown {
    match &pool.unknown {
        UnknownClient::Server => server.map_or(Unknown::Anywhere, Unknown::At),
        UnknownClient::Nodes(nodes) => {
            let listed = numbers(nodes, members);
            if listed.is_empty() {
                Unknown::Anywhere
            } else {
                Unknown::Members(listed)
            }
        }
    }
}

fn rule(rule: &Rule, members: &[Member]) -> PlanRule {
    let uses = rule.uses.iter();
    PlanRule {
        from: rule.from.clone(),
        uses: uses
            .map(|u| Some(numbers(u.nodes.as_ref()?, members)))
            .collect(),
    }
}

/// The members that nodes are, in the nodes' order; those without addresses of the family are none, those with addresses for some
/// clients several.
fn numbers(nodes: &[usize], members: &[Member]) -> Vec<u16> {
    let of = |node: &usize| {
        let node = *node;
        let own = (0..)
            .zip(members)
            .filter(move |(_, m)| m.node as usize == node);
        own.map(|(number, _)| number)
    };
    nodes.iter().flat_map(of).collect()
}
