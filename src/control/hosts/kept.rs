//! Answers for nodes' names in the state folder: a start without a resolver goes on from them, however old they are.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::keep;
use super::Host;
use crate::config::Config;
use crate::health::Time;

const FILE: &str = "hosts.json";

/// A good answer. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    node: String,
    host: String,
    addresses: Vec<IpAddr>,
    resolved: u64,
    next: u64,
}

/// Writes what is known into a folder.
pub(in crate::control) fn write(hosts: &[Host], folder: &Path) -> io::Result<()> {
    let known = hosts.iter().map(Host::line);
    let line = |line: super::HostLine| {
        Some(Line {
            resolved: line.resolved?,
            node: line.node,
            host: line.host,
            addresses: line.addresses,
            next: line.next,
        })
    };
    let lines: Vec<Line> = known.filter_map(line).collect();
    keep::write(&folder.join(FILE), &lines)
}

/// The nodes of a configuration that are known by a name, with what its state folder knows of them: these addresses are put into it.
pub(super) fn restore(config: &mut Config, now: Time) -> Vec<Host> {
    let named = (0..).zip(&config.nodes);
    let host = |(index, node): (usize, &crate::policy::Node)| {
        Some(Host::new(&node.name, index, node.host.as_ref()?))
    };
    let mut hosts: Vec<Host> = named.filter_map(host).collect();
    let folder = config.server.state.as_ref().filter(|_| !hosts.is_empty());
    let lines: Option<Vec<Line>> = folder.and_then(|folder| keep::read(&folder.join(FILE)));
    for line in lines.unwrap_or_default() {
        // Another name may have other addresses.
        let same = |h: &&mut Host| h.node() == line.node && h.line().host == line.host;
        if let Some(host) = hosts.iter_mut().find(same) {
            let [resolved, next] = [line.resolved, line.next].map(Duration::from_secs);
            host.resume(&line.addresses, resolved, next, now);
            config.nodes[host.index()].addresses = host.addresses();
        }
    }
    hosts
}
