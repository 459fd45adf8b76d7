//! What happened to nodes: the newest events in memory, and in a file of bounded size.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Events in memory.
const KEPT: usize = 5000;
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
    folder: Option<PathBuf>,
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
        history.folder = folder.map(Path::to_owned);
        history
    }

    /// Adds an event. A file that cannot be written is told about; the event stays in memory.
    pub(super) fn add(&mut self, entry: Entry) {
        if let Some(folder) = &self.folder
            && let Err(error) = append(folder, &entry)
        {
            tracing::warn!("history in {}: {error}", folder.display());
        }
        self.keep(entry);
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
        fs::write(folder.join(FILE), {
            let mut text = fs::read_to_string(folder.join(FILE)).unwrap();
            text.push_str("{\"at\": 2, \"no");
            text.push('\n');
            text
        })
        .unwrap();
        history.add(entry(3, "tyo"));
        let again = History::open(Some(&folder));
        assert_eq!(again.newest(&[], 9), [entry(1, "lon"), entry(3, "tyo")]);
        assert_eq!(again.newest(&["tyo".into()], 9), [entry(3, "tyo")]);
        assert_eq!(again.newest(&[], 1), [entry(3, "tyo")]);
        assert_eq!(again.after(1), (2, vec![entry(3, "tyo")]));
        assert_eq!(again.after(2), (2, vec![]));
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
        let size = |file: &str| fs::metadata(folder.join(file)).unwrap().len();
        assert!(size(FILE) + size(OLDER) < 2 * LONGEST + 700_000);
        fs::remove_dir_all(&folder).unwrap();
    }
}
