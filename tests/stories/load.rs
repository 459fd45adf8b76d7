//! Many questions while mirrors come and go.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use hickory_proto::op::ResponseCode;

use crate::common::nodes::Does;
use crate::program::{Server, Stop, eventually};
use crate::question::{Question, Reply, socket_to};
use crate::world::{SITES, World};

const THREADS: usize = 4;
/// At least so many questions, and changes of state while they are asked.
const QUESTIONS: usize = 5000;
const CHANGES: usize = 4;
/// Memory that a server may gain: allocators keep some.
const GAIN_KIB: usize = 8 * 1024;

#[test]
fn every_question_is_answered_while_mirrors_flap() {
    let world = World::of(90, 4);
    let server = Server::start(&world.config(""));
    // What is allocated once is allocated after these.
    (0..500).for_each(|_| _ = server.given(SITES[0].2));
    let before = resident_kib(server.pid());
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        let ask = || ask_until(&done, &asked, &server);
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        for round in 0..CHANGES {
            // One after the other dies and comes back, so that there is always one left.
            let (does, words) = match round % 2 {
                0 => (Does::Refuse, "up -> down"),
                _ => (Does::ok(), "down -> up"),
            };
            world.now(round / 2 % 4, does);
            eventually("the change is seen, or a thread has failed", || {
                let times = server.log.text().matches(words).count();
                let failed = threads.iter().any(ScopedJoinHandle::is_finished);
                (times > round / 2 || failed).then_some(())
            });
        }
        eventually("enough questions are asked", || {
            let enough = asked.load(Ordering::Relaxed) >= QUESTIONS;
            (enough || threads.iter().any(ScopedJoinHandle::is_finished)).then_some(())
        });
        done.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
    let after = resident_kib(server.pid());
    assert!(
        after < before + GAIN_KIB,
        "{before} KiB grew to {after} KiB"
    );
    let counters = server.json(&["status"])["counters"].clone();
    assert_eq!(counters["panics"], 0, "{counters}");
    assert_eq!(counters["send errors"], 0, "{counters}");
    assert_eq!(counters["no node in service"], 0, "{counters}");
    let received = counters["received"].as_u64().unwrap();
    assert_eq!(received, 500 + asked.load(Ordering::Relaxed) as u64);
    assert_eq!(counters["rcode NOERROR"], received);
    assert!(
        !server.log.text().contains("panicked"),
        "{}",
        server.log.text()
    );
}

/// Asks question after question; each must be answered, with addresses.
fn ask_until(done: &AtomicBool, asked: &AtomicUsize, server: &Server) {
    let socket = socket_to(server.address);
    let mut buffer = [0; 2048];
    for (_, _, net) in SITES.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let packet = Question::a("get.example.org").from(net).to_vec();
        socket.send(&packet).unwrap();
        let length = socket
            .recv(&mut buffer)
            .expect("every question is answered");
        let reply = Reply::of(&packet, &buffer[..length]);
        assert_eq!(reply.rcode(), ResponseCode::NoError);
        assert_eq!(reply.addresses().len(), 1, "{reply:?}");
        asked.fetch_add(1, Ordering::Relaxed);
        // Leaves the others some of the machine.
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn resident_kib(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
