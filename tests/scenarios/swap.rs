//! Generations and tables are put in each other's place while questions are answered: no answer may belong to neither.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nearmost::answer::{LONGEST, Request, Scratch, Transport, answer};
use nearmost::health::{STEADY, Table, Word};
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
