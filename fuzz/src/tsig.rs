//! Signatures of messages: ours are those that the RFC says, as told by a second implementation of its sums and by hickory-proto; a message
//! that has been changed is not taken, be it alone or in a chain with messages that are not signed.
//!
//! Which messages of the chain are signed, which octet is changed and how; then the messages, each behind two octets of its length.

use aws_lc_rs::hmac;
use hickory_proto::op::Message as Theirs;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name as TheirName, TSigner};
use nearmost::wire::tsig::{Algorithm, Chain, Key, Mac, Tsig, TsigError};
use nearmost::wire::{HEADER, Query};
use nearmost::zone::Name;

use super::generation::{KEY, NOW};

/// The algorithm's name.
const ALGORITHM: &[u8] = b"\x0bhmac-sha256\0";
const FUDGE: u16 = 300;

/// An octet that is changed, and how.
type Change = (usize, u8);

/// A message as it is sent, and where its signature begins.
type Sent = (Vec<u8>, Option<usize>);

/// Runs one input.
pub fn run(octets: &[u8]) {
    let Some(([signed, a0, a1, xor], rest)) = octets.split_first_chunk() else {
        return;
    };
    let name = Name::absolute(KEY.0).unwrap();
    let key = Key::new(&name, Algorithm::Sha256, KEY.1);
    let change = (usize::from(u16::from_be_bytes([*a0, *a1])), *xor);
    let messages = messages(rest);
    let Some(first) = messages.first() else {
        return;
    };
    as_it_comes(&key, &name, first);
    let mac = request(&key, &name, first, change);
    chain((&key, &name), mac, &messages, *signed, change);
}

/// Messages with a header, at most ten; not those whose last count cannot be raised.
fn messages(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some(([l0, l1], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*l0, *l1])).min(tail.len());
        let (message, tail) = tail.split_at(len);
        let fits = (HEADER..=4096).contains(&len) && message[10..12] != [0xff; 2];
        if fits && out.len() < 10 {
            out.push(message);
        }
        rest = tail;
    }
    out
}

/// RFC 8945 4.3 once more: what is before the message, the message as it was signed, and what is behind it.
fn code(before: Option<&[u8]>, messages: &[&[u8]], variables: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(mac) = before {
        all.extend(u16::try_from(mac.len()).unwrap().to_be_bytes());
        all.extend(mac);
    }
    messages.iter().for_each(|m| all.extend(*m));
    all.extend(variables);
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.1);
    hmac::sign(&key, &all).as_ref().to_vec()
}

/// Time and fudge.
fn timers(time: u64) -> Vec<u8> {
    [&time.to_be_bytes()[2..], &FUDGE.to_be_bytes()].concat()
}

fn variables(name: &Name, time: u64) -> Vec<u8> {
    let class_and_ttl = [0, 255, 0, 0, 0, 0];
    [
        name.wire(),
        &class_and_ttl,
        ALGORITHM,
        &timers(time),
        &[0; 4],
    ]
    .concat()
}

/// The message with its signature.
fn with(message: &[u8], name: &Name, time: u64, mac: &[u8]) -> Vec<u8> {
    let mut rdata = [ALGORITHM, &timers(time), &[0, 32], mac].concat();
    rdata.extend([message[0], message[1], 0, 0, 0, 0]);
    let len = u16::try_from(rdata.len()).unwrap().to_be_bytes();
    let mut out = [
        message,
        name.wire(),
        &[0, 250, 0, 255, 0, 0, 0, 0],
        &len,
        &rdata,
    ]
    .concat();
    let additional = u16::from_be_bytes([out[10], out[11]]).saturating_add(1);
    out[10..12].copy_from_slice(&additional.to_be_bytes());
    out
}

/// A signature that a stranger has put there is not taken.
fn as_it_comes(key: &Key, name: &Name, packet: &[u8]) {
    let Some(at) = Query::signature(packet) else {
        return;
    };
    if let Ok(query) = Query::parse(packet) {
        assert_eq!(query.tsig, Some(at), "both look for it in one place");
    }
    let Some(tsig) = Tsig::read(packet, at).filter(|t| key.is_of(t)) else {
        return;
    };
    let taken = key.verify(packet, &tsig, NOW.into()).is_ok();
    if taken {
        // It was made by us, then: in a corpus.
        let mut message = packet[..at].to_vec();
        let id = packet.len() - 6;
        message[..2].copy_from_slice(&packet[id..id + 2]);
        let additional = u16::from_be_bytes([message[10], message[11]]).wrapping_sub(1);
        message[10..12].copy_from_slice(&additional.to_be_bytes());
        let code = code(None, &[&message], &variables(name, tsig.time));
        assert!(
            packet.windows(code.len()).any(|w| w == code),
            "a wrong code was taken"
        );
    }
}

/// Whether a change of this octet of a signed message may go unseen: the number of the message, and letters' case in the names of key and algorithm.
fn unseen(at: usize, start: usize, name: &Name) -> bool {
    let names = start..start + name.wire().len();
    let algorithm = names.end + 10..names.end + 10 + ALGORITHM.len();
    at < 2 || names.contains(&at) || algorithm.contains(&at)
}

/// Signs a request, has it verified, and changed.
fn request(key: &Key, name: &Name, message: &[u8], (at, xor): Change) -> Mac {
    let (now, len) = (u64::from(NOW), message.len());
    let mut packet = message.to_vec();
    packet.resize(len + key.room(), 0);
    let end = Chain::request(key).sign(&mut packet, len, now, None);
    packet.truncate(end);
    let mac = code(None, &[message], &variables(name, now));
    assert_eq!(packet, with(message, name, now, &mac));
    let verified = |packet: &[u8], now: u64| {
        let tsig = Tsig::read(packet, len).filter(|t| key.is_of(t))?;
        key.verify(packet, &tsig, now).ok()
    };
    let taken = verified(&packet, now).expect("our own signature is taken");
    let late = Tsig::read(&packet, len).map(|t| {
        key.verify(&packet, &t, now + 301)
            .err()
            .flatten()
            .map(|e| e.0)
    });
    assert_eq!(late, Some(Some(TsigError::BadTime)));
    // It forgets the reserved bit of the header (RFC 1035 4.1.1), so that its code is one of another message.
    let reserved = packet[3] & 0x40 != 0;
    if Query::signature(&packet) == Some(len) && !reserved && Theirs::from_vec(&packet).is_ok() {
        let theirs = TheirName::from_ascii(KEY.0).unwrap();
        let theirs =
            TSigner::new(KEY.1.to_vec(), TsigAlgorithm::HmacSha256, theirs, FUDGE).unwrap();
        let verified = theirs.verify_message_byte(&packet, None, true);
        assert_eq!(verified.expect("hickory-proto takes it").1, now);
    }
    if let Some(octet) = packet.get_mut(at).filter(|_| xor != 0) {
        *octet ^= xor;
        assert!(
            unseen(at, len, name) || verified(&packet, now).is_none(),
            "octet {at} of {packet:02x?}"
        );
    }
    taken
}

/// Messages that follow, each signed or not, as a primary would send them: all are taken. With a change in one of them
/// the next that is signed is not.
fn chain(
    (key, name): (&Key, &Name),
    request: Mac,
    messages: &[&[u8]],
    signed: u8,
    (at, xor): Change,
) {
    let now = u64::from(NOW) + 5;
    let first = messages[0];
    let mut before = code(None, &[first], &variables(name, now - 5));
    let (mut open, mut sent): (Vec<&[u8]>, Vec<Sent>) = (Vec::new(), Vec::new());
    for (number, message) in messages.iter().enumerate() {
        open.push(message);
        if number > 0 && signed >> (number % 8) & 1 == 0 {
            sent.push((message.to_vec(), None));
            continue;
        }
        let variables = if number == 0 {
            variables(name, now)
        } else {
            timers(now)
        };
        let mac = code(Some(&before), &open, &variables);
        sent.push((with(message, name, now, &mac), Some(message.len())));
        (before, open) = (mac, Vec::new());
    }
    let mut taking = Chain::reply(key, request);
    for (packet, start) in &sent {
        assert_eq!(taking.take(packet, *start, now), Ok(start.is_some()));
    }
    // All signed, as we send them.
    if signed == 0xff {
        let mut ours = Chain::reply(key, request);
        for (message, (packet, _)) in messages.iter().zip(&sent) {
            let mut out = message.to_vec();
            out.resize(message.len() + key.room(), 0);
            let end = ours.sign(&mut out, message.len(), now, None);
            assert_eq!(&out[..end], packet);
        }
    }
    let which = at % sent.len();
    let (packet, start) = &mut sent[which];
    let at = at / 10 % packet.len();
    packet[at] ^= xor;
    if xor == 0 || start.is_some_and(|start| unseen(at, start, name)) {
        return;
    }
    let mut taking = Chain::reply(key, request);
    let mut taken = |(packet, start): &Sent| taking.take(packet, *start, now);
    assert!(sent[..which].iter().all(|s| taken(s).is_ok()));
    let end = sent[which..].iter().position(|s| s.1.is_some());
    if let Some(end) = end {
        let results: Vec<_> = sent[which..=which + end].iter().map(taken).collect();
        assert!(
            results.iter().any(Result::is_err),
            "octet {at} of message {which}: {results:?}"
        );
    }
}
