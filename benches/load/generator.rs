//! Asks as fast as it is answered: a closed loop over several sockets that looks at every octet of every reply.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

/// Datagrams in a batch, here and in the echo server: as many as the real server takes.
pub const BATCH: usize = 64;
/// Questions on their way.
const WINDOW: usize = 128;
/// The kernel spreads sockets, not questions.
const SOCKETS: usize = 4;
/// As many questions are waited for before some are sent: small batches would be the generator's making.
const SENT_AT_ONCE: usize = 16;
/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// A question and the replies that are right, with 0 for its number.
#[derive(Clone, Debug)]
pub struct Question {
    pub packet: Vec<u8>,
    pub replies: Vec<Vec<u8>>,
}

/// What became of questions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub right: u64,
    pub wrong: u64,
    pub lost: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    question: usize,
    /// Counts its uses: a late reply to an earlier question is known by it.
    turn: u16,
    sent: Instant,
    waits: bool,
}

pub struct Generator<'q> {
    sockets: Vec<UdpSocket>,
    questions: &'q [Question],
    next: usize,
    slots: Vec<Slot>,
    free: Vec<usize>,
    turn: usize,
    count: Count,
    packets: Vec<Vec<u8>>,
    buffers: Box<[[u8; 2048]; BATCH]>,
    came: MultiHeaders<()>,
    goes: MultiHeaders<()>,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

impl<'q> Generator<'q> {
    pub fn new(server: SocketAddr, questions: &'q [Question]) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.connect(server).expect("a server on loopback");
            socket.set_nonblocking(true).expect("a socket");
            socket
        };
        let slot = Slot {
            question: 0,
            turn: 0,
            sent: now(),
            waits: false,
        };
        Self {
            sockets: (0..SOCKETS).map(|_| socket()).collect(),
            questions,
            next: 0,
            slots: vec![slot; WINDOW],
            free: (0..WINDOW).collect(),
            turn: 0,
            count: Count::default(),
            packets: vec![Vec::new(); BATCH],
            buffers: Box::new([[0; 2048]; BATCH]),
            came: MultiHeaders::preallocate(BATCH, None),
            goes: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Asks for so long, waits for the last replies, and counts what came of it.
    pub fn run(&mut self, time: Duration) -> Count {
        self.count = Count::default();
        let start = now();
        let mut looked = start;
        loop {
            let at = now();
            let over = at - start >= time;
            if over && self.free.len() == WINDOW {
                return self.count;
            }
            let got: usize = (0..SOCKETS).map(|socket| self.receive(socket)).sum();
            let idle = got == 0 && !self.free.is_empty();
            if !over && (idle || self.free.len() >= SENT_AT_ONCE) {
                self.send(at);
            }
            if at - looked > PATIENCE / 50 {
                self.give_up(at);
                looked = at;
            }
        }
    }

    fn receive(&mut self, socket: usize) -> usize {
        let Self {
            came,
            buffers,
            sockets,
            ..
        } = self;
        let fd = sockets[socket].as_raw_fd();
        let mut lengths = [0; BATCH];
        let mut count = 0;
        let mut parts = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        if let Ok(messages) = recvmmsg(fd, came, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            for message in messages {
                lengths[count] = message.bytes;
                count += 1;
            }
        }
        for (at, len) in lengths.iter().enumerate().take(count) {
            self.look(at, *len);
        }
        count
    }

    fn look(&mut self, at: usize, len: usize) {
        let reply = &self.buffers[at][..len];
        let Some((number, rest)) = reply.split_first_chunk::<2>() else {
            return;
        };
        let number = u16::from_be_bytes(*number);
        let (place, turn) = (usize::from(number) % WINDOW, number / WINDOW as u16);
        let slot = &mut self.slots[place];
        if !slot.waits || slot.turn != turn {
            return;
        }
        slot.waits = false;
        let right = self.questions[slot.question]
            .replies
            .iter()
            .any(|r| r[2..] == *rest);
        *(if right {
            &mut self.count.right
        } else {
            &mut self.count.wrong
        }) += 1;
        self.free.push(place);
    }

    fn send(&mut self, at: Instant) {
        let count = self.free.len().min(BATCH);
        for packet in &mut self.packets[..count] {
            let place = self.free.pop().expect("as many are free");
            let slot = &mut self.slots[place];
            slot.turn = (slot.turn + 1) % (u16::MAX / WINDOW as u16);
            (slot.question, slot.sent, slot.waits) = (self.next, at, true);
            self.next = (self.next + 1) % self.questions.len();
            packet.clear();
            packet.extend_from_slice(&self.questions[slot.question].packet);
            let number = place as u16 + slot.turn * WINDOW as u16;
            packet[..2].copy_from_slice(&number.to_be_bytes());
        }
        self.turn = (self.turn + 1) % SOCKETS;
        let fd = self.sockets[self.turn].as_raw_fd();
        let parts: [_; BATCH] = std::array::from_fn(|i| [IoSlice::new(&self.packets[i])]);
        let mut sent = 0;
        while sent < count {
            let to = &[None; BATCH][sent..count];
            let goes = &mut self.goes;
            // What the system does not take is lost, and counted when it is given up.
            match sendmmsg(fd, goes, &parts[sent..count], to, [], MsgFlags::empty()) {
                Ok(messages) => sent += messages.count().max(1),
                Err(_) => sent += 1,
            }
        }
    }

    fn give_up(&mut self, at: Instant) {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.waits && at - slot.sent > PATIENCE {
                slot.waits = false;
                self.count.lost += 1;
                self.free.push(place);
            }
        }
    }
}
