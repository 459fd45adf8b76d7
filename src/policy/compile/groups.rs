//! Which members a client may be given, and which of them come before others whatever the distances.

use super::{Member, Plan, PlanRule};
use crate::geo::{Place, Subject, World, continent};
use crate::policy::Prefer;
use crate::policy::selector::{Selector, Whom};
use crate::prefix::{Client, Prefix};

/// Members that a client may be given: each group comes before the next, in itself ordered by distance.
pub(super) type Groups = Vec<Vec<u16>>;

/// How far behind the first a member stands with a client, by one [`Step`] after the other: those that are equal are a group.
type Standing = Vec<u16>;

/// What members are told apart by before distance.
#[derive(Clone, Copy)]
enum Step {
    /// Addresses that are for other clients come last.
    Elsewhere,
    Rule,
    Tier,
    Prefer(Prefer),
}

impl Whom {
    /// A client in the world.
    #[must_use]
    pub fn of(client: Client, world: &World) -> Self {
        let Place {
            country,
            subdivision,
            ..
        } = world.locate(client).0;
        let net = Prefix::holding(client.addr(), u8::MAX);
        Self {
            country,
            subdivision,
            asn: world.asn(client).map(|asn| asn.number),
            net: Some(net),
        }
    }
}

impl Plan {
    /// Whether all clients may be given all members, the nearest first.
    pub(super) fn is_plain(&self) -> bool {
        let alike =
            |m: &Member| m.limit.is_open() && m.home.is_empty() && m.tier == self.members[0].tier;
        self.rules.is_empty()
            && self.prefer.is_empty()
            && self.latency.is_empty()
            && !self.is_biased()
            && !self.is_shared()
            && self.members.iter().all(alike)
    }

    /// Whether some member counts nearer or farther than it is.
    pub(super) fn is_biased(&self) -> bool {
        self.members.iter().any(|m| m.bias.0 != 0)
    }

    /// All that decides who is given whom.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let limits = self.members.iter().flat_map(|m| m.limit.selectors());
        limits
            .chain(self.members.iter().flat_map(|m| &m.home))
            .chain(self.rules.iter().flat_map(|r| &r.from))
    }

    /// The networks that decide who is given whom, each once.
    pub(super) fn nets(&self) -> Vec<Prefix> {
        let net = |selector: &Selector| match selector {
            Selector::Net(net) => Some(*net),
            _ => None,
        };
        once(self.selectors().filter_map(net))
    }

    /// The autonomous systems that decide who is given whom, each once, in order.
    pub(super) fn asns(&self) -> Vec<u32> {
        let asn = |selector: &Selector| match selector {
            Selector::Asn(asn) => Some(*asn),
            _ => None,
        };
        let preferred = self.prefer.contains(&Prefer::Asn);
        let own = self.members.iter().filter(|_| preferred);
        once(
            self.selectors()
                .filter_map(asn)
                .chain(own.filter_map(|m| m.asn)),
        )
    }

    /// The networks and autonomous systems that ranges are cut by: those, and those that were measured.
    pub(super) fn cut_by(&self) -> (Vec<Prefix>, Vec<u32>) {
        let (mut nets, mut asns) = (self.nets(), self.asns());
        for measured in &*self.latency {
            match measured.subject {
                Subject::Net(net) => nets.push(net),
                Subject::Asn(asn, _) => asns.push(asn),
            }
        }
        (once(nets.into_iter()), once(asns.into_iter()))
    }

    /// Whether it matters in which part of its country a client is.
    pub(super) fn asks_for_subdivision(&self) -> bool {
        self.selectors()
            .any(|s| matches!(s, Selector::Subdivision(..)))
    }

    /// The members for a client, in groups.
    pub(super) fn groups(&self, whom: Whom) -> Groups {
        let rule = self.rule(whom).map(|(_, rule)| rule);
        let numbers = (0..).zip(&self.members).map(|(number, _)| number);
        let standing = |number: u16| Some((self.standing(number, rule, whom)?, number));
        let mut standings: Vec<(Standing, u16)> = numbers.filter_map(standing).collect();
        standings.sort_unstable();
        let equal = |a: &(Standing, u16), b: &(Standing, u16)| a.0 == b.0;
        let groups = standings.chunk_by(equal);
        groups
            .map(|group| group.iter().map(|(_, number)| *number).collect())
            .collect()
    }

    fn steps(&self) -> impl Iterator<Item = Step> {
        let prefer = self.prefer.iter().map(|prefer| Step::Prefer(*prefer));
        [Step::Elsewhere, Step::Rule, Step::Tier]
            .into_iter()
            .chain(prefer)
    }

    /// How a member stands with a client for whom a rule holds; none: it is never given to such a client.
    fn standing(&self, number: u16, rule: Option<&PlanRule>, whom: Whom) -> Option<Standing> {
        let member = &self.members[usize::from(number)];
        if !member.limit.is_open() && member.limit.shuts_out(whom).is_some() {
            return None;
        }
        let elsewhere = u16::from(self.is_elsewhere(number, whom)?);
        let used = rule.map_or(Some(0), |rule| rule.place(number))?;
        let behind = |step: Step| match step {
            Step::Elsewhere => elsewhere,
            Step::Rule => used,
            Step::Tier => member.tier,
            Step::Prefer(Prefer::Order) => number,
            Step::Prefer(prefer) => u16::from(!member.shares(prefer, whom)),
        };
        Some(self.steps().map(behind).collect())
    }

    /// Whether a member's addresses are for other clients, as the first of its name that is for this one is another; none: they are
    /// never given to it.
    fn is_elsewhere(&self, number: u16, whom: Whom) -> Option<bool> {
        let member = &self.members[usize::from(number)];
        let same = || self.of_name(number);
        let own = same().find(|(_, m)| m.home.iter().any(|s| s.means(whom)));
        // Without one for it, those for everybody; without such, the first that others may have.
        let own = own
            .or_else(|| same().find(|(_, m)| m.home.is_empty()))
            .or_else(|| same().find(|(_, m)| !m.private));
        let elsewhere = own.is_none_or(|(own, _)| own != number);
        (!elsewhere || !member.private).then_some(elsewhere)
    }

    /// The members of the same name as one, with their numbers.
    fn of_name(&self, number: u16) -> impl Iterator<Item = (u16, &Member)> {
        let at = usize::from(number);
        let same = move |m: &&Member| m.name == self.members[at].name;
        let before = self.members[..at].iter().rev().take_while(same).count();
        let first = number - u16::try_from(before).expect("it is below the number");
        (first..).zip(self.members[at - before..].iter().take_while(same))
    }

    /// The rule for a client, and its number from 1.
    fn rule(&self, whom: Whom) -> Option<(usize, &PlanRule)> {
        let holds =
            |rule: &PlanRule| rule.from.is_empty() || rule.from.iter().any(|s| s.means(whom));
        (1..).zip(&self.rules).find(|(_, rule)| holds(rule))
    }

    /// Why a client's member stands behind another whatever the distances, in words; none: it does not.
    #[must_use]
    pub fn why_behind(&self, member: u16, other: u16, whom: Whom) -> Option<String> {
        let rule = self.rule(whom);
        let standing = |number| self.standing(number, rule.map(|r| r.1), whom);
        let (mine, others) = (standing(member)?, standing(other)?);
        let mut both = mine.iter().zip(&others).zip(self.steps());
        let ((mine, others), step) = both.find(|((mine, others), _)| mine != others)?;
        if mine < others {
            return None;
        }
        Some(match step {
            Step::Elsewhere => "its addresses are for other clients".into(),
            Step::Rule => format!("behind others by rule {}", rule.map_or(0, |r| r.0)),
            Step::Tier => format!("behind those of tier {others}"),
            Step::Prefer(Prefer::Network) => "not in the client's network".into(),
            Step::Prefer(Prefer::Asn) => "not in the client's AS".into(),
            Step::Prefer(Prefer::Country) => "not in the client's country".into(),
            Step::Prefer(Prefer::Continent) => "not on the client's continent".into(),
            Step::Prefer(Prefer::Order) => "listed after".into(),
        })
    }

    /// Why a client is never given a member, in words.
    #[must_use]
    pub fn why_never(&self, member: u16, whom: Whom) -> Option<String> {
        let shut = self.members[usize::from(member)].limit.shuts_out(whom);
        let private = || {
            let elsewhere = self.is_elsewhere(member, whom).is_none();
            let home = &self.members[usize::from(member)].home;
            let home: Vec<String> = home.iter().map(ToString::to_string).collect();
            elsewhere.then(|| format!("only for {}", home.join(", ")))
        };
        shut.or_else(private).or_else(|| {
            let (number, rule) = self.rule(whom)?;
            let named = rule.place(member).is_some();
            (!named).then(|| format!("not named by rule {number}"))
        })
    }
}

impl PlanRule {
    /// Which of its entries means a member, counted from 0.
    fn place(&self, member: u16) -> Option<u16> {
        let named = || self.uses.iter().flatten().any(|u| u.contains(&member));
        let means = |used: &Option<Vec<u16>>| match used {
            Some(members) => members.contains(&member),
            None => !named(),
        };
        (0..)
            .zip(&self.uses)
            .find(|(_, u)| means(u))
            .map(|(n, _)| n)
    }
}

impl Member {
    /// Whether it has something in common with a client.
    fn shares(&self, what: Prefer, whom: Whom) -> bool {
        let same = |of: fn(crate::geo::Country) -> Option<&'static str>| {
            let (mine, theirs) = (self.country.and_then(of), whom.country.and_then(of));
            mine.is_some() && mine == theirs
        };
        match what {
            Prefer::Network => self.home.iter().any(|s| s.means(whom)),
            Prefer::Asn => self.asn.is_some() && self.asn == whom.asn,
            Prefer::Country => self.country.is_some() && self.country == whom.country,
            Prefer::Continent => same(continent),
            Prefer::Order => false,
        }
    }
}

/// In order, each once.
fn once<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}
