//! `keep`: what must be left in service when operators take nodes out.

use super::plan::capacities;
use crate::health::Table;
use crate::policy::Keep;
use crate::snapshot::{Family, Snapshot};

/// What taking these nodes out would break, in words: pool, family, and what would be left. A pool that loses nothing by it is not
/// broken, however little it has.
pub(super) fn broken(snapshot: &Snapshot, table: &Table, nodes: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for pool in &snapshot.pools {
        for (family, word) in [(&pool.v4, "IPv4"), (&pool.v6, "IPv6")] {
            let Some(family) = family else { continue };
            let before = left(snapshot, table, family, &[]);
            let after = left(snapshot, table, family, nodes);
            if after.nodes < before.nodes && !after.is_enough(pool.keep) {
                out.push(format!(
                    "pool \"{}\", {word}: {} would be in service, and {} must be",
                    pool.name,
                    after.words(pool.keep),
                    words(pool.keep)
                ));
            }
        }
    }
    out
}

/// What of a pool is in service.
struct Left {
    nodes: u32,
    of: usize,
    capacity: u64,
    whole: u64,
}

/// What is left without some nodes.
fn left(snapshot: &Snapshot, table: &Table, family: &Family, without: &[String]) -> Left {
    let steering = &family.steering;
    let all = capacities(&steering.members, &snapshot.nodes);
    let mut left = Left {
        nodes: 0,
        of: 0,
        capacity: 0,
        whole: 0,
    };
    for (node, mut members) in steering.nodes() {
        let own = &all[usize::from(members.start)..usize::from(members.end)];
        let capacity: u64 = own.iter().flatten().sum();
        left.of += 1;
        left.whole += capacity;
        let in_service = members.any(|m| steering.word(m, table).in_service());
        if in_service && !without.contains(&snapshot.nodes[node as usize].name) {
            left.nodes += 1;
            left.capacity += capacity;
        }
    }
    left
}

impl Left {
    #[expect(clippy::cast_precision_loss, reason = "capacities are far below 2^53")]
    fn share(&self) -> f64 {
        if self.whole == 0 {
            return 1.0;
        }
        self.capacity as f64 / self.whole as f64
    }

    fn is_enough(&self, keep: Keep) -> bool {
        self.nodes >= keep.nodes && self.share() >= keep.capacity
    }

    fn words(&self, keep: Keep) -> String {
        let nodes = format!("{} of {} nodes", self.nodes, self.of);
        if keep.capacity > 0.0 {
            format!("{nodes} with {:.0}% of the capacity", 100.0 * self.share())
        } else {
            nodes
        }
    }
}

fn words(keep: Keep) -> String {
    let nodes = (keep.nodes > 0).then(|| keep.nodes.to_string());
    let share = (keep.capacity > 0.0).then(|| format!("{:.0}%", 100.0 * keep.capacity));
    let parts: Vec<String> = nodes.into_iter().chain(share).collect();
    parts.join(" and ")
}
