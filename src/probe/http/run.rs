//! The run that a task is in: what the parts of a shared client learn of it, and tell it.

use std::cell::Cell;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use super::super::words::Phase;
use crate::health::{Seen, Time};

/// One run of a check.
pub(super) struct Run {
    node: SocketAddr,
    started: Instant,
    phase: Cell<Phase>,
    seen: Cell<Seen>,
}

tokio::task_local! {
    /// The run that the current task is in.
    pub(super) static RUN: Run;
}

impl Run {
    /// A run that begins now.
    pub(super) fn of(node: SocketAddr) -> Self {
        Self {
            node,
            started: Instant::now(),
            phase: Cell::new(Phase::Connecting),
            seen: Cell::default(),
        }
    }

    /// How far it has come, and what was seen.
    pub(super) fn state(&self) -> (Phase, Seen) {
        (self.phase.get(), self.seen.get())
    }

    /// Of several connections, as after redirects, the first is noted.
    fn note(&self, phase: Phase) {
        let (before, elapsed) = (self.phase.replace(phase), self.started.elapsed());
        let mut seen = self.seen.get();
        match (before, phase) {
            (Phase::Connecting, Phase::Handshake | Phase::Waiting) => {
                seen.connect = seen.connect.or(Some(elapsed));
            }
            (Phase::Handshake, Phase::Waiting) => {
                let handshake = seen.connect.map(|connect| elapsed.saturating_sub(connect));
                seen.tls = seen.tls.or(handshake);
            }
            _ => {}
        }
        self.seen.set(seen);
    }
}

/// Notes how far the current run has come.
pub(super) fn entered(phase: Phase) {
    // Only a run of ours polls our clients, so that there always is one; if not, words are less exact.
    _ = RUN.try_with(|run| run.note(phase));
}

/// Notes when the node's certificate ends.
pub(super) fn certificate_ends(at: Option<Time>) {
    _ = RUN.try_with(|run| {
        let seen = run.seen.get();
        run.seen.set(Seen {
            certificate_ends: at,
            ..seen
        });
    });
}

/// Notes that a connection stands, TLS included.
pub(super) fn connected<C>(connection: C) -> C {
    entered(Phase::Waiting);
    connection
}

/// Resolves every name to the address that the current run is about.
pub(super) struct AddressOfRun;

impl Resolve for AddressOfRun {
    fn resolve(&self, _: Name) -> Resolving {
        let node = RUN.try_with(|run| run.node);
        Box::pin(std::future::ready(match node {
            Ok(node) => Ok(Box::new(std::iter::once(node)) as Addrs),
            Err(outside) => Err(outside.into()),
        }))
    }
}
