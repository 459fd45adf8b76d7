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
//!
//! A client, and a network of clients, has its share of the room; at its end it loses its own. Of a network the longest waiting one goes, and
//! a proven one only where none is waiting: neighbours who mean no good take no connection from a resolver beside them that uses its own.

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
    networks: HashMap<Prefix, Vec<Id>>,
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
    /// Connections of one network, at least one.
    pub(super) per_network: usize,
    /// For so long no waiting connection makes room for other clients: a question needs a moment to follow its connection.
    pub(super) grace: Duration,
}

struct Open {
    client: Prefix,
    network: Prefix,
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

#[cfg(test)]
impl Activity {
    /// Of a connection that is in no table.
    pub(super) fn alone() -> Self {
        Self {
            turn: Arc::default(),
            turns: Arc::default(),
        }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.turn.load(Ordering::Relaxed) & PROVEN != 0
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
                // One that may have all of it has no bound of its own.
                per_network: match room.per_network {
                    some if some < room.in_all => some.max(1),
                    _ => usize::MAX,
                },
                ..room
            },
            open: HashMap::new(),
            clients: HashMap::new(),
            networks: HashMap::new(),
            waiting: BTreeMap::new(),
            proven: BTreeMap::new(),
            turns: Arc::default(),
        }
    }

    /// Whether more than half of the room is taken, of all of it or of what there is for this client or its network.
    pub(super) fn crowded(&self, source: IpAddr) -> bool {
        let (client, network) = whose(source);
        let taken = |all: &HashMap<Prefix, Vec<Id>>, whose| all.get(&whose).map_or(0, Vec::len);
        self.open.len() > self.room.in_all / 2
            || taken(&self.clients, client) > self.room.per_client / 2
            || taken(&self.networks, network) > self.room.per_network / 2
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
        let whose = whose(source);
        let evicted = loop {
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.forget(id(&ended));
            }
            match self.in_the_way(whose) {
                Some((_, wait)) if !wait.is_zero() => tokio::time::sleep(wait).await,
                evicted => break evicted,
            }
        };
        evicted.into_iter().for_each(|(id, _)| self.close(id));
        self.open(whose, talk);
        evicted.is_some()
    }

    /// What must be closed for a connection of this client and network, and how long to wait with that.
    fn in_the_way(&mut self, (client, network): (Prefix, Prefix)) -> Option<(Id, Duration)> {
        fn of(all: &HashMap<Prefix, Vec<Id>>, whose: Prefix) -> &[Id] {
            all.get(&whose).map_or(&[][..], Vec::as_slice)
        }
        let own = of(&self.clients, client);
        if own.len() >= self.room.per_client {
            // Proven or not: its newest is the one that it is about to use.
            let id = self.first_of(own, |turn| turn & !PROVEN)?;
            return Some((id, Duration::ZERO));
        }
        let own = of(&self.networks, network);
        if own.len() >= self.room.per_network {
            // As numbers those that are waiting are less.
            return Some((self.first_of(own, |turn| turn)?, Duration::ZERO));
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

    fn open<F>(&mut self, (client, network): (Prefix, Prefix), talk: impl FnOnce(Activity) -> F)
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
        self.networks.entry(network).or_default().push(task.id());
        let open = Open {
            client,
            network,
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
        let groups = [
            (&mut self.clients, open.client),
            (&mut self.networks, open.network),
        ];
        for (all, whose) in groups {
            if let Some(own) = all.get_mut(&whose) {
                own.retain(|&other| other != id);
                if own.is_empty() {
                    all.remove(&whose);
                }
            }
        }
        Some(open)
    }

    /// The one of a group with the least turn, after `seen`.
    fn first_of(&self, own: &[Id], seen: impl Fn(u64) -> u64) -> Option<Id> {
        let turn = |id: &Id| {
            let open = self.open.get(id);
            open.map(|open| seen(open.turn.load(Ordering::Relaxed)))
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

/// The client that a connection is of, and the network.
fn whose(source: IpAddr) -> (Prefix, Prefix) {
    (Prefix::of_one(source), Prefix::of_network(source))
}

fn id(ended: &Result<(Id, ()), JoinError>) -> Id {
    match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

#[cfg(test)]
mod tests;
