//! What is wrong with nodes, and what their checks find.

use std::net::IpAddr;

use super::Life;
use crate::oracle::Key;

/// What is wrong with a node. All of it is the truth, which the server has to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// All of it.
    Dead,
    /// Its IPv6.
    DeadIpv6,
    /// By one probe of three.
    DeadBy(usize),
    /// Every third turn of each check, and those checks in this part of a hundred beside.
    Flaps(u64),
}

impl Life {
    /// The truth about a check's turn.
    pub(super) fn finds(&mut self, key: &Key, turn: u64) -> bool {
        let node = self.model.nodes.iter().find(|n| n.ips.contains(&key.ip));
        let Some((fault, _)) = node.and_then(|n| self.faults.get(&n.name)) else {
            return true;
        };
        match *fault {
            Fault::Flaps(percent) => !turn.is_multiple_of(3) && !self.random.percent(percent),
            fault => !kills(fault, key.ip, &key.probe),
        }
    }

    pub(super) fn fault(&mut self) {
        self.tally.faults += 1;
        let now = self.now;
        if self.random.percent(15) {
            // A region goes, unless that is half of the world.
            let region = self.random.pick(&self.model.nodes).region;
            let all: Vec<String> = self.names(|n| n.region == region);
            if all.len() * 2 < self.model.nodes.len() {
                self.note(&format!("all of a region are dead: {all:?}"));
                for name in all {
                    self.faults.entry(name).or_insert((Fault::Dead, now));
                }
                return;
            }
        }
        let name = self.random.pick(&self.model.nodes).name.clone();
        let fault = match self.random.below(5) {
            0 | 1 => Fault::Dead,
            2 => Fault::DeadIpv6,
            3 => Fault::DeadBy(self.random.below(3)),
            _ => Fault::Flaps(self.random.between(0, 30)),
        };
        self.note(&format!("{name}: {fault:?}"));
        self.faults.insert(name, (fault, now));
    }

    pub(super) fn heal(&mut self) {
        let sick: Vec<String> = self.faults.keys().cloned().collect();
        let few = if self.random.percent(20) {
            sick.len()
        } else {
            1
        };
        for _ in 0..few {
            if let Some(name) = sick.get(self.random.below(sick.len())) {
                self.faults.remove(name);
                self.note(&format!("{name} heals"));
            }
        }
    }
}

/// Whether a fault makes a probe of an address fail every time.
pub(super) fn kills(fault: Fault, ip: IpAddr, probe: &str) -> bool {
    match fault {
        Fault::Dead => true,
        Fault::DeadIpv6 => ip.is_ipv6(),
        Fault::DeadBy(n) => probe == format!("probe{n}"),
        Fault::Flaps(_) => false,
    }
}
