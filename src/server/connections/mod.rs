//! Which connections are open, whose they are, and which one makes room for the next.
//!
//! A new connection is never turned away; at a cap another is closed for it.
//!
//! ```text
//!   accepted --> waiting --- takes all replies ---> proven
//!                   ^                                 |
//!                   +----- does not read replies -----+
//! ```
//!
//! The longest waiting one goes if it has been open for longer than the grace, or if more than half of the cap is waiting;
//! otherwise the proven one that was of use the longest ago. Those who connect and say nothing, send octet by octet, or
//! never read can thus have half of the room at most that others could use, and only for as long as the grace; beyond that
//! they push out each other, however many they are. And however many hold on to proven connections, there is room for those
//! who come.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::prefix::Prefix;

/// The open connections, each a task. Dropping it closes them all.
pub(super) struct Connections {
    tasks: JoinSet<()>,
    room: Room,
    open: HashMap<Id, Open>,
    clients: HashMap<Prefix, Vec<Id>>,
    /// By turn, as far as looked at: [`Open::turn`] may have moved on.
    waiting: BTreeMap<u64, Id>,
    proven: BTreeMap<u64, Id>,
    turns: Arc<AtomicU64>,
}

/// Set in the turn of a connection that is proven. The rest is the turn in which it was accepted or last of use.
const PROVEN: u64 = 1 << 63;

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Connections in all, at least one.
    pub(super) in_all: usize,
    /// Connections of one client, at least one.
    pub(super) per_client: usize,
    /// For so long no waiting connection makes room for other clients: a question needs a moment to follow its connection.
    pub(super) grace: Duration,
}

struct Open {
    client: Prefix,
    task: AbortHandle,
    since: Instant,
    turn: Arc<AtomicU64>,
    queued: u64,
}

/// A connection's way to say how it is doing.
pub(super) struct Activity {
    turn: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

impl Activity {
    /// The client has taken replies to all that it has asked so far.
    pub(super) fn mark(&self) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.turn.store(turn | PROVEN, Ordering::Relaxed);
    }

    /// The client leaves replies unread, for now at least.
    pub(super) fn stalled(&self) {
        self.turn.fetch_and(!PROVEN, Ordering::Relaxed);
    }
}

impl Connections {
    /// None open yet.
    pub(super) fn new(room: Room) -> Self {
        Self {
            tasks: JoinSet::new(),
            room: Room {
                in_all: room.in_all.max(1),
                per_client: room.per_client.max(1),
                ..room
            },
            open: HashMap::new(),
            clients: HashMap::new(),
            waiting: BTreeMap::new(),
            proven: BTreeMap::new(),
            turns: Arc::default(),
        }
    }

    /// Whether more than half of the room is taken.
    pub(super) fn crowded(&self) -> bool {
        self.open.len() > self.room.in_all / 2
    }

    /// Opens a connection; whether another was closed to make room. Waits where that one is too young.
    pub(super) async fn admit<F>(
        &mut self,
        source: IpAddr,
        talk: impl FnOnce(Activity) -> F,
    ) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let client = Prefix::of_one(source);
        let evicted = loop {
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.forget(id(&ended));
            }
            match self.in_the_way(client) {
                Some((_, wait)) if !wait.is_zero() => tokio::time::sleep(wait).await,
                evicted => break evicted,
            }
        };
        evicted.into_iter().for_each(|(id, _)| self.close(id));
        self.open(client, talk);
        evicted.is_some()
    }

    /// What must be closed for a connection of this client, and how long to wait with that.
    fn in_the_way(&mut self, client: Prefix) -> Option<(Id, Duration)> {
        let own = self.clients.get(&client).map_or(&[][..], Vec::as_slice);
        if own.len() >= self.room.per_client {
            return Some((self.oldest_of(own)?, Duration::ZERO));
        }
        if self.open.len() < self.room.in_all {
            return None;
        }
        let mut id = self.oldest()?;
        if !self.youth(id).is_zero() {
            // Before anybody waits, those that only seem to are counted out.
            for (queued, id) in std::mem::take(&mut self.waiting) {
                self.requeue(queued, id);
            }
            id = self.oldest()?;
        }
        Some((id, self.youth(id)))
    }

    /// What is left of the grace; nothing for one that is proven.
    fn youth(&self, id: Id) -> Duration {
        let waiting = self.open.get(&id).filter(|open| open.queued & PROVEN == 0);
        waiting.map_or(Duration::ZERO, |open| {
            self.room.grace.saturating_sub(open.since.elapsed())
        })
    }

    fn open<F>(&mut self, client: Prefix, talk: impl FnOnce(Activity) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let queued = self.turns.fetch_add(1, Ordering::Relaxed);
        let turn = Arc::new(AtomicU64::new(queued));
        let task = self.tasks.spawn(talk(Activity {
            turn: turn.clone(),
            turns: self.turns.clone(),
        }));
        self.waiting.insert(queued, task.id());
        self.clients.entry(client).or_default().push(task.id());
        let open = Open {
            client,
            since: Instant::now(),
            turn,
            queued,
            task,
        };
        self.open.insert(open.task.id(), open);
    }

    /// Waits until a connection has ended; for ever while there is none.
    pub(super) async fn ended(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        self.forget(id(&ended));
    }

    /// Waits until all have ended.
    pub(super) async fn all_ended(&mut self) {
        while !self.open.is_empty() {
            self.ended().await;
        }
    }

    /// Closes the connection whose turn it is to go; whether there was one.
    pub(super) fn evict(&mut self) -> bool {
        let oldest = self.oldest();
        oldest.into_iter().for_each(|id| self.close(id));
        oldest.is_some()
    }

    fn close(&mut self, id: Id) {
        if let Some(open) = self.forget(id) {
            open.task.abort();
        }
    }

    fn forget(&mut self, id: Id) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.queue(open.queued).remove(&open.queued);
        if let Some(own) = self.clients.get_mut(&open.client) {
            own.retain(|&other| other != id);
            if own.is_empty() {
                self.clients.remove(&open.client);
            }
        }
        Some(open)
    }

    /// Of one client, proven or not: its newest is the one that it is about to use.
    fn oldest_of(&self, own: &[Id]) -> Option<Id> {
        let turn = |id: &Id| {
            let open = self.open.get(id);
            open.map(|open| open.turn.load(Ordering::Relaxed) & !PROVEN)
        };
        own.iter().copied().min_by_key(turn)
    }

    /// Whose turn it is to go. Those found to have moved on since they were queued are queued again: it is replies that pay
    /// for this, not connections.
    fn oldest(&mut self) -> Option<Id> {
        let now = self.turns.load(Ordering::Relaxed);
        loop {
            let (queued, id) = if self.proven.is_empty() || self.waiting_too_long() {
                self.waiting.pop_first()?
            } else {
                self.proven.pop_first()?
            };
            // What moves on while we look at it will do.
            if self.requeue(queued, id) == queued || queued & !PROVEN >= now {
                return Some(id);
            }
        }
    }

    /// Puts one that was taken out of its queue where it belongs by now; its turn.
    fn requeue(&mut self, queued: u64, id: Id) -> u64 {
        let Some(open) = self.open.get_mut(&id) else {
            return queued;
        };
        open.queued = open.turn.load(Ordering::Relaxed);
        let turn = open.queued;
        self.queue(turn).insert(turn, id);
        turn
    }

    fn waiting_too_long(&self) -> bool {
        let first = self.waiting.first_key_value();
        let first = first.and_then(|(_, id)| self.open.get(id));
        self.waiting.len() > self.room.in_all / 2
            || first.is_some_and(|open| open.since.elapsed() >= self.room.grace)
    }

    fn queue(&mut self, turn: u64) -> &mut BTreeMap<u64, Id> {
        if turn & PROVEN == 0 {
            &mut self.waiting
        } else {
            &mut self.proven
        }
    }
}

fn id(ended: &Result<(Id, ()), JoinError>) -> Id {
    match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

#[cfg(test)]
mod tests;
