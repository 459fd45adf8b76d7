//! Which members a client may be given, and which of them come before others whatever the distances.

use super::Plan;
use crate::policy::selector::Whom;
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
        self.members.iter().all(|m| m.limit.is_open())
    }

    /// The networks that decide who is given whom, each once.
    pub(super) fn nets(&self) -> Vec<Prefix> {
        let mut nets: Vec<Prefix> = self.members.iter().flat_map(|m| m.limit.nets()).collect();
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
        vec![(0..).zip(&self.members).filter_map(may).collect()]
    }

    /// Why a client is never given a member, in words.
    #[must_use]
    pub fn why_never(&self, member: u16, whom: Whom) -> Option<String> {
        self.members[usize::from(member)].limit.shuts_out(whom)
    }
}
