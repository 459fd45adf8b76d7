//! All kinds of abuse at once, in small (docs/abuse.md): ordinary clients lose nothing, and memory stays within its bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::common::certificates::Authority;
use crate::crowd::steady::{Manner, Steady};
use crate::crowd::strangers::{Crowd, Habit, Way};
use crate::crowd::{self, Doors, mutated, spread, together};
use crate::program::{Folder, PATIENCE, Server, eventually, within};

/// How long memory may take to come back (docs/abuse.md).
const REST: Duration = Duration::from_secs(45);

#[test]
fn crowds_that_mean_no_good_cost_others_nothing() {
    let authority = Authority::new("crowds");
    let folder = Folder::with(&crowd::config());
    let (cert, key) = authority.pair(&[crowd::NAME]);
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", &key);
    folder.write("zones/large.example.zone", &crowd::large_zone());
    let made = folder.run(&["keys", "new", crowd::POOL]);
    assert_eq!(made.code, 0, "{made:?}");
    let server = Server::start_in(&Arc::new(folder));
    let at = |way: &str| -> SocketAddr {
        let line = server.log.wait(&[&format!("answering {way} on ")]);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let doors = Doors {
        plain: server.address,
        dot: at("DNS over TLS"),
        doh: at("DNS over HTTPS"),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let manner = Manner {
        udp: 100,
        tcp: 20,
        patience: PATIENCE,
    };
    let steady = Steady::start(server.address, manner);
    // All that a server makes at its start is there by then.
    eventually("ordinary clients are answered", || {
        let [udp, tcp] = steady.sums();
        (udp.asked > 50 && tcp.asked > 10).then_some(())
    });
    let before = crowd::memory(server.pid());
    let mut crowd = Crowd::new(doors, &authority.pem);
    let seen = Arc::clone(&crowd.seen);
    let mut add = |habit, way, from| crowd.add(runtime.handle(), habit, way, from);
    for number in 0..30 {
        add(Habit::Slow, Way::Tcp, spread(80, number));
        let way = [Way::Dot, Way::Doh][number / 2 % 2];
        let habit = [Habit::SlowHello, Habit::Slow][number % 2];
        add(habit, way, spread(81, number));
        let way = [Way::Tcp, Way::Dot, Way::Doh][number % 3];
        add(Habit::Silent, way, together(82, number));
        if number < 6 {
            add(Habit::Deaf, way, spread(83, number));
        }
    }
    assert_eq!(mutated::send(server.address, 20_000, 5_000, 1), 20_000);
    let [udp, tcp] = eventually("enough was asked beside all that", || {
        let [udp, tcp] = steady.sums();
        let enough = udp.asked > 300 && tcp.asked > 60;
        let all_there = seen.opened.load(std::sync::atomic::Ordering::Relaxed) >= 96;
        (enough && all_there).then_some([udp, tcp])
    });
    let grown = crowd::memory(server.pid()).saturating_sub(before);
    assert_eq!(udp.lost, 0, "{udp:?} {tcp:?}");
    assert!(50 * tcp.lost < tcp.asked, "{udp:?} {tcp:?}");
    assert!(grown < 64 << 10, "{grown} KiB more");
    let counters = server.json(&["status"])["counters"].clone();
    assert_eq!(counters["panics"], 0, "{counters}");

    // The C library alone keeps all that the crowd had (control/trim.rs); some of the growth is caches, which stay.
    drop((crowd, steady));
    if cfg!(target_env = "gnu") {
        within(REST, "what the crowd had is given back", || {
            let more = crowd::memory(server.pid()).saturating_sub(before);
            (more < 16 << 10 && more <= grown - grown / 4).then_some(())
        });
    }
}
