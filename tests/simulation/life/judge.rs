//! Each answer beside what the oracle says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nearmost::policy::Entry;
use nearmost::prefix::Client;

use super::fault::kills;
use super::question::Asked;
use super::{Life, ips};
use crate::model::{Node, Pool};
use crate::oracle::{Expected, Forced, Ranked, rank};

impl Life {
    /// A question, the answer, and that of another client of the same scope.
    pub(super) fn ask(&mut self) -> Result<(), String> {
        let asked = self.question();
        let (rcode, records, scope) = self.answer(&asked)?;
        self.tally.answers += 1;
        let told = |problem: String| {
            let Asked {
                pool,
                client,
                question,
                ..
            } = &asked;
            format!(
                "{problem}\n{} {} for {client}, asked {question:?}: {rcode} {records:?} scope {scope:?}",
                pool.host(),
                if asked.v4 { "A" } else { "AAAA" }
            )
        };
        self.is_expected(&asked, rcode, &records).map_err(told)?;
        self.nobody_who_is_long_dead(&asked, &records)
            .map_err(told)?;
        match (asked.by_ecs, scope) {
            (true, Some(scope)) => {
                let twin = self.twin(&asked, scope);
                let Some(twin) = twin else { return Ok(()) };
                self.tally.twins += 1;
                let other = self.answer(&twin)?;
                if other != (rcode, records.clone(), Some(scope)) {
                    return Err(told(format!(
                        "{} is in the same scope and is answered {other:?}",
                        twin.client
                    )));
                }
            }
            (false, None) => {}
            // A block that counts for nothing: the answer is the resolver's, and for nobody else.
            (false, Some(scope))
                if scope == asked.question.ecs.as_ref().map_or(0, |ecs| ecs.source) => {}
            _ => return Err(told("no such scope".into())),
        }
        Ok(())
    }

    fn is_expected(
        &mut self,
        asked: &Asked,
        rcode: u16,
        records: &[(IpAddr, u32)],
    ) -> Result<(), String> {
        let Asked { pool, v4, .. } = asked;
        let ranked = rank(&self.model, pool, *v4, asked.client, self.step(pool, *v4));
        if ranked.doubtful {
            return Ok(());
        }
        let family = |n: &&Node| n.ips.iter().any(|ip| ip.is_ipv4() == *v4);
        if self.model.members(pool).filter(family).count() == 0 {
            return expect(
                rcode == 0 && records.is_empty(),
                "the pool has no such addresses",
            );
        }
        let order = self.order_of(pool, *v4, asked.client)?;
        well_ordered(pool, &ranked, &order)?;
        let expected = self
            .oracle
            .answer(&self.model, pool, *v4, &ranked, &order, self.now);
        let given = self.nodes_of(records)?;
        let ttl = |ttl: u32| {
            expect(
                records.iter().all(|r| r.1 == ttl),
                &format!("a TTL of {ttl} is due"),
            )
        };
        match &expected {
            Expected::Exactly(..) | Expected::Drawn(..) => self.tally.exact += 1,
            Expected::Some(..) => self.tally.loose += 1,
            _ => self.tally.nobody += 1,
        }
        expect(
            (rcode == 2) == matches!(expected, Expected::ServFail),
            "the response code",
        )?;
        let wrong = format!("expected: {expected:?}, the list is {order:?}");
        match expected {
            Expected::Exactly(nodes, cap) => {
                expect(given == nodes, &wrong)?;
                self.all_that_are_up(asked, &nodes, records)?;
                ttl(cap)
            }
            Expected::Drawn(count, nodes, cap) => {
                let drawn: BTreeSet<&String> = given.iter().filter(|n| nodes.contains(n)).collect();
                expect(drawn.len() == count && given.len() == count, &wrong)?;
                let weighs = |n: &&String| self.model.node(n).unwrap().weight > 0;
                let (able, spare) = (
                    nodes.iter().filter(weighs).count(),
                    drawn.iter().any(|n| !weighs(n)),
                );
                expect(!spare || able < count, "a spare before one that is none")?;
                self.all_that_are_up(asked, &given, records)?;
                ttl(cap)
            }
            Expected::Some(most, nodes) => {
                let all = given.iter().all(|n| nodes.contains(n));
                expect(all && !given.is_empty() && given.len() <= most, &wrong)?;
                self.all_that_are_up(asked, &given, records)?;
                let (high, low) = pool.ttl;
                expect(
                    records.iter().all(|r| (low..=high).contains(&r.1)),
                    "a TTL out of bounds",
                )
            }
            Expected::Open(nodes) => {
                expect(given == nodes, &wrong)?;
                ttl(pool.ttl.1)
            }
            Expected::OpenOne(nodes) => {
                let one = given.len() == 1 && nodes.contains(&given[0]);
                expect(one || (nodes.is_empty() && given.is_empty()), &wrong)?;
                ttl(pool.ttl.1)
            }
            Expected::Nothing | Expected::ServFail => expect(records.is_empty(), &wrong),
        }
    }

    /// Of each node given all addresses in service, and no other.
    fn all_that_are_up(
        &self,
        asked: &Asked,
        nodes: &[String],
        records: &[(IpAddr, u32)],
    ) -> Result<(), String> {
        let due = nodes.iter().flat_map(|n| self.up(&asked.pool, n, asked.v4));
        let (due, got): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) =
            (due.collect(), ips(records).into_iter().collect());
        expect(due == got, &format!("the addresses in service are {due:?}"))
    }

    /// Whoever has failed for longer than detection may take is given to nobody while another is in service, whatever counters say.
    fn nobody_who_is_long_dead(
        &self,
        asked: &Asked,
        records: &[(IpAddr, u32)],
    ) -> Result<(), String> {
        for (ip, _) in records {
            let node = self
                .model
                .nodes
                .iter()
                .find(|n| n.ips.contains(ip))
                .unwrap();
            let Some((fault, since)) = self.faults.get(&node.name) else {
                continue;
            };
            let probes = asked.pool.probes.iter();
            let by = probes
                .filter(|p| kills(*fault, *ip, p))
                .map(|p| self.model.probe(p));
            // The verdict turns with as many as make the rest too few.
            let enough = asked.pool.probes.len() - asked.pool.need();
            // Turns are up to a tenth late; counts begin anew with a reload.
            let late = by.map(|p| u64::from(p.down) * (p.every + (p.every / 5).max(1)));
            let mut late: Vec<u64> = late.collect();
            late.sort_unstable();
            let bound = late.get(enough).copied();
            // What failed in a freeze may not count, and holds meanwhile.
            if self.oracle.frozen(ip.is_ipv6()).is_some() {
                continue;
            }
            let thawed = self.oracle.thawed(ip.is_ipv6());
            let since = (*since).max(self.reloaded).max(thawed.unwrap_or(0));
            let forced = self
                .oracle
                .orders
                .get(&node.name)
                .is_some_and(|o| o.forced == Forced::Up);
            if bound.is_some_and(|b| self.now > since + b) && !forced && !self.nobody(asked) {
                return Err(format!("{} is dead for {} s", node.name, self.now - since));
            }
        }
        Ok(())
    }

    pub(super) fn nobody(&self, asked: &Asked) -> bool {
        let step = self.step(&asked.pool, asked.v4);
        let ranked = rank(&self.model, &asked.pool, asked.v4, asked.client, step);
        let mut all = ranked.bands.iter().flat_map(|b| &b.0);
        all.all(|name| self.up(&asked.pool, name, asked.v4).is_empty())
    }

    pub(super) fn step(&self, pool: &Pool, v4: bool) -> usize {
        self.oracle.step(&self.model, pool, v4, self.now)
    }

    fn up(&self, pool: &Pool, name: &str, v4: bool) -> Vec<IpAddr> {
        self.oracle.up(&self.model, pool, name, v4, self.now)
    }

    /// The nodes of an answer, in order.
    fn nodes_of(&self, records: &[(IpAddr, u32)]) -> Result<Vec<String>, String> {
        let mut names: Vec<String> = Vec::new();
        for (ip, _) in records {
            let node = self.model.nodes.iter().find(|n| n.ips.contains(ip));
            let name = &node.ok_or(format!("{ip} is nobody's"))?.name;
            if names.last() != Some(name) {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    /// The compiled list of a client, by name. Only the order of equals is taken from it: the rest is compared.
    fn order_of(&self, pool: &Pool, v4: bool, client: IpAddr) -> Result<Vec<String>, String> {
        let of = self.snapshot.pools.iter().find(|p| p.name == pool.name);
        let of = of.ok_or("no such pool")?;
        let family = if v4 { &of.v4 } else { &of.v6 };
        let steering = &family.as_ref().ok_or("no such family")?.steering;
        let table = self.snapshot.table.load();
        let (list, _) = steering.map(&table).find(Client::of(client));
        let node = |e: Entry| steering.members[usize::from(e.member())].node as usize;
        let name = |e: Entry| self.snapshot.nodes[node(e)].name.clone();
        Ok(list.entries().map(name).collect())
    }
}

/// The list keeps to the bands, as far as a place decides it, and to the groups throughout.
fn well_ordered(pool: &Pool, ranked: &Ranked, order: &[String]) -> Result<(), String> {
    let told = || format!("the list is {order:?}, the bands are {ranked:?}");
    let all: BTreeSet<&String> = ranked.bands.iter().flat_map(|b| &b.0).collect();
    let listed: BTreeSet<&String> = order.iter().collect();
    expect(all == listed && all.len() == order.len(), &told())?;
    let group = |name: &String| {
        ranked
            .bands
            .iter()
            .find(|b| b.0.contains(name))
            .map(|b| b.1)
    };
    expect(order.is_sorted_by_key(group), &told())?;
    let Some(answer) = pool.answer else {
        let all: Vec<&String> = ranked.bands.iter().flat_map(|b| &b.0).collect();
        return expect(order.iter().eq(all), &told());
    };
    let head = usize::from(answer) + 2;
    let mut at = 0;
    for (number, (band, _)) in ranked.bands.iter().enumerate() {
        if at >= head || number >= ranked.sure {
            break;
        }
        let whole = number == 0 || !pool.sticky;
        let end = at
            + if whole {
                band.len()
            } else {
                band.len().min(head - at)
            };
        expect(order[at..end].iter().all(|n| band.contains(n)), &told())?;
        at = end;
    }
    Ok(())
}

pub(super) fn expect(holds: bool, problem: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(problem.to_owned())
    }
}
