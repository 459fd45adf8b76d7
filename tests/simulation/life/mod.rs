//! A server's life in a made-up world: time passes, nodes fail and heal, operators order and reload, clients ask; after each answer the
//! oracle is asked too.

mod fault;
mod judge;
mod order;
mod question;
mod reload;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nearmost::control::{self, Generation, Parts};
use nearmost::health::{Board, Outcome, Seen};
use nearmost::snapshot::Snapshot;

use crate::model::{Model, Node};
use crate::oracle::{Key, Oracle, Seconds};
use crate::random::Random;
use crate::world;
use fault::Fault;
pub(crate) use tally::Tally;

/// Some day in 2027.
const START: Seconds = 1_800_000_000;

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

    fn names(&self, which: impl Fn(&Node) -> bool) -> Vec<String> {
        let some = self.model.nodes.iter().filter(|n| which(n));
        some.map(|n| n.name.clone()).collect()
    }
}

fn ips(records: &[(IpAddr, u32)]) -> Vec<IpAddr> {
    records.iter().map(|r| r.0).collect()
}

fn time(seconds: Seconds) -> Duration {
    Duration::from_secs(seconds)
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
