//! What all connections of one transport share, and the answering itself.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::streak::Streak;
use super::tcp::Limits;
use super::tls::Shown;
use super::{count_given, counted, note_down};
use crate::answer::{LONGEST, Outcome, Request, Scratch, Transport, answer, client};
use crate::health::Table;
use crate::metrics::{Questions, Tally};
use crate::snapshot::{Current, Snapshot};
use crate::transfer::{Outgoing, is_asked};
use crate::wire::rcode;

/// What the connections of a transport share.
pub(super) struct Service {
    pub(super) current: Arc<Current>,
    pub(super) limits: Limits,
    pub(super) transport: Transport,
    pub(super) counters: Arc<Questions>,
    /// Whose counters of given addresses in the generation are its own: behind those of all UDP threads.
    pub(super) number: usize,
    pub(super) shown: Option<Arc<Shown>>,
}

thread_local! {
    /// Where replies are made.
    static DESK: RefCell<(Scratch, Vec<u8>)> = RefCell::new((Scratch::default(), vec![0; LONGEST]));
}

/// Messages that are answered together: of one generation, and counted at the end.
pub(super) struct Turn<'s> {
    service: &'s Service,
    snapshot: &'s Snapshot,
    table: &'s Table,
    tally: Tally,
    streak: Streak<'s>,
    scratch: &'s mut Scratch,
    reply: &'s mut Vec<u8>,
}

impl Service {
    /// Has `work` answer some messages.
    pub(super) fn turn<T>(&self, work: impl FnOnce(&mut Turn<'_>) -> T) -> T {
        let snapshot = self.current.load();
        let table = snapshot.table.load();
        DESK.with_borrow_mut(|(scratch, reply)| {
            let mut turn = Turn {
                service: self,
                snapshot: &snapshot,
                table: &table,
                tally: Tally::default(),
                streak: Streak::of(&snapshot, self.number),
                scratch,
                reply,
            };
            let done = work(&mut turn);
            self.counters.add(&mut turn.tally);
            turn.streak.end();
            done
        })
    }
}

impl Turn<'_> {
    /// What is to be sent of a zone, if a message asks for a whole one and may have it.
    pub(super) fn transfer(&mut self, source: IpAddr, packet: &[u8]) -> Option<Outgoing> {
        let asked = is_asked(packet).then(|| Outgoing::begin(self.snapshot, packet, source))?;
        let outgoing = asked?;
        self.tally.received += 1;
        self.tally.replied(rcode::NOERROR);
        Some(outgoing)
    }

    /// The reply, empty where none is due, and what became of the message; none: answering it has panicked.
    pub(super) fn answer(
        &mut self,
        source: IpAddr,
        packet: &[u8],
        draw: u64,
    ) -> Option<(&[u8], Outcome)> {
        let (snapshot, table, number) = (self.snapshot, self.table, self.service.number);
        self.tally.received += 1;
        let request = Request {
            packet,
            source,
            transport: self.service.transport,
            draw,
        };
        let (scratch, reply) = (&mut *self.scratch, &mut *self.reply);
        let answer = || answer(snapshot, table, request, scratch, reply);
        let outcome = counted(&mut self.tally, answer)?;
        self.streak.count(&outcome, self.scratch);
        count_given(snapshot, number, self.scratch, || {
            Some((outcome.pool?.pool, client(snapshot, request)?))
        });
        note_down(snapshot, number, request, self.scratch, &outcome);
        Some((self.reply.get(..outcome.len).unwrap_or_default(), outcome))
    }
}
