//! Generations and tables are put in each other's place while questions are answered: no answer may belong to neither.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nearmost::answer::{LONGEST, Request, Scratch, Transport, answer};
use nearmost::control::{self, Generation, load_text};
use nearmost::health::{Check, Outcome, STEADY, Seen, Table, Time, Word};
use nearmost::snapshot::{Current, Snapshot};

use crate::dns::{Question, Reply};
use crate::stage::build;

/// A generation with a node for each letter of `nodes`, in an order of its own. Only one of them is ever in service: the last
/// of an even generation, the first two in turn of an odd one.
fn generation(number: u64) -> Snapshot {
    let (addresses, up) = if number.is_multiple_of(2) {
        (["192.0.2.1", "192.0.2.2", "192.0.2.3"], 2)
    } else {
        (["198.51.100.1", "198.51.100.2", "198.51.100.3"], 0)
    };
    let mut text = String::from(
        "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = { \"@\" = \"site\" }\n[pool.site]\nprobe = \"tcp:80\"\nnone = \"nodata\"\n",
    );
    for address in addresses {
        text += &format!(
            "[node.n{}]\nat = \"FRA\"\nip = [\"{address}\"]\n",
            address.replace('.', "-")
        );
    }
    let mut snapshot = build(&text).expect("a good configuration").snapshot;
    snapshot.generation = number;
    snapshot.table.publish(only(up));
    snapshot
}

/// A table in which one slot is in service.
fn only(slot: usize) -> Table {
    Table::new((0..3).map(|n| Word::new(n == slot, STEADY, 0)).collect())
}

const NOW: Time = Time::from_secs(1_800_000_000);

fn question() -> Question {
    Question::read("get.example.org A from 192.88.99.1").expect("a question")
}

fn given(snapshot: &Snapshot, table: &Table, question: &Question) -> Vec<IpAddr> {
    let request = Request {
        packet: &question.packet(),
        source: question.from,
        transport: Transport::Udp,
        draw: 0,
    };
    let mut out = vec![0; LONGEST];
    let outcome = answer(snapshot, table, request, &mut Scratch::default(), &mut out);
    let reply = Reply::read(question, &out[..outcome.len]).expect("a reply");
    reply.addresses().into_iter().map(|a| a.0).collect()
}

#[test]
fn no_answer_belongs_to_neither_generation() {
    const SWAPS: u64 = 60;
    let possible = ["192.0.2.3", "198.51.100.1", "198.51.100.2"]
        .map(|a| a.parse::<IpAddr>().expect("an address"));
    let generations: Vec<Snapshot> = (1..=SWAPS).map(generation).collect();
    let current = Current::new(generation(0));
    let done = AtomicBool::new(false);
    let seen: Vec<HashMap<Vec<IpAddr>, usize>> = thread::scope(|scope| {
        let read = || {
            let (mut seen, question) = (HashMap::new(), question());
            // As a worker does it: the generation first, then the table of that one.
            while !done.load(Ordering::Acquire) || seen.is_empty() {
                let snapshot = current.load();
                let table = snapshot.table.load();
                *seen.entry(given(&snapshot, &table, &question)).or_default() += 1;
            }
            seen
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for snapshot in generations {
            let odd = snapshot.generation % 2 == 1;
            current.publish(snapshot);
            // As the probers' collector does it: whatever generation is current gets the table that is meant for it.
            for turn in 0..200 {
                current
                    .get()
                    .table
                    .publish(only(if odd { turn % 2 } else { 2 }));
                if turn % 50 == 0 {
                    thread::yield_now();
                }
            }
        }
        done.store(true, Ordering::Release);
        readers.map(|r| r.join().expect("no panic")).into()
    });
    for answers in seen {
        for (answer, times) in answers {
            assert!(
                answer.len() == 1 && possible.contains(&answer[0]),
                "{answer:?}, {times} times"
            );
        }
    }
}

/// The test above can fail: a table read by another generation's numbers gives what neither would.
#[test]
fn a_table_of_another_generation_is_noticed() {
    let (even, odd) = (generation(0), generation(1));
    let wrong = given(&even, &odd.table.load(), &question());
    assert_eq!(wrong, ["192.0.2.1".parse::<IpAddr>().expect("an address")]);
}

/// A node whose name has other addresses again and again: each generation goes on from the one before, as the collector does it. Each
/// has a living and a dead address, now in this order and now in that, so that the same number means another check; and one node that
/// stays, so that the pool never falls open.
#[test]
fn addresses_that_change_are_given_only_once_they_are_known_to_live() {
    const SWAPS: u8 = 60;
    let text = "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = { \"@\" = \"site\" }\n[pool.site]\nprobe = \"tcp:80\"\nnone = \"nodata\"\nanswer = 2\n[node.moves]\nat = \"FRA\"\nhost = \"mirror.example\"\n[node.stays]\nat = \"FRA\"\nip = [\"192.0.2.99\"]\n";
    let mut parts = load_text(Path::new("swap.toml"), text)
        .parts
        .expect("a good configuration");
    // Odd is alive, even is dead.
    let address = |n: u8| IpAddr::from([198, 51, 100, n]);
    let lives = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[3] % 2 == 1,
        IpAddr::V6(_) => false,
    };
    let found = |check: &Check| Outcome {
        result: if lives(&check.address) {
            Ok(())
        } else {
            Err("refused".into())
        },
        latency: Duration::ZERO,
        seen: Seen::default(),
    };
    let Generation {
        snapshot,
        mut board,
    } = control::build(&parts, 1, NOW).expect("it can be built");
    board.observe(0, found(&board.checks()[0].clone()), NOW);
    snapshot.table.publish(snapshot.judge(board.table(NOW)));
    let current = Current::new(snapshot);
    let done = AtomicBool::new(false);
    let seen: HashSet<Vec<IpAddr>> = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, question) = (HashSet::new(), question());
            while !done.load(Ordering::Acquire) || seen.is_empty() {
                let snapshot = current.load();
                let table = snapshot.table.load();
                seen.insert(given(&snapshot, &table, &question));
            }
            seen
        });
        for swap in 0..SWAPS {
            let (one, other) = (
                address(swap * 4 + swap % 2),
                address(swap * 4 + 2 + (swap + 1) % 2),
            );
            parts.config.nodes[0].addresses = vec![one, other];
            let next = control::rebuild(&parts, &current.get(), NOW).expect("it can be built");
            let Generation {
                snapshot,
                board: mut fresh,
            } = next;
            let known = fresh.go_on(&board);
            assert_eq!(known.iter().flatten().count(), 1, "the one that stays");
            board = fresh;
            snapshot.table.publish(snapshot.judge(board.table(NOW)));
            current.publish(snapshot);
            thread::yield_now();
            for (number, _) in known.iter().enumerate().filter(|k| k.1.is_none()) {
                board.observe(number, found(&board.checks()[number].clone()), NOW);
                let snapshot = current.get();
                snapshot.table.publish(snapshot.judge(board.table(NOW)));
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Release);
        reader.join().expect("no panic")
    });
    for answer in seen {
        assert!(!answer.is_empty() && answer.len() <= 2, "{answer:?}");
        assert!(answer.iter().all(lives), "{answer:?}");
    }
}
