//! Floods in HTTP/2, by hand: their connections end, others are answered meanwhile, and memory stays.

use std::io::{Read, Write};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::Encrypted;
use super::client::{Tls, post};
use crate::crowd::frames::{
    self, CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, SETTINGS, base64url, fields,
    frame,
};
use crate::crowd::memory;
use crate::program::eventually;
use crate::question::Question;
use crate::world::World;

/// Requests that a connection may have at one time, and many more than that.
const STREAMS: u32 = 32;
const MANY: u32 = 5_000;
/// What nobody is to make us take.
const TOO_MUCH: usize = 32 << 20;
/// How long a client waits that nobody takes anything from.
const SOON: Duration = Duration::from_millis(500);
/// RFC 9113 7.
const ENHANCE_YOUR_CALM: u8 = 11;
const DATA: u8 = 0;
const PING: u8 = 6;
const ACK: u8 = 1;
const WINDOW_UPDATE: u8 = 8;

fn connect(all: &Encrypted) -> Tls {
    let mut stream = all.trust().inside(&[b"h2"]).connect(all.doh).unwrap();
    stream.write_all(&frames::preface()).unwrap();
    stream
}

/// The head of a request whose message follows.
fn posted() -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "dns.example.org"),
        (":path", "/dns-query"),
        ("content-type", "application/dns-message"),
    ])
}

/// The kind and the payload of each frame that comes until the end.
fn received(stream: &mut Tls) -> Vec<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    let mut head = [0; 9];
    // Cut off or not.
    while stream.read_exact(&mut head).is_ok() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        if stream.read_exact(&mut payload).is_err() {
            break;
        }
        out.push((head[3], payload));
    }
    out
}

#[test]
fn requests_that_are_taken_back_in_a_row_end_their_connection() {
    let world = World::of(233, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    let coded = base64url(&packet);
    let mut bad = connect(&all);
    let mut flood = Vec::new();
    for number in 0..MANY {
        let stream = 2 * number + 1;
        flood.extend(frames::get(stream, "dns.example.org", &coded));
        flood.extend(frames::reset(stream));
    }
    // It may end before all is sent.
    let _ = bad.write_all(&flood);
    let frames = received(&mut bad);
    let goaway = frames.iter().find(|(kind, _)| *kind == GOAWAY);
    if let Some((_, payload)) = goaway {
        assert_eq!(payload[7], ENHANCE_YOUR_CALM, "{payload:?}");
    }
    let asked = all.server.json(&["status"])["counters"]["received"].as_u64();
    assert!(asked < Some(u64::from(MANY) / 2), "{asked:?} were answered");
    assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
}

#[test]
fn small_frames_without_end_fill_no_log_and_no_memory() {
    let world = World::of(237, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    let coded = base64url(&packet);
    assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    let before = memory(all.server.pid());
    let said = all.server.log.text();
    // Answers to what was never asked, questions without use, the same settings again.
    for (kind, flags, payload) in [
        (PING, ACK, &[7; 8][..]),
        (PING, 0, &[7; 8]),
        (SETTINGS, 0, &[]),
    ] {
        let mut bad = connect(&all);
        let small = frame(kind, flags, 0, payload).repeat(1000);
        // Nothing of what comes back is read. It may end before all is sent, or wait until it does.
        bad.sock.set_write_timeout(Some(SOON)).unwrap();
        let taken = (0..1000)
            .take_while(|_| bad.write_all(&small).is_ok())
            .count();
        println!("{taken} thousand frames of kind {kind} with flags {flags} taken");
        assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    }
    let grown = memory(all.server.pid()).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
    // Once the last is answered all before it are read.
    let mut bad = connect(&all);
    let answers = frame(PING, ACK, 0, &[7; 8]);
    bad.write_all(&answers.repeat(1000)).unwrap();
    bad.write_all(&frames::get(1, "dns.example.org", &coded))
        .unwrap();
    while next(&mut bad).0 != HEADERS {}
    assert!(all.server.log.text() == said, "something is said of it");
}

#[test]
fn a_head_without_an_end_ends_its_connection() {
    let world = World::of(234, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    let before = memory(all.server.pid());
    let filler = fields(&[("x-filler", &"x".repeat(100))]).repeat(140);
    for block in [&filler[..], &[0; 1], &[]] {
        let mut bad = connect(&all);
        let mut sent = 0;
        let mut send = |octets: Vec<u8>| {
            sent += octets.len();
            let written = bad.write_all(&octets).and_then(|()| bad.flush());
            written.is_ok() && sent < TOO_MUCH
        };
        // All of a kilobyte of frames at one time.
        let more = frame(CONTINUATION, 0, 1, block);
        let more = more.repeat(1024 / more.len() + 1);
        if send(frame(HEADERS, END_STREAM, 1, &[])) {
            while send(more.clone()) {}
        }
        assert!(sent < TOO_MUCH, "{} octets each, without end", block.len());
        assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    }
    let grown = memory(all.server.pid()).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
}

#[test]
fn who_asks_and_does_not_read_is_sent_away() {
    let world = World::of(235, 1);
    let all = Encrypted::start(&world, "");
    let large = Question::new("huge.large.example", RecordType::TXT);
    let coded = base64url(&large.to_vec());
    let packet = Question::a("get.example.org").to_vec();
    assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
    let before = memory(all.server.pid());
    let mut deaf: Vec<Tls> = (0..40).map(|_| connect(&all)).collect();
    let (by_get, by_post) = deaf.split_at_mut(20);
    let streams = (0..STREAMS).map(|number| 2 * number + 1);
    for stream in by_get {
        for number in streams.clone() {
            let request = frames::get(number, "dns.example.org", &coded);
            stream.write_all(&request).unwrap();
        }
    }
    // All are whole at once, after the first octets of all were read.
    let large = large.to_vec();
    let (most, last) = large.split_at(large.len() - 1);
    let head = posted();
    for stream in by_post.iter_mut() {
        for number in streams.clone() {
            let head = frame(HEADERS, END_HEADERS, number, &head);
            stream.write_all(&head).unwrap();
            stream.write_all(&frame(DATA, 0, number, most)).unwrap();
        }
    }
    for stream in by_post.iter_mut() {
        stream.write_all(&frame(PING, 0, 0, &[0; 8])).unwrap();
        while next(stream).0 != PING {}
    }
    for stream in by_post {
        for number in streams.clone() {
            stream
                .write_all(&frame(DATA, END_STREAM, number, last))
                .unwrap();
        }
    }
    let mut last = 0;
    eventually("what is answered at once is answered", || {
        assert_eq!(post(&all.trust(), all.doh, &packet).status, 200);
        let asked = &all.server.json(&["status"])["counters"]["received"];
        let more = asked.as_u64().unwrap() - std::mem::replace(&mut last, asked.as_u64().unwrap());
        // Ours alone.
        (more == 1).then_some(())
    });
    let grown = memory(all.server.pid()).saturating_sub(before);
    println!("{grown} KiB more for {} connections", deaf.len());
    for stream in &mut deaf {
        eventually("it is sent away", || {
            let ping = frame(PING, 0, 0, &[0; 8]);
            let written = stream.write_all(&ping).and_then(|()| stream.flush());
            written.is_err().then_some(())
        });
    }
    // All replies of all of them are 72 MB.
    assert!(grown < 24 << 10, "{grown} KiB more");
}

#[test]
fn questions_that_never_become_whole_have_one_bound_together() {
    let world = World::of(236, 1);
    let all = Encrypted::start(&world, "");
    let mut bad = connect(&all);
    let head = posted();
    // Each is less than a message may be; three are more than all together may be.
    let mut window = 65_535;
    for stream in [1, 3, 5] {
        bad.write_all(&frame(HEADERS, END_HEADERS, stream, &head))
            .unwrap();
        for _ in 0..4 {
            while window < 15_000 {
                // As it is read the client hears how much more it may send.
                let (kind, of, payload) = next(&mut bad);
                if (kind, of) == (WINDOW_UPDATE, 0) {
                    window += i32::from_be_bytes(payload[..4].try_into().unwrap());
                }
            }
            bad.write_all(&frame(DATA, 0, stream, &[0; 15_000]))
                .unwrap();
            window -= 15_000;
        }
    }
    let mut answered = Vec::new();
    for stream in [5, 1, 3] {
        bad.write_all(&frame(DATA, END_STREAM, stream, &[]))
            .unwrap();
        let status = loop {
            match next(&mut bad) {
                (HEADERS, of, block) if of == stream => break block[0],
                (HEADERS, of, _) => panic!("{of} is answered too"),
                _ => {}
            }
        };
        // The eighth field of RFC 7541 A is status 200; 413 is none of them.
        answered.push(status == 0x88);
    }
    // Which of them are too much depends on whose octets are read first.
    assert!(
        answered.contains(&true) && answered.contains(&false),
        "{answered:?}"
    );
}

/// The kind, the stream and the payload of the next frame.
fn next(stream: &mut Tls) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).unwrap();
    (head[3], of, payload)
}
