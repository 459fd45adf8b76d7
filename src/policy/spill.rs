//! What happens while too little of a pool is in service: others join, one step after the other.

use std::sync::Arc;

use super::map::Map;
use super::pool::Below;
use crate::health::Table;

/// The steps of a pool for one family, each with a map of its own.
#[derive(Clone, Debug)]
pub struct Spill {
    /// Where the table of the generation keeps the step that holds.
    pub number: u32,
    /// The members that serve as long as enough of them do.
    pub first: Vec<u16>,
    /// Those that join, step by step.
    pub reserves: Vec<Reserve>,
    /// What each member can serve, in any unit, by their numbers; none for further addresses of a node that counts already.
    pub capacity: Vec<Option<u64>>,
    /// The map of each step.
    pub maps: Vec<Arc<Map>>,
}

/// Members that join those before them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserve {
    /// What the operator calls them.
    pub name: String,
    /// While less than this of those before is in service.
    pub below: Below,
    /// The members.
    pub members: Vec<u16>,
}

impl Spill {
    /// How many of the reserves have joined, by who is in service.
    #[must_use]
    pub fn step(&self, in_service: impl Fn(u16) -> bool) -> u8 {
        let (mut whole, mut left, mut nodes) = (0u64, 0u64, 0u32);
        let mut count = |members: &[u16]| {
            for member in members {
                let Some(capacity) = self.capacity[usize::from(*member)] else {
                    continue;
                };
                whole += capacity;
                if in_service(*member) {
                    left += capacity;
                    nodes += 1;
                }
            }
            (whole, left, nodes)
        };
        let mut counted = count(&self.first);
        let mut step = 0;
        for reserve in &self.reserves {
            if !reserve.below.holds(counted) {
                break;
            }
            counted = count(&reserve.members);
            step += 1;
        }
        step
    }

    /// Why reserves serve too, in words; none: they do not.
    #[must_use]
    pub fn words(&self, table: &Table) -> Option<String> {
        let joined = &self.reserves[..usize::from(table.step(self.number))];
        let below = joined.last()?.below;
        let names: Vec<&str> = joined.iter().map(|r| r.name.as_str()).collect();
        let what = match below {
            Below::Share(_) => " of the capacity is",
            Below::Nodes(1) => " node is",
            Below::Nodes(_) => " nodes are",
        };
        let names = names.join(" and ");
        Some(format!(
            "less than {below}{what} in service, so {names} serve too"
        ))
    }

    /// The map of the step that holds now.
    #[inline]
    pub(super) fn map(&self, table: &Table) -> Option<&Map> {
        let step = table.step(self.number).checked_sub(1)?;
        self.maps.get(usize::from(step)).map(|map| &**map)
    }
}

impl Below {
    fn holds(self, (whole, left, nodes): (u64, u64, u32)) -> bool {
        match self {
            Self::Share(share) => left * 100 < whole * u64::from(share),
            Self::Nodes(least) => nodes < least,
        }
    }
}
