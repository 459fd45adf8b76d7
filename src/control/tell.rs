//! What changed, for the log and the history.

use super::handle::Handle;
use super::history::Entry;
use crate::clock::utc;
use crate::health::{Board, Event, Frozen, Notice, State, Thaw, Time};

impl Handle {
    /// Tells what a result or a look at all of them changed.
    pub(super) fn tell(&self, board: &Board, notice: &Notice, now: Time) {
        match notice {
            Notice::State(event) => {
                log(board, event);
                self.remember(entry(board, event));
            }
            Notice::Damped(slot, damped) => {
                self.tell_slot(board, *slot, now, ("up", "damped"), &damped.words());
            }
            Notice::Undamped(slot) => {
                let why = "it is quiet again, down by its probes, or cannot be spared";
                self.tell_slot(board, *slot, now, ("damped", "measured"), why);
            }
            Notice::Frozen(v6, frozen) => {
                let why = frozen_words(frozen);
                tracing::error!(
                    "{} states are frozen: {why}; what was up stays in service until {} UTC at most",
                    family(*v6),
                    utc(frozen.until)
                );
                self.remember(all(*v6, now, ("measured", "frozen"), &why));
            }
            Notice::Thawed(v6, _, thaw) => {
                let why = thaw_words(*thaw);
                tracing::warn!("{} states are not frozen any more: {why}", family(*v6));
                self.remember(all(*v6, now, ("frozen", "measured"), why));
            }
        }
    }
}

impl Handle {
    fn tell_slot(
        &self,
        board: &Board,
        slot: usize,
        now: Time,
        (from, to): (&str, &str),
        why: &str,
    ) {
        let (node, address) = board.whose(slot);
        let ip = address.map_or(String::new(), |ip| ip.to_string());
        tracing::warn!("{node} {ip} {from} -> {to}: {why}");
        self.remember(Entry {
            at: now.as_secs(),
            node: node.into(),
            address,
            from: from.into(),
            to: to.into(),
            why: why.into(),
            who: None,
        });
    }
}

/// `4 of 5 nodes failed at once`.
pub(super) fn frozen_words(frozen: &Frozen) -> String {
    let Frozen { failed, of, .. } = frozen;
    format!(
        "{failed} of {of} nodes that were up failed at once, which is more likely our own failure"
    )
}

fn thaw_words(thaw: Thaw) -> &'static str {
    match thaw {
        Thaw::Sees => {
            "a node that had failed succeeded, or a canary; what failed meanwhile does not count"
        }
        Thaw::Real => "other nodes go on succeeding, so the failures are real",
        Thaw::Over => "the time for that is over; what failed meanwhile counts",
    }
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

/// An event of all nodes.
fn all(v6: bool, now: Time, (from, to): (&str, &str), why: &str) -> Entry {
    Entry {
        at: now.as_secs(),
        node: "*".into(),
        address: None,
        from: from.into(),
        to: to.into(),
        why: format!("{}: {why}", family(v6)),
        who: None,
    }
}

fn entry(board: &Board, event: &Event) -> Entry {
    let check = &board.checks()[event.check];
    Entry {
        at: event.at.as_secs(),
        node: check.node.clone(),
        address: Some(check.address),
        from: event.from.word().into(),
        to: event.to.word().into(),
        why: why(board, event),
        who: None,
    }
}

/// The probe and its words, and whether they count.
fn why(board: &Board, event: &Event) -> String {
    let check = &board.checks()[event.check];
    let held = board.held(event.check);
    let held = held.map_or(String::new(), |held| {
        format!(
            " (states are frozen: it counts as {})",
            held.counter.state().word()
        )
    });
    let shadow = if check.probe.shadow { " (shadow)" } else { "" };
    format!("{}{shadow}: {}{held}", check.probe.name, event.why)
}

/// The line that an operator finds in the log in the morning.
fn log(board: &Board, event: &Event) {
    let check = &board.checks()[event.check];
    let (node, address) = (&check.node, check.address);
    let (from, to, why) = (event.from.word(), event.to.word(), why(board, event));
    match event.to {
        State::Up => tracing::info!("{node} {address} {from} -> {to}: {why}"),
        _ => tracing::warn!("{node} {address} {from} -> {to}: {why}"),
    }
}
