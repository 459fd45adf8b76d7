//! Nodes that are known by a name: it is resolved in the background, and the last good answer is kept until there is a better one.
//!
//! ```text
//!   due: TTL over ------> resolvers asked -----> addresses as before: next look-up after the TTL
//!     ^                      |       |
//!     |               fails: |       | other addresses
//!     |   addresses kept,    |       v
//!     +---- back-off --------+     a generation built aside, and put in the place of the current one
//! ```
//! Nothing here is waited for by a probe or an answer.

mod host;
mod kept;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::build::rebuild_aside;
use super::history::Entry;
use super::load::Parts;
use super::run::Handle;
use crate::config::Config;
use crate::health::Time;
use crate::policy::Node;
use crate::probe::{Resolved, resolve};

pub(super) use host::{Host, words};
pub(super) use kept::write;

/// Names that are asked for at one time.
const AT_ONCE: usize = 64;
/// What a start waits for names that were never resolved.
const FIRST: Duration = Duration::from_secs(5);
/// Changes that come within this time make one generation.
const TOGETHER: Duration = Duration::from_millis(200);
/// When a generation that could not be made is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// A look at what is due, at least.
const IDLE: Duration = Duration::from_secs(3600);

/// A node that is known by a name, for people. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLine {
    /// The node.
    pub node: String,
    /// Its name in the DNS, without the final dot.
    pub host: String,
    /// Its addresses: the last good answer.
    pub addresses: Vec<IpAddr>,
    /// When the last good answer came; none: never.
    pub resolved: Option<u64>,
    /// When it is resolved next.
    pub next: u64,
    /// The newest error; kept over good answers.
    pub last_error: Option<String>,
    /// When it came.
    pub last_error_at: Option<u64>,
    /// Whether the newest look-up was good.
    pub ok: bool,
    /// Whether nobody is given it because its place is neither stated nor known to a database.
    #[serde(default)]
    pub lost: bool,
}

/// Gives nodes that are known by a name the addresses that the state folder has for it.
pub fn known_addresses(config: &mut Config, now: Time) {
    kept::restore(config, now);
}

/// The nodes that are known by a name, with what the state folder knows of them. Their addresses are put into the configuration.
pub(super) fn of(config: &mut Config, now: Time) -> Vec<Host> {
    let hosts = kept::restore(config, now);
    for host in hosts.iter().filter(|h| h.resolved().is_some()) {
        let (node, addresses) = (host.node(), words(&host.addresses()));
        tracing::info!(
            "{node}: going on from the last answer for {}: {addresses}",
            host.name_text()
        );
    }
    hosts
}

/// Resolves the names that never were, and waits some seconds for it.
pub(super) fn first(
    hosts: &mut [Host],
    config: &mut Config,
    runtime: &Runtime,
    clock: crate::clock::Clock,
) {
    let mut lookups = JoinSet::new();
    let resolvers: Arc<[SocketAddr]> = resolvers(config).into();
    let never = (0..)
        .zip(hosts.iter())
        .filter(|(_, h)| h.resolved().is_none());
    for (number, host) in never {
        lookups.spawn_on(look_up(number, host, &resolvers), runtime.handle());
    }
    if lookups.is_empty() {
        return;
    }
    tracing::info!("resolving the names of {} nodes", lookups.len());
    runtime.block_on(async {
        let until = Instant::now() + FIRST;
        while let Ok(Some(done)) = tokio::time::timeout_at(until, lookups.join_next()).await {
            if let Ok((number, resolved)) = done {
                hosts[number].take(&resolved, clock.now(), config.limits.resolve_least);
            }
        }
    });
    for host in hosts {
        config.nodes[host.index()].addresses = host.addresses();
    }
}

fn look_up(
    number: usize,
    host: &Host,
    resolvers: &Arc<[SocketAddr]>,
) -> impl Future<Output = (usize, Resolved)> + use<> {
    let (name, resolvers) = (host.name().clone(), Arc::clone(resolvers));
    async move { (number, resolve(&name, &resolvers).await) }
}

/// Those of the configuration, else those of the system as they are now.
fn resolvers(config: &Config) -> Vec<SocketAddr> {
    if !config.server.resolvers.is_empty() {
        return config.server.resolvers.clone();
    }
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    name_servers(&text)
}

/// The name servers of a resolv.conf(5); without any, the one of this machine.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words
            .next()
            .filter(|w| *w == "nameserver")
            .and(words.next())?;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    };
    let servers: Vec<SocketAddr> = text.lines().filter_map(server).collect();
    if servers.is_empty() {
        return vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)];
    }
    servers
}

/// Resolves names when they are due, for ever. `parts` are what the current generation was built of.
pub(super) async fn keep_resolving(handle: Handle, parts: Parts) {
    let least = parts.config.limits.resolve_least;
    let mut addresses = Addresses {
        parts: Arc::new(parts),
        changes: Vec::new(),
        told: false,
    };
    tell_lost(&handle);
    let (mut lookups, mut asked) = (JoinSet::new(), HashSet::new());
    let mut settled: Option<Instant> = None;
    loop {
        let now = handle.now();
        let due = handle.with_hosts(|hosts| {
            let waiting = (0..).zip(hosts.iter()).filter(|(n, _)| !asked.contains(n));
            let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|(_, h)| h.next() <= now);
            if !due.is_empty() && lookups.len() < AT_ONCE {
                let resolvers: Arc<[SocketAddr]> = resolvers(&addresses.parts.config).into();
                for (number, host) in due.into_iter().take(AT_ONCE - lookups.len()) {
                    asked.insert(number);
                    lookups.spawn(look_up(number, host, &resolvers));
                }
            }
            later.iter().map(|(_, h)| h.next() - now).min()
        });
        tokio::select! {
            Some(done) = lookups.join_next(), if !lookups.is_empty() => {
                let Ok((number, resolved)) = done else { continue };
                asked.remove(&number);
                handle.with_hosts(|hosts| hosts[number].take(&resolved, handle.now(), least));
                settled.get_or_insert(Instant::now() + TOGETHER);
            }
            () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {
                settled = (!addresses.settle(&handle).await).then(|| Instant::now() + AGAIN);
            }
            () = sleep(due.unwrap_or(IDLE)) => {}
        }
    }
}

/// The parts of the next generation, and what of them is not in the current one yet.
struct Addresses {
    parts: Arc<Parts>,
    changes: Vec<Change>,
    /// Whether it was told that they cannot be.
    told: bool,
}

/// A node has other addresses.
struct Change {
    node: String,
    why: String,
    from: Vec<IpAddr>,
    to: Vec<IpAddr>,
}

impl Addresses {
    /// Keeps what is known now, and puts it in service where it changed; whether that is done.
    async fn settle(&mut self, handle: &Handle) -> bool {
        let Some(parts) = Arc::get_mut(&mut self.parts) else {
            return false;
        };
        let nodes = &mut parts.config.nodes;
        let changed = handle.with_hosts(|hosts| {
            hosts
                .iter()
                .filter_map(|h| change(h, nodes))
                .collect::<Vec<_>>()
        });
        self.changes.extend(changed);
        let (build, replace, state) = (
            Arc::clone(&self.parts),
            !self.changes.is_empty(),
            handle.clone(),
        );
        let done = tokio::task::spawn_blocking(move || {
            state.write_hosts();
            if replace { put(&state, build) } else { Ok(()) }
        });
        match done.await.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(()) => {
                if replace {
                    tell_lost(handle);
                }
                self.changes
                    .drain(..)
                    .for_each(|change| change.tell(handle));
                self.told = false;
                true
            }
            Err(why) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::error!("new addresses of nodes are not in service: {why}");
                }
                false
            }
        }
    }
}

/// Warns of nodes that are given to nobody.
fn tell_lost(handle: &Handle) {
    for HostLine {
        node, addresses, ..
    } in handle.hosts().iter().filter(|h| h.lost)
    {
        let addresses = words(addresses);
        tracing::warn!(
            "node {node} is given to nobody: no database knows {addresses}, so it needs `at`"
        );
    }
}

/// Builds the next generation beside the current one, and puts it in its place.
fn put(handle: &Handle, parts: Arc<Parts>) -> Result<(), String> {
    let last = handle.current().get();
    let build = rebuild_aside(parts, last, handle.now()).map_err(|e| e.to_string())?;
    let built = build.join().map_err(|_| "the build has panicked")?;
    handle.replace(built.map_err(|errors| errors.join("\n"))?)
}

/// Gives a node the addresses of its name, if they are others.
fn change(host: &Host, nodes: &mut [Node]) -> Option<Change> {
    let (node, to) = (&mut nodes[host.index()], host.addresses());
    if node.addresses == to {
        return None;
    }
    let from = std::mem::replace(&mut node.addresses, to.clone());
    Some(Change {
        node: node.name.clone(),
        why: format!("{} resolved", host.name_text()),
        from,
        to,
    })
}

impl Change {
    fn tell(self, handle: &Handle) {
        let (from, to) = (words(&self.from), words(&self.to));
        tracing::info!("{} {from} -> {to}: {}", self.node, self.why);
        handle.remember(Entry {
            at: handle.now().as_secs(),
            node: self.node,
            address: None,
            from,
            to,
            why: self.why,
            who: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_system() {
        let of =
            |text| -> Vec<String> { name_servers(text).iter().map(ToString::to_string).collect() };
        let text = "# a\nsearch x\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver x\n";
        assert_eq!(of(text), ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert_eq!(of("options rotate\n"), ["127.0.0.1:53"]);
    }
}
