//! Which connections are open, whose they are, and which one makes room for the next.
//!
//! A new connection is never turned away: at a cap, the connection that was last of use the longest ago is closed. Of use is
//! one whose replies the client takes. Who connects and says nothing, sends octet by octet, or never reads is thus the first
//! to go, however many of them there are, and clients that ask stay.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::prefix::Prefix;

/// The open connections, each a task. Dropping it closes them all.
pub(super) struct Connections {
    tasks: JoinSet<()>,
    most: usize,
    most_per_client: usize,
    open: HashMap<Id, Open>,
    clients: HashMap<Prefix, Vec<Id>>,
    /// By the turn in which each was last of use, as far as looked at: [`Open::turn`] may be ahead.
    queue: BTreeMap<u64, Id>,
    turns: Arc<AtomicU64>,
}

struct Open {
    client: Prefix,
    task: AbortHandle,
    turn: Arc<AtomicU64>,
    queued: u64,
}

/// A connection's way to say that it was of use.
pub(super) struct Activity {
    turn: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

impl Activity {
    /// The client has taken a reply.
    pub(super) fn mark(&self) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.turn.store(turn, Ordering::Relaxed);
    }
}

impl Connections {
    /// None open yet; at most this many in all and for each client, at least one.
    pub(super) fn new(most: usize, most_per_client: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            most: most.max(1),
            most_per_client: most_per_client.max(1),
            open: HashMap::new(),
            clients: HashMap::new(),
            queue: BTreeMap::new(),
            turns: Arc::default(),
        }
    }

    /// Opens a connection; whether another was closed to make room.
    pub(super) fn admit<F>(&mut self, source: IpAddr, talk: impl FnOnce(Activity) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(id(&ended));
        }
        let client = client(source);
        let own = self.clients.get(&client).map_or(&[][..], Vec::as_slice);
        let evicted = if own.len() >= self.most_per_client {
            self.oldest_of(own)
        } else if self.open.len() >= self.most {
            self.oldest()
        } else {
            None
        };
        evicted.into_iter().for_each(|id| self.close(id));
        self.open(client, talk);
        evicted.is_some()
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
        self.queue.insert(queued, task.id());
        self.clients.entry(client).or_default().push(task.id());
        let open = Open {
            client,
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

    /// Closes the connection that was of use the longest ago; whether there was one.
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
        self.queue.remove(&open.queued);
        if let Some(own) = self.clients.get_mut(&open.client) {
            own.retain(|&other| other != id);
            if own.is_empty() {
                self.clients.remove(&open.client);
            }
        }
        Some(open)
    }

    fn oldest_of(&self, own: &[Id]) -> Option<Id> {
        let turn = |id: &Id| {
            self.open
                .get(id)
                .map(|open| open.turn.load(Ordering::Relaxed))
        };
        own.iter().copied().min_by_key(turn)
    }

    /// Connections found to have been of use since they were queued go to the end, each once at most: the cost is paid by
    /// replies, not by connections.
    fn oldest(&mut self) -> Option<Id> {
        let now = self.turns.load(Ordering::Relaxed);
        loop {
            let (queued, id) = self.queue.pop_first()?;
            let Some(open) = self.open.get_mut(&id) else {
                continue;
            };
            open.queued = open.turn.load(Ordering::Relaxed);
            self.queue.insert(open.queued, id);
            if open.queued == queued || queued >= now {
                return Some(id);
            }
        }
    }
}

fn id(ended: &Result<(Id, ()), JoinError>) -> Id {
    match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

/// Who counts as one client: an IPv4 address, an IPv6 /64. Within a /64 anybody takes any address; a shorter prefix would
/// let neighbours in one data centre close each other's connections.
fn client(source: IpAddr) -> Prefix {
    Prefix::holding(source.to_canonical(), 64)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    struct World {
        connections: Connections,
        activities: Vec<Activity>,
    }

    impl World {
        fn new(most: usize, most_per_client: usize) -> Self {
            Self {
                connections: Connections::new(most, most_per_client),
                activities: Vec::new(),
            }
        }

        fn admit(&mut self, source: &str) -> bool {
            let source = source.parse().expect("an address");
            self.connections.admit(source, |activity| {
                self.activities.push(activity);
                pending()
            })
        }

        /// The numbers of the open connections, by the order they came in.
        fn open(&self) -> Vec<usize> {
            let open = |a: &Activity| {
                let of = |o: &Open| Arc::ptr_eq(&o.turn, &a.turn);
                self.connections.open.values().any(of)
            };
            let numbers = 0..self.activities.len();
            numbers.filter(|&at| open(&self.activities[at])).collect()
        }
    }

    #[tokio::test]
    async fn the_one_that_was_of_use_the_longest_ago_makes_room() {
        let mut world = World::new(3, 9);
        for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            assert!(!world.admit(source));
        }
        world.activities[0].mark();
        assert!(world.admit("192.0.2.4"));
        assert_eq!(world.open(), [0, 2, 3]);
        assert!(world.admit("192.0.2.5"));
        assert_eq!(world.open(), [0, 3, 4]);
        assert!(world.admit("192.0.2.6"));
        assert_eq!(world.open(), [3, 4, 5]);
    }

    #[tokio::test]
    async fn a_client_at_its_cap_loses_its_own() {
        let mut world = World::new(9, 2);
        for source in ["192.0.2.9", "192.0.2.1", "192.0.2.1"] {
            assert!(!world.admit(source));
        }
        world.activities[1].mark();
        assert!(world.admit("192.0.2.1"));
        assert_eq!(world.open(), [0, 1, 3]);
    }

    #[tokio::test]
    async fn a_client_is_an_address_or_a_64() {
        let mut world = World::new(9, 1);
        assert!(!world.admit("2001:db8::1"));
        assert!(!world.admit("2001:db8:0:1::1"));
        assert!(world.admit("2001:db8::2"));
        assert!(!world.admit("192.0.2.1"));
        assert!(!world.admit("192.0.2.2"));
        assert!(world.admit("::ffff:192.0.2.1"));
        assert_eq!(world.open(), [1, 2, 4, 5]);
    }

    #[tokio::test]
    async fn the_ended_leave_nothing() {
        let mut connections = Connections::new(2, 2);
        for _ in 0..10 {
            assert!(!connections.admit(IpAddr::from([192, 0, 2, 1]), |_| async {}));
            connections.ended().await;
        }
        assert!(!connections.evict());
        assert!(connections.open.is_empty() && connections.clients.is_empty());
        assert!(connections.queue.is_empty());
    }

    #[tokio::test]
    async fn closing_ends_the_task() {
        let mut connections = Connections::new(1, 1);
        let held = Arc::new(());
        let source = IpAddr::from([192, 0, 2, 1]);
        let task = |held: Arc<()>| async move {
            pending::<()>().await;
            drop(held);
        };
        connections.admit(source, |_| task(held.clone()));
        assert!(connections.evict());
        connections.ended().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
