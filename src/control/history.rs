//! What happened to nodes: the newest events in memory, and in a file of bounded size. A disk may be slow: a thread of its own writes, and who adds an
//! event never waits for it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Events in memory.
const KEPT: usize = 5000;
/// Events that wait to be written; those beyond are in memory alone.
const WAITING: usize = 1000;
/// Time that those are given at the end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets at which the file is set aside for a new one; the one before it goes.
const LONGEST: u64 = 1 << 20;
const FILE: &str = "history.jsonl";
const OLDER: &str = "history.1.jsonl";

/// A change of a node or of one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970.
    pub at: u64,
    /// The node.
    pub node: String,
    /// The address; none where the whole node is meant.
    pub address: Option<IpAddr>,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why: the probe's own words, or the operator's.
    pub why: String,
    /// Who did it; none: a probe.
    pub who: Option<String>,
}

/// The events so far.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
    /// How many there were, those that are not kept any more included.
    count: u64,
    /// None: events end with the process.
    file: Option<Writing>,
}

/// The way to the thread that writes.
#[derive(Debug)]
struct Writing {
    to: SyncSender<Entry>,
    /// Closed when it has ended.
    ended: Receiver<()>,
    /// Events that found no room since the last that did.
    lost: u64,
}

impl Writing {
    fn start(folder: PathBuf) -> io::Result<Self> {
        let (to, entries) = sync_channel::<Entry>(WAITING);
        let (ends, ended) = sync_channel(0);
        let write = move || {
            let _ends: SyncSender<()> = ends;
            for entry in entries {
                if let Err(error) = append(&folder, &entry) {
                    tracing::warn!("history in {}: {error}", folder.display());
                }
            }
        };
        let thread = std::thread::Builder::new().name("history".into());
        thread.spawn(write)?;
        Ok(Self { to, ended, lost: 0 })
    }

    fn put(&mut self, entry: Entry) {
        if self.to.try_send(entry).is_err() {
            self.lost += 1;
        } else if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            tracing::warn!("history: {lost} events are not in the file, as the disk was too slow");
        }
    }

    /// Whether all that it was given is written, or told of, within this time.
    fn end(self, within: Duration) -> bool {
        drop(self.to);
        let ended = self.ended.recv_timeout(within);
        ended == Err(RecvTimeoutError::Disconnected)
    }
}

impl History {
    /// What a folder holds; lines that are no events are passed over. None: events end with the process.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let mut history = Self::default();
        for file in [OLDER, FILE].iter().filter_map(|f| Some(folder?.join(f))) {
            let Ok(file) = File::open(file) else { continue };
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            for entry in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                history.keep(entry);
            }
        }
        history.file = folder.and_then(|folder| {
            let started = Writing::start(folder.to_owned());
            let failed = |error: &_| tracing::error!("no thread for the history: {error}");
            started.inspect_err(failed).ok()
        });
        history
    }

    /// Adds an event. A file that cannot be written is told about; the event stays in memory.
    pub(super) fn add(&mut self, entry: Entry) {
        if let Some(file) = &mut self.file {
            file.put(entry.clone());
        }
        self.keep(entry);
    }

    /// From now on the file is another process's, or nobody's. What is on its way there is written first.
    pub(super) fn end(&mut self) {
        if self.file.take().is_some_and(|file| !file.end(PATIENCE)) {
            tracing::warn!("history: the last events are not in the file, as the disk is too slow");
        }
    }

    fn keep(&mut self, entry: Entry) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count += 1;
    }

    /// How many events there were so far, and those kept that came after the first `seen` of them.
    pub(super) fn after(&self, seen: u64) -> (u64, Vec<Entry>) {
        let new = usize::try_from(self.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        (self.count, self.newest(&[], new))
    }

    /// The newest events, of these nodes only if there are any; the oldest of them first.
    pub(super) fn newest(&self, nodes: &[String], count: usize) -> Vec<Entry> {
        let asked = |e: &&Entry| nodes.is_empty() || nodes.contains(&e.node);
        let newest = self.entries.iter().rev().filter(asked).take(count);
        let mut newest: Vec<Entry> = newest.cloned().collect();
        newest.reverse();
        newest
    }
}

fn append(folder: &Path, entry: &Entry) -> io::Result<()> {
    let path = folder.join(FILE);
    if fs::metadata(&path).is_ok_and(|meta| meta.len() >= LONGEST) {
        fs::rename(&path, folder.join(OLDER))?;
    }
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: u64, node: &str) -> Entry {
        Entry {
            at,
            node: node.into(),
            address: None,
            from: "up".into(),
            to: "down".into(),
            why: "as a test".into(),
            who: None,
        }
    }

    #[test]
    fn events_outlive_the_process_and_a_line_that_is_broken() {
        let folder = std::env::temp_dir().join(format!("nearmost-history-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut history = History::open(Some(&folder));
        history.add(entry(1, "lon"));
        history.end();
        fs::write(folder.join(FILE), {
            let mut text = fs::read_to_string(folder.join(FILE)).unwrap();
            text.push_str("{\"at\": 2, \"no");
            text.push('\n');
            text
        })
        .unwrap();
        let mut history = History::open(Some(&folder));
        history.add(entry(3, "tyo"));
        history.end();
        let again = History::open(Some(&folder));
        assert_eq!(again.newest(&[], 9), [entry(1, "lon"), entry(3, "tyo")]);
        assert_eq!(again.newest(&["tyo".into()], 9), [entry(3, "tyo")]);
        assert_eq!(again.newest(&[], 1), [entry(3, "tyo")]);
        assert_eq!(again.after(1), (2, vec![entry(3, "tyo")]));
        assert_eq!(again.after(2), (2, vec![]));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn nobody_waits_for_a_slow_disk() {
        let folder = std::env::temp_dir().join(format!("nearmost-slow-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut history = History::open(Some(&folder));
        // Whoever opens it to write waits for somebody who reads.
        let pipe = folder.join(FILE);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (done, is_done) = sync_channel(1);
        std::thread::spawn(move || {
            (0..2000).for_each(|at| history.add(entry(at, "lon")));
            done.send(history).unwrap();
        });
        let mut history: History = is_done.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(history.newest(&[], 9000).len(), 2000);
        let file = history.file.take().unwrap();
        let room = 2000 - WAITING as u64;
        assert!((room - 1..=room).contains(&file.lost), "{}", file.lost);
        // Open both ways it has no end.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .open(pipe)
            .unwrap();
        let lines = BufReader::new(pipe).lines();
        std::thread::spawn(move || lines.for_each(|line| drop(line.unwrap())));
        assert!(file.end(Duration::from_secs(30)), "the rest is written");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_file_is_bounded() {
        let folder = std::env::temp_dir().join(format!("nearmost-bounded-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut long = entry(1, "lon");
        long.why = "x".repeat(300_000);
        let mut history = History::open(Some(&folder));
        (0..20).for_each(|_| history.add(long.clone()));
        history.end();
        let size = |file: &str| fs::metadata(folder.join(file)).unwrap().len();
        assert!(size(FILE) + size(OLDER) < 2 * LONGEST + 700_000);
        fs::remove_dir_all(&folder).unwrap();
    }
}
