//! What operators order, and who moves by it.

use std::net::IpAddr;

use nearmost::health;

use super::question::{Asked, question};
use super::{Life, ips, time};
use crate::oracle::{Forced, Order};
use crate::random::Random;

impl Life {
    /// Some order for one node, or for all; beside that it is seen who moves.
    pub(super) fn order(&mut self) -> Result<(), String> {
        self.tally.orders += 1;
        let forced = match self.random.below(6) {
            0..=2 => Some(Forced::Drained),
            3 => Some(Forced::Up),
            4 => Some(Forced::Down),
            _ => None,
        };
        let until = self
            .random
            .percent(60)
            .then(|| self.now + self.random.between(20, 2000));
        // Seldom nobody is left: so it is seen what pools do then.
        let nodes = match self.random.percent(15) {
            true => self.names(|_| true),
            false => vec![self.random.pick(&self.model.nodes).name.clone()],
        };
        let until = if nodes.len() > 1 {
            Some(self.now + 300)
        } else {
            until
        };
        self.note(&format!("{nodes:?}: {forced:?} until {until:?}"));
        self.publish()?;
        let (before, damped) = (self.sample(), self.oracle.damped());
        for node in &nodes {
            let since = self.now;
            let order = forced.map(|forced| Order {
                forced,
                since,
                until,
            });
            let _ = self.board.order(node, order.map(board_order));
            match order {
                Some(order) => self.oracle.orders.insert(node.clone(), order),
                None => self.oracle.orders.remove(node),
            };
        }
        self.publish()?;
        let out = matches!(forced, Some(Forced::Drained | Forced::Down));
        // Who is missed more than before is not damped any more, and is given to its clients again.
        let damped = self.oracle.damped() != damped;
        if let ([node], true, false) = (&nodes[..], out, damped) {
            self.only_its_clients_moved(node, &before)?;
        }
        Ok(())
    }

    /// Clients of pools where each keeps its node, with the addresses that they are given and the step of `low`.
    fn sample(&self) -> Vec<(Asked, Vec<IpAddr>, usize)> {
        let mut random = Random::new(self.now);
        let mut sample = Vec::new();
        for pool in self.model.pools.iter().filter(|p| p.sticky) {
            for _ in 0..20 {
                let v4 = random.percent(70);
                let client = self.somebody(&mut random);
                let question = question(pool, v4, client, None);
                let asked = Asked {
                    pool: pool.clone(),
                    v4,
                    question,
                    client,
                    by_ecs: false,
                    draw: 0,
                };
                let given = self.answer(&asked).map_or(Vec::new(), |a| ips(&a.1));
                let step = self.step(&asked.pool, v4);
                sample.push((asked, given, step));
            }
        }
        sample
    }

    fn only_its_clients_moved(
        &mut self,
        node: &str,
        before: &[(Asked, Vec<IpAddr>, usize)],
    ) -> Result<(), String> {
        let own = self.model.node(node).unwrap().ips.clone();
        for (asked, before, step) in before {
            // Who joins or leaves is given to all.
            if self.step(&asked.pool, asked.v4) != *step {
                continue;
            }
            let now = ips(&self.answer(asked)?.1);
            if before.iter().any(|ip| own.contains(ip)) {
                self.tally.moved += u64::from(now != *before);
                continue;
            }
            self.tally.stayed += 1;
            // Who had nobody may be given another nobody.
            let any = now.iter().any(|ip| !own.contains(ip));
            let none_left = before.is_empty() || self.nobody(asked);
            if now != *before && any && !none_left {
                return Err(format!(
                    "{node} goes, and {} of {} moves from {before:?} to {now:?}",
                    asked.client, asked.pool.name
                ));
            }
        }
        Ok(())
    }
}

fn board_order(order: Order) -> health::Order {
    health::Order {
        forced: match order.forced {
            Forced::Drained => health::Forced::Drained,
            Forced::Up => health::Forced::Up,
            Forced::Down => health::Forced::Down,
        },
        why: String::new(),
        who: "the simulation".into(),
        since: time(order.since),
        at_once: false,
        until: order.until.map(time),
    }
}
