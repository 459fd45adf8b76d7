//! What the server tells about itself: the shapes of its JSON.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use serde::{Deserialize, Serialize};

use crate::answer::{self, AsnPart, Explanation, Transport};
use crate::control::{Handle, HostLine, KeyLine, LastReload, OrderLine, ReceivedLine, cities};
use crate::geo::{World, nearest_city};
use crate::health::{self, Board, Check, Damped, Frozen, Seen, State, Time};
use crate::metrics::Questions;
use crate::prefix::{Client, Prefix};
use crate::snapshot::{Family, Snapshot};
use crate::wire::rcode;
use crate::zone::{Name, RecordType};

/// The server as a whole. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Why the process that was to take over did not, if it did not.
    pub upgrade_error: Option<String>,
    /// The current generation.
    pub generation: u64,
    /// The server's clock.
    pub now: u64,
    /// When it was started.
    pub started: u64,
    /// The file it was started from.
    pub config: String,
    /// How the last reload has ended; none: there was none.
    pub last_reload: Option<LastReload>,
    /// Addresses, UDP and TCP.
    pub listen: Vec<String>,
    /// Addresses where questions come encrypted.
    #[serde(default)]
    pub encrypted: Vec<Listener>,
    /// The user that it runs as.
    pub user: String,
    /// Whether Landlock keeps files from it that are not named in the configuration.
    pub landlock: String,
    /// Whether system calls that it has no use for are refused to it.
    #[serde(default)]
    pub seccomp: String,
    /// GeoIP databases in words.
    pub databases: Vec<String>,
    /// The zones.
    pub zones: Vec<ZoneLine>,
    /// The pools.
    pub pools: Vec<PoolLine>,
    /// What operators have ordered for nodes.
    pub orders: Vec<OrderLine>,
    /// Families whose states are frozen, as most nodes failed at once.
    pub frozen: Vec<FrozenLine>,
    /// What will become a failure if nothing is done: certificates that end soon.
    pub warnings: Vec<String>,
    /// Nodes that are known by a name.
    pub hosts: Vec<HostLine>,
    /// The zones that come from other name servers.
    pub received: Vec<ReceivedLine>,
    /// The keys of the zones that are signed.
    #[serde(default)]
    pub keys: Vec<KeyLine>,
    /// What was counted since the start, by name; response codes as `rcode NOERROR`.
    pub counters: BTreeMap<String, u64>,
}

/// Where questions come encrypted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listener {
    /// How, in a word.
    pub transport: String,
    /// Where.
    pub address: String,
}

impl Listener {
    fn of((transport, address): &(Transport, SocketAddr)) -> Self {
        Self {
            transport: transport.word().into(),
            address: address.to_string(),
        }
    }
}

/// States of a family that are frozen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrozenLine {
    /// 4 or 6.
    pub family: u8,
    /// Since when.
    pub since: u64,
    /// Until when, if nothing happens before.
    pub until: u64,
    /// How many nodes had failed when it began.
    pub failed: usize,
    /// Of how many that were up.
    pub of: usize,
}

impl FrozenLine {
    pub(super) fn all(board: &Board) -> Vec<Self> {
        let line = |(family, frozen): (u8, Option<Frozen>)| {
            let frozen = frozen?;
            Some(Self {
                family,
                since: frozen.since.as_secs(),
                until: frozen.until.as_secs(),
                failed: frozen.failed,
                of: frozen.of,
            })
        };
        let families = [4, 6].into_iter().zip(board.frozen());
        families.filter_map(line).collect()
    }
}

/// A zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneLine {
    /// Its name.
    pub zone: String,
    /// The SOA's serial.
    pub serial: u32,
    /// How many names it has, empty non-terminals included.
    pub names: usize,
}

/// A pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolLine {
    /// Its name.
    pub pool: String,
    /// For IPv4.
    pub v4: Option<FamilyLine>,
    /// For IPv6.
    pub v6: Option<FamilyLine>,
}

/// A pool's half for one family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FamilyLine {
    /// Nodes with addresses of the family.
    pub nodes: usize,
    /// Those with one in service.
    pub in_service: usize,
    /// What is answered with none: the policy's word.
    pub none: String,
    /// Why nodes serve that do not otherwise; none: they do not.
    pub spilled: Option<String>,
    /// Ranges of client addresses, IPv4 and IPv6.
    pub ranges: (usize, usize),
    /// Distinct ordered lists.
    pub lists: usize,
}

impl Status {
    /// Gathers it all.
    #[must_use]
    pub fn of(handle: &Handle) -> Self {
        // Who has the board has the generation that it is of.
        let board = handle.board();
        let snapshot = handle.current().get();
        let zone = |(number, zone): (usize, &crate::zone::Zone)| ZoneLine {
            zone: zone.apex().to_string(),
            serial: snapshot.serial(number).unwrap_or(0),
            names: zone.len(),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            upgrade_error: handle.upgrade_error(),
            generation: snapshot.generation,
            now: handle.now().as_secs(),
            started: handle.started().as_secs(),
            config: handle.config().display().to_string(),
            last_reload: handle.last_reload(),
            listen: handle.listen().iter().map(ToString::to_string).collect(),
            encrypted: handle.encrypted().iter().map(Listener::of).collect(),
            user: handle.rights().user.clone(),
            landlock: handle.rights().landlock.words().to_owned(),
            seccomp: if handle.rights().calls {
                "on"
            } else {
                "not available"
            }
            .to_owned(),
            databases: handle.databases(),
            received: handle.received(),
            keys: handle.key_lines(),
            zones: snapshot.zones.list().iter().enumerate().map(zone).collect(),
            pools: snapshot
                .pools
                .iter()
                .map(|pool| PoolLine::of(&snapshot, pool))
                .collect(),
            orders: board
                .orders()
                .iter()
                .map(|(node, order)| OrderLine::of(node, order))
                .collect(),
            hosts: handle.hosts(),
            frozen: FrozenLine::all(&board),
            warnings: warnings(handle, &board),
            counters: counters(
                handle.counters().iter().map(AsRef::as_ref),
                board.freezes(),
                &snapshot,
            ),
        }
    }
}

impl PoolLine {
    pub(super) fn of(snapshot: &Snapshot, pool: &crate::snapshot::Pool) -> Self {
        let table = snapshot.table.load();
        let family = |Family { steering, .. }: &Family| {
            let serves = |m: u16| steering.word(m, &table).in_service();
            let (v4, v6, lists) = steering.map.size();
            FamilyLine {
                nodes: steering.nodes().count(),
                in_service: steering
                    .nodes()
                    .filter(|(_, own)| own.clone().any(serves))
                    .count(),
                none: steering.none.to_string(),
                spilled: steering.spill.as_ref().and_then(|s| s.words(&table)),
                ranges: (v4, v6),
                lists,
            }
        };
        Self {
            pool: pool.name.clone(),
            v4: pool.v4.as_ref().map(family),
            v6: pool.v6.as_ref().map(family),
        }
    }
}

fn counters<'a>(
    workers: impl Iterator<Item = &'a Questions>,
    freezes: u64,
    snapshot: &Snapshot,
) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::from([("freezes of states".to_owned(), freezes)]);
    if let Some(log) = &snapshot.log {
        sums.insert("query log lines".into(), log.written.get());
        sums.insert("query log drops".into(), log.dropped.get());
    }
    let signed = snapshot.signed.as_ref();
    if let Some(signing) = signed.and_then(|signed| signed.signing.as_ref()) {
        sums.insert("signatures made".into(), signing.total());
        sums.insert("signatures refused".into(), signing.refused());
    }
    for worker in workers {
        let mut add = |name: String, n: u64| *sums.entry(name).or_insert(0) += n;
        add("received".into(), worker.received.get());
        add("silent".into(), worker.silent.get());
        add("truncated".into(), worker.truncated.get());
        add("no node in service".into(), worker.none_left.get());
        add("over the rate".into(), worker.limited.get());
        add("told to come by TCP".into(), worker.slipped.get());
        add("send errors".into(), worker.send_errors.get());
        add("panics".into(), worker.panics.get());
        add("connections".into(), worker.connections.get());
        add("connections evicted".into(), worker.evicted.get());
        for (code, n) in (0u16..).zip(worker.codes()).filter(|(_, n)| *n > 0) {
            add(format!("rcode {}", rcode::mnemonic(code)), n);
        }
    }
    sums
}

/// A check and what it found. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckLine {
    /// The node.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// The probe.
    pub probe: String,
    /// Whether nothing follows from it.
    pub shadow: bool,
    /// The name asked for.
    pub host: String,
    /// Where the node stands.
    pub place: String,
    /// `up`, `down`, `unknown`; `unprobed` of an address without a check.
    pub state: String,
    /// The state that counts while states are frozen; none: the one that is measured.
    pub counts_as: Option<String>,
    /// Why the address is kept out although it is up, if it is.
    pub damped: Option<String>,
    /// When the state was entered.
    pub since: u64,
    /// What the counters hold on the way to another state.
    pub progress: Option<String>,
    /// The newest error in the probe's own words.
    pub last_error: Option<String>,
    /// When it came.
    pub last_error_at: Option<u64>,
    /// Whether the newest check succeeded.
    pub last_ok: Option<bool>,
    /// How long the newest check took, milliseconds.
    pub latency_ms: Option<f64>,
    /// How long it took until the connection stood, milliseconds.
    pub connect_ms: Option<f64>,
    /// How long TLS took from then, milliseconds.
    pub tls_ms: Option<f64>,
    /// Whole days until the node's certificate ends; negative once it has.
    pub certificate_days: Option<i64>,
    /// What will become a failure if nothing is done.
    pub warning: Option<String>,
    /// Seconds until the next check, give or take the jitter.
    pub next: Option<u64>,
    /// What an operator has ordered for the node, if anything: it counts, not `state`.
    pub order: Option<OrderLine>,
    /// Until when a slow drain goes on: some clients are given the node still, fewer with each step.
    pub draining_until: Option<u64>,
    /// The name that the address is of, if the node is known by one.
    pub name: Option<HostLine>,
    /// The address's share of all that were given in answers of the last five minutes, 0 to 1; none where none was given.
    pub share: Option<f64>,
}

impl CheckLine {
    /// All checks, in the order of nodes and addresses, and after them the addresses of pools that nobody probes.
    #[must_use]
    pub fn all(handle: &Handle) -> Vec<Self> {
        // Who has the board has the generation that it is of.
        let (board, hosts) = (handle.board(), handle.hosts());
        let (snapshot, now) = (handle.current().get(), handle.now());
        let name_of = |node: &str| hosts.iter().find(|h| h.node == node).cloned();
        let names = snapshot.nodes.iter().map(|node| node.name.as_str());
        let places: HashMap<&str, &String> = names.zip(&snapshot.near).collect();
        let place = |node: &str| places.get(node).copied().cloned().unwrap_or_default();
        let shares = handle.shares(&snapshot).unwrap_or_default();
        let named =
            |(node, ip): &(u32, IpAddr)| (snapshot.nodes[*node as usize].name.as_str(), *ip);
        let shares: BTreeMap<(&str, IpAddr), f64> =
            snapshot.addresses.iter().map(named).zip(shares).collect();
        let damped = board.damped_checks();
        let draining = |node: &str| {
            let order = board.orders().get(node)?;
            let slow = snapshot.slow_start(std::slice::from_ref(&node.to_owned()));
            let end = order.takes_hold(slow);
            (end > now).then_some(end.as_secs())
        };
        let line = |number: usize, check: &Check, status: &health::Status| Self {
            node: check.node.clone(),
            address: check.address,
            probe: check.probe.name.clone(),
            shadow: check.probe.shadow,
            host: check.host.clone(),
            place: place(&check.node),
            state: status.counter.state().word().into(),
            counts_as: board
                .held(number)
                .map(|held| held.counter.state().word().into()),
            damped: damped.get(&number).map(Damped::words),
            since: status.since.as_secs(),
            progress: status.counter.progress(check.probe.thresholds()),
            last_error: status.last_error.as_ref().map(|(_, error)| error.clone()),
            last_error_at: status.last_error.as_ref().map(|(at, _)| at.as_secs()),
            last_ok: status
                .last
                .as_ref()
                .map(|(_, outcome)| outcome.result.is_ok()),
            latency_ms: status.last.as_ref().map(|(_, o)| ms(o.latency)),
            connect_ms: seen(status).connect.map(ms),
            tls_ms: seen(status).tls.map(ms),
            certificate_days: seen(status).certificate_days(now),
            warning: seen(status).warning(&check.probe, now),
            next: status
                .last
                .as_ref()
                .map(|(at, _)| (*at + check.probe.every).saturating_sub(now).as_secs()),
            order: board
                .orders()
                .get(&check.node)
                .map(|order| OrderLine::of(&check.node, order)),
            draining_until: draining(&check.node),
            name: name_of(&check.node),
            share: shares.get(&(check.node.as_str(), check.address)).copied(),
        };
        let all = board.checks().iter().zip(board.statuses()).enumerate();
        let mut lines: Vec<Self> = all
            .map(|(number, (check, status))| line(number, check, status))
            .collect();
        let probed = board.checks().iter().map(|c| (c.node.as_str(), c.address));
        let probed: HashSet<(&str, IpAddr)> = probed.collect();
        let unprobed = snapshot.addresses.iter().map(named);
        let unprobed = unprobed.filter(|address| !probed.contains(address));
        let unprobed = unprobed.map(|(node, ip)| Self {
            place: place(node),
            since: handle.started().as_secs(),
            order: board.orders().get(node).map(|o| OrderLine::of(node, o)),
            draining_until: draining(node),
            name: name_of(node),
            share: shares.get(&(node, ip)).copied(),
            ..Self::unprobed(node, ip)
        });
        lines.extend(unprobed);
        lines
    }

    /// The line of an address that nobody probes.
    fn unprobed(node: &str, address: IpAddr) -> Self {
        Self {
            node: node.into(),
            address,
            probe: "-".into(),
            shadow: false,
            host: String::new(),
            place: String::new(),
            state: "unprobed".into(),
            counts_as: None,
            damped: None,
            since: 0,
            progress: None,
            last_error: None,
            last_error_at: None,
            last_ok: None,
            latency_ms: None,
            connect_ms: None,
            tls_ms: None,
            certificate_days: None,
            warning: None,
            next: None,
            order: None,
            draining_until: None,
            name: None,
            share: None,
        }
    }

    /// Whether the address is out of service by this check, which has a vote, and nobody has ordered otherwise.
    #[must_use]
    pub fn is_down(&self) -> bool {
        let state = self.counts_as.as_ref().unwrap_or(&self.state);
        state == State::Down.word() && self.order.is_none() && !self.shadow
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What the newest run saw.
fn seen(status: &health::Status) -> Seen {
    status
        .last
        .as_ref()
        .map_or(Seen::default(), |(_, o)| o.seen)
}

/// What will become a failure if nothing is done: our own certificates by their tables, those of nodes by node, address and probe, and zones
/// that a restart would not have.
pub(super) fn warnings(handle: &Handle, board: &Board) -> Vec<String> {
    let now = handle.now();
    let checks = board.checks().iter().zip(board.statuses());
    let line = |(check, status): (&Check, &health::Status)| {
        let (node, address, probe) = (&check.node, check.address, &check.probe);
        let warning = seen(status).warning(probe, now)?;
        Some(format!("{node} {address} {}: {warning}", probe.name))
    };
    let own = handle.own_certificates_that_end();
    let zones = handle.zones_not_kept();
    own.chain(checks.filter_map(line)).chain(zones).collect()
}

/// An explanation, with the reply in text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// The reasons.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The type asked for, as text.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The response code as text.
    pub status: String,
    /// The records of the answer section in presentation form.
    pub answer: Vec<String>,
    /// The listed city nearest to the client.
    pub near: Option<String>,
    /// The nodes of the pool that are known by a name.
    #[serde(default)]
    pub hosts: Vec<HostLine>,
    /// The server's clock, seconds since 1970.
    #[serde(default)]
    pub now: u64,
}

/// Explains what `client` is answered; without a board states are unknown and every address counts as in service.
#[must_use]
pub fn explain(
    snapshot: &Snapshot,
    board: Option<&Board>,
    name: &Name,
    rtype: RecordType,
    client: IpAddr,
    resolver: IpAddr,
) -> Explained {
    let table = snapshot.table.load();
    let explanation = answer::explain(
        snapshot,
        &table,
        board,
        (name, rtype.0),
        (client, resolver),
        &cities,
    );
    let message = Message::from_vec(&explanation.reply).ok();
    let answer = message
        .map(|m| m.answers.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let at = explanation
        .pool
        .as_ref()
        .and_then(|p| p.at)
        .and_then(|(lat, lon)| crate::geo::Point::new(lat, lon));
    Explained {
        rtype: rtype.to_string(),
        status: rcode::mnemonic(explanation.rcode),
        answer,
        near: at.and_then(nearest_city).map(|(label, _)| label),
        hosts: Vec::new(),
        now: 0,
        explanation,
    }
}

impl Explained {
    /// With those of the nodes known by a name that are of its pool, as they are now.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Vec<HostLine>, now: Time) -> Self {
        self.now = now.as_secs();
        let pool = self.explanation.pool.as_ref();
        let nodes = pool.map_or(&[][..], |pool| &pool.nodes);
        let asked = |host: &HostLine| nodes.iter().any(|n| n.node == host.node);
        self.hosts = hosts.into_iter().filter(asked).collect();
        self
    }
}

/// Where an address is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Located {
    /// The address asked for.
    pub ip: IpAddr,
    /// The address that was looked up.
    pub looked_up: IpAddr,
    /// `override`, `asn-override`, `city`, `country` or `unknown`.
    pub source: String,
    /// Degrees north and east, if a point is known.
    pub at: Option<(f64, f64)>,
    /// The country, if known.
    pub country: Option<String>,
    /// The part of it, if known, as in ISO 3166-2.
    pub subdivision: Option<String>,
    /// Its autonomous system, if a database knows it.
    pub asn: Option<AsnPart>,
    /// The listed city nearest to the point, and how far it is, km.
    pub near: Option<(String, f64)>,
    /// The widest block around the address of which this holds.
    pub block: String,
    /// Whether an ECS option with this address counts.
    pub routable: bool,
    /// The databases in use.
    pub databases: Vec<String>,
}

/// Says where an address is and who says so.
#[must_use]
pub fn locate(world: &World, databases: Vec<String>, ip: IpAddr) -> Located {
    let client = Client::of(ip);
    let (place, len) = world.locate(client);
    Located {
        ip,
        looked_up: client.addr(),
        source: place.source.word().into(),
        at: place.point.map(|p| (p.lat, p.lon)),
        country: place.country.map(|c| c.to_string()),
        subdivision: place.subdivision_code(),
        asn: AsnPart::of(world, client),
        near: place.point.and_then(nearest_city),
        block: Prefix::holding(ip, len).to_string(),
        routable: crate::prefix::is_routable(ip),
        databases,
    }
}
