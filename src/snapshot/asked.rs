//! Questions on their way to the query log: from the threads that answer to the one that writes. Who answers never waits: what finds no
//! room is dropped, and counted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use crate::metrics::Counter;

/// Octets that are kept of a question's message: a name, a client subnet and a cookie are less.
const PACKET: usize = 512;
/// Addresses that are kept of an answer.
const GIVEN: usize = 8;
/// Questions that wait for each thread: at 100 000 a second those of 20 ms.
const WAITING: usize = 2048;

/// A question and its answer. Numbers are those of the generation.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The generation that answered.
    pub generation: u64,
    /// Who sent it.
    pub source: IpAddr,
    /// How it came, in a word.
    pub transport: &'static str,
    /// The reply's code.
    pub rcode: u16,
    /// The zone of the name.
    pub zone: Option<u32>,
    /// The pool that was asked first.
    pub pool: Option<u32>,
    /// The narrowest block of which the answer holds.
    pub scope: u8,
    /// The reply was cut short.
    pub truncated: bool,
    /// The pool had no node in service.
    pub none_left: bool,
    /// Nodes that are out of service were given all the same.
    pub fail_open: bool,
    packet: ([u8; PACKET], usize),
    given: ([u32; GIVEN], usize),
}

impl Asked {
    fn room() -> Self {
        Self {
            generation: 0,
            source: Ipv4Addr::UNSPECIFIED.into(),
            transport: "udp",
            rcode: 0,
            zone: None,
            pool: None,
            scope: 0,
            truncated: false,
            none_left: false,
            fail_open: false,
            packet: ([0; PACKET], 0),
            given: ([0; GIVEN], 0),
        }
    }

    /// Keeps the question's message, of a long one the beginning, and the numbers of the addresses that were given, the first of them.
    pub fn keep(&mut self, packet: &[u8], given: &[u32]) {
        copy(&mut self.packet, packet);
        copy(&mut self.given, given);
    }

    /// The question's message.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.packet.0[..self.packet.1]
    }

    /// The numbers of the addresses that were given.
    #[must_use]
    pub fn given(&self) -> &[u32] {
        &self.given.0[..self.given.1]
    }
}

fn copy<T: Copy, const N: usize>(to: &mut ([T; N], usize), from: &[T]) {
    let len = from.len().min(N);
    to.0[..len].copy_from_slice(&from[..len]);
    to.1 = len;
}

/// What waits to be written, and what became of the rest. All generations have the same one.
#[derive(Debug)]
pub struct Queue {
    /// One of so many questions of a thread is kept.
    sample: u64,
    lanes: Box<[Lane]>,
    /// Lines that were written.
    pub written: Counter,
    /// Lines that were not: there was no room, or they could not be written.
    pub dropped: Counter,
}

#[derive(Debug)]
struct Lane {
    asked: Counter,
    waiting: Mutex<Waiting>,
}

/// Questions that wait. The room for them is made once.
#[derive(Debug)]
pub struct Waiting {
    room: Box<[Asked]>,
    used: usize,
}

impl Waiting {
    /// Room for as many as a thread may have.
    #[must_use]
    pub fn room() -> Self {
        Self {
            room: vec![Asked::room(); WAITING].into(),
            used: 0,
        }
    }

    /// The questions.
    #[must_use]
    pub fn list(&self) -> &[Asked] {
        &self.room[..self.used]
    }
}

impl Queue {
    /// For so many threads or groups of threads. One of `sample` questions is kept, at least one.
    #[must_use]
    pub fn new(threads: usize, sample: u32) -> Self {
        let lane = |_| Lane {
            asked: Counter::default(),
            waiting: Mutex::new(Waiting::room()),
        };
        Self {
            sample: u64::from(sample.max(1)),
            lanes: (0..threads).map(lane).collect(),
            written: Counter::default(),
            dropped: Counter::default(),
        }
    }

    /// Keeps a question of the threads with this number, if it is its turn. It waits for nobody: where another holds their lane just now
    /// the next one is tried.
    #[cold]
    pub fn put(&self, number: usize, fill: impl FnOnce(&mut Asked)) {
        let Some((before, from)) = self.lanes.split_at_checked(number) else {
            return;
        };
        let own = from.first();
        if own.is_none_or(|own| !own.asked.count().is_multiple_of(self.sample)) {
            return;
        }
        for lane in from.iter().chain(before).take(2) {
            if let Ok(mut waiting) = lane.waiting.try_lock() {
                let Waiting { room, used } = &mut *waiting;
                if let Some(asked) = room.get_mut(*used) {
                    fill(asked);
                    *used += 1;
                    return;
                }
            }
        }
        self.dropped.count();
    }

    /// Takes what waits, lane by lane, in the place of `spare`, and shows it.
    pub fn take(&self, spare: &mut Waiting, mut show: impl FnMut(&[Asked])) {
        for lane in &self.lanes {
            spare.used = 0;
            let waiting = lane.waiting.lock();
            std::mem::swap(&mut *waiting.unwrap_or_else(PoisonError::into_inner), spare);
            show(spare.list());
        }
        spare.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &Queue) -> Vec<u16> {
        let mut out = Vec::new();
        queue.take(&mut Waiting::room(), |asked| {
            out.extend(asked.iter().map(|a| a.rcode));
        });
        out
    }

    #[test]
    fn one_of_so_many_is_kept() {
        let queue = Queue::new(1, 3);
        (0..7).for_each(|n| queue.put(0, |asked| asked.rcode = n));
        assert_eq!(taken(&queue), [0, 3, 6]);
        assert_eq!(queue.dropped.get(), 0);
        assert!(taken(&queue).is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let queue = Queue::new(1, 1);
        (0..WAITING + 5).for_each(|_| queue.put(0, |_| {}));
        assert_eq!(queue.dropped.get(), 5);
        assert_eq!(taken(&queue).len(), WAITING);
        queue.put(0, |_| {});
        assert_eq!((taken(&queue).len(), queue.dropped.get()), (1, 5));
        // Threads that are not counted have no lane.
        queue.put(1, |_| panic!("there is no room"));
    }

    #[test]
    fn nobody_waits_for_a_lane_that_is_held() {
        let queue = Queue::new(2, 1);
        let held = queue.lanes[1].waiting.lock();
        queue.put(1, |asked| asked.rcode = 9);
        let both = queue.lanes[0].waiting.lock();
        queue.put(1, |_| panic!("there is no room"));
        drop((held, both));
        assert_eq!((taken(&queue), queue.dropped.get()), (vec![9], 1));
    }

    #[test]
    fn what_is_long_is_cut() {
        let mut asked = Asked::room();
        asked.keep(&[7; PACKET + 1], &[1; GIVEN + 1]);
        assert_eq!((asked.packet().len(), asked.given().len()), (PACKET, GIVEN));
        asked.keep(&[7], &[]);
        assert_eq!((asked.packet(), asked.given()), (&[7][..], &[][..]));
    }
}
