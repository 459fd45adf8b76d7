//! Ordinary clients: they ask at a steady rate by UDP and TCP, and every question counts.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{A, COOKIE, POOL, framed, option, question, spread};

/// Who asks by UDP, each from an address of its own.
const ASKERS: usize = 4;
/// Which crowds the clients are.
const UDP: u8 = 70;
const TCP: u8 = 71;
const KEPT: u8 = 72;

/// How much they ask, and how patient they are.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Questions a second by UDP, of all of them.
    pub udp: u32,
    /// The same by TCP; of five questions four come on a connection of their own, one on a connection that stays open.
    pub tcp: u32,
    /// A question without an answer for so long is lost.
    pub patience: Duration,
}

/// What became of questions so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub asked: u64,
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Count {
    asked: AtomicU64,
    answered: AtomicU64,
    lost: AtomicU64,
}

impl Count {
    /// Those that are under way are not counted.
    fn sum(&self) -> Sum {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let lost = of(&self.lost);
        let asked = of(&self.answered) + lost;
        Sum { asked, lost }
    }
}

/// The clients; they end when dropped.
pub struct Steady {
    stop: Arc<AtomicBool>,
    udp: Arc<Count>,
    tcp: Arc<Count>,
    threads: Vec<JoinHandle<()>>,
}

impl Steady {
    pub fn start(at: SocketAddr, manner: Manner) -> Self {
        let mut steady = Self {
            stop: Arc::default(),
            udp: Arc::default(),
            tcp: Arc::default(),
            threads: Vec::new(),
        };
        let every = |rate: u32, of: u32| Duration::from_secs(1) * of / rate.max(1);
        let mut run = |client: Box<dyn FnOnce(&AtomicBool) + Send>| {
            let stop = Arc::clone(&steady.stop);
            steady.threads.push(thread::spawn(move || client(&stop)));
        };
        for number in 0..ASKERS {
            let count = Arc::clone(&steady.udp);
            let every = every(manner.udp, u32::try_from(ASKERS).unwrap());
            run(Box::new(move |stop| {
                by_udp(
                    at,
                    spread(UDP, number),
                    every,
                    manner.patience,
                    &count,
                    stop,
                );
            }));
        }
        // Each on its own thread, so that one that waits keeps nobody.
        for number in 0..4 {
            let count = Arc::clone(&steady.tcp);
            let every = every(manner.tcp, 5);
            run(Box::new(move |stop| {
                fresh(at, number, every, manner.patience, &count, stop);
            }));
        }
        let count = Arc::clone(&steady.tcp);
        let every = every(manner.tcp, 5);
        run(Box::new(move |stop| {
            kept(at, every, manner.patience, &count, stop);
        }));
        steady
    }

    /// What became of questions by UDP and by TCP so far.
    pub fn sums(&self) -> [Sum; 2] {
        [self.udp.sum(), self.tcp.sum()]
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Whether it is an answer with records to a question with this number.
fn answers(reply: &[u8], id: u16) -> bool {
    reply.len() > 12
        && reply[..2] == id.to_be_bytes()
        && reply[2] & 0x80 != 0
        && reply[3] & 0xf == 0
        && reply[6..8] != [0, 0]
}

fn ask_for(id: u16) -> Vec<u8> {
    // In turns with a cookie, for a client elsewhere, and signed.
    let options = match id % 3 {
        0 => option(COOKIE, &[9; 8]),
        1 => {
            let [_, octet] = id.to_be_bytes();
            option(8, &[0, 1, 24, 0, 20, octet, 1])
        }
        _ => Vec::new(),
    };
    question(id, POOL, A, &options, id.is_multiple_of(5))
}

fn by_udp(
    at: SocketAddr,
    from: Ipv4Addr,
    every: Duration,
    patience: Duration,
    count: &Count,
    stop: &AtomicBool,
) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let _ = socket.set_recv_buffer_size(4 << 20);
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&at.into()).unwrap();
    let socket = UdpSocket::from(socket);
    let mut reply = [0; 2048];
    let mut waiting: VecDeque<(u16, Instant)> = VecDeque::new();
    let begun = Instant::now();
    let mut number = 0u32;
    while !stop.load(Ordering::SeqCst) {
        let due = begun + every * number;
        let now = Instant::now();
        if now >= due {
            let [_, _, high, low] = number.to_be_bytes();
            let id = u16::from_be_bytes([high, low]);
            waiting.push_back((id, now));
            count.asked.fetch_add(1, Ordering::SeqCst);
            let _ = socket.send(&ask_for(id));
            number += 1;
            continue;
        }
        let wait = (due - now).max(Duration::from_micros(100));
        socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok(len) = socket.recv(&mut reply) {
            let known = waiting
                .iter()
                .position(|(id, _)| answers(&reply[..len], *id));
            if let Some(place) = known {
                waiting.remove(place);
                count.answered.fetch_add(1, Ordering::SeqCst);
            }
        } else {
            // Only once nothing more is there to be read.
            while waiting
                .front()
                .is_some_and(|(_, sent)| sent.elapsed() > patience)
            {
                waiting.pop_front();
                count.lost.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// A connection from an address of 127/8.
pub fn connect(from: Ipv4Addr, at: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&at.into(), Duration::from_secs(2))?;
    Ok(socket.into())
}

fn exchange(stream: &mut TcpStream, id: u16, patience: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(&framed(&ask_for(id)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    match answers(&reply, id) {
        true => Ok(()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn counted(count: &Count, done: &io::Result<()>) {
    count.asked.fetch_add(1, Ordering::SeqCst);
    let became = match done {
        Ok(()) => &count.answered,
        Err(_) => &count.lost,
    };
    became.fetch_add(1, Ordering::SeqCst);
}

/// A connection for each question, from many addresses.
fn fresh(
    at: SocketAddr,
    number: usize,
    every: Duration,
    patience: Duration,
    count: &Count,
    stop: &AtomicBool,
) {
    for turn in 0u16.. {
        let next = Instant::now() + every;
        let from = spread(TCP, number * 100 + usize::from(turn) % 100);
        let done = connect(from, at).and_then(|mut stream| exchange(&mut stream, turn, patience));
        counted(count, &done);
        if stop.load(Ordering::SeqCst) {
            return;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// One connection for all, another when it is closed. Where it was closed while nothing was asked nothing is lost: the client asks again at once.
fn kept(at: SocketAddr, every: Duration, patience: Duration, count: &Count, stop: &AtomicBool) {
    let mut open: Option<TcpStream> = None;
    for turn in 0u16.. {
        let next = Instant::now() + every;
        let before = open.take();
        let used = before.is_some();
        let ask = |stream: io::Result<TcpStream>| {
            let mut stream = stream?;
            exchange(&mut stream, turn, patience).map(|()| stream)
        };
        let new = || connect(spread(KEPT, usize::from(turn) % 100), at);
        let mut done = ask(before.map_or_else(new, Ok));
        // RFC 7766 6.2.4: who finds the connection closed opens another.
        if used && done.as_ref().is_err_and(is_closed) {
            done = ask(new());
        }
        match done {
            Ok(stream) => {
                open = Some(stream);
                counted(count, &Ok(()));
            }
            Err(error) => counted(count, &Err(error)),
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
