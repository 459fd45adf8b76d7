//! The files change, or are read in another order.

use std::net::IpAddr;
use std::time::Duration;

use nearmost::control::{self, Generation};
use nearmost::health::{Outcome, Seen};
use nearmost::policy::{Entry, Map};
use nearmost::prefix::Client;
use nearmost::snapshot::Snapshot;

use super::judge::expect;
use super::pass::CANARY;
use super::question::answer_of;
use super::{Life, START, build, load, time};
use crate::model::Pool;

impl Life {
    /// The files change, and the next generation goes on from what is known.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        self.tally.reloads += 1;
        let what = self.model.change(&mut self.random);
        self.note(&format!("reload: {what}"));
        let parts = load(&self.folder, &self.model)?;
        let now = time(self.now);
        let Generation {
            snapshot,
            mut board,
        } = control::rebuild(&parts, &self.snapshot, now).map_err(|e| e.join("\n"))?;
        self.look()?;
        let known = board.go_on(&self.board);
        let fresh = build(&parts, self.now)?.snapshot;
        same_lists(&snapshot, &fresh)?;
        (self.snapshot, self.board) = (snapshot, board);
        self.oracle.begin(&self.model, self.now);
        let model = &self.model;
        let there = |node: &str| node == CANARY || model.node(node).is_some();
        self.faults.retain(|node, _| there(node));
        self.reloaded = self.now;
        self.number_checks(&known)
    }

    /// Files are read in some order: for the answers it must not matter, but where the order is the policy.
    pub(super) fn any_order_is_the_same(&mut self) -> Result<(), String> {
        let mut other = self.model.clone();
        self.random.shuffle(&mut other.nodes);
        self.random.shuffle(&mut other.pools);
        self.random.shuffle(&mut other.overrides);
        let ordered = |p: &Pool| p.prefer.contains(&"order");
        for pool in other.pools.iter_mut().filter(|p| !ordered(p)) {
            self.random.shuffle(&mut pool.nodes);
        }
        let Generation {
            snapshot,
            mut board,
        } = build(&load(&self.folder, &other)?, START)?;
        for check in 0..board.checks().len() {
            let (result, latency) = (Ok(()), Duration::from_millis(20));
            let _ = board.observe(
                check,
                Outcome {
                    result,
                    latency,
                    seen: Seen::default(),
                },
                time(START),
            );
        }
        let table = snapshot.judge(board.table(time(START)));
        snapshot.table.publish(table);
        for _ in 0..100 {
            let asked = self.question();
            if !asked.pool.sticky {
                continue;
            }
            let (mut one, mut two) = (self.answer(&asked)?, answer_of(&snapshot, &asked)?);
            if asked.pool.answer.is_none() || asked.pool.none == "all" {
                one.1.sort();
                two.1.sort();
            }
            if one != two {
                return Err(format!(
                    "{} of {} is answered {one:?}, with the files in another order {two:?}",
                    asked.client, asked.pool.name
                ));
            }
        }
        Ok(())
    }
}

/// A generation that was built upon another has the lists of one that was built alone.
fn same_lists(one: &Snapshot, two: &Snapshot) -> Result<(), String> {
    for (a, b) in one.pools.iter().zip(&two.pools) {
        for (a, b) in [(&a.v4, &b.v4), (&a.v6, &b.v6)] {
            let [a, b] = [a, b].map(|f| f.as_ref().map_or(Vec::new(), |f| ranges(&f.steering.map)));
            expect(a == b, "rebuilt lists differ from those built anew")?;
        }
    }
    Ok(())
}

/// Where each range begins, and who is given there, with the borders of bands.
fn ranges(map: &Map) -> Vec<(IpAddr, Vec<Entry>)> {
    let mut out = Vec::new();
    for start in ["0.0.0.0", "::"] {
        let mut next: Option<IpAddr> = start.parse().ok();
        while let Some(addr) = next {
            // Not every upper half is what it looks like: inside of carriers IPv4 is looked up.
            let client = match addr {
                IpAddr::V4(a) => Client::V4 {
                    addr: a.to_bits(),
                    offset: 0,
                },
                IpAddr::V6(a) => Client::V6(u64::try_from(a.to_bits() >> 64).unwrap()),
            };
            let (first, last) = map.range(client);
            out.push((first, map.find(client).0.entries().collect()));
            next = match last {
                IpAddr::V4(a) => a.to_bits().checked_add(1).map(|a| a.to_be_bytes().into()),
                IpAddr::V6(a) => (a.to_bits() | u128::from(u64::MAX))
                    .checked_add(1)
                    .map(|a| a.to_be_bytes().into()),
            };
        }
    }
    out
}
