//! A whole server without its sockets: real files, a clock that is moved by hand, probes that find what they are told.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use nearmost::answer::{self, Explanation, LONGEST, Transport, explain};
use nearmost::control::{self, Generation, Job, Parts, Ramps};
use nearmost::health::{Board, Notice, Order, Outcome, Seen, Time};
use nearmost::snapshot::Snapshot;
use nearmost::zone::Name;

use crate::dns::Question;
use crate::script::Item;
use crate::world;

const SECOND: Duration = Duration::from_secs(1);
/// Some day in 2027.
const START: Time = Time::from_secs(1_800_000_000);

/// A running server.
pub(crate) struct Stage {
    pub(crate) parts: Parts,
    pub(crate) snapshot: Snapshot,
    pub(crate) board: Board,
    now: Time,
    /// When the generation was built: a check's turns are whole intervals from then.
    built: Time,
    /// How many turns each check has had.
    turns: Vec<u32>,
    /// What each check finds from now on.
    pub(crate) finds: Vec<Finds>,
    /// Changes of state since time passed last, with the time since the start.
    pub(crate) events: Vec<(Time, Notice)>,
    ramps: Ramps,
}

/// What a check finds.
#[derive(Clone, Debug)]
pub(crate) enum Finds {
    Success,
    Failure(String),
    /// Nothing until the probe's timeout.
    Silence,
}

impl Stage {
    /// Writes the files of a setting and starts from them.
    pub(crate) fn open(setting: &[Item], folder: &Path) -> Result<Self, (usize, String)> {
        let line = setting.first().map_or(0, |i| i.line);
        let at = |e: String| (line, e);
        fs::create_dir_all(folder.join("zones")).map_err(|e| at(e.to_string()))?;
        let main = write(setting, folder)?;
        let mut loaded = control::load(&main);
        let named = loaded.parts.iter_mut();
        named.for_each(|parts| control::known_addresses(&mut parts.config, START));
        let _ = fs::remove_dir_all(folder);
        let told = loaded.found.list.iter().map(|d| match d.span {
            Some(span) => format!("{}: {}", loaded.sources.place(span), d.message),
            None => d.message.clone(),
        });
        let told: Vec<String> = told.collect();
        let parts = loaded.parts.ok_or_else(|| at(told.join("\n")))?;
        let Generation { snapshot, board } =
            control::build(&parts, 1, START).map_err(|e| at(e.join("\n")))?;
        let checks = board.checks().len();
        let (turns, finds) = (vec![0; checks], vec![Finds::Success; checks]);
        Ok(Self {
            parts,
            snapshot,
            board,
            now: START,
            built: START,
            turns,
            finds,
            events: Vec::new(),
            ramps: Ramps::default(),
        })
    }

    /// Stops and starts again; nothing is remembered, and what probes would find stays.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        let Generation { snapshot, board } =
            control::build(&self.parts, 1, self.now).map_err(|e| e.join("\n"))?;
        (self.snapshot, self.board, self.built) = (snapshot, board, self.now);
        self.turns.fill(0);
        self.ramps = Ramps::default();
        Ok(())
    }

    /// Lets time pass. Checks run at their turns, those at the end included.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.events.clear();
        let end = self.now + time;
        loop {
            let next = (0..self.turns.len())
                .map(|c| (self.next_result(c), c))
                .min();
            // As the collector does, which looks at all results that come together, and once a second.
            let (at, check) = match next.filter(|n| n.0 <= end) {
                Some((at, check)) if at < self.now + SECOND => (at, Some(check)),
                _ => (end.min(self.now + SECOND), None),
            };
            if at > self.now || check.is_none() {
                self.look();
            }
            if check.is_none() && at == self.now {
                break;
            }
            self.now = at;
            if let Some(check) = check {
                self.turns[check] += 1;
                let found = self.finds[check].clone();
                self.count(check, found);
            }
        }
        self.look();
    }

    /// Looks at all results, and publishes what follows.
    fn look(&mut self) {
        let _ = self.board.expire(self.now);
        let notices = self.board.look(self.now);
        self.events
            .extend(notices.into_iter().map(|notice| (self.now, notice)));
        let table = self.board.table(self.now);
        self.snapshot.table.publish(self.snapshot.judge(table));
        if self.board.all_checked() {
            let jobs = self.ramps.look(&self.snapshot, &self.board, self.now);
            jobs.into_iter().for_each(Job::run);
        }
    }

    fn next_result(&self, check: usize) -> Time {
        let probe = &self.board.checks()[check].probe;
        let turn = self.built + probe.every * self.turns[check];
        if matches!(self.finds[check], Finds::Silence) {
            turn + probe.timeout
        } else {
            turn
        }
    }

    /// A result of a check, now.
    pub(crate) fn observe(&mut self, check: usize, found: Finds) {
        self.count(check, found);
        self.look();
    }

    fn count(&mut self, check: usize, found: Finds) {
        let probe = &self.board.checks()[check].probe;
        let (result, latency) = match found {
            Finds::Success => (Ok(()), Duration::from_millis(20)),
            Finds::Failure(why) => (Err(why), Duration::from_millis(20)),
            Finds::Silence => (
                Err(format!("no answer within {:?}", probe.timeout)),
                probe.timeout,
            ),
        };
        let outcome = Outcome {
            result,
            latency,
            seen: Seen::default(),
        };
        let event = self.board.observe(check, outcome, self.now);
        self.events
            .extend(event.map(|event| (self.now, Notice::State(event))));
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// What an operator orders for a node, or that it is taken back.
    pub(crate) fn order(&mut self, node: &str, order: Option<Order>) -> Result<(), String> {
        if self.snapshot.nodes.iter().all(|n| n.name != node) {
            return Err(format!("no node \"{node}\""));
        }
        let _ = self.board.order(node, order);
        let table = self.board.table(self.now);
        self.snapshot.table.publish(self.snapshot.judge(table));
        Ok(())
    }

    /// Time since the start.
    pub(crate) fn since_start(time: Time) -> Duration {
        time.saturating_sub(START)
    }

    /// The reply to a question; none before every check has a result, as no socket is read then.
    pub(crate) fn ask(&self, question: &Question, draw: u64) -> Option<Vec<u8>> {
        if !self.board.all_checked() {
            return None;
        }
        let transport = if question.tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        let request = answer::Request {
            packet: &question.packet(),
            source: question.from,
            transport,
            draw,
        };
        let mut out = vec![0; LONGEST];
        let outcome = answer::answer(
            &self.snapshot,
            &self.snapshot.table.load(),
            request,
            &mut answer::Scratch::default(),
            &mut out,
        );
        out.truncate(outcome.len);
        Some(out)
    }

    pub(crate) fn explain(
        &self,
        name: &Name,
        qtype: u16,
        client: IpAddr,
        resolver: IpAddr,
    ) -> Explanation {
        let table = self.snapshot.table.load();
        explain(
            &self.snapshot,
            &table,
            Some(&self.board),
            (name, qtype),
            (client, resolver),
            &control::cities,
        )
    }

    /// The node that alone has an address.
    pub(crate) fn node_of(&self, ip: IpAddr) -> Option<&str> {
        let mut having = self
            .snapshot
            .nodes
            .iter()
            .filter(|n| n.all_addresses().any(|a| a == ip));
        having
            .next()
            .filter(|_| having.next().is_none())
            .map(|n| &*n.name)
    }

    /// How scenarios call an address: the name of the node whose only address of the family it is.
    pub(crate) fn called(&self, ip: IpAddr) -> Option<String> {
        let name = self.node_of(ip)?;
        let node = self.snapshot.nodes.iter().find(|n| n.name == name)?;
        let alone = node
            .all_addresses()
            .filter(|a| a.is_ipv4() == ip.is_ipv4())
            .count()
            == 1;
        alone.then(|| name.to_owned())
    }
}

/// Writes the files; the path of the main one.
fn write(setting: &[Item], folder: &Path) -> Result<PathBuf, (usize, String)> {
    let mut files: Vec<(String, usize, String)> = Vec::new();
    let mut world: Option<&Item> = None;
    for item in setting {
        let (command, rest) = item.command();
        match command {
            "file" => {
                let (name, text) = contents(item, rest)?;
                // A scenario's own file takes the place of the common one.
                files.retain(|f| f.0 != name);
                files.push((name, item.line, text));
            }
            "world" => world = Some(item),
            _ => replace(&mut files, item, rest)?,
        }
    }
    let shipped = world.is_some_and(|w| w.head == "world as it is");
    let databases = world::databases(world.map_or(&[], |w| &w.block[..]))?;
    let names: Vec<&str> = databases.iter().map(|d| d.0).collect();
    let latency = files.iter().any(|f| f.0 == "latency.tsv");
    for (name, line, mut text) in files {
        if name == "nearmost.toml" && !shipped {
            text += &format!("\n[geo]\ndatabases = {names:?}\n");
            if latency {
                text += "latency = [\"latency.tsv\"]\n";
            }
        }
        fs::write(folder.join(name), text).map_err(|e| (line, e.to_string()))?;
    }
    for (name, octets) in databases {
        fs::write(folder.join(name), octets).map_err(|e| (0, e.to_string()))?;
    }
    Ok(folder.join("nearmost.toml"))
}

/// `file NAME` with its text below, or `file NAME from PATH IN THE REPOSITORY`.
fn contents(item: &Item, rest: &str) -> Result<(String, String), (usize, String)> {
    let Some((name, path)) = rest.split_once(" from ") else {
        let lines: Vec<&str> = item.block.iter().map(|(_, text)| &**text).collect();
        return Ok((rest.to_owned(), lines.join("\n") + "\n"));
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text =
        fs::read_to_string(&path).map_err(|e| (item.line, format!("{}: {e}", path.display())))?;
    Ok((name.to_owned(), text))
}

/// `with OLD => NEW`, in the one file where OLD stands once; `with` alone puts the lines below to the end of nearmost.toml.
fn replace(
    files: &mut [(String, usize, String)],
    item: &Item,
    rest: &str,
) -> Result<(), (usize, String)> {
    if rest.is_empty() {
        let lines = item
            .block
            .iter()
            .fold(String::new(), |out, (_, line)| out + "\n" + line);
        let main = files
            .iter_mut()
            .find(|f| f.0 == "nearmost.toml")
            .ok_or((item.line, "no nearmost.toml yet".to_owned()))?;
        main.2 += &lines;
        return Ok(());
    }
    let (old, new) = rest
        .split_once("=>")
        .ok_or((item.line, "`with OLD => NEW` is meant".to_owned()))?;
    let (old, new) = (old.trim(), new.trim());
    let places: usize = files.iter().map(|f| f.2.matches(old).count()).sum();
    if places != 1 {
        return Err((item.line, format!("\"{old}\" stands in {places} places")));
    }
    for (_, _, text) in files {
        *text = text.replace(old, new);
    }
    Ok(())
}

/// A generation of a configuration in memory, in a world of which nothing is known but what its overrides say.
pub(crate) fn build(config: &str) -> Result<Generation, String> {
    static NOWHERE: LazyLock<PathBuf> = LazyLock::new(|| {
        // One folder for all runs; the file gets its name when it is whole, as another run may be reading it.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nowhere");
        let mut databases = world::databases(&[]).expect("no line can be wrong");
        let (_, database) = databases.remove(0);
        fs::create_dir_all(&folder).expect("a folder of our own");
        let part = folder.join(format!("world.mmdb.{}", std::process::id()));
        fs::write(&part, database).expect("a folder of our own");
        fs::rename(part, folder.join("world.mmdb")).expect("a folder of our own");
        folder
    });
    start(&NOWHERE, config, &["world.mmdb"], &[])
}

/// As [`build`], in a world of such lines and with a latency table.
pub(crate) fn build_in(
    lines: &[String],
    latency: &str,
    config: &str,
) -> Result<Generation, String> {
    let lines: Vec<(usize, String)> = (1..).zip(lines.iter().cloned()).collect();
    let databases = world::databases(&lines).map_err(|e| e.1)?;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = crate::scratch(&format!("world-{}", COUNT.fetch_add(1, Relaxed)));
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    for (name, octets) in &databases {
        fs::write(folder.join(name), octets).map_err(|e| e.to_string())?;
    }
    fs::write(folder.join("latency.tsv"), latency).map_err(|e| e.to_string())?;
    let names: Vec<&str> = databases.iter().map(|d| d.0).collect();
    let started = start(&folder, config, &names, &["latency.tsv"]);
    let _ = fs::remove_dir_all(&folder);
    started
}

fn start(
    folder: &Path,
    config: &str,
    databases: &[&str],
    latency: &[&str],
) -> Result<Generation, String> {
    let text = format!("{config}\n[geo]\ndatabases = {databases:?}\nlatency = {latency:?}\n");
    let loaded = control::load_text(&folder.join("nearmost.toml"), &text);
    let told = format!("{:?}", loaded.found.list);
    control::build(&loaded.parts.ok_or(told)?, 1, START).map_err(|e| e.join("\n"))
}
