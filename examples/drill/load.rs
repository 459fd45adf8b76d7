//! Questions at a steady rate for clients all over the world, and what becomes of each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;

/// Questions a second.
pub(crate) const RATE: u32 = 2_000;
/// A question without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// The numbers of questions.
const NUMBERS: usize = 1 << 16;

/// What was seen since it was taken last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    pub(crate) given: BTreeMap<IpAddr, Given>,
}

/// When an address was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    first: Instant,
    pub(crate) last: Instant,
    /// Until when a client that honours TTLs may hold such an answer.
    pub(crate) held: Instant,
}

struct State {
    seen: Seen,
    /// By number, when each question was sent that waits for its answer.
    waiting: Vec<Option<Instant>>,
}

#[derive(Clone)]
pub(crate) struct Load(Arc<Mutex<State>>);

impl Load {
    /// Asks for A, or for A and AAAA in turn.
    pub(crate) fn start(server: SocketAddr, both: bool) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        socket.connect(server).unwrap();
        let load = Self(Arc::new(Mutex::new(State {
            seen: Seen::default(),
            waiting: vec![None; NUMBERS],
        })));
        let (one, other) = (load.clone(), load.clone());
        let ours = Arc::clone(&socket);
        std::thread::spawn(move || one.send(&ours, both));
        std::thread::spawn(move || other.receive(&socket));
        load
    }

    /// What was seen, once every question sent up to now is answered or lost.
    pub(crate) fn take(&self) -> Seen {
        let until = Instant::now();
        loop {
            let mut state = self.0.lock().unwrap();
            let late = |sent: &Option<Instant>| sent.is_some_and(|sent| sent <= until);
            if !state.waiting.iter().any(late) {
                // Those under way are counted where they are answered.
                let under_way = state.waiting.iter().flatten().count() as u64;
                let mut seen = std::mem::take(&mut state.seen);
                state.seen.sent = under_way;
                seen.sent -= under_way;
                return seen;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// When an address was first given since what was seen was taken; waits for that.
    pub(crate) fn first_again(
        &self,
        address: IpAddr,
        since: Instant,
        patience: Duration,
    ) -> Option<Instant> {
        let until = Instant::now() + patience;
        loop {
            let first = self
                .0
                .lock()
                .unwrap()
                .seen
                .given
                .get(&address)
                .map(|g| g.first);
            if first.is_some_and(|first| first >= since) || Instant::now() > until {
                return first;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn send(&self, socket: &UdpSocket, both: bool) {
        let begun = Instant::now();
        let mut sent: u32 = 0;
        loop {
            let due = begun.elapsed().as_secs_f64() * f64::from(RATE);
            while f64::from(sent) < due {
                let number = sent as usize % NUMBERS;
                {
                    let mut state = self.0.lock().unwrap();
                    state.seen.sent += 1;
                    state.waiting[number] = Some(Instant::now());
                }
                let _ = socket.send(&question(sent, both && sent % 2 == 1));
                sent += 1;
            }
            self.give_up();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn give_up(&self) {
        let state = &mut *self.0.lock().unwrap();
        let late = |sent: &Option<Instant>| sent.is_some_and(|s| s.elapsed() > PATIENCE);
        for waits in state.waiting.iter_mut().filter(|w| late(w)) {
            *waits = None;
            state.seen.lost += 1;
        }
    }

    fn receive(&self, socket: &UdpSocket) {
        let mut buffer = [0; 2048];
        loop {
            let Ok(length) = socket.recv(&mut buffer) else {
                return;
            };
            let now = Instant::now();
            let Ok(message) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            let answer = message.answers.first();
            let given = answer.and_then(|r| Some((r.data.ip_addr()?, r.ttl)));
            let state = &mut *self.0.lock().unwrap();
            if state.waiting[usize::from(message.metadata.id)]
                .take()
                .is_none()
            {
                continue;
            }
            // An answer without an address is none.
            let Some((address, ttl)) = given else {
                state.seen.lost += 1;
                continue;
            };
            let seen = &mut state.seen;
            seen.answered += 1;
            let held = now + Duration::from_secs(ttl.into());
            let given = seen.given.entry(address).or_insert(Given {
                first: now,
                last: now,
                held,
            });
            given.last = now;
            given.held = given.held.max(held);
        }
    }
}

/// A question for an address of `get.example.org`, for another client each time.
fn question(number: u32, aaaa: bool) -> Vec<u8> {
    let client = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    // Of 1 to 126 what is not 10 is somebody's.
    let first = match client[0] % 126 + 1 {
        10 => 11,
        first => first,
    };
    let [_, _, high, low] = number.to_be_bytes();
    let mut out = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    out.extend(b"\x03get\x07example\x03org\0");
    out.extend([0, if aaaa { 28 } else { 1 }, 0, 1]);
    // OPT with a client subnet of /24.
    out.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0]);
    out.extend([first, client[1], client[2]]);
    out
}
