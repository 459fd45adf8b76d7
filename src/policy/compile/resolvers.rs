//! Resolvers that a pool tells apart: which `resolver:` selectors mean which addresses, and the plan of each kind.

use hashbrown::HashMap;

use super::Plan;
use crate::geo::World;
use crate::policy::map::aligned;
use crate::policy::selector::{Resolver, Selector, Whom};
use crate::policy::trie::Trie;
use crate::prefix::{Client, Prefix};

/// Kinds of resolvers by their addresses.
#[derive(Clone, Debug)]
pub struct Resolvers {
    v4: Trie,
    v6: Trie,
}

impl Resolvers {
    /// The kind of a resolver; 0 for those that no selector means.
    #[must_use]
    #[inline]
    pub fn kind(&self, resolver: Client) -> usize {
        let (kind, _) = match resolver {
            Client::V4 { addr, .. } => self.v4.get(aligned(addr)),
            Client::V6(upper) => self.v6.get(upper),
        };
        kind as usize
    }

    /// Octets that it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.v4.octets() + self.v6.octets()
    }
}

impl Plan {
    /// The kinds of resolvers that it tells apart, and what it is for each from the first on; none: it is the same for all.
    #[must_use]
    pub fn by_resolver(&self, world: &World) -> Option<(Resolvers, Vec<Self>)> {
        let mut asked: Vec<Resolver> = self
            .selectors()
            .filter_map(|selector| match selector {
                Selector::Resolver(resolver, _) => Some(*resolver),
                _ => None,
            })
            .collect();
        if asked.is_empty() {
            return None;
        }
        asked.sort_unstable();
        asked.dedup();
        let (mut nets, mut asns): (Vec<Prefix>, Vec<u32>) = (Vec::new(), Vec::new());
        for resolver in &asked {
            match resolver {
                Resolver::Net(net) => nets.push(*net),
                Resolver::Asn(asn) => asns.push(*asn),
            }
        }
        // Which selectors mean a kind; nobody's is the first.
        let mut kinds = vec![vec![false; asked.len()]];
        let mut known = HashMap::new();
        let mut kind = |net: Option<u32>, asn: u32| {
            *known.entry((net, asn)).or_insert_with(|| {
                let whom = Whom {
                    country: None,
                    subdivision: None,
                    asn: Some(asn).filter(|asn| *asn != 0),
                    net: net.map(|n| nets[n as usize]),
                };
                let held: Vec<bool> = asked.iter().map(|r| r.selector().means(whom)).collect();
                let same = kinds.iter().position(|k| *k == held);
                let kind = same.unwrap_or_else(|| {
                    kinds.push(held);
                    kinds.len() - 1
                });
                u32::try_from(kind).expect("fewer than networks and systems")
            })
        };
        let v4 = world.v4_within(&nets, &asns);
        let v4 = Trie::new(v4.map(|(start, spot)| (aligned(start), kind(spot.net, spot.asn))));
        let v6 = world.v6_within(&nets, &asns);
        let v6 = Trie::new(v6.map(|(start, spot)| (start, kind(spot.net, spot.asn))));
        let of_kind = |held: &Vec<bool>| {
            self.with_resolver(|resolver| asked.iter().zip(held).any(|(r, h)| r == resolver && *h))
        };
        Some((
            Resolvers { v4, v6 },
            kinds[1..].iter().map(of_kind).collect(),
        ))
    }

    /// The same for resolvers that some selectors mean.
    fn with_resolver(&self, means: impl Fn(&Resolver) -> bool) -> Self {
        let mut plan = self.clone();
        let members = plan.members.iter_mut();
        let of_members = members.flat_map(|m| {
            let limit = m.limit.only.iter_mut().chain(&mut m.limit.except);
            limit.chain(&mut m.home)
        });
        let of_rules = plan.rules.iter_mut().flat_map(|r| &mut r.from);
        for selector in of_members.chain(of_rules) {
            if let Selector::Resolver(resolver, held) = selector {
                *held = means(resolver);
            }
        }
        plan
    }
}
