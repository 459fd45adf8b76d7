//! What others say of an address: a file that a monitoring system, a script or a person writes.
//!
//! ```text
//!   # comments and empty lines are passed over
//!   192.0.2.1 down disk full       an address,
//!   lon       up                   a node,
//!   up                             everybody else
//! ```
//! Of the lines that speak of an address the most exact counts, of equal ones the last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::words;
use crate::clock::Clock;
use crate::health::Check;

/// A file that is longer is not read.
const LONGEST: u64 = 1 << 20;

/// The files of all checks; each is read by one check at a time.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<PathBuf, Arc<Mutex<()>>>);

impl Files {
    /// What a file says of the check's address.
    pub(super) fn state(&mut self, check: &Check, path: &Path, max_age: Duration) -> State {
        State {
            turn: Arc::clone(self.0.entry(path.to_owned()).or_default()),
            path: path.to_owned(),
            max_age,
            node: check.node.clone(),
            address: check.address,
        }
    }
}

/// A file, and of whom it is asked.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Held while the file is read: a disk that hangs costs one thread, not one for each check.
    turn: Arc<Mutex<()>>,
    path: PathBuf,
    max_age: Duration,
    node: String,
    address: IpAddr,
}

impl State {
    /// Reads it once.
    pub(super) async fn read(&self, patience: Duration) -> Result<(), String> {
        let read = async {
            let (turn, path) = (Arc::clone(&self.turn).lock_owned().await, self.path.clone());
            let read = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                contents(&path)
            });
            read.await.map_err(io::Error::other)?
        };
        let now = || Clock::start().now();
        match timeout(patience, read).await {
            Ok(Ok((text, written))) => self.judge(&text, written, now()),
            Ok(Err(error)) => Err(self.unread(&error)),
            Err(_) => Err(format!(
                "{} while reading {}",
                words::took_too_long(patience),
                self.path.display()
            )),
        }
    }

    /// What the text says that was written at a time.
    fn judge(&self, text: &str, written: Duration, now: Duration) -> Result<(), String> {
        let age = now.saturating_sub(written);
        if age > self.max_age {
            return Err(format!(
                "{} is {} s old, more than {} s",
                self.path.display(),
                age.as_secs(),
                self.max_age.as_secs()
            ));
        }
        let mut counts: Option<(Whom, Verdict<'_>)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((who, verdict)) = read_line(line) else {
                return Err(format!(
                    "{}:{number} says neither up nor down",
                    self.path.display()
                ));
            };
            if let Some(whom) = self.meant(who)
                && counts.as_ref().is_none_or(|(before, _)| whom >= *before)
            {
                counts = Some((whom, verdict));
            }
        }
        match counts {
            Some((_, Verdict { up: true, .. })) => Ok(()),
            Some((_, Verdict { why: "", .. })) => Err("down, without a reason".into()),
            Some((_, Verdict { why, .. })) => Err(why.into()),
            None => Err(format!(
                "{} says nothing of {}",
                self.path.display(),
                self.address
            )),
        }
    }

    fn meant(&self, who: Option<&str>) -> Option<Whom> {
        match who {
            None => Some(Whom::Everybody),
            Some(who) if who.parse() == Ok(self.address) => Some(Whom::Address),
            Some(who) => (who == self.node).then_some(Whom::Node),
        }
    }

    fn unread(&self, error: &io::Error) -> String {
        let path = self.path.display();
        match error.kind() {
            ErrorKind::NotFound => format!("there is no file {path}"),
            ErrorKind::PermissionDenied => format!("{path} may not be read by this server"),
            _ => format!("{path} cannot be read: {error}"),
        }
    }
}

/// Of whom a line speaks, the less exact first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Everybody,
    Node,
    Address,
}

struct Verdict<'a> {
    up: bool,
    why: &'a str,
}

/// `[WHO] up|down [WHY]`.
fn read_line(line: &str) -> Option<(Option<&str>, Verdict<'_>)> {
    let (first, rest) = word(line);
    if let Some(up) = is_up(first) {
        return Some((None, Verdict { up, why: rest }));
    }
    let (second, why) = word(rest);
    is_up(second).map(|up| (Some(first), Verdict { up, why }))
}

/// The first word, and what follows.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((text, ""));
    (word, rest.trim())
}

fn is_up(word: &str) -> Option<bool> {
    match word {
        _ if word.eq_ignore_ascii_case("up") => Some(true),
        _ if word.eq_ignore_ascii_case("down") => Some(false),
        _ => None,
    }
}

/// The text of a file, and when it was written, as time since 1970.
fn contents(path: &Path) -> io::Result<(String, Duration)> {
    // What is no file may not end, or wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let written = file.metadata()?.modified()?;
    let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut octets = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok((String::from_utf8_lossy(&octets).into_owned(), written))
}
