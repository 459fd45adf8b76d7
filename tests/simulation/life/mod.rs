//! A server's life in a made-up world: time passes, nodes fail and heal, operators order and reload, clients ask; after each answer the
//! oracle is asked too.

mod fault;
mod judge;
mod order;
mod pass;
mod question;
mod reload;
mod tally;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nearmost::control::{self, Generation, Parts};
use nearmost::health::Board;
use nearmost::snapshot::Snapshot;

use crate::model::{Model, Node};
use crate::oracle::{Oracle, Seconds};
use crate::random::Random;
use crate::world;
use fault::Fault;
use pass::Turn;
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
    /// Until when the prober sees nothing of IPv4, and of IPv6.
    cut: [Seconds; 2],
    /// The board's checks, and which is due when.
    turns: Vec<Turn>,
    due: BTreeSet<(Seconds, usize)>,
    /// When the files changed last.
    reloaded: Seconds,
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
            cut: [START; 2],
            turns: Vec::new(),
            due: BTreeSet::new(),
            reloaded: START,
            log: VecDeque::new(),
            tally: Tally::default(),
        };
        life.oracle.begin(&life.model, START);
        life.number_checks(&[])?;
        Ok(life)
    }

    fn note(&mut self, what: &str) {
        if self.log.len() == 40 {
            self.log.pop_front();
        }
        self.log
            .push_back(format!("{:>8} s  {what}", self.now - START));
    }

    fn until(&mut self, end: Seconds) -> Result<(), String> {
        self.pass(0)?;
        self.publish()?;
        self.any_order_is_the_same()?;
        while self.now < end {
            let step = match self.random.below(10) {
                0 => self.random.between(60, 600),
                _ => self.random.between(1, 30),
            };
            self.pass(step)?;
            match self.random.below(100) {
                0..4 => self.fault(),
                10 if self.random.percent(40) => self.cut(),
                11 if self.random.percent(20) => self.many_die(),
                4..7 => self.heal(),
                7..9 => self.order()?,
                9 if self.random.percent(30) => self.reload()?,
                _ => {}
            }
            self.publish()?;
            self.ask()?;
        }
        Ok(())
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
