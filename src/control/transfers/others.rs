//! What the configuration says of other name servers, for a generation.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Config, SharedKey, ZoneSource};
use crate::prefix::Prefix;
use crate::snapshot::{Allow, Keys, Peer, Primaries, Secondaries, Zones};
use crate::wire::tsig::{Algorithm, Key};
use crate::zone::Name;

/// The keys that messages are signed with.
pub(in crate::control) fn keys(config: &Config) -> Keys {
    let key = |key: &SharedKey| Arc::new(Key::new(&key.name, key.algorithm, &key.secret));
    Keys {
        list: config.keys.iter().map(key).collect(),
        ..Keys::default()
    }
}

/// What each zone has to do with other name servers.
pub(in crate::control) fn others(
    config: &Config,
    zones: &Zones,
) -> (Vec<Secondaries>, Vec<Option<Primaries>>) {
    let both = config.zones.iter().zip(zones.list());
    let secondaries = both.map(|(zone, built)| {
        let is_served = !zone.transfer.is_empty() || !zone.notify.is_empty();
        Secondaries {
            allow: zone.transfer.clone(),
            notify: zone.notify.clone(),
            is_served,
            moves: is_served && (!built.pools().is_empty() || zone.signed.is_some()),
            ..Secondaries::default()
        }
    });
    let primaries = config.zones.iter().map(|zone| match &zone.source {
        ZoneSource::Primary(peers) => Some(Primaries {
            peers: peers.clone(),
            allow: peers.iter().map(hears).collect(),
            members: zone.catalog.as_ref().map(|_| config.limits.catalog_members),
            ..Primaries::default()
        }),
        ZoneSource::File(_) | ZoneSource::Made { .. } => None,
    });
    (secondaries.collect(), primaries.collect())
}

/// Who may ask each zone: as it says itself, else as the server does. A catalog tells what others have, so whoever may not have it may not ask
/// it (RFC 9432 7).
pub(in crate::control) fn query(config: &Config) -> Vec<Option<Vec<Allow>>> {
    let usual = &config.server.query;
    let zones = config.zones.iter();
    let all = zones.map(|zone| {
        let usual = match &zone.catalog {
            Some(_) => Some(&zone.transfer),
            None => usual.as_ref(),
        };
        zone.query.as_ref().or(usual).cloned()
    });
    let all: Vec<_> = all.collect();
    match all.iter().any(Option::is_some) {
        true => all,
        false => Vec::new(),
    }
}

/// A primary: where it is, our own address, and the name, algorithm and secret of the key.
pub(super) type Asked<'c> = (
    SocketAddr,
    Option<IpAddr>,
    Option<(&'c Name, Algorithm, &'c [u8])>,
);

/// Whom each zone of others is asked for, and how many zones it may list.
pub(super) fn asked(config: &Config) -> HashMap<&Name, (Vec<Asked<'_>>, Option<usize>)> {
    let signs = |number: usize| {
        let key = config.keys.get(number)?;
        Some((&key.name, key.algorithm, &key.secret[..]))
    };
    let of = |peer: &Peer| (peer.at, peer.source, peer.key.and_then(signs));
    let zones = config.zones.iter();
    zones
        .map(|zone| {
            let peers = zone.source.primaries().iter().map(of);
            let most = zone.catalog.as_ref().map(|_| config.limits.catalog_members);
            (&zone.name, (peers.collect(), most))
        })
        .collect()
}

/// Who a primary is when it tells of a change: any port of its address.
fn hears(peer: &Peer) -> Allow {
    Allow {
        from: Some(Prefix::holding(peer.at.ip(), 128)),
        key: peer.key,
    }
}
