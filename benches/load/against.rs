//! Another build of the program beside this one: what a question costs each of them.

use std::path::Path;

use crate::generator::{Count, Generator};
use crate::live::{Live, THIS};
use crate::report::{median, quartiles};
use crate::setup::questions::Kind;
use crate::setup::{Folder, Size};
use crate::{QUESTIONS, Row, cpu, questions};

/// Each start lays memory out anew, which alone makes a few parts in a hundred.
const STARTS: usize = 8;
/// Rounds of each start.
const ROUNDS: usize = 8;

/// Lets both answer the same in turns. The other one must understand the configuration and answer as this one does: what it answers
/// otherwise is counted as wrong.
pub fn against(other: &Path, size: &Size, cpus: [usize; 2]) {
    let snapshot = size.snapshot();
    let table = snapshot.table.load();
    let kinds = [
        ("static", Kind::Static),
        ("wildcard", Kind::Wildcard),
        ("missing", Kind::Missing),
        ("geo", Kind::Pool),
    ];
    let asked = kinds.map(|(title, kind)| {
        let packets = kind.questions(size, QUESTIONS);
        (title, questions(&packets, &[(&snapshot, &table)]))
    });
    let ready = &asked[3].1[0];
    let mut told = kinds.map(|(title, _)| (title, Vec::new(), [Count::default(); 2]));
    for turn in 0..STARTS {
        cpu::bind(&cpus[..1]);
        let folders = ["load-other", "load-this"].map(Folder::new);
        let right = |reply: &[u8]| ready.replies[0] == reply;
        let start = |program: &Path, folder: &Folder| {
            Live::ours(program, size, folder.path(), &ready.packet, right)
        };
        let servers = [
            start(other, &folders[0]),
            start(Path::new(THIS), &folders[1]),
        ];
        cpu::bind(&cpus[1..]);
        for ((title, questions), (_, ratios, counts)) in asked.iter().zip(&mut told) {
            let mut rows = servers
                .each_ref()
                .map(|server| Row::new(title, Generator::new(server.address, questions), server));
            for round in 0..ROUNDS {
                // Neither is always the first.
                let first = (turn + round) % 2;
                rows[first].round();
                rows[1 - first].round();
            }
            let [other, this] = &rows;
            ratios.extend(this.each.iter().zip(&other.each).map(|(a, b)| a / b));
            counts[0].add(other.count);
            counts[1].add(this.count);
        }
    }
    println!("CPU of a question, to {} (quartiles)", other.display());
    for (title, ratios, [others, own]) in &told {
        let (middle, (low, high)) = (median(ratios), quartiles(ratios));
        println!(
            "{title:8} {middle:>7.3} ({low:.3} .. {high:.3})  this: {own}; the other: {others}"
        );
    }
}
