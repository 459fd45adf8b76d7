//! One immutable generation of everything an answer depends on, and the pointer to the current one.
//!
//! The numbers in a health table mean something only within the generation that gave them out, so a generation owns the
//! cell of its table: who loads a generation and then *its* table can never mix two.

mod asked;
mod secondaries;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use asked::{Asked, Queue, Waiting};
pub use secondaries::{Allow, Keys, Peer, Primaries, Secondaries, TransferCounts};

use crate::dnssec::{Presigned, SignedZone, Signing};
use crate::geo::{About, World};
use crate::health::{Table, Time};
use crate::metrics::{Counter, Peak};
use crate::policy::{Keep, Node, Plan, Resolvers, Steering};
use crate::prefix::{Client, Prefix};
use crate::wire::Cookies;
use crate::zone::{Index, Name, NameKey, Zone};

/// One generation.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up from 1.
    pub generation: u64,
    /// What we are authoritative for.
    pub zones: Zones,
    /// What the secondaries of each zone are given, by the zone's number; of zones beyond the end nothing.
    pub secondaries: Vec<Secondaries>,
    /// Where each zone comes from, by its number; none: from our files.
    pub primaries: Vec<Option<Primaries>>,
    /// Who may ask each zone, by its number; none: everybody. Empty where everybody may ask all.
    pub query: Vec<Option<Vec<Allow>>>,
    /// The serial of a zone goes up for its pools at most once in this time.
    pub serial_every: Duration,
    /// Octets of memory that all zones of others may take, about.
    pub received_memory: usize,
    /// The keys of messages that are signed.
    pub keys: Keys,
    /// The pools, by their numbers.
    pub pools: Vec<Pool>,
    /// The nodes, by their numbers; only for people.
    pub nodes: Vec<Node>,
    /// The city near to each node, as people would name it; empty where a node has no point.
    pub near: Vec<String>,
    /// Node and address, by the address's number in [`crate::policy::Address`]; only for people.
    pub addresses: Vec<(u32, IpAddr)>,
    /// For each thread or group of threads that answers, what was given of each address; empty where nobody asks.
    pub given: Vec<Given>,
    /// Questions on their way to the query log; none: there is no such log.
    pub log: Option<Arc<Queue>>,
    /// When it was begun to be built, and how long that took; only for people.
    pub built: (Time, Duration),
    /// Where addresses are; only for people and for the next generation, as the pools' maps were made of it.
    pub world: Arc<World>,
    /// The GeoIP databases that this is made of; only for people.
    pub databases: Arc<[About]>,
    /// Overrides of address blocks that are not routable: only for these does an ECS option count there.
    pub private: Vec<Prefix>,
    /// The signatures of signed zones; none: no zone is signed.
    pub signed: Option<Signed>,
    /// What all replies share.
    pub settings: Settings,
    /// The states of all slots of this generation.
    pub table: TableCell,
}

impl Snapshot {
    /// The longest TTL of names whose pools have one of these nodes, in seconds: so long an answer can be in caches. And the longest
    /// of the least TTLs: so long one can that was given while a node was drained.
    #[must_use]
    pub fn longest_ttls(&self, nodes: &[String]) -> (u32, u32) {
        let has = |pool: u32| {
            let pool = self.pools.get(pool as usize);
            pool.is_some_and(|pool| self.has_one(pool, nodes))
        };
        let uses = self.zones.list().iter().flat_map(Zone::pools);
        let uses = uses.filter(|used| has(used.pool));
        uses.fold((0, 0), |(most, least), used| {
            (most.max(used.max_ttl), least.max(used.min_ttl))
        })
    }

    /// The longest slow start of the pools that have one of these nodes.
    #[must_use]
    pub fn slow_start(&self, nodes: &[String]) -> Duration {
        let pools = self.pools.iter().filter(|pool| self.has_one(pool, nodes));
        pools.filter_map(|p| p.slow_start).max().unwrap_or_default()
    }

    fn has_one(&self, pool: &Pool, nodes: &[String]) -> bool {
        let named = |n: &u32| nodes.contains(&self.nodes[*n as usize].name);
        pool.nodes.iter().any(named)
    }

    /// Where the signatures of a zone come from, if it is signed.
    #[must_use]
    #[inline]
    pub fn signatures(&self, zone: u32) -> Option<&Signatures> {
        self.signed.as_ref()?.zones.get(zone as usize)?.as_ref()
    }

    /// The signatures of a zone that we sign.
    #[must_use]
    pub fn signed(&self, zone: u32) -> Option<&SignedZone> {
        match self.signatures(zone)? {
            Signatures::Made(signed) => Some(signed),
            Signatures::Stored(_) => None,
        }
    }

    /// What is laid out of a zone that is signed elsewhere.
    #[must_use]
    pub fn presigned(&self, apex: &Name) -> Option<&Presigned> {
        let (number, zone) = self.zones.find(&NameKey::new(apex.wire()), false)?;
        match self.signatures(number).filter(|_| zone.apex() == apex)? {
            Signatures::Stored(stored) => Some(stored),
            Signatures::Made(_) => None,
        }
    }

    /// Whether a question from there, signed with this key, may be asked of a zone.
    #[must_use]
    #[inline]
    pub fn may_ask(&self, zone: u32, source: IpAddr, key: Option<usize>) -> bool {
        self.query.is_empty() || self.is_let_in(zone, source, key)
    }

    #[cold]
    fn is_let_in(&self, zone: u32, source: IpAddr, key: Option<usize>) -> bool {
        let lines = self.query.get(zone as usize).and_then(Option::as_ref);
        lines.is_none_or(|lines| {
            let source = source.to_canonical();
            lines.iter().any(|line| line.lets_in(source, key))
        })
    }

    /// A table, and the steps of the pools that follow from it.
    #[must_use]
    pub fn judge(&self, table: Table) -> Table {
        let families = self.pools.iter().flat_map(|p| [&p.v4, &p.v6]).flatten();
        let steps = families.filter_map(|family| family.steering.step(&table));
        let steps = steps.collect();
        table.with_steps(steps)
    }

    /// Goes on with the maps of slow starts of a generation before, where pools are ordered as they were.
    pub fn keep_slowed(&mut self, last: &Self) {
        let before: HashMap<&str, &Pool> =
            last.pools.iter().map(|p| (p.name.as_str(), p)).collect();
        for pool in &mut self.pools {
            let Some(old) = before.get(pool.name.as_str()) else {
                continue;
            };
            for (new, old) in [(&mut pool.v4, &old.v4), (&mut pool.v6, &old.v6)] {
                if let (Some(new), Some(old)) = (new, old)
                    && Arc::ptr_eq(&new.plans[0], &old.plans[0])
                    && new.steering.slowed.is_some()
                    && old.steering.slowed.is_some()
                {
                    new.steering.slowed.clone_from(&old.steering.slowed);
                }
            }
        }
    }

    /// The number of the zone of this name.
    #[must_use]
    pub fn zone_named(&self, apex: &Name) -> Option<usize> {
        self.zones
            .list()
            .iter()
            .position(|zone| zone.apex() == apex)
    }

    /// The serial that a zone is answered with, by its number.
    #[must_use]
    pub fn serial(&self, number: usize) -> Option<u32> {
        let own = self.secondaries.get(number).filter(|own| own.moves);
        let served = own.and_then(|own| own.journal.load_full());
        served
            .map(|journal| journal.version.serial())
            .or_else(|| self.zones.list().get(number)?.serial())
    }

    /// Makes counters for so many threads.
    pub fn count_given(&mut self, threads: usize) {
        let counters = || Given {
            of: self
                .addresses
                .iter()
                .map(|_| OfAddress::default())
                .collect(),
            zones: self.zones.list().iter().map(|_| Arc::default()).collect(),
            pools: self.pools.iter().map(|_| Arc::default()).collect(),
            clients: Mutex::default(),
        };
        self.given = (0..threads).map(|_| counters()).collect();
    }

    /// Takes the samples of who asked, with the numbers of the pools.
    #[must_use]
    pub fn sampled(&self) -> Vec<(u32, Client)> {
        let taken = |given: &Given| {
            let clients = given.clients.lock();
            std::mem::take(&mut *clients.unwrap_or_else(PoisonError::into_inner))
        };
        self.given.iter().flat_map(taken).collect()
    }

    /// Goes on with the counts of zones' transfers, by the zones' names.
    fn count_transfers_on(&mut self, last: &Self) {
        let zones = last.zones.list().iter().zip(&last.secondaries);
        let known: HashMap<&Name, &Arc<TransferCounts>> =
            zones.map(|(z, s)| (z.apex(), &s.counts)).collect();
        for (zone, own) in self.zones.list().iter().zip(&mut self.secondaries) {
            if let Some(counts) = known.get(zone.apex()) {
                own.counts = Arc::clone(counts);
            }
        }
        let zones = last.zones.list().iter().zip(&last.primaries);
        let heard: HashMap<&Name, &Primaries> = zones
            .filter_map(|(z, p)| Some((z.apex(), p.as_ref()?)))
            .collect();
        for (zone, own) in self.zones.list().iter().zip(&mut self.primaries) {
            if let (Some(own), Some(heard)) = (own, heard.get(zone.apex())) {
                own.told = Arc::clone(&heard.told);
            }
        }
    }

    /// For each address the number that it had in a generation before; it is the same if the node's name is.
    #[must_use]
    pub fn addresses_in(&self, last: &Self) -> Vec<Option<usize>> {
        fn named(snapshot: &Snapshot, (node, ip): (u32, IpAddr)) -> (&str, IpAddr) {
            (&snapshot.nodes[node as usize].name, ip)
        }
        let before = last.addresses.iter().map(|a| named(last, *a));
        let before: HashMap<_, usize> = before.zip(0..).collect();
        let number = |a: &(u32, IpAddr)| before.get(&named(self, *a)).copied();
        self.addresses.iter().map(number).collect()
    }

    /// Goes on from the counters of a generation before, and with its query log: those of given addresses by [`Self::addresses_in`] it, those of zones and pools by
    /// their names.
    pub fn count_on(&mut self, last: &Self, addresses: &[Option<usize>]) {
        self.count_given(last.given.len());
        self.log.clone_from(&last.log);
        self.count_transfers_on(last);
        for (own, before) in self.given.iter().zip(&last.given) {
            for (own, number) in own.of.iter().zip(addresses) {
                own.count
                    .add(number.map_or(0, |n| before.of[n].count.get()));
            }
        }
        fn apex(zone: &Zone) -> &[u8] {
            zone.apex().wire()
        }
        let (zones, pools) = (self.zones.list().iter(), self.pools.iter());
        let zones = zones.map(apex).collect::<Vec<_>>();
        let pools = pools.map(|p| p.name.as_str()).collect::<Vec<_>>();
        for (own, before) in self.given.iter_mut().zip(&last.given) {
            let known = last.zones.list().iter().map(apex).zip(&before.zones);
            go_on(&mut own.zones, &zones, known);
            let known = last.pools.iter().map(|p| p.name.as_str());
            go_on(&mut own.pools, &pools, known.zip(&before.pools));
        }
    }
}

/// The same counters go on under the same names: what a thread still counts for the generation before is not lost.
fn go_on<'l, N: std::hash::Hash + Eq, C: 'l>(
    own: &mut [Arc<C>],
    names: &[N],
    before: impl Iterator<Item = (N, &'l Arc<C>)>,
) {
    let before: HashMap<N, &Arc<C>> = before.collect();
    for (own, name) in own.iter_mut().zip(names) {
        if let Some(known) = before.get(name) {
            *own = Arc::clone(known);
        }
    }
}

/// The signatures of signed zones.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What those share that we sign; none: we sign none.
    pub signing: Option<Arc<Signing>>,
    /// By the zones' numbers; none where a zone is not signed.
    pub zones: Box<[Option<Signatures>]>,
}

/// Where the signatures of a zone come from, and the proofs of what is not there.
#[derive(Clone, Debug)]
pub enum Signatures {
    /// We make them.
    Made(Arc<SignedZone>),
    /// They stand in the zone, which is signed elsewhere.
    Stored(Arc<Presigned>),
}

/// What one thread or group of threads gave.
#[derive(Debug, Default)]
pub struct Given {
    /// Of each address, by its number.
    pub of: Box<[OfAddress]>,
    /// Questions of each zone, by its number.
    pub zones: Box<[Arc<Counter>]>,
    /// What each pool gave, by its number.
    pub pools: Box<[Arc<OfPool>]>,
    /// Some of those who asked, and their pools.
    clients: Mutex<Vec<(u32, Client)>>,
}

/// One of so many answers is looked at for who asked.
pub const SAMPLED: u64 = 16;
/// So many are kept until somebody looks.
const SAMPLES: usize = 4096;

impl Given {
    /// Keeps who asked a pool, unless there are many already or somebody looks just now.
    #[cold]
    pub fn sample(&self, pool: u32, client: Client) {
        if let Ok(mut clients) = self.clients.try_lock()
            && clients.len() < SAMPLES
        {
            clients.push((pool, client));
        }
    }
}

/// How a pool answered questions that asked it first.
#[derive(Debug, Default)]
pub struct OfPool {
    /// With nodes in service.
    pub in_service: Counter,
    /// With nodes that are out of service, as none is in.
    pub fail_open: Counter,
    /// With none: what the pool says instead.
    pub none_left: Counter,
    /// With nothing, as it has no addresses of that family.
    pub no_addresses: Counter,
}

/// What was given of an address.
#[derive(Debug, Default)]
pub struct OfAddress {
    /// How often.
    pub count: Counter,
    /// The longest TTL since somebody looked last, seconds.
    pub ttl: Peak,
}

/// The cell of a generation's health table: written by probers, read by queries without a lock.
#[derive(Debug)]
pub struct TableCell(ArcSwap<Table>);

impl TableCell {
    /// Starts with a table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// The current table, for as long as the guard is held.
    #[must_use]
    pub fn load(&self) -> arc_swap::Guard<Arc<Table>> {
        self.0.load()
    }

    /// The current table, to be kept.
    #[must_use]
    pub fn load_full(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Puts a table in the place of the current one.
    pub fn publish(&self, table: Table) {
        self.0.store(Arc::new(table));
    }
}

/// What all replies share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Octets that we send and take by UDP.
    pub udp_size: u16,
    /// This name server's identity, told to who asks (RFC 5001).
    pub nsid: Option<Vec<u8>>,
    /// How long connections may be idle, in tenths of a second, for those who ask that way (RFC 7828); none: they are not told.
    pub keepalive: Option<u16>,
    /// Whether encrypted replies are padded for those who pad their questions.
    pub padding: bool,
    /// How many replies by UDP a network gets; none: any number.
    pub rrl: Option<RateLimit>,
    /// The cookies of clients; none: none are given.
    pub cookies: Option<Arc<Cookies>>,
}

/// How many replies by UDP a network gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Replies a second, of one kind.
    pub rate: u32,
    /// One of so many that are over the rate is told to come by TCP; 0: none is.
    pub slip: u32,
    /// Networks that this does not count for.
    pub exempt: Vec<Prefix>,
}

impl Default for RateLimit {
    /// More than a resolver's network asks for in a second, and of a flood a small part.
    fn default() -> Self {
        Self {
            rate: 1000,
            slip: 16,
            exempt: Vec::new(),
        }
    }
}

/// A pool, ready to be asked.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name in files and messages.
    pub name: String,
    /// What operators may not go below when they take nodes out.
    pub keep: Keep,
    /// In which time a node that comes back regains its clients; none: at once.
    pub slow_start: Option<Duration>,
    /// Its nodes, by their numbers; only for people.
    pub nodes: Arc<[u32]>,
    /// For questions of type A; none without IPv4 addresses.
    pub v4: Option<Family>,
    /// For questions of type AAAA; none without IPv6 addresses.
    pub v6: Option<Family>,
}

/// A pool's half for one family of addresses.
#[derive(Clone, Debug)]
pub struct Family {
    /// Map, members and policy.
    pub steering: Steering,
    /// What the map was compiled from, and what those of its steps were; only for people and for the next generation.
    pub plans: Vec<Arc<Plan>>,
    /// The same for resolvers that the pool tells apart; none: it tells no resolvers apart.
    pub resolvers: Option<Arc<ByResolver>>,
}

/// A pool's half for each kind of resolvers.
#[derive(Clone, Debug)]
pub struct ByResolver {
    /// The kinds.
    pub kinds: Resolvers,
    /// For each kind from 1 on, with the same members and steps.
    pub families: Vec<Family>,
}

impl Family {
    /// That for a resolver.
    #[must_use]
    #[inline]
    pub fn of(&self, resolver: Client) -> &Self {
        match &self.resolvers {
            None => self,
            Some(by) => match by.kinds.kind(resolver).checked_sub(1) {
                None => self,
                Some(kind) => &by.families[kind],
            },
        }
    }

    /// Itself, and those for some resolvers.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        let apart = self.resolvers.iter().flat_map(|by| &by.families);
        std::iter::once(self).chain(apart)
    }

    /// What the map was compiled from that holds now.
    #[must_use]
    pub fn plan(&self, table: &Table) -> Arc<Plan> {
        let step = self.steering.step_of(table);
        let slowed = self.steering.slowed.as_ref();
        match slowed.and_then(|slowed| slowed.get(step)) {
            Some(instead) => Arc::clone(&instead.plan),
            None => Arc::clone(&self.plans[usize::from(step).min(self.plans.len() - 1)]),
        }
    }
}

/// The zones, found by the longest name that matches.
#[derive(Debug, Default)]
pub struct Zones {
    list: Vec<Zone>,
    index: Index,
    /// Labels of the deepest zone's name.
    depth: usize,
}

impl Zones {
    /// The zones, each name once.
    #[must_use]
    pub fn new(list: Vec<Zone>) -> Self {
        let mut zones = Self {
            index: Index::with_room(list.len()),
            list,
            depth: 0,
        };
        for (at, zone) in (0..).zip(&zones.list) {
            let key = NameKey::new(zone.apex().wire());
            zones.depth = zones.depth.max(key.labels());
            zones.index.insert(key.hash(0), at);
        }
        zones
    }

    /// The zone that a name belongs to, and its number: the one with the longest name at or above it, or strictly
    /// `above`, where the parent's side of a cut is asked for.
    #[must_use]
    pub fn find(&self, key: &NameKey, above: bool) -> Option<(u32, &Zone)> {
        let first = key
            .labels()
            .saturating_sub(self.depth)
            .max(usize::from(above));
        (first..=key.labels()).find_map(|skip| {
            let suffix = key.suffix(skip);
            let same = |at: u32| {
                let zone = &self.list[at as usize];
                zone.name(zone.apex_node()) == suffix
            };
            self.index
                .find(key.hash(skip), same)
                .map(|at| (at, &self.list[at as usize]))
        })
    }

    /// All zones, by their numbers.
    #[must_use]
    pub fn list(&self) -> &[Zone] {
        &self.list
    }
}

/// The pointer to the current generation.
#[derive(Debug)]
pub struct Current(ArcSwap<Snapshot>);

impl Current {
    /// Starts with a generation.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    /// The current generation, for as long as the guard is held.
    #[must_use]
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// The current generation, to be kept.
    #[must_use]
    pub fn get(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts a generation in the place of the current one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
