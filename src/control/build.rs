//! Parts to a generation: zones to trees, pools to maps, addresses to checks and slots.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::audience::Audience;
use super::load::Parts;
use super::settings::settings;
use super::sign::sign;
use super::transfers::{keys, others, query};
use super::{latency, plan};
use crate::clock::{Clock, wall};
use crate::config::{Canary, Config};
use crate::geo::{Country, Point, World, country_at, country_cities, nearest_city, world_cities};
use crate::health::{Board, CANARY, Check, Damping, Probe, Setup, Slot, Table, Time};
use crate::policy::{
    Address, Map, Measured, Member, Node, Plan, Pool, Reserve, Spill, Steering, compile, weighed,
};
use crate::prefix::{Client, is_routable};
use crate::snapshot::{ByResolver, Family, Pool as Asked, Snapshot, TableCell, Zones};
use crate::zone::{Data, Name, Zone};

/// A generation and the board of its checks; nothing is known of any check yet.
#[derive(Debug)]
pub struct Generation {
    /// What queries read.
    pub snapshot: Snapshot,
    /// What probers write.
    pub board: Board,
}

/// Cities for clients of whom only the country is known; none: the whole world's.
#[must_use]
pub fn cities(country: Option<Country>) -> Vec<(Point, f64)> {
    match country {
        Some(country) => country_cities(country)
            .map(|(at, people)| (at, f64::from(people)))
            .collect(),
        None => world_cities()
            .map(|(at, people)| (at, f64::from(people)))
            .collect(),
    }
}

/// Builds a generation.
///
/// # Errors
/// All that is wrong, in words: nodes whose place is not to be found, probes without a name to ask for.
pub fn build(parts: &Parts, number: u64, now: Time) -> Result<Generation, Vec<String>> {
    generation(parts, number, (now, now), None, Vec::new())
}

/// Builds the generation after another. Where the world is the same, maps are kept that would come out the same, so that a node that
/// was added ranks only its own pools anew. For a thread of its own, while the other generation answers.
///
/// # Errors
/// As [`build`].
pub fn rebuild(parts: &Parts, last: &Snapshot, now: Time) -> Result<Generation, Vec<String>> {
    let mut maps: Vec<Compiled> = Vec::new();
    let same = Arc::ptr_eq(&parts.atlas.world, &last.world);
    let pools = last.pools.iter().filter(|_| same);
    let families = pools.flat_map(|p| [&p.v4, &p.v6]).flatten();
    for Family {
        steering, plans, ..
    } in families.flat_map(Family::all)
    {
        let spilled = steering.spill.iter().flat_map(|spill| &spill.maps);
        for (plan, map) in plans.iter().zip([&steering.map].into_iter().chain(spilled)) {
            if maps.iter().all(|(_, known)| !Arc::ptr_eq(known, map)) {
                maps.push((Arc::clone(plan), Arc::clone(map)));
            }
        }
    }
    // The system's clock may have been set right since the start, and signatures are judged by the world's time.
    let wall = Time::from_secs(wall());
    generation(parts, last.generation + 1, (now, wall), Some(last), maps)
}

/// How much a build gives way to all else: it is never urgent, answers are.
const NICENESS: i32 = 10;

/// As [`rebuild`], on a thread of its own that gives way to those that answer.
///
/// # Errors
/// If the system gives no thread.
pub fn rebuild_aside(
    parts: Arc<Parts>,
    last: Arc<Snapshot>,
    now: Time,
) -> io::Result<JoinHandle<Result<Generation, Vec<String>>>> {
    aside(move || rebuild(&parts, &last, now))
}

/// Does something on such a thread.
pub(super) fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name("build".into())
        .spawn(move || {
            // On Linux this is the thread's own. Where it is not granted, the build is only less polite.
            let _ = rustix::process::nice(NICENESS);
            work()
        })
}

/// A plan and its map.
type Compiled = (Arc<Plan>, Arc<Map>);

fn generation(
    parts: &Parts,
    number: u64,
    (now, wall): (Time, Time),
    last: Option<&Snapshot>,
    maps: Vec<Compiled>,
) -> Result<Generation, Vec<String>> {
    let clock = Clock::start();
    let begun = clock.now();
    let (config, world) = (&parts.config, Arc::clone(&parts.atlas.world));
    let measured = weighed(&parts.latency, now);
    let mut builder = Builder::new(config, &world, (measured, &parts.audience), maps);
    // One that is known by a name has time: it is nobody's until its addresses are known to be somewhere.
    let lost = |node: &&Node| node.at.is_none() && node.host.is_none();
    let lost = builder.nodes.iter().filter(lost);
    let mut wrong: Vec<String> = lost
        .map(|node| {
            format!(
                "node \"{}\" has no place: no database knows its addresses, so it needs `at`",
                node.name
            )
        })
        .collect();
    let hosts = first_names(parts);
    wrong.extend(nameless(parts, &hosts));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let pools: Vec<Asked> = config
        .pools
        .iter()
        .map(|pool| builder.pool(pool, hosts.get(pool.name.as_str())))
        .collect();
    let canaries = builder.canaries();
    let setup = Setup {
        checks: builder.checks,
        slots: builder.slots,
        canaries,
        freeze: config.health.freeze,
        damping: damping(config, &pools),
    };
    let board = Board::new(setup, now);
    let numbers: HashMap<&str, u32> = (0..)
        .zip(&config.pools)
        .map(|(n, p)| (p.name.as_str(), n))
        .collect();
    let zones = parts.zones.iter();
    let zones = zones.map(|(name, records)| Zone::build(name, records, &numbers));
    let zones: Vec<Zone> = zones.collect();
    let signed = sign(parts, &zones, last, wall);
    let private = config
        .geo
        .overrides
        .iter()
        .filter_map(|o| o.subject.net())
        .filter(|net| !is_routable(net.addr))
        .collect();
    let zones = Zones::new(zones);
    let (secondaries, primaries) = others(config, &zones);
    let mut snapshot = Snapshot {
        generation: number,
        secondaries,
        primaries,
        query: query(config),
        serial_every: config.limits.serial_every,
        received_memory: config.limits.received_memory,
        keys: keys(config),
        near: builder.nodes.iter().map(near).collect(),
        zones,
        pools,
        nodes: builder.nodes,
        addresses: builder.numbered,
        given: Vec::new(),
        log: None,
        built: (now, Duration::ZERO),
        world,
        databases: Arc::clone(&parts.atlas.databases),
        private,
        settings: settings(config, last, wall),
        signed,
        table: TableCell::new(Table::new(Vec::new())),
    };
    snapshot.table.publish(snapshot.judge(board.table(now)));
    super::presigned::tell(parts, &snapshot, last, wall);
    snapshot.built.1 = clock.now() - begun;
    Ok(Generation { snapshot, board })
}

/// The city near to a node, as people would name it.
fn near(node: &Node) -> String {
    let near = node.at.and_then(nearest_city);
    near.map_or_else(String::new, |(label, _)| label)
}

/// The pools that damp, each family for itself.
fn damping(config: &Config, pools: &[Asked]) -> Vec<Damping> {
    let both = config
        .pools
        .iter()
        .zip(pools)
        .filter(|(pool, _)| pool.damping);
    let families = both.flat_map(|(_, asked)| [&asked.v4, &asked.v6]).flatten();
    let damping = |Family { steering, .. }: &Family| {
        let slots = |members: Range<u16>| {
            let addresses = members.flat_map(|member| steering.addresses_of(member));
            addresses.map(|a| a.slot as usize).collect()
        };
        Damping {
            nodes: steering.nodes().map(|(_, own)| slots(own)).collect(),
        }
    };
    families.map(damping).collect()
}

/// The first name of each pool that can be asked for, without the final dot: what its nodes are asked for. A pool that is only in the
/// place of others (`none`) is asked for theirs.
fn first_names(parts: &Parts) -> HashMap<&str, String> {
    let mut names = HashMap::new();
    for record in parts.zones.iter().flat_map(|(_, records)| records) {
        if let Data::Pool { pool, .. } = &record.data
            && !record.owner.is_wildcard()
        {
            names.entry(&**pool).or_insert_with(|| {
                record
                    .owner
                    .to_string()
                    .trim_end_matches('.')
                    .to_lowercase()
            });
        }
    }
    let pools = &parts.config.pools;
    for pool in pools {
        let Some(name) = names.get(pool.name.as_str()).cloned() else {
            continue;
        };
        for stand_in in pool.stand_ins(pools) {
            names.entry(&stand_in.name).or_insert_with(|| name.clone());
        }
    }
    names
}

/// Pools whose probes would have no name to ask for, in words: only wildcards lead to them.
fn nameless(parts: &Parts, hosts: &HashMap<&str, String>) -> Vec<String> {
    let used: HashSet<&str> = parts
        .zones
        .iter()
        .flat_map(|(_, records)| records)
        .filter_map(|record| match &record.data {
            Data::Pool { pool, .. } => Some(&**pool),
            Data::Plain { .. } => None,
        })
        .collect();
    let config = &parts.config;
    let asks = |pool: &&Pool| pool.probes.iter().any(|&p| needs_host(&config.probes[p]));
    let nameless =
        |pool: &&Pool| used.contains(pool.name.as_str()) && !hosts.contains_key(pool.name.as_str());
    config
        .pools
        .iter()
        .filter(nameless)
        .filter(asks)
        .map(|pool| {
            format!(
                "pool \"{}\" has only wildcard names: its probes need a `host` to ask for",
                pool.name
            )
        })
        .collect()
}

/// Whether a probe asks by a name that only the pool can give it.
fn needs_host(probe: &Probe) -> bool {
    probe.host.is_none() && probe.kind.asks_by_name()
}

struct Builder<'a> {
    config: &'a Config,
    world: &'a World,
    nodes: Vec<Node>,
    measured: Vec<Measured<usize>>,
    audience: &'a Audience,
    probes: Vec<Arc<Probe>>,
    /// Pools that mean the same share a map.
    maps: Vec<Compiled>,
    /// And what else is equal, as there may be many pools of few sets of nodes.
    nodes_of: HashSet<Arc<[u32]>>,
    members: HashSet<Arc<[Member]>>,
    addresses: HashSet<Arc<[Address]>>,
    checks: Vec<Check>,
    /// Probe, address, host -> check; the host is empty where the kind does not ask by name.
    check_numbers: HashMap<(usize, IpAddr, String), usize>,
    /// Node and address, by the address's number.
    numbered: Vec<(u32, IpAddr)>,
    address_numbers: HashMap<(u32, IpAddr), u32>,
    slots: Vec<Slot>,
    slot_numbers: HashMap<Slot, u32>,
    /// How many families have reserves.
    spills: u32,
}

impl<'a> Builder<'a> {
    fn new(
        config: &'a Config,
        world: &'a World,
        (measured, audience): (Vec<Measured<usize>>, &'a Audience),
        maps: Vec<Compiled>,
    ) -> Self {
        let mut nodes = config.nodes.clone();
        for node in &mut nodes {
            // A stated place wins over what the databases think of the addresses.
            let located = || {
                node.all_addresses()
                    .find_map(|a| world.locate(Client::of(a)).0.point)
            };
            node.at = node.at.or_else(located);
            let asn = || world.asn(Client::of(*node.addresses.first()?));
            node.asn = node.asn.or_else(|| Some(asn()?.number));
            node.country = node.country.or_else(|| country_at(node.at?));
        }
        let probes = config.probes.iter().cloned().map(Arc::new).collect();
        Self {
            config,
            world,
            nodes,
            measured,
            audience,
            probes,
            maps,
            nodes_of: HashSet::new(),
            members: HashSet::new(),
            addresses: HashSet::new(),
            checks: Vec::new(),
            check_numbers: HashMap::new(),
            numbered: Vec::new(),
            address_numbers: HashMap::new(),
            slots: Vec::new(),
            slot_numbers: HashMap::new(),
            spills: 0,
        }
    }

    fn pool(&mut self, pool: &Pool, host: Option<&String>) -> Asked {
        Asked {
            name: pool.name.clone(),
            keep: pool.keep,
            slow_start: pool.slow_start,
            nodes: shared(
                &mut self.nodes_of,
                pool.nodes.iter().map(|n| count(*n)).collect(),
            ),
            v4: self.family(pool, host, true),
            v6: self.family(pool, host, false),
        }
    }

    fn family(&mut self, pool: &Pool, host: Option<&String>, v4: bool) -> Option<Family> {
        let (mut members, mut addresses) = (Vec::new(), Vec::new());
        for &number in &pool.nodes {
            if self.nodes[number].at.is_none() {
                continue;
            }
            let node = &self.config.nodes[number];
            let routes = (0..)
                .zip(&node.routes)
                .map(|(n, r)| (Some(n), &r.addresses));
            for (route, all) in std::iter::once((None, &node.addresses)).chain(routes) {
                let first = count(addresses.len());
                let own = all.iter().copied().filter(|a| a.is_ipv4() == v4);
                for ip in own {
                    addresses.push(self.address(pool, number, ip, host));
                }
                let own = u16::try_from(addresses.len() - first as usize).ok();
                if let Some(count_own) = own.filter(|n| *n > 0) {
                    members.push(Member {
                        node: count(number),
                        first,
                        count: count_own,
                        weight: node.weight,
                        route,
                    });
                }
            }
        }
        if members.is_empty() {
            return None;
        }
        let reserves = plan::reserves(pool, &members);
        let mut plan = plan::of(
            pool,
            &members,
            (&self.nodes, self.config.server.at),
            &reserves,
        );
        plan.latency = latency::of(&members, &self.measured);
        if plan.max_share.is_some() {
            plan.crowds = self.audience.of(&pool.name);
        }
        let step = self.spills;
        self.spills += u32::from(!reserves.is_empty());
        let apart = plan.by_resolver(self.world);
        let parts = (&members[..], &addresses[..], &reserves[..], step);
        let mut family = self.planned(pool, plan, parts);
        family.resolvers = apart.map(|(kinds, plans)| {
            let planned = plans.into_iter();
            let planned = planned.map(|plan| self.planned(pool, plan, parts));
            Arc::new(ByResolver {
                kinds,
                families: planned.collect(),
            })
        });
        Some(family)
    }

    /// A family that follows from a plan.
    fn planned(
        &mut self,
        pool: &Pool,
        plan: Plan,
        (members, addresses, reserves, step): (&[Member], &[Address], &[Reserve], u32),
    ) -> Family {
        let (spill, mut plans) = self.spill(members, &plan, reserves, step);
        let (plan, map) = self.map(plan);
        plans.insert(0, plan);
        let steering = Steering {
            map,
            spill,
            slowed: pool.slow_start.map(|_| Arc::default()),
            members: shared(&mut self.members, members.to_vec()),
            addresses: shared(&mut self.addresses, addresses.to_vec()),
            twins: addresses.iter().map(|a| a.ip).collect::<HashSet<_>>().len() < addresses.len(),
            answer: pool.answer,
            sticky: pool.sticky,
            none: pool.none.clone(),
            aliases: self.aliases(members),
        };
        Family {
            steering,
            plans,
            resolvers: None,
        }
    }

    /// The members that are given by the name of their node. Addresses for some clients are given as they stand.
    fn aliases(&self, members: &[Member]) -> BTreeMap<u16, Arc<Name>> {
        let alias = |(number, member): (u16, &Member)| {
            let node = &self.nodes[member.node as usize];
            let by_name = node.cname && member.route.is_none();
            let name = node.host.as_ref().filter(|_| by_name)?;
            Some((number, Arc::new(name.clone())))
        };
        (0..).zip(members).filter_map(alias).collect()
    }

    fn address(&mut self, pool: &Pool, node: usize, ip: IpAddr, host: Option<&String>) -> Address {
        let next = count(self.numbered.len());
        let known = (count(node), ip);
        let number = *self.address_numbers.entry(known).or_insert(next);
        if number == next {
            self.numbered.push(known);
        }
        let slot = self.slot(pool, &self.config.nodes[node].name, ip, host);
        Address { number, slot, ip }
    }

    /// The maps of the steps that a pool goes where too little of it is in service, and what they were compiled from.
    fn spill(
        &mut self,
        members: &[Member],
        plan: &Plan,
        reserves: &[Reserve],
        step: u32,
    ) -> (Option<Arc<Spill>>, Vec<Arc<Plan>>) {
        if reserves.is_empty() {
            return (None, Vec::new());
        }
        let steps = 1..=reserves.len();
        let (plans, maps) = steps
            .map(|step| self.map(plan::with_joined(plan, reserves, step)))
            .unzip();
        let spill = Spill {
            number: step,
            first: plan::first(members.len(), reserves),
            capacity: plan::capacities(members, &self.nodes),
            reserves: reserves.to_vec(),
            maps,
        };
        (Some(Arc::new(spill)), plans)
    }

    fn map(&mut self, plan: Plan) -> Compiled {
        if let Some((plan, map)) = self.maps.iter().find(|(known, _)| **known == plan) {
            return (Arc::clone(plan), Arc::clone(map));
        }
        let map = Arc::new(compile(&plan, self.world, &cities));
        let plan = Arc::new(plan);
        self.maps.push((Arc::clone(&plan), Arc::clone(&map)));
        (plan, map)
    }

    /// The slot of an address in a pool: pools with the same probes and the same name share it, and so do addresses of a node that
    /// nobody probes.
    fn slot(&mut self, pool: &Pool, node: &str, ip: IpAddr, host: Option<&String>) -> u32 {
        let mut checks = Vec::new();
        for &probe in &pool.probes {
            let check = self.check(probe, node, ip, host);
            checks.extend(check.filter(|_| !self.probes[probe].shadow));
        }
        let slot = Slot {
            node: node.into(),
            need: pool.require.of(checks.len()),
            // Who is not probed is judged alike everywhere.
            strict: pool.strict && !checks.is_empty(),
            slow: pool.slow_start.unwrap_or_default(),
            damping: pool.damping && !checks.is_empty(),
            checks,
        };
        *self.slot_numbers.entry(slot).or_insert_with_key(|slot| {
            self.slots.push(slot.clone());
            count(self.slots.len() - 1)
        })
    }

    /// The checks of what is known to be good.
    fn canaries(&mut self) -> Vec<usize> {
        let config = self.config;
        let check = |canary: &Canary| {
            // Kinds that ask for no name have been allowed to leave it out.
            let host = canary.host.clone().unwrap_or_default();
            self.check(canary.probe, CANARY, canary.ip, Some(&host))
        };
        config.health.canaries.iter().filter_map(check).collect()
    }

    /// The check of an address by a probe; none where there is no name to ask for, as nothing leads to the pool. What does
    /// not ask by name is checked once, whatever names lead to it.
    fn check(
        &mut self,
        number: usize,
        node: &str,
        ip: IpAddr,
        host: Option<&String>,
    ) -> Option<usize> {
        let probe = &self.probes[number];
        let host = match &probe.host {
            Some(own) => own.clone(),
            None if needs_host(probe) => host?.clone(),
            None => String::new(),
        };
        Some(
            *self
                .check_numbers
                .entry((number, ip, host.clone()))
                .or_insert_with(|| {
                    self.checks.push(Check {
                        probe: Arc::clone(probe),
                        address: ip,
                        host,
                        node: node.into(),
                    });
                    self.checks.len() - 1
                }),
        )
    }
}

/// The list, or the one in `known` that is equal.
fn shared<T: Clone + Eq + Hash>(known: &mut HashSet<Arc<[T]>>, list: Vec<T>) -> Arc<[T]> {
    if let Some(same) = known.get(&list[..]) {
        return Arc::clone(same);
    }
    let list: Arc<[T]> = list.into();
    known.insert(Arc::clone(&list));
    list
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("fewer nodes, addresses and checks than octets in a configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::load_text;

    #[test]
    fn who_stands_in_is_asked_for_the_name_of_who_is_out() {
        let node = |name: &str, n: u8| format!("[node.{name}]\nat = 'FRA'\nip = ['192.0.2.{n}']\n");
        let text = format!(
            "[zone.'get.example']\nns = ['ns.example']\npools = {{ 'deb' = 'own' }}\n\
             [pool.own]\nnodes = ['a']\nprobe = 'http:/'\nnone = 'pool:rented'\n\
             [pool.rented]\nnodes = ['b']\nprobe = 'http:/'\nnone = 'pool:sorry'\n\
             [pool.sorry]\nnodes = ['c']\nprobe = 'http:/'\n{}{}{}",
            node("a", 1),
            node("b", 2),
            node("c", 3)
        );
        let loaded = load_text(std::path::Path::new("/x/nearmost.toml"), &text);
        assert_eq!(loaded.found.list.len(), 0, "no name is missed");
        let Generation { board, .. } = build(&loaded.parts.unwrap(), 1, Time::ZERO).unwrap();
        let asked = board.checks().iter();
        let asked: Vec<_> = asked.map(|c| (c.node.as_str(), c.host.as_str())).collect();
        let name = "deb.get.example";
        assert_eq!(asked, [("a", name), ("b", name), ("c", name)]);
    }
}
