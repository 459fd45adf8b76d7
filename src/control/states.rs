//! States of checks on disk: a restart goes on from what was known, if that was not long ago.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keep;
use crate::health::{Board, State, Time};

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

/// Gives the board what a folder holds and is young enough; how many checks go on from there.
pub(super) fn restore(board: &mut Board, folder: &Path, now: Time) -> usize {
    let Some(states) = keep::read::<States>(&folder.join(FILE)) else {
        return 0;
    };
    let age = now.saturating_sub(Duration::from_secs(states.at));
    let mut resumed = 0;
    for number in 0..board.checks().len() {
        let check = &board.checks()[number];
        let same = |line: &&Line| {
            line.node == check.node
                && line.address == check.address
                && line.probe == check.probe.name
                && line.host == check.host
        };
        if age <= check.probe.every * TRUSTED
            && let Some(line) = states.checks.iter().find(same)
        {
            let state = if line.up { State::Up } else { State::Down };
            board.resume(number, state, Duration::from_secs(line.since));
            resumed += 1;
        }
    }
    resumed
}
