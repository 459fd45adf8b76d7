//! A server's life in a made-up world: time passes, nodes fail and heal, operators order and reload, clients ask; after each answer the
//! oracle is asked too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nearmost::answer::{LONGEST, Request, Scratch, Transport, answer};
use nearmost::control::{self, Generation, Parts};
use nearmost::health::{self, Board, Outcome, Seen};
use nearmost::policy::{Entry, Map};
use nearmost::prefix::{Client, is_routable};
use nearmost::snapshot::Snapshot;
use nearmost::zone::rtype;

use crate::dns::{Ecs, Question, Reply};
use crate::model::{Model, Net, Node, Pool, anywhere};
use crate::oracle::{Expected, Forced, Key, Oracle, Order, Ranked, Seconds, rank};
use crate::random::Random;
use crate::world;

/// Some day in 2027.
const START: Seconds = 1_800_000_000;

/// What is wrong with a node. All of it is the truth, which the server has to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// All of it.
    Dead,
    /// Its IPv6.
    DeadIpv6,
    /// By one probe of three.
    DeadBy(usize),
    /// Every third turn of each check, and those checks in this part of a hundred beside.
    Flaps(u64),
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    pub(crate) exact: u64,
    pub(crate) loose: u64,
    pub(crate) nobody: u64,
    pub(crate) twins: u64,
    pub(crate) changes: u64,
    pub(crate) faults: u64,
    pub(crate) orders: u64,
    pub(crate) reloads: u64,
    pub(crate) stayed: u64,
    pub(crate) moved: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.exact += other.exact;
        self.loose += other.loose;
        self.nobody += other.nobody;
        self.twins += other.twins;
        self.changes += other.changes;
        self.faults += other.faults;
        self.orders += other.orders;
        self.reloads += other.reloads;
        self.stayed += other.stayed;
        self.moved += other.moved;
    }
}

pub(crate) struct Life {
    random: Random,
    model: Model,
    folder: PathBuf,
    snapshot: Snapshot,
    board: Board,
    oracle: Oracle,
    now: Seconds,
    /// What is wrong, and since when.
    faults: BTreeMap<String, (Fault, Seconds)>,
    /// The board's checks: their keys, their next turns, and how many there were.
    checks: Vec<(Key, Seconds, u64)>,
    log: VecDeque<String>,
    pub(crate) tally: Tally,
}

/// A question of the simulation and what the server said.
struct Asked {
    pool: Pool,
    v4: bool,
    question: Question,
    /// Whom the answer is for.
    client: IpAddr,
    by_ecs: bool,
    draw: u64,
}

/// Lives for so many days; in an error everything that is needed to see it again.
pub(crate) fn live(seed: u64, days: u64) -> Result<Tally, String> {
    let mut life = Life::begin(seed)?;
    let end = START + days * 86_400;
    let lived = life.until(end);
    let _ = fs::remove_dir_all(&life.folder);
    lived.map_err(|problem| {
        let at = life.now - START;
        let log: Vec<String> = life.log.iter().cloned().collect();
        let (log, config) = (log.join("\n  "), life.model.config());
        format!(
            "seed {seed}, {at} s after the start: {problem}\nwhat happened last:\n  {log}\nthe configuration:\n{config}"
        )
    })?;
    Ok(life.tally)
}

impl Life {
    fn begin(seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let model = Model::make(&mut random);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("simulation-{}-{seed}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for (file, octets) in world::databases(&model.database()).map_err(|e| e.1)? {
            fs::write(folder.join(file), octets).map_err(|e| e.to_string())?;
        }
        let parts = load(&folder, &model)?;
        let Generation { snapshot, board } = build(&parts, START)?;
        let mut life = Self {
            random,
            model,
            folder,
            snapshot,
            board,
            oracle: Oracle::default(),
            now: START,
            faults: BTreeMap::new(),
            checks: Vec::new(),
            log: VecDeque::new(),
            tally: Tally::default(),
        };
        life.oracle.begin(&life.model, START);
        life.number_checks()?;
        Ok(life)
    }

    fn note(&mut self, what: &str) {
        if self.log.len() == 40 {
            self.log.pop_front();
        }
        self.log
            .push_back(format!("{:>8} s  {what}", self.now - START));
    }

    /// The board's checks have to be those that the oracle expects, each once.
    fn number_checks(&mut self) -> Result<(), String> {
        let all = self.board.checks().iter().map(|check| Key {
            probe: check.probe.name.clone(),
            ip: check.address,
            host: check.host.clone(),
        });
        let mut sorted: Vec<Key> = all.clone().collect();
        sorted.sort();
        if !sorted.iter().eq(self.oracle.counters.keys()) {
            return Err(format!("the board has the checks {sorted:?}"));
        }
        let now = self.now;
        let every = |key: &Key| self.model.probe(&key.probe).every;
        let random = &mut self.random;
        self.checks = all
            .map(|key| {
                // The first round is over before anything is answered.
                let first = if now == START {
                    0
                } else {
                    random.next() % every(&key)
                };
                (key, now + first, 0)
            })
            .collect();
        Ok(())
    }

    fn until(&mut self, end: Seconds) -> Result<(), String> {
        self.pass(0);
        self.publish();
        self.any_order_is_the_same()?;
        while self.now < end {
            let step = match self.random.below(10) {
                0 => self.random.between(60, 600),
                _ => self.random.between(1, 30),
            };
            self.pass(step);
            match self.random.below(100) {
                0..4 => self.fault(),
                4..7 => self.heal(),
                7..9 => self.order()?,
                9 if self.random.percent(30) => self.reload()?,
                _ => {}
            }
            self.publish();
            self.ask()?;
        }
        Ok(())
    }

    /// Time passes, and checks run at their turns.
    fn pass(&mut self, step: Seconds) {
        let end = self.now + step;
        loop {
            let next = (0..self.checks.len()).min_by_key(|n| self.checks[*n].1);
            let Some(next) = next.filter(|n| self.checks[*n].1 <= end) else {
                break;
            };
            let (key, at, turn) = self.checks[next].clone();
            self.now = at;
            let probe = self.model.probe(&key.probe).clone();
            let good = self.finds(&key, turn);
            let result = if good { Ok(()) } else { Err("refused".into()) };
            let latency = Duration::from_millis(20);
            let _ = self.board.observe(
                next,
                Outcome {
                    result,
                    latency,
                    seen: Seen::default(),
                },
                time(at),
            );
            let counter = self.oracle.counters.get_mut(&key).unwrap();
            if counter.observe(good, &probe, at) {
                self.tally.changes += 1;
                let up = counter.up;
                self.note(&format!("{key:?} is {up:?}"));
            }
            // Up to a tenth earlier or later.
            let jitter = self.random.between(0, probe.every / 5);
            self.checks[next].1 = at + probe.every - probe.every / 10 + jitter;
            self.checks[next].2 += 1;
        }
        self.now = end;
    }

    /// The truth about a check's turn.
    fn finds(&mut self, key: &Key, turn: u64) -> bool {
        let node = self.model.nodes.iter().find(|n| n.ips.contains(&key.ip));
        let Some((fault, _)) = node.and_then(|n| self.faults.get(&n.name)) else {
            return true;
        };
        match *fault {
            Fault::Flaps(percent) => !turn.is_multiple_of(3) && !self.random.percent(percent),
            fault => !kills(fault, key.ip, &key.probe),
        }
    }

    fn fault(&mut self) {
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

    fn heal(&mut self) {
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

    /// Some order for one node, or for all; beside that it is seen who moves.
    fn order(&mut self) -> Result<(), String> {
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
        self.publish();
        let before = self.sample();
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
        self.publish();
        let out = matches!(forced, Some(Forced::Drained | Forced::Down));
        if let ([node], true) = (&nodes[..], out) {
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

    fn nobody(&self, asked: &Asked) -> bool {
        let step = self.step(&asked.pool, asked.v4);
        let ranked = rank(&self.model, &asked.pool, asked.v4, asked.client, step);
        let mut all = ranked.bands.iter().flat_map(|b| &b.0);
        all.all(|name| self.up(&asked.pool, name, asked.v4).is_empty())
    }

    fn step(&self, pool: &Pool, v4: bool) -> usize {
        self.oracle.step(&self.model, pool, v4, self.now)
    }

    fn up(&self, pool: &Pool, name: &str, v4: bool) -> Vec<IpAddr> {
        self.oracle.up(&self.model, pool, name, v4, self.now)
    }

    /// The files change, and the next generation goes on from what is known.
    fn reload(&mut self) -> Result<(), String> {
        self.tally.reloads += 1;
        let what = self.model.change(&mut self.random);
        self.note(&format!("reload: {what}"));
        let parts = load(&self.folder, &self.model)?;
        let now = time(self.now);
        let Generation {
            snapshot,
            mut board,
        } = control::rebuild(&parts, &self.snapshot, now).map_err(|e| e.join("\n"))?;
        let same = |a: &health::Check, b: &health::Check| {
            (a.address, &a.probe.name, &a.host) == (b.address, &b.probe.name, &b.host)
        };
        for number in 0..board.checks().len() {
            let check = board.checks()[number].clone();
            let old = self.board.checks().iter().position(|c| same(c, &check));
            if let Some(status) = old.map(|old| &self.board.statuses()[old])
                && status.counter.state() != health::State::Unknown
            {
                board.resume(number, status.counter.state(), status.since);
            }
        }
        for (node, order) in &self.oracle.orders {
            if self.model.node(node).is_some() {
                let _ = board.order(node, Some(board_order(*order)));
            }
        }
        let fresh = build(&parts, self.now)?.snapshot;
        same_lists(&snapshot, &fresh)?;
        (self.snapshot, self.board) = (snapshot, board);
        self.oracle.begin(&self.model, self.now);
        let model = &self.model;
        self.faults.retain(|node, _| model.node(node).is_some());
        self.number_checks()
    }

    /// As the collector does it.
    fn publish(&mut self) {
        let now = time(self.now);
        let _ = self.board.expire(now);
        let at = self.now;
        self.oracle
            .orders
            .retain(|_, order| order.until.is_none_or(|until| until > at));
        let table = self.snapshot.judge(self.board.table(now));
        self.snapshot.table.publish(table);
    }

    /// A question, the answer, and that of another client of the same scope.
    fn ask(&mut self) -> Result<(), String> {
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
            (false, Some(0) | None) => {}
            _ => return Err(told("no such scope".into())),
        }
        Ok(())
    }

    /// Somebody in or at the edge of a network that is known, or anybody.
    fn somebody(&self, random: &mut Random) -> IpAddr {
        if random.percent(15) {
            let v4 = random.percent(70);
            return anywhere(random, v4);
        }
        let model = &self.model;
        let nets = model.blocks.iter().chain(&model.overrides).map(|b| b.net);
        let limits = model
            .nodes
            .iter()
            .flat_map(|n| n.only.iter().chain(&n.except));
        let limits = limits.filter_map(|w| match w {
            crate::model::Whom::Net(net) => Some(*net),
            _ => None,
        });
        let nets: Vec<Net> = nets.chain(limits).collect();
        let net = *random.pick(&nets);
        match random.below(4) {
            0 => beside(net.addr, false),
            _ => net.any(random),
        }
    }

    fn question(&mut self) -> Asked {
        let mut random = self.random.clone();
        let pool = random.pick(&self.model.pools).clone();
        let v4 = random.percent(60);
        let resolver = self.somebody(&mut random);
        let mut client = self.somebody(&mut random);
        let draw = random.next();
        let mut len = match client {
            IpAddr::V4(_) => *random.pick(&[24, 24, 24, 32, 20, 16]),
            IpAddr::V6(_) => *random.pick(&[56, 56, 48, 64, 128]),
        };
        if let (IpAddr::V4(a), true) = (client, random.percent(15)) {
            // What a NAT64, a 6to4 router or a lazy program makes of it.
            let [x, y] =
                [a.to_bits() >> 16, a.to_bits() & 0xffff].map(|n| u16::try_from(n).unwrap());
            (client, len) = match random.below(3) {
                0 => ([0x64, 0xff9b, 0, 0, 0, 0, x, y].into(), len + 96),
                1 => ([0, 0, 0, 0, 0, 0xffff, x, y].into(), len + 96),
                _ => ([0x2002, x, y, 0, 0, 0, 0, 1].into(), len + 16),
            };
        }
        // An option without an address, one that nobody can have, or none: the resolver counts.
        let (ecs, by_ecs) = match random.below(10) {
            0 => (Some((client, 0)), false),
            1 => (Some(([10, 1, 2, 0].into(), 24)), false),
            2 | 3 => (None, false),
            _ => (Some((Net::around(client, len).addr, len)), true),
        };
        self.random = random;
        let client = match ecs {
            Some((block, _)) if by_ecs => block,
            _ => resolver,
        };
        let ecs = ecs.map(|(addr, len)| Ecs::of(addr, len));
        let by_ecs = by_ecs && is_routable(client);
        let client = if by_ecs { client } else { resolver };
        Asked {
            question: question(&pool, v4, resolver, ecs),
            pool,
            v4,
            client,
            by_ecs,
            draw,
        }
    }

    /// The same question for another client of the scope.
    fn twin(&mut self, asked: &Asked, scope: u8) -> Option<Asked> {
        let client = Net::around(asked.client, scope).any(&mut self.random);
        let bits = if client.is_ipv4() { 32 } else { 128 };
        is_routable(client).then(|| Asked {
            question: question(
                &asked.pool,
                asked.v4,
                asked.question.from,
                Some(Ecs::of(client, bits)),
            ),
            pool: asked.pool.clone(),
            client,
            ..*asked
        })
    }

    fn answer(&self, asked: &Asked) -> Result<Answer, String> {
        answer_of(&self.snapshot, asked)
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
            let since = (*since).max(self.oracle.started);
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

    fn names(&self, which: impl Fn(&Node) -> bool) -> Vec<String> {
        let some = self.model.nodes.iter().filter(|n| which(n));
        some.map(|n| n.name.clone()).collect()
    }

    /// Files are read in some order: for the answers it must not matter, but where the order is the policy.
    fn any_order_is_the_same(&mut self) -> Result<(), String> {
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

/// Whether a fault makes a probe of an address fail every time.
fn kills(fault: Fault, ip: IpAddr, probe: &str) -> bool {
    match fault {
        Fault::Dead => true,
        Fault::DeadIpv6 => ip.is_ipv6(),
        Fault::DeadBy(n) => probe == format!("probe{n}"),
        Fault::Flaps(_) => false,
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

fn expect(holds: bool, problem: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(problem.to_owned())
    }
}

fn ips(records: &[(IpAddr, u32)]) -> Vec<IpAddr> {
    records.iter().map(|r| r.0).collect()
}

/// The address before or behind.
fn beside(addr: IpAddr, behind: bool) -> IpAddr {
    let step = |n: u128| {
        if behind {
            n.wrapping_add(1)
        } else {
            n.wrapping_sub(1)
        }
    };
    match addr {
        IpAddr::V4(a) => {
            let next = u32::try_from(step(a.to_bits().into()) & 0xffff_ffff).unwrap();
            next.to_be_bytes().into()
        }
        IpAddr::V6(a) => step(a.to_bits()).to_be_bytes().into(),
    }
}

fn question(pool: &Pool, v4: bool, from: IpAddr, ecs: Option<Ecs>) -> Question {
    let qtype = if v4 { rtype::A } else { rtype::AAAA };
    Question::about(&pool.host(), qtype, from, ecs).unwrap()
}

type Answer = (u16, Vec<(IpAddr, u32)>, Option<u8>);

fn answer_of(snapshot: &Snapshot, asked: &Asked) -> Result<Answer, String> {
    let request = Request {
        packet: &asked.question.packet(),
        source: asked.question.from,
        transport: Transport::Udp,
        draw: asked.draw,
    };
    let mut out = vec![0; LONGEST];
    let table = snapshot.table.load();
    let outcome = answer(snapshot, &table, request, &mut Scratch::default(), &mut out);
    let reply = Reply::read(&asked.question, &out[..outcome.len])?;
    Ok((outcome.rcode, reply.addresses(), reply.scope))
}

fn time(seconds: Seconds) -> Duration {
    Duration::from_secs(seconds)
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

fn load(folder: &Path, model: &Model) -> Result<Parts, String> {
    let config = model.config();
    let loaded = control::load_text(&folder.join("nearmost.toml"), &config);
    let told = loaded.found.render(&loaded.sources, false);
    loaded.parts.ok_or_else(|| format!("{told}\n{config}"))
}

fn build(parts: &Parts, now: Seconds) -> Result<Generation, String> {
    control::build(parts, 1, time(now)).map_err(|e| e.join("\n"))
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
