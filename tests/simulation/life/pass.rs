//! Time passes: checks run at their turns, and all results are looked at together, as the server does it.

use std::time::Duration;

use nearmost::health::{Notice, Outcome, Seen, State, Thaw};

use super::judge::expect;
use super::{Life, START, time};
use crate::oracle::{Key, Seconds};

/// A check of the board.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) key: Key,
    /// The oracle's number of it.
    number: usize,
    /// Whose it is; none: a canary's.
    pub(super) node: String,
    every: Seconds,
    next: Seconds,
    /// How many there were.
    pub(super) count: u64,
}

/// The node of canaries, among faults.
pub(super) const CANARY: &str = "canary";

impl Life {
    /// The board's checks have to be those that the oracle expects, each once. `known` has for each the number that it had before: these
    /// go on, the others run at once.
    pub(super) fn number_checks(&mut self, known: &[Option<usize>]) -> Result<(), String> {
        let before = std::mem::take(&mut self.turns);
        for (number, check) in self.board.checks().iter().enumerate() {
            let key = Key {
                probe: check.probe.name.clone(),
                ip: check.address,
                host: check.host.clone(),
            };
            let last = known.get(number).copied().flatten();
            let node = self.model.nodes.iter().find(|n| n.ips.contains(&key.ip));
            self.turns.push(Turn {
                number: self
                    .oracle
                    .number(&key)
                    .ok_or(format!("{key:?} is not due"))?,
                node: node.map_or(CANARY.into(), |n| n.name.clone()),
                every: self.model.probe(&key.probe).every,
                next: last.map_or(self.now, |last| before[last].next),
                count: last.map_or(0, |last| before[last].count),
                key,
            });
        }
        let mut numbers: Vec<usize> = self.turns.iter().map(|t| t.number).collect();
        numbers.sort_unstable();
        let all = 0..self.oracle.checks.len();
        expect(numbers.into_iter().eq(all), "each check once")?;
        let slots = 0..self.snapshot.table.load().len();
        let slots = slots.map(|slot| {
            let checks = self.board.slot(u32::try_from(slot).unwrap()).iter();
            checks.map(|check| self.turns[*check].number).collect()
        });
        let slots: Vec<Vec<usize>> = slots.collect();
        self.oracle.place_flappers(&slots);
        self.due = (0..).zip(&self.turns).map(|(n, t)| (t.next, n)).collect();
        Ok(())
    }

    /// Time passes, and checks run at their turns.
    pub(super) fn pass(&mut self, step: Seconds) -> Result<(), String> {
        let end = self.now + step;
        while let Some((at, check)) = self.due.first().copied().filter(|d| d.0 <= end) {
            // Results of the same moment are looked at together.
            if at > self.now {
                self.look()?;
            }
            self.now = at;
            self.due.pop_first();
            self.run(check);
        }
        self.look()?;
        self.now = end;
        Ok(())
    }

    fn run(&mut self, check: usize) {
        let good = self.finds(check);
        let outcome = Outcome {
            result: if good { Ok(()) } else { Err("refused".into()) },
            latency: Duration::from_millis(20),
            seen: Seen::default(),
        };
        let _ = self.board.observe(check, outcome, time(self.now));
        let turn = &mut self.turns[check];
        // Up to a tenth earlier or later.
        let jitter = self.random.between(0, turn.every / 5);
        turn.next = self.now + turn.every - turn.every / 10 + jitter;
        turn.count += 1;
        self.due.insert((turn.next, check));
        let number = turn.number;
        if self.oracle.observe(number, good, self.now) {
            self.tally.changes += 1;
            let (key, up) = (&self.turns[check].key, self.oracle.measured(number));
            self.note(&format!("{key:?} is {up:?}"));
        }
    }

    /// As the collector does it.
    pub(super) fn look(&mut self) -> Result<(), String> {
        let now = time(self.now);
        let _ = self.board.expire(now);
        for notice in self.board.look(now) {
            match notice {
                Notice::Frozen(..) => self.tally.freezes += 1,
                Notice::Thawed(_, _, Thaw::Sees) => self.tally.sees += 1,
                Notice::Thawed(_, _, Thaw::Real) => self.tally.real += 1,
                Notice::Thawed(_, _, Thaw::Over) => self.tally.over += 1,
                Notice::Damped(..) => self.tally.damped += 1,
                Notice::State(_) | Notice::Undamped(_) => {}
            }
            if !matches!(notice, Notice::State(_)) {
                self.note(&format!("{notice:?}"));
            }
        }
        self.oracle.look(self.now);
        for (v6, frozen) in [false, true].into_iter().zip(self.board.frozen()) {
            let frozen = frozen.map(|f| (f.since.as_secs(), f.until.as_secs(), f.failed, f.of));
            let due = self.oracle.frozen(v6);
            let due = due.map(|f| (f.since, f.until, f.failed, f.of));
            if frozen != due {
                return Err(format!(
                    "frozen since, until, so many of so many: {frozen:?}, where {due:?} is due (v6: {v6}, the start is {START})"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn publish(&mut self) -> Result<(), String> {
        self.look()?;
        for (check, turn) in self.turns.iter().enumerate() {
            let up = match self.board.statuses()[check].counter.state() {
                State::Unknown => None,
                state => Some(state == State::Up),
            };
            let due = self.oracle.measured(turn.number);
            expect(
                up == due,
                &format!("{:?} is {up:?}, due is {due:?}", turn.key),
            )?;
        }
        let table = self.snapshot.judge(self.board.table(time(self.now)));
        let damped = (0..table.len()).filter(|slot| self.board.damped(*slot).is_some());
        let (damped, due) = (damped.count(), self.oracle.damped().len());
        expect(
            damped == due,
            &format!("{damped} are damped where {due} are due"),
        )?;
        self.snapshot.table.publish(table);
        Ok(())
    }
}
