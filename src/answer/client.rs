//! Whom an answer is for: the client that a resolver names, or the resolver (SPEC 3.1).

use std::net::IpAddr;

use crate::prefix::{Client, is_routable};
use crate::snapshot::Snapshot;
use crate::wire::Query;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The address that is looked up.
    pub client: Client,
    /// The resolver: who sent the question.
    pub resolver: Client,
    /// Whether it came in an ECS option; only then the answer holds for a block of addresses.
    pub by_ecs: bool,
    /// Bits of the block of an option that counts for nothing: what is answered is the resolver's, and nothing for others who ask it with
    /// another block (RFC 7871 7.2.1: a scope of 0 is for everybody).
    pub ignored: u8,
}

impl Asker {
    /// The scope to tell of a pool's answer that holds for blocks of this length.
    #[must_use]
    pub fn scope(&self, scope: u8) -> u8 {
        match self.by_ecs {
            true => scope,
            false => self.ignored,
        }
    }

    /// The block of the query's ECS option, if it has one with at least a bit of address that is routable or that an
    /// override speaks of; else the sender.
    #[must_use]
    pub fn of(query: &Query<'_>, source: IpAddr, snapshot: &Snapshot) -> Self {
        let ecs = query.edns.and_then(|e| e.ecs);
        let told = ecs.and_then(|ecs| ecs.client());
        // IPv4 inside of IPv6 is meant by the override of the IPv4 block.
        let private = |addr| snapshot.private.iter().any(|net| net.contains(addr));
        match told.filter(|&addr| is_routable(addr) || private(Client::of(addr).addr())) {
            Some(addr) => Self {
                client: Client::of(addr),
                resolver: Client::of(source),
                by_ecs: true,
                ignored: 0,
            },
            None => Self {
                client: Client::of(source),
                resolver: Client::of(source),
                by_ecs: false,
                ignored: ecs.map_or(0, |ecs| ecs.source()),
            },
        }
    }
}
