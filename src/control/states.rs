//! States of checks on disk: a restart goes on from what was known, if that was not long ago.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keep;
use crate::health::{Board, Check, State, Time};

/// Time between two writings.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// Older than so many intervals of its check a state is not trusted (SPEC 4).
const TRUSTED: u32 = 10;
const FILE: &str = "states.json";

/// What the file holds. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct States {
    /// When they were so.
    at: u64,
    checks: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    node: String,
    address: IpAddr,
    probe: String,
    host: String,
    up: bool,
    since: u64,
}

impl States {
    /// What is known now; checks without a result are left out.
    pub(super) fn of(board: &Board, now: Time) -> Self {
        // While states are frozen it is those that outlive the process.
        let counted = (0..).map(|check| board.counted(check));
        let all = board.checks().iter().zip(counted);
        let known = all.filter(|(_, status)| status.counter.state() != State::Unknown);
        let line = known.map(|(check, status)| Line {
            node: check.node.clone(),
            address: check.address,
            probe: check.probe.name.clone(),
            host: check.host.clone(),
            up: status.counter.state() == State::Up,
            since: status.since.as_secs(),
        });
        Self {
            at: now.as_secs(),
            checks: line.collect(),
        }
    }

    /// Writes them into a folder.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        keep::write(&folder.join(FILE), self)
    }
}

impl States {
    /// What is known of a check.
    fn line(&self, check: &Check) -> Option<&Line> {
        self.checks.iter().find(|line| {
            line.node == check.node
                && line.address == check.address
                && line.probe == check.probe.name
                && line.host == check.host
        })
    }
}

impl Line {
    fn state(&self) -> State {
        if self.up { State::Up } else { State::Down }
    }
}

/// Gives the board what a folder holds and is young enough; how many checks go on from there.
pub(super) fn restore(board: &mut Board, folder: &Path, now: Time) -> usize {
    let Some(states) = keep::read::<States>(&folder.join(FILE)) else {
        return 0;
    };
    let age = now.saturating_sub(Duration::from_secs(states.at));
    let mut resumed = 0;
    for number in 0..board.checks().len() {
        let check = &board.checks()[number];
        if age <= check.probe.every * TRUSTED
            && let Some(line) = states.line(check)
        {
            board.resume(number, line.state(), Duration::from_secs(line.since));
            resumed += 1;
        }
    }
    resumed
}

/// Gives the board the states that differ in what a folder holds, if the process before has written that since `begun`: it has seen more rounds
/// than we have. How many differ.
pub(super) fn catch_up(board: &mut Board, folder: &Path, begun: Time) -> usize {
    let states = keep::read::<States>(&folder.join(FILE));
    let Some(states) = states.filter(|states| states.at >= begun.as_secs()) else {
        return 0;
    };
    let mut others = 0;
    for number in 0..board.checks().len() {
        let line = states.line(&board.checks()[number]);
        let known = board.counted(number).counter.state();
        if let Some(line) = line.filter(|line| line.state() != known) {
            board.resume(number, line.state(), Duration::from_secs(line.since));
            others += 1;
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{build, load_text};

    #[test]
    fn what_takes_over_goes_on_from_the_last_states() {
        let text = "[zone.'get.example']\nns = ['ns.example']\npools = { '@' = 'p' }\n[pool.p]\nnodes = ['*']\nprobe = 'tcp:80'\n\
                    [node.a]\nat = 'FRA'\nip = ['192.0.2.1']\n[node.b]\nat = 'NYC'\nip = ['192.0.2.2']\n";
        let parts = load_text(Path::new("states.toml"), text).parts.unwrap();
        let board = |a, b| {
            let mut board = build(&parts, 1, Time::from_secs(90)).unwrap().board;
            board.resume(0, a, Time::from_secs(10));
            board.resume(1, b, Time::from_secs(10));
            board
        };
        let folder = std::env::temp_dir().join(format!("nearmost-states-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let old = board(State::Down, State::Up);
        States::of(&old, Time::from_secs(95))
            .write(&folder)
            .unwrap();
        let states = |board: &Board| [0, 1].map(|check| board.counted(check).counter.state());
        let mut new = board(State::Up, State::Up);
        // What was written before it began it has read.
        assert_eq!(catch_up(&mut new, &folder, Time::from_secs(96)), 0);
        assert_eq!(states(&new), [State::Up; 2]);
        assert_eq!(catch_up(&mut new, &folder, Time::from_secs(95)), 1);
        assert_eq!(states(&new), [State::Down, State::Up]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
