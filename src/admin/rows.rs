//! The nodes as the dashboard shows them: one row each, whatever it has of addresses and probes.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::regions::thousandth;
use super::strips::{Now, strip};
use crate::control::{Entry, Handle, OrderLine};
use crate::health::{Board, Damped, Order, State, Table, Time};
use crate::policy::Node;
use crate::snapshot::Snapshot;

/// A node. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) node: String,
    /// Degrees north and east, if a point is known.
    at: Option<(f64, f64)>,
    /// The city near to it.
    place: String,
    /// `up`, `partly`, `down`, `damped`, `unknown`, `unprobed`, `unused`, or the order's word.
    pub(super) state: &'static str,
    /// Whether what counts is not what is measured, as states are frozen.
    frozen: bool,
    /// The probe's own words, or the operator's.
    why: String,
    since: u64,
    latency_ms: Option<f64>,
    /// Its share of all addresses given in the last minutes, 0 to 1.
    share: Option<f64>,
    order: Option<OrderLine>,
    /// The last 24 hours, as `strips` writes them.
    strip: String,
    out: u64,
    known: u64,
}

/// Whether addresses of a node are in service, and whether some are not, in any pool.
#[derive(Clone, Copy, Default)]
struct Serving {
    some: bool,
    not_all: bool,
}

fn serving(snapshot: &Snapshot, table: &Table) -> Vec<Serving> {
    let mut all = vec![Serving::default(); snapshot.nodes.len()];
    let families = snapshot.pools.iter().flat_map(|p| [&p.v4, &p.v6]).flatten();
    for steering in families.map(|family| &family.steering) {
        for member in &*steering.members {
            let own = &mut all[member.node as usize];
            let first = member.first as usize;
            for address in &steering.addresses[first..first + usize::from(member.count)] {
                let in_service = table.word(address.slot).in_service();
                own.some |= in_service;
                own.not_all |= !in_service;
            }
        }
    }
    all
}

/// All nodes, in the order of their numbers.
pub(super) fn rows(handle: &Handle, events: &[Entry]) -> Vec<Row> {
    let mut of_node: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for event in events {
        of_node.entry(&event.node).or_default().push(event);
    }
    let started = handle.started().as_secs();
    let reach = events.first().map_or(started, |e| e.at.min(started));
    // Who has the board has the generation that it is of.
    let board = handle.board();
    let (snapshot, now) = (handle.current().get(), handle.now());
    let look = Look {
        board: &board,
        serving: serving(&snapshot, &snapshot.table.load()),
        damped: board.damped_checks(),
        shares: shares(handle, &snapshot),
        started: handle.started(),
        now,
    };
    let mut checks: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, check) in board.checks().iter().enumerate() {
        checks.entry(&check.node).or_default().push(number);
    }
    let mut rows = Vec::new();
    let mut lives = Vec::new();
    for (number, node) in snapshot.nodes.iter().enumerate() {
        let own = checks.get(node.name.as_str()).map_or(&[][..], |c| c);
        rows.push(look.row(number, node, own));
        lives.push(look.life(own));
    }
    drop(look);
    drop(checks);
    // Nobody waits for what takes longer.
    drop(board);
    for ((row, life), near) in rows.iter_mut().zip(&lives).zip(&snapshot.near) {
        let events = of_node.get(row.node.as_str()).map_or(&[][..], |e| e);
        let order = row.order.as_ref().map(|o| o.state.as_str());
        // The second that runs counts as what it is now.
        let day = strip(events, life, order, reach, now.as_secs() + 1);
        row.place.clone_from(near);
        (row.strip, row.out, row.known) = (day.letters, day.out, day.known);
    }
    rows
}

/// The share of each node, by its number.
fn shares(handle: &Handle, snapshot: &Snapshot) -> HashMap<u32, f64> {
    let mut sums = HashMap::new();
    let shares = handle.shares(snapshot).unwrap_or_default();
    for ((node, _), share) in snapshot.addresses.iter().zip(shares) {
        *sums.entry(*node).or_insert(0.0) += share;
    }
    sums
}

/// What rows are made of.
struct Look<'a> {
    board: &'a Board,
    serving: Vec<Serving>,
    damped: BTreeMap<usize, Damped>,
    shares: HashMap<u32, f64>,
    started: Time,
    now: Time,
}

impl Look<'_> {
    fn row(&self, number: usize, node: &Node, checks: &[usize]) -> Row {
        let order = self.board.orders().get(&node.name);
        let state = match order {
            Some(order) => order.forced.word(),
            None => self.state(self.serving[number], checks),
        };
        let since = match order {
            Some(order) => order.since,
            None => self.since(checks),
        };
        let why = order.map_or_else(|| self.why(checks), Order::words);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Row {
            node: node.name.clone(),
            at: node.at.map(|p| (p.lat, p.lon)),
            place: String::new(),
            state,
            frozen: checks.iter().any(|c| self.board.held(*c).is_some()),
            why,
            since: since.as_secs(),
            latency_ms: self.latency(checks),
            share: self.shares.get(&number).copied().map(thousandth),
            order: order.map(|order| OrderLine::of(&node.name, order)),
            strip: String::new(),
            out: 0,
            known: 0,
        }
    }

    /// The checks that count, as they are measured.
    fn life(&self, checks: &[usize]) -> Vec<Now> {
        let voting = checks.iter().filter(|c| self.votes(**c));
        let now = |number: &usize| Now {
            address: self.board.checks()[*number].address,
            probe: self.board.checks()[*number].probe.name.clone(),
            state: self.board.statuses()[*number].counter.state().word(),
        };
        voting.map(now).collect()
    }

    fn votes(&self, check: usize) -> bool {
        !self.board.checks()[check].probe.shadow
    }

    fn counted(&self, check: usize) -> State {
        self.board.counted(check).counter.state()
    }

    fn state(&self, serving: Serving, checks: &[usize]) -> &'static str {
        let mut voting = checks.iter().filter(|c| self.votes(**c)).peekable();
        let probed = voting.peek().is_some();
        match serving {
            Serving {
                some: true,
                not_all: true,
            } => "partly",
            Serving { some: true, .. } if probed => "up",
            Serving { some: true, .. } => "unprobed",
            Serving { not_all: true, .. } => {
                let states: Vec<State> = voting.map(|c| self.counted(*c)).collect();
                if states.contains(&State::Down) {
                    "down"
                } else if checks.iter().any(|c| self.damped.contains_key(c)) {
                    "damped"
                } else {
                    "unknown"
                }
            }
            Serving { .. } => "unused",
        }
    }

    /// The check that is worst of those that count.
    fn worst(&self, checks: &[usize]) -> Option<usize> {
        let rank = |check: &usize| match self.counted(*check) {
            State::Down => 2,
            State::Unknown => 1,
            State::Up => 0,
        };
        let voting = checks.iter().copied().filter(|c| self.votes(*c));
        // Of equal ones the first.
        voting.rev().max_by_key(rank)
    }

    /// When the state was entered: by the worst check, or when the last of them came up.
    fn since(&self, checks: &[usize]) -> Time {
        let Some(worst) = self.worst(checks) else {
            return self.started;
        };
        let state = self.counted(worst);
        let like = checks.iter().filter(|c| self.counted(**c) == state);
        let since = like.map(|c| self.board.counted(*c).since);
        since.max().unwrap_or(self.started)
    }

    /// What is wrong, will be, or may be: in the probe's own words.
    fn why(&self, checks: &[usize]) -> String {
        let not_up = |c: &&usize| self.votes(**c) && self.counted(**c) != State::Up;
        let failing = checks.iter().filter(not_up).count();
        let damped = checks.iter().find_map(|c| self.damped.get(c));
        let (true, Some(worst)) = (failing > 0, self.worst(checks)) else {
            let warns = |c: &usize| self.warning(*c);
            let warning = checks.iter().find_map(warns);
            return damped.map(Damped::words).or(warning).unwrap_or_default();
        };
        let check = &self.board.checks()[worst];
        let error = self.board.counted(worst).last_error.as_ref();
        let error = error.map_or("not checked yet", |(_, error)| error);
        let more = match failing - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        format!("{} {}: {error}{more}", check.probe.name, check.address)
    }

    /// What may become a failure.
    fn warning(&self, number: usize) -> Option<String> {
        let (check, status) = (&self.board.checks()[number], &self.board.statuses()[number]);
        let seen = status.last.as_ref().map(|(_, outcome)| outcome.seen);
        let warning = seen.and_then(|seen| seen.warning(&check.probe, self.now));
        let progress = || status.counter.progress(check.probe.thresholds());
        let words = warning.or_else(progress)?;
        Some(format!("{} {}: {words}", check.probe.name, check.address))
    }

    /// The slowest of the newest checks that succeeded, milliseconds.
    fn latency(&self, checks: &[usize]) -> Option<f64> {
        let newest = checks
            .iter()
            .filter_map(|c| self.board.statuses()[*c].last.as_ref());
        let well = newest.filter(|(_, outcome)| outcome.result.is_ok());
        let slowest = well.map(|(_, outcome)| outcome.latency).max()?;
        let ms = slowest.as_secs_f64() * 1000.0;
        Some(if ms < 10.0 {
            (ms * 10.0).round() / 10.0
        } else {
            ms.round()
        })
    }
}
