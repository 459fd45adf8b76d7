//! Until when caches can hold an address: the largest TTLs really handed out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::health::Time;
use crate::snapshot::Snapshot;

/// Time between looks: so much too late an answer is taken to have been given at most.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// What was being answered while an order was carried out is out after this time.
pub(super) const SETTLED: Duration = Duration::from_millis(100);

/// When the last answer with each address ends in caches. It goes on over generations.
#[derive(Debug, Default)]
pub(super) struct Expiries(HashMap<IpAddr, Time>);

impl Expiries {
    /// Looks at what was given since the last look.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Time) {
        for (number, (_, ip)) in snapshot.addresses.iter().enumerate() {
            let longest = snapshot
                .given
                .iter()
                .map(|own| own.of[number].ttl.take())
                .max();
            let Some(ttl) = longest.filter(|ttl| *ttl > 0) else {
                continue;
            };
            let until = now + Duration::from_secs(ttl.into());
            let known = self.0.entry(*ip).or_default();
            *known = until.max(*known);
        }
    }

    /// When the last of these addresses ends; zero for some that were never given.
    pub(super) fn of(&self, addresses: impl Iterator<Item = IpAddr>) -> Time {
        let known = addresses.filter_map(|ip| self.0.get(&ip));
        known.max().copied().unwrap_or_default()
    }
}
