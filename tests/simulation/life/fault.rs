//! What is wrong with nodes, and what their checks find.

use std::net::IpAddr;

use super::pass::{CANARY, Turn};
use super::{Life, START};

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
    pub(super) fn finds(&mut self, check: usize) -> bool {
        let Turn {
            key, node, count, ..
        } = &self.turns[check];
        if self.now < self.cut[usize::from(key.ip.is_ipv6())] {
            return false;
        }
        match self.faults.get(node) {
            Some((Fault::Flaps(percent), _)) => {
                !count.is_multiple_of(3) && !self.random.percent(*percent)
            }
            Some((fault, _)) => !kills(*fault, key.ip, &key.probe),
            None => true,
        }
    }

    /// The prober's own network is gone for a while.
    pub(super) fn cut(&mut self) {
        let until = self.now + self.random.between(10, 1500);
        let which = self.random.below(3);
        for v6 in [0, 1] {
            if which != v6 {
                self.cut[v6] = until;
            }
        }
        self.note(&format!(
            "nothing is seen until {:?}",
            self.cut.map(|at| at - START)
        ));
    }

    /// Most nodes are dead at once, and it is true.
    pub(super) fn many_die(&mut self) {
        for node in &self.model.nodes {
            if self.random.percent(75) {
                self.faults
                    .insert(node.name.clone(), (Fault::Dead, self.now));
            }
        }
        self.note("most are dead");
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
        let name = match self.random.percent(5) {
            true => CANARY.into(),
            false => self.random.pick(&self.model.nodes).name.clone(),
        };
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
