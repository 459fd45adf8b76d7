//! Which members a client may be given, and which of them come before others whatever the distances.

use super::Plan;
use crate::policy::selector::{self, Whom};
use crate::prefix::{Client, Prefix};

/// Members that a client may be given: each group comes before the next, in itself ordered by distance.
pub(super) type Groups = Vec<Vec<u16>>;

impl Whom {
    /// A client at a place.
    #[must_use]
    pub fn of(client: Client, place: &crate::geo::Place) -> Self {
        let net = Prefix::holding(client.addr(), u8::MAX);
        Self {
            country: place.country,
            net: Some(net),
        }
    }
}

impl Plan {
    /// Whether all clients may be given all members, the nearest first.
    pub(super) fn is_plain(&self) -> bool {
        self.rules.is_empty() && self.members.iter().all(|m| m.limit.is_open())
    }

    /// The networks that decide who is given whom, each once.
    pub(super) fn nets(&self) -> Vec<Prefix> {
        let mut nets: Vec<Prefix> = self.members.iter().flat_map(|m| m.limit.nets()).collect();
        nets.extend(selector::nets(self.rules.iter().flat_map(|r| &r.from)));
        nets.sort_unstable();
        nets.dedup();
        nets
    }

    /// The members for a client, in groups.
    pub(super) fn groups(&self, whom: Whom) -> Groups {
        let may = |(number, member): (u16, &super::Member)| {
            let open = member.limit.is_open() || member.limit.shuts_out(whom).is_none();
            open.then_some(number)
        };
        let mut left: Vec<u16> = (0..).zip(&self.members).filter_map(may).collect();
        let Some((_, rule)) = self.rule(whom) else {
            return vec![left];
        };
        let named: Vec<u16> = rule.uses.iter().flatten().flatten().copied().collect();
        let mut groups = Groups::new();
        for used in &rule.uses {
            let meant = |m: &u16| match used {
                Some(members) => members.contains(m),
                None => !named.contains(m),
            };
            let (group, rest) = left.into_iter().partition(meant);
            groups.push(group);
            left = rest;
        }
        groups
    }

    /// The rule for a client, and its number from 1.
    fn rule(&self, whom: Whom) -> Option<(usize, &super::PlanRule)> {
        let holds = |rule: &super::PlanRule| {
            rule.from.is_empty() || rule.from.iter().any(|s| s.means(whom))
        };
        (1..).zip(&self.rules).find(|(_, rule)| holds(rule))
    }

    /// The number of the rule that puts a client's member behind another.
    #[must_use]
    pub fn put_behind(&self, member: u16, other: u16, whom: Whom) -> Option<usize> {
        let (number, _) = self.rule(whom)?;
        let groups = self.groups(whom);
        let group = |m: u16| groups.iter().position(|g| g.contains(&m));
        (group(member) > group(other)).then_some(number)
    }

    /// Why a client is never given a member, in words.
    #[must_use]
    pub fn why_never(&self, member: u16, whom: Whom) -> Option<String> {
        let shut = self.members[usize::from(member)].limit.shuts_out(whom);
        shut.or_else(|| {
            let (number, rule) = self.rule(whom)?;
            let named = |used: &Option<Vec<u16>>| used.as_ref().is_none_or(|u| u.contains(&member));
            (!rule.uses.iter().any(named)).then(|| format!("not named by rule {number}"))
        })
    }
}
