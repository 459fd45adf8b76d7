use std::future::pending;

use super::*;

struct World {
    connections: Connections,
    activities: Vec<Activity>,
}

fn room(in_all: usize, per_client: usize) -> Room {
    Room {
        in_all,
        per_client,
        per_network: in_all,
        grace: Duration::ZERO,
    }
}

impl World {
    fn new(room: Room) -> Self {
        Self {
            connections: Connections::new(room),
            activities: Vec::new(),
        }
    }

    async fn admit(&mut self, source: &str) -> bool {
        let source = source.parse().expect("an address");
        let talk = |activity| {
            self.activities.push(activity);
            pending()
        };
        self.connections.admit(source, talk).await
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
async fn the_longest_waiting_one_makes_room() {
    let mut world = World::new(room(4, 9));
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        assert!(!world.admit(source).await);
    }
    world.activities[0].mark();
    for (source, left) in [
        ("192.0.2.5", [0, 2, 3, 4]),
        ("192.0.2.6", [0, 3, 4, 5]),
        ("192.0.2.7", [0, 4, 5, 6]),
    ] {
        assert!(world.admit(source).await);
        assert_eq!(world.open(), left);
    }
}

#[tokio::test]
async fn the_young_have_half_of_the_room() {
    let mut world = World::new(Room {
        grace: Duration::from_secs(3600),
        ..room(4, 9)
    });
    for at in 0..4 {
        world.admit("192.0.2.1").await;
        world.activities[at].mark();
    }
    world.activities[0].mark();
    world.admit("192.0.2.1").await;
    assert_eq!(world.open(), [0, 2, 3, 4]);
    world.admit("192.0.2.1").await;
    assert_eq!(world.open(), [0, 3, 4, 5]);
    world.admit("192.0.2.1").await;
    assert_eq!(world.open(), [0, 4, 5, 6]);
    let next = world.admit("192.0.2.1");
    let waited = tokio::time::timeout(Duration::from_millis(50), next).await;
    assert!(waited.is_err(), "three are young, and more than half");
    world.activities[5].mark();
    assert!(world.admit("192.0.2.1").await);
    assert_eq!(world.open(), [4, 5, 6, 7]);
}

#[tokio::test]
async fn who_does_not_read_is_proven_no_more() {
    let mut world = World::new(room(2, 9));
    for at in 0..2 {
        world.admit("192.0.2.1").await;
        world.activities[at].mark();
    }
    world.activities[1].stalled();
    world.admit("192.0.2.1").await;
    assert_eq!(world.open(), [0, 2]);
}

#[tokio::test]
async fn a_client_at_its_cap_loses_its_own() {
    let mut world = World::new(room(9, 2));
    for source in ["192.0.2.9", "192.0.2.1", "192.0.2.1"] {
        assert!(!world.admit(source).await);
    }
    world.activities[1].mark();
    assert!(world.admit("192.0.2.1").await);
    assert_eq!(world.open(), [0, 1, 3]);
    assert!(world.admit("192.0.2.1").await);
    assert_eq!(world.open(), [0, 3, 4]);
}

#[tokio::test]
async fn a_client_is_an_address_or_a_64() {
    let mut world = World::new(room(9, 1));
    assert!(!world.admit("2001:db8::1").await);
    assert!(!world.admit("2001:db8:0:1::1").await);
    assert!(world.admit("2001:db8::2").await);
    assert!(!world.admit("192.0.2.1").await);
    assert!(!world.admit("192.0.2.2").await);
    assert!(world.admit("::ffff:192.0.2.1").await);
    assert_eq!(world.open(), [1, 2, 4, 5]);
}

#[tokio::test]
async fn a_network_at_its_cap_loses_those_that_wait_first() {
    let mut world = World::new(Room {
        per_network: 3,
        ..room(9, 9)
    });
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.3.1"] {
        assert!(!world.admit(source).await);
    }
    world.activities[0].mark();
    // The older of the two that wait, though the proven one is older still.
    assert!(world.admit("::ffff:192.0.2.9").await);
    assert_eq!(world.open(), [0, 2, 3, 4]);
    world.activities[2].mark();
    world.activities[4].mark();
    world.activities[0].mark();
    // None waits: the proven one that was of use the longest ago.
    assert!(world.admit("192.0.2.1").await);
    assert_eq!(world.open(), [0, 3, 4, 5]);
    // Others have theirs.
    for source in ["192.0.3.1", "2001:db8::1", "2001:db8:0:ff::1"] {
        assert!(!world.admit(source).await);
    }
    assert!(!world.admit("2001:db8:0:1::1").await, "the third");
    assert!(world.admit("2001:db8:0:2::1").await, "of a /56 the fourth");
    assert!(!world.admit("2001:db8:0:100::1").await, "another /56");
}

#[tokio::test]
async fn the_young_make_no_room_for_others() {
    let grace = Duration::from_millis(50);
    let mut world = World::new(Room {
        grace,
        ..room(1, 1)
    });
    let start = Instant::now();
    world.admit("192.0.2.1").await;
    assert!(world.admit("192.0.2.2").await);
    assert!(start.elapsed() >= grace);
    assert_eq!(world.open(), [1]);
}

#[tokio::test]
async fn the_ended_leave_nothing() {
    let mut connections = Connections::new(room(2, 2));
    for _ in 0..10 {
        let source = IpAddr::from([192, 0, 2, 1]);
        assert!(!connections.admit(source, |_| async {}).await);
        connections.ended().await;
    }
    assert!(!connections.evict());
    assert!(connections.open.is_empty() && connections.clients.is_empty());
    assert!(connections.networks.is_empty());
    assert!(connections.waiting.is_empty() && connections.proven.is_empty());
}

#[tokio::test]
async fn closing_ends_the_task() {
    let mut connections = Connections::new(room(1, 1));
    let held = Arc::new(());
    let source = IpAddr::from([192, 0, 2, 1]);
    let task = |held: Arc<()>| async move {
        pending::<()>().await;
        drop(held);
    };
    connections.admit(source, |_| task(held.clone())).await;
    assert!(connections.evict());
    connections.ended().await;
    assert_eq!(Arc::strong_count(&held), 1);
}
