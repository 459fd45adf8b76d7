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
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::build::rebuild_aside;
use super::handle::Handle;
use super::history::Entry;
use super::load::Parts;
use crate::config::Config;
use crate::health::Time;
use crate::policy::Node;
use crate::probe::{Resolved, resolve};
use crate::zone::Name;

use host::{Host, words};

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

/// The nodes that are known by a name, and who is asked for these.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    list: Vec<Host>,
    /// Those of the configuration; none: those of the system.
    resolvers: Vec<SocketAddr>,
    /// No name is asked for again sooner.
    least: Duration,
}

impl Hosts {
    /// Those of a configuration, with what the state folder knows of them. Their addresses are put into it.
    pub(super) fn of(config: &mut Config, now: Time) -> Self {
        let list = kept::restore(config, now);
        for host in list.iter().filter(|h| h.resolved().is_some()) {
            let (node, addresses) = (host.node(), words(&host.addresses()));
            tracing::info!(
                "{node}: going on from the last answer for {}: {addresses}",
                host.name_text()
            );
        }
        Self::with(config, list)
    }

    fn with(config: &Config, list: Vec<Host>) -> Self {
        Self {
            list,
            resolvers: config.server.resolvers.clone(),
            least: config.limits.resolve_least,
        }
    }

    /// Those of another configuration, with all that is known of those that are here too. Their addresses are put into it.
    pub(super) fn next(&self, config: &mut Config) -> Self {
        let mut list = Vec::new();
        for (index, node) in (0..).zip(&mut config.nodes) {
            let Some(name) = &node.host else { continue };
            let same = |h: &&Host| h.node() == node.name && h.name() == name;
            let known = self.list.iter().find(same);
            let host = known.map_or_else(|| Host::new(&node.name, index, name), |h| h.at(index));
            node.addresses = host.addresses();
            list.push(host);
        }
        Self::with(config, list)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<HostLine> {
        self.list.iter().map(Host::line).collect()
    }

    /// Keeps good answers in a folder.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        kept::write(&self.list, folder)
    }

    /// Takes what the resolvers say of a name, if it is still a node's.
    fn take(&mut self, (node, name): &Key, said: &Resolved, now: Time) {
        let same = |h: &&mut Host| h.node() == node && h.name() == name;
        if let Some(host) = self.list.iter_mut().find(same) {
            host.take(said, now, self.least);
        }
    }

    /// Those of the configuration, else those of the system as they are now.
    fn resolvers(&self) -> Arc<[SocketAddr]> {
        if !self.resolvers.is_empty() {
            return self.resolvers.clone().into();
        }
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        name_servers(&text).into()
    }
}

/// A node and its name.
type Key = (String, Name);

/// Resolves the names that never were, and waits some seconds for it. For a thread that may wait.
pub(super) fn first(
    hosts: &mut Hosts,
    config: &mut Config,
    runtime: &runtime::Handle,
    now: impl Fn() -> Time,
) {
    let mut lookups = JoinSet::new();
    let resolvers = hosts.resolvers();
    for host in hosts.list.iter().filter(|h| h.resolved().is_none()) {
        lookups.spawn_on(look_up(host, &resolvers), runtime);
    }
    if lookups.is_empty() {
        return;
    }
    tracing::info!("resolving the names of {} nodes", lookups.len());
    runtime.block_on(async {
        let until = Instant::now() + FIRST;
        while let Ok(Some(done)) = tokio::time::timeout_at(until, lookups.join_next()).await {
            if let Ok((key, resolved)) = done {
                hosts.take(&key, &resolved, now());
            }
        }
    });
    for host in &hosts.list {
        config.nodes[host.index()].addresses = host.addresses();
    }
}

fn look_up(
    host: &Host,
    resolvers: &Arc<[SocketAddr]>,
) -> impl Future<Output = (Key, Resolved)> + use<> {
    let (key, resolvers) = (
        (host.node().to_owned(), host.name().clone()),
        Arc::clone(resolvers),
    );
    async move {
        let resolved = resolve(&key.1, &resolvers).await;
        (key, resolved)
    }
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

/// Resolves names when they are due, for ever.
pub(super) async fn keep_resolving(handle: Handle) {
    tell_lost(&handle);
    let (mut lookups, mut asked) = (JoinSet::new(), HashSet::new());
    let mut settled: Option<Instant> = None;
    let mut told = false;
    loop {
        let now = handle.now();
        let due = handle.with_hosts(|hosts| {
            let key = |host: &Host| (host.node().to_owned(), host.name().clone());
            let waiting = hosts.list.iter().filter(|h| !asked.contains(&key(h)));
            let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|h| h.next() <= now);
            if !due.is_empty() && lookups.len() < AT_ONCE {
                let resolvers = hosts.resolvers();
                for host in due.into_iter().take(AT_ONCE - lookups.len()) {
                    asked.insert(key(host));
                    lookups.spawn(look_up(host, &resolvers));
                }
            }
            later.iter().map(|h| h.next() - now).min()
        });
        tokio::select! {
            Some(done) = lookups.join_next(), if !lookups.is_empty() => {
                let Ok((key, resolved)) = done else { continue };
                asked.remove(&key);
                handle.with_hosts(|hosts| hosts.take(&key, &resolved, handle.now()));
                settled.get_or_insert(Instant::now() + TOGETHER);
            }
            () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {
                settled = (!settle(&handle, &mut told).await).then(|| Instant::now() + AGAIN);
            }
            // Another generation has other names.
            () = handle.hosts_changed() => {}
            () = sleep(due.unwrap_or(IDLE)) => {}
        }
    }
}

/// A node has other addresses.
struct Change {
    node: String,
    index: usize,
    why: String,
    from: Vec<IpAddr>,
    to: Vec<IpAddr>,
}

/// Keeps what is known now, and puts it in service where it changed; whether that is done. That it is not is told once.
async fn settle(handle: &Handle, told: &mut bool) -> bool {
    let state = handle.clone();
    let done = tokio::task::spawn_blocking(move || {
        state.write_hosts();
        put(&state)
    });
    match done.await.unwrap_or_else(|e| Err(e.to_string())) {
        Ok(changes) => {
            if !changes.is_empty() {
                tell_lost(handle);
            }
            changes.into_iter().for_each(|change| change.tell(handle));
            *told = false;
            true
        }
        Err(why) => {
            if !std::mem::replace(told, true) {
                tracing::error!("new addresses of nodes are not in service: {why}");
            }
            false
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

/// Puts the addresses in service that names have now; those that are others.
fn put(handle: &Handle) -> Result<Vec<Change>, String> {
    let mut basis = handle.own_basis();
    let changes = handle.with_hosts(|hosts| {
        let nodes = &basis.parts.config.nodes;
        let all = hosts.list.iter().filter_map(|host| change(host, nodes));
        all.collect::<Vec<_>>()
    });
    if changes.is_empty() {
        return Ok(changes);
    }
    let mut give = |of: fn(&Change) -> &Vec<IpAddr>| {
        let parts = Arc::get_mut(&mut basis.parts).ok_or("the last build still runs")?;
        for change in &changes {
            parts.config.nodes[change.index]
                .addresses
                .clone_from(of(change));
        }
        Ok::<_, String>(Arc::clone(&basis.parts))
    };
    let parts = give(|change| &change.to)?;
    let done = put_parts(handle, parts);
    if done.is_err() {
        give(|change| &change.from)?;
    }
    done.map(|()| changes)
}

/// Builds the next generation beside the current one, and puts it in its place.
pub(super) fn put_parts(handle: &Handle, parts: Arc<Parts>) -> Result<(), String> {
    let last = handle.current().get();
    let build = rebuild_aside(parts, last, handle.now()).map_err(|e| e.to_string())?;
    let built = build.join().map_err(|_| "the build has panicked")?;
    handle.replace(built.map_err(|errors| errors.join("\n"))?)
}

/// What a host's answer changes for its node.
fn change(host: &Host, nodes: &[Node]) -> Option<Change> {
    let (node, to) = (&nodes[host.index()], host.addresses());
    (node.addresses != to).then(|| Change {
        node: node.name.clone(),
        index: host.index(),
        why: format!("{} resolved", host.name_text()),
        from: node.addresses.clone(),
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
