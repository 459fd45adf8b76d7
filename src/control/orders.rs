//! Orders of operators: given over the control socket, kept in the state folder, ended by themselves or taken back.

use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::expiry::SETTLED;
use super::guard;
use super::handle::Handle;
use super::history::Entry;
use super::keep;
use crate::health::{Board, Forced, Order, Time};

/// An order as it is kept and shown. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The node.
    pub node: String,
    /// `drained`, `forced-up` or `forced-down`.
    pub state: String,
    /// The operator's reason.
    pub why: String,
    /// Who gave it.
    pub who: String,
    /// When.
    pub since: u64,
    /// When it ends by itself.
    pub until: Option<u64>,
    /// Whether it takes hold at once also where a drain is slow.
    #[serde(default)]
    pub at_once: bool,
}

impl OrderLine {
    /// An order for people.
    #[must_use]
    pub fn of(node: &str, order: &Order) -> Self {
        Self {
            node: node.into(),
            state: order.forced.word().into(),
            why: order.why.clone(),
            who: order.who.clone(),
            since: order.since.as_secs(),
            until: order.until.map(|t| t.as_secs()),
            at_once: order.at_once,
        }
    }

    fn order(&self) -> Option<Order> {
        Some(Order {
            forced: Forced::of(&self.state)?,
            why: self.why.clone(),
            who: self.who.clone(),
            since: Duration::from_secs(self.since),
            until: self.until.map(Duration::from_secs),
            at_once: self.at_once,
        })
    }
}

/// What an operator wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Names of nodes; `*` stands for any letters, `?` for one.
    pub nodes: Vec<String>,
    /// `drained`, `forced-up`, `forced-down`; none: what was ordered is taken back.
    pub state: Option<String>,
    /// The reason.
    pub why: String,
    /// Who wants it; over TCP it is the token's owner, whatever stands here.
    #[serde(default)]
    pub who: String,
    /// When it is to end by itself, seconds since 1970.
    pub until: Option<u64>,
    /// Whether it is wanted even where a pool's `keep` forbids it.
    #[serde(default)]
    pub anyway: bool,
    /// Whether it takes hold at once also where a drain is slow.
    #[serde(default)]
    pub at_once: bool,
}

/// What was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// The nodes that it was done to.
    pub nodes: Vec<String>,
    /// When no cache can hold an answer any more that was given before, by the largest TTL really handed out: a drained node can be
    /// stopped then.
    pub safe_at: u64,
    /// The server's time.
    pub now: u64,
    /// Whether it outlives the process.
    pub kept: bool,
    /// What `keep` of pools was broken by it, in words.
    pub broken: Vec<String>,
}

const FILE: &str = "orders.json";

impl Handle {
    /// Does what an operator wants.
    ///
    /// # Errors
    /// In words, and nothing was done: no such node, no such state, an end that is over, a pool whose `keep` would break, another
    /// process that answers now.
    ///
    /// It is not kept yet.
    fn order(&self, wanted: &Wanted) -> Result<Done, String> {
        let (snapshot, now) = (self.current().get(), self.now());
        let forced = match &wanted.state {
            Some(word) => Some(Forced::of(word).ok_or_else(|| format!("no such state: {word}"))?),
            None => None,
        };
        let until = wanted.until.map(Duration::from_secs);
        if until.is_some_and(|until| until <= now) {
            return Err("its end is over already".into());
        }
        let names: Vec<&str> = snapshot.nodes.iter().map(|n| n.name.as_str()).collect();
        let nodes = chosen(&names, &wanted.nodes)?;
        let mut board = self.board();
        if self.is_retired() {
            return Err("another process has taken over".into());
        }
        let broken = match forced {
            Some(Forced::Drained | Forced::Down) => {
                guard::broken(&snapshot, &snapshot.judge(board.table(now)), &nodes)
            }
            _ => Vec::new(),
        };
        if !broken.is_empty() && !wanted.anyway {
            let told = broken.join("\n");
            return Err(format!(
                "{told}\n  = nothing was done; --anyway does it all the same"
            ));
        }
        let mut why = wanted.why.clone();
        if !broken.is_empty() {
            let told = broken.join("; ");
            why = format!("{why} (anyway: {told})").trim_start().to_owned();
        }
        for node in &nodes {
            let order = forced.map(|forced| Order {
                forced,
                why: wanted.why.clone(),
                who: wanted.who.clone(),
                since: now,
                until,
                at_once: wanted.at_once,
            });
            let word = |order: &Order| order.forced.word();
            let to = order.as_ref().map(word);
            let from = board.order(node, order).as_ref().map(word);
            // Nobody had ordered anything, and nobody does.
            if from.or(to).is_none() {
                continue;
            }
            let [from, to] = [from, to].map(|word| word.unwrap_or("measured"));
            tracing::warn!("{node} {from} -> {to}: {}: {why}", wanted.who);
            self.remember(entry(node, now, (from, to), &why, &wanted.who));
        }
        // At once, not with the next results: what is answered until then would be kept beyond the time that is told here.
        self.publish(&board, now);
        drop(board);
        let now = up(self.now());
        Ok(Done {
            safe_at: now,
            now,
            nodes,
            kept: false,
            broken,
        })
    }

    /// Does what an operator wants, and tells when the nodes can be stopped once what was being answered meanwhile is out.
    ///
    /// # Errors
    /// In words, and nothing was done: no such node, no such state, an end that is over, a pool that would keep too little, another
    /// process that answers now.
    pub async fn order_and_settle(&self, wanted: &Wanted) -> Result<Done, String> {
        let done = self.order(wanted)?;
        let handle = self.clone();
        // A disk may be slow.
        let kept = spawn_blocking(move || handle.keep_orders()).await;
        let kept = kept.unwrap_or(false);
        tokio::time::sleep(SETTLED).await;
        let safe_at = up(self.safe_at(&done.nodes));
        Ok(Done {
            safe_at,
            kept,
            ..done
        })
    }

    /// Takes the orders from the state folder: another process had them until now.
    pub(super) fn take_orders(&self) {
        let Some(folder) = self.state() else { return };
        let mut board = self.board();
        let known: Vec<String> = board.orders().keys().cloned().collect();
        for node in known {
            board.order(&node, None);
        }
        restore(&mut board, folder);
        self.publish(&board, self.now());
    }

    /// Ends the orders whose time is over; whether there were any, which are then to be kept no more.
    pub(super) fn end_orders(&self, board: &mut Board, now: Time) -> bool {
        let over = board.expire(now);
        for (node, order) in &over {
            let word = order.forced.word();
            tracing::info!(
                "{node} {word} -> measured: the order of {} is over",
                order.who
            );
            self.remember(entry(
                node,
                now,
                (word, "measured"),
                "its time is over",
                &order.who,
            ));
        }
        !over.is_empty()
    }

    /// Whether the orders are kept on disk now, those that are given meanwhile perhaps too. For a thread that may wait.
    pub(super) fn keep_orders(&self) -> bool {
        // What is written last is what was ordered last.
        let mut kept = self.writing();
        // The file is another process's: it has what was written at the end.
        if let Some(folder) = self.state() {
            *kept = self.write_orders(folder);
        }
        *kept
    }

    /// Keeps all orders that there are once `end` is done, the last ones that this process writes.
    pub(super) fn keep_last_orders(&self, end: impl FnOnce()) {
        let mut kept = self.writing();
        let folder = self.state();
        end();
        if let Some(folder) = folder {
            *kept = self.write_orders(folder);
        }
    }

    fn writing(&self) -> MutexGuard<'_, bool> {
        let writing = self.0.writing.lock();
        writing.unwrap_or_else(PoisonError::into_inner)
    }

    fn write_orders(&self, folder: &Path) -> bool {
        let lines: Vec<OrderLine> = self
            .board()
            .orders()
            .iter()
            .map(|(node, order)| OrderLine::of(node, order))
            .collect();
        let kept = keep::write(&folder.join(FILE), &lines);
        if let Err(error) = &kept {
            tracing::error!("orders are not kept in {}: {error}", folder.display());
        }
        kept.is_ok()
    }
}

/// Seconds, rounded up: a second too early is too early.
fn up(time: Time) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn entry(node: &str, now: Time, (from, to): (&str, &str), why: &str, who: &str) -> Entry {
    Entry {
        at: now.as_secs(),
        node: node.into(),
        address: None,
        from: from.into(),
        to: to.into(),
        why: why.into(),
        who: Some(who.into()),
    }
}

/// Gives the board the orders that a folder holds.
pub(super) fn restore(board: &mut Board, folder: &Path) {
    let lines: Option<Vec<OrderLine>> = keep::read(&folder.join(FILE));
    for line in lines.unwrap_or_default() {
        board.order(&line.node, line.order());
    }
}

/// The names that patterns choose, in their order.
pub(super) fn chosen(names: &[&str], patterns: &[String]) -> Result<Vec<String>, String> {
    for pattern in patterns {
        if !names.iter().any(|name| matches(pattern, name)) {
            let near = crate::diagnostic::nearest(pattern, names.iter().copied());
            let near = near.map_or(String::new(), |n| format!(": did you mean \"{n}\"?"));
            return Err(format!("no node \"{pattern}\"{near}"));
        }
    }
    let chosen = |name: &&&str| patterns.iter().any(|p| matches(p, name));
    Ok(names.iter().filter(chosen).map(|n| (*n).into()).collect())
}

/// Whether a name is what a pattern with `*` and `?` means.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                // The star takes one letter more.
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_nodes() {
        let names = ["fra1", "fra2", "lon1"];
        let of = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|p| (*p).into()).collect();
            chosen(&names, &patterns)
        };
        assert_eq!(of(&["fra*"]).unwrap(), ["fra1", "fra2"]);
        assert_eq!(of(&["*1", "fra2"]).unwrap(), names);
        assert_eq!(of(&["l?n1"]).unwrap(), ["lon1"]);
        assert_eq!(of(&["**a*2"]).unwrap(), ["fra2"]);
        assert!(
            of(&["fra1", "fra"])
                .unwrap_err()
                .contains("no node \"fra\"")
        );
        assert!(of(&["lon2"]).unwrap_err().contains("did you mean"));
    }
}
