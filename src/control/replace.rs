//! One generation in the place of another while questions are answered and probes run.
//!
//! ```text
//!   whoever wants it:   build aside -> prepare the checks that are new, run each once -> hand all over, wait
//!   the collector:      between two results: states, orders and counts go on -> publish -> stop checks that went, start new ones
//! ```
//! Results are the collector's alone, so none can come in the middle. Checks are known to the prober by numbers that are never given
//! twice; what they are on the board of the current generation is known here, and a late result of a check that went is nobody's.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, mpsc};

use super::build::Generation;
use super::expiry::SETTLED;
use super::handle::Handle;
use crate::health::{Notice, Outcome};
use crate::probe::{Prepared, Prober, first_round, prepare};

/// A generation that is handed to the collector.
#[derive(Debug)]
pub(super) struct Swap {
    generation: Generation,
    /// The checks that the generation before did not have, in the order of the board, and what they found.
    fresh: Vec<Arc<Prepared>>,
    found: Vec<Outcome>,
    done: mpsc::Sender<Result<(), String>>,
}

impl Handle {
    /// Puts a generation in the place of the current one, after which it must have been built (`rebuild`). Waits until it is done; for a
    /// thread that may wait. All or nothing:
    ///
    /// - Answers are whole answers of one generation or the other.
    /// - A check that both have (an equal probe, of the same address, under the same name) goes on undisturbed, with its counters and
    ///   its last results. One that went is stopped, and its late results are dropped. A new one has run once before anything is
    ///   changed, as at a start: until it had a result its address would be out of service.
    /// - Orders go on, and so do the counts of given addresses.
    ///
    /// Sockets, limits and the clock are not of a generation.
    ///
    /// # Errors
    /// In words, and the current generation stays: a new check cannot be prepared, or another generation came in between.
    pub fn replace(&self, mut generation: Generation) -> Result<(), String> {
        let last = self.current().get();
        let fresh: Vec<_> = {
            let board = self.board();
            let known = generation.board.go_on(&board);
            let checks = generation.board.checks().iter().zip(known);
            checks
                .filter(|(_, known)| known.is_none())
                .map(|(check, _)| check.clone())
                .collect()
        };
        // Files of roots are read here: slowly, and before anything is changed.
        let fresh = prepare(&fresh).map_err(|e| e.to_string())?;
        let fresh: Vec<Arc<Prepared>> = fresh.into_iter().map(Arc::new).collect();
        let found = self.probing().block_on(first_round(&fresh));
        let kept = (true, false);
        self.serving()
            .follow(Some(&last), &generation.snapshot, kept, self.state());
        let (done, is_done) = mpsc::channel();
        let gone = "the server is stopping";
        let swap = Swap {
            generation,
            fresh,
            found,
            done,
        };
        self.swaps().blocking_send(swap).map_err(|_| gone)?;
        is_done.recv().map_err(|_| gone)??;
        // Who was answering from it while the pointer was turned is done by then; what was handed out last must not be forgotten.
        std::thread::sleep(SETTLED);
        self.look_back(&last);
        self.look_at_clients(&last);
        Ok(())
    }
}

/// The checks of the current generation as the prober knows them.
pub(super) struct Runs {
    prober: Prober,
    /// The prober's number of each check of the board.
    numbers: Vec<usize>,
    /// And the way back.
    checks: HashMap<usize, usize>,
}

impl Runs {
    /// Of a prober that was started with all checks of a board.
    pub(super) fn new(prober: Prober, checks: usize) -> Self {
        let mut runs = Self {
            prober,
            numbers: Vec::new(),
            checks: HashMap::new(),
        };
        runs.are((0..checks).collect());
        runs
    }

    /// The check that a result is of; none if it went.
    pub(super) fn check(&self, number: usize) -> Option<usize> {
        self.checks.get(&number).copied()
    }

    /// Does a swap, between two results; for each check of the new board the number that it had before.
    pub(super) fn swap(&mut self, handle: &Handle, swap: Swap) -> Option<Vec<Option<usize>>> {
        let Swap {
            generation,
            fresh,
            found,
            done,
        } = swap;
        let put = put(handle, generation, found);
        if let Ok(known) = &put {
            self.follow(known, fresh);
        }
        let (result, known) = match put {
            Ok(known) => (Ok(()), Some(known)),
            Err(why) => (Err(why), None),
        };
        let _ = done.send(result);
        known
    }

    /// Stops what went and starts what is new. `known` has for each check its number on the board before.
    fn follow(&mut self, known: &[Option<usize>], fresh: Vec<Arc<Prepared>>) {
        let before = std::mem::take(&mut self.numbers);
        let mut went = self.checks.clone();
        for number in known.iter().flatten() {
            went.remove(&before[*number]);
        }
        went.into_keys().for_each(|number| self.prober.stop(number));
        let mut fresh: Range<usize> = self.prober.add(fresh);
        let number =
            |known: &Option<usize>| known.map_or_else(|| fresh.next(), |n| Some(before[n]));
        let numbers = known.iter().map(number).collect::<Option<Vec<_>>>();
        self.are(numbers.expect("as many were prepared as were not known"));
    }

    fn are(&mut self, numbers: Vec<usize>) {
        self.checks = numbers.iter().copied().zip(0..).collect();
        self.numbers = numbers;
    }
}

/// Publishes a generation with all that goes on; for each check the number that it had before.
fn put(
    handle: &Handle,
    generation: Generation,
    found: Vec<Outcome>,
) -> Result<Vec<Option<usize>>, String> {
    let Generation {
        mut snapshot,
        board: mut next,
    } = generation;
    // Who has the board has the generation that it is of.
    let mut board = handle.board();
    let last = handle.current().get();
    if snapshot.generation != last.generation + 1 {
        return Err("another generation came in between".into());
    }
    // What is still to be told is told by the numbers that it was found under.
    let now = handle.now();
    for notice in board.look(now) {
        handle.tell(&board, &notice, now);
    }
    let known = next.go_on(&board);
    let fresh = (0..).zip(&known).filter(|(_, known)| known.is_none());
    for ((check, _), outcome) in fresh.zip(found) {
        if let Some(event) = next.observe(check, outcome, now) {
            handle.tell(&next, &Notice::State(event), now);
        }
    }
    snapshot.table.publish(snapshot.judge(next.table(now)));
    let addresses = snapshot.addresses_in(&last);
    snapshot.keep_slowed(&last);
    let number = snapshot.generation;
    // Until the pointer is turned nobody changes what is to be followed.
    let mut serving = handle.serving();
    serving.follow(Some(&last), &snapshot, (false, true), handle.state());
    // Nobody looks at the counters while they move over.
    handle.counting(|shares| {
        snapshot.count_on(&last, &addresses);
        handle.current().publish(snapshot);
        shares.go_on(number, &addresses);
    });
    drop(serving);
    handle.0.zones_changed.notify_one();
    let went = board.checks().len() - known.iter().flatten().count();
    let fresh = next.checks().len() + went - board.checks().len();
    *board = next;
    tracing::info!("generation {number}: {fresh} checks are new, {went} went");
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Handle as Runtime;
    use tokio::sync::mpsc::channel;

    use super::*;
    use crate::health::{Check, Kind, Probe};

    fn check(port: u16) -> Check {
        let long = Duration::from_secs(3600);
        Check {
            probe: Arc::new(Probe {
                name: "tcp".into(),
                kind: Kind::Tcp,
                port,
                host: None,
                every: long,
                timeout: long,
                down: 1,
                ok: 1,
                up: 1,
                shadow: false,
            }),
            address: "127.0.0.1".parse().unwrap(),
            host: String::new(),
            node: "lon".into(),
        }
    }

    #[tokio::test]
    async fn a_late_result_of_a_check_that_went_is_nobodys() {
        let (results, mut received) = channel(16);
        let checks: Vec<Check> = (1..=3).map(check).collect();
        let prober = Prober::start(&checks, &Runtime::current(), &results).unwrap();
        let mut runs = Runs::new(prober, 3);
        let of = |runs: &Runs| (0..6).map(|n| runs.check(n)).collect::<Vec<_>>();
        assert_eq!(of(&runs), [Some(0), Some(1), Some(2), None, None, None]);
        for _ in 0..3 {
            received.recv().await.unwrap();
        }
        // The first went, a new one stands before those that stay.
        let ready = |port: u16| -> Vec<Arc<Prepared>> {
            let ready = prepare(&[check(port)]).unwrap();
            ready.into_iter().map(Arc::new).collect()
        };
        runs.follow(&[None, Some(2), Some(1)], ready(4));
        assert_eq!(of(&runs), [None, Some(2), Some(1), Some(0), None, None]);
        // Nor does the new one: it ran before it came here.
        assert!(received.try_recv().is_err());
        runs.follow(&[Some(0)], Vec::new());
        runs.follow(&[None, Some(0)], ready(1));
        assert_eq!(of(&runs), [None, None, None, Some(1), Some(0), None]);
    }
}
