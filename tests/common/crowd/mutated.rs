//! Questions that something has happened to on their way.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::{A, COOKIE, LARGE, Numbers, POOL, TXT, framed, option, question, spread, steady};

/// Messages of a connection.
const BATCH: usize = 50;
/// Which crowd they come from.
const CROWD: u8 = 60;

/// Good questions of many kinds.
fn questions() -> Vec<Vec<u8>> {
    let ecs = option(8, &[0, 1, 24, 0, 20, 0, 1]);
    let cookie = option(COOKIE, &[7; 8]);
    let all = [&ecs[..], &cookie, &option(3, &[]), &option(11, &[])].concat();
    let mut out = vec![
        question(1, POOL, A, &ecs, false),
        question(2, POOL, 28, &all, true),
        question(3, POOL, 255, &cookie, true),
        question(4, &format!("nobody.{POOL}"), TXT, &[], true),
        question(5, LARGE, TXT, &[], false),
        question(6, "large.example", 252, &[], false),
        question(7, "www.example.com", A, &all, false),
        question(8, POOL, 48, &[], true),
    ];
    // An IXFR with its SOA, and a message with a signature that nobody knows.
    let mut ixfr = question(9, "large.example", 251, &[], false);
    ixfr[9] = 1;
    let at = ixfr.len() - 11;
    let soa = [
        &[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0][..],
        &[0; 20],
    ]
    .concat();
    ixfr.splice(at..at, soa);
    out.push(ixfr);
    let mut signed = question(10, POOL, A, &[], false);
    signed[11] = 2;
    signed.extend(b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\x10\x01h\0\0\0\0\0\0\0\0\0\0\0\0\0");
    out.push(signed);
    out
}

/// One of `from` after some damage.
fn damaged(from: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut packet = from[numbers.below(from.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(packet.len());
        match numbers.below(8) {
            0 => packet.truncate(at),
            1 => packet.extend_from_within(at..),
            2 => packet.insert(at, u8::try_from(numbers.below(256)).unwrap()),
            3 if !packet.is_empty() => drop(packet.remove(at)),
            // Counts, and lengths of all kinds.
            4 if packet.len() > 11 => packet[4 + at % 8] = u8::try_from(numbers.below(4)).unwrap(),
            5 if !packet.is_empty() => packet[at] = 0xff,
            // A pointer.
            6 if at + 1 < packet.len() => {
                packet[at] = 0xc0;
                packet[at + 1] = u8::try_from(numbers.below(256)).unwrap();
            }
            _ if !packet.is_empty() => packet[at] ^= 1 << numbers.below(8),
            _ => {}
        }
        packet.truncate(4096);
        if packet.is_empty() {
            packet.push(0);
        }
    }
    packet
}

/// Sends so many to `at`, two thirds by UDP at this rate a second, the others by TCP; how many were sent.
pub fn send(at: SocketAddr, count: usize, rate: u32, seed: u64) -> usize {
    let by_tcp = count / 3;
    thread::scope(|scope| {
        let udp = scope.spawn(move || by_udp(at, count - by_tcp, rate, Numbers(seed)));
        let halves = [by_tcp / 2, by_tcp - by_tcp / 2];
        let tcp = [1, 2].map(|n| {
            let numbers = Numbers(seed.wrapping_add(n));
            let count = halves[usize::try_from(n).unwrap() - 1];
            scope.spawn(move || by_stream(at, count, numbers))
        });
        let tcp: usize = tcp.into_iter().map(|thread| thread.join().unwrap()).sum();
        udp.join().unwrap() + tcp
    })
}

fn by_udp(at: SocketAddr, count: usize, rate: u32, mut numbers: Numbers) -> usize {
    let questions = questions();
    let sockets: Vec<UdpSocket> = (0..64)
        .map(|number| {
            let socket = UdpSocket::bind((spread(CROWD, number), 0)).unwrap();
            socket.connect(at).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let begun = Instant::now();
    let mut reply = [0; 2048];
    for number in 0..count {
        let due = Duration::from_secs_f64(number as f64 / f64::from(rate));
        if let Some(wait) = due.checked_sub(begun.elapsed()) {
            thread::sleep(wait);
        }
        let socket = &sockets[number % sockets.len()];
        // What the system does not take is no matter here.
        let _ = socket.send(&damaged(&questions, &mut numbers));
        while socket.recv(&mut reply).is_ok() {}
    }
    count
}

fn by_stream(at: SocketAddr, count: usize, mut numbers: Numbers) -> usize {
    let questions = questions();
    let mut sent = 0;
    while sent < count {
        let batch: Vec<u8> = (0..BATCH.min(count - sent))
            .flat_map(|_| {
                let mut message = framed(&damaged(&questions, &mut numbers));
                // Of some the length is another one.
                if numbers.below(20) == 0 {
                    message[numbers.below(2)] ^= 1 << numbers.below(8);
                }
                message
            })
            .collect();
        sent += BATCH.min(count - sent);
        let Ok(mut stream) = steady::connect(spread(CROWD + 1, sent / BATCH % 2000), at) else {
            continue;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        let _ = stream.set_write_timeout(Some(Duration::from_millis(500)));
        let _ = stream.write_all(&batch);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    sent
}
