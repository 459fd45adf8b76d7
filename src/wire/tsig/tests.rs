use super::*;

fn key() -> Key {
    let name = Name::absolute("Transfer.Example").unwrap();
    Key::new(
        &name,
        Algorithm::Sha256,
        b"a secret of thirty-two octets...",
    )
}

/// A question for the SOA of `example`, in a buffer with room.
fn question() -> (Vec<u8>, usize) {
    let mut out = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x06\0\x01".to_vec();
    let len = out.len();
    out.resize(512, 0);
    (out, len)
}

fn signed(now: u64) -> (Vec<u8>, usize) {
    let (key, (mut out, len)) = (key(), question());
    let end = Chain::request(&key).sign(&mut out, len, now, None);
    out.truncate(end);
    (out, len)
}

#[test]
fn hickory_takes_what_we_sign() {
    use hickory_proto::rr::TSigner;
    use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
    let (packet, _) = signed(1_800_000_000);
    let name = hickory_proto::rr::Name::from_ascii("transfer.example.").unwrap();
    let secret = b"a secret of thirty-two octets...".to_vec();
    let theirs = TSigner::new(secret, TsigAlgorithm::HmacSha256, name, 300).unwrap();
    let (_, time, _) = theirs.verify_message_byte(&packet, None, true).unwrap();
    assert_eq!(time, 1_800_000_000);
    let mut other = packet;
    other[14] ^= 1;
    assert!(theirs.verify_message_byte(&other, None, true).is_err());
}

#[test]
fn a_request_is_taken_in_time_and_whole() {
    let (packet, at) = signed(1000);
    let (key, tsig) = (key(), Tsig::read(&packet, at).unwrap());
    assert!(key.is_of(&tsig));
    let error = |packet: &[u8], now| {
        let tsig = Tsig::read(packet, at).unwrap();
        key.verify(packet, &tsig, now).err().map(|e| e.map(|e| e.0))
    };
    assert_eq!(error(&packet, 1000), None);
    assert_eq!(error(&packet, 1300), None);
    assert_eq!(error(&packet, 700), None);
    assert_eq!(error(&packet, 1301), Some(Some(TsigError::BadTime)));
    assert_eq!(error(&packet, 699), Some(Some(TsigError::BadTime)));
    for octet in [2, 13, packet.len() - 8] {
        let mut other = packet.clone();
        other[octet] ^= 1;
        assert_eq!(
            error(&other, 1000),
            Some(Some(TsigError::BadSig)),
            "{octet}"
        );
    }
    assert!(Tsig::read(&packet[..packet.len() - 1], at).is_none());
}

/// Cut codes: 16 octets of 32 are well-formed and refused, fewer are malformed.
#[test]
fn a_code_is_not_cut() {
    let (packet, at) = signed(1000);
    let whole = Tsig::read(&packet, at).unwrap();
    for (len, error) in [(16, Some(TsigError::BadTrunc)), (15, None), (0, None)] {
        let tsig = Tsig {
            mac: &whole.mac[..len],
            ..whole.clone()
        };
        let found = key().verify(&packet, &tsig, 1000).err().unwrap();
        assert_eq!(found.map(|e| e.0), error, "{len}");
    }
}

#[test]
fn a_chain_holds_together() {
    let key = key();
    let (packet, at) = signed(1000);
    let mut client = Chain::request(&key);
    let (mut out, len) = question();
    client.sign(&mut out, len, 1000, None);
    let tsig = Tsig::read(&packet, at).unwrap();
    let mac = key.verify(&packet, &tsig, 1000).map_err(|_| ()).unwrap();
    let mut server = Chain::reply(&key, mac);
    let mut replies = Vec::new();
    for number in 0..4 {
        let (mut reply, len) = question();
        reply[13] = number;
        let end = server.sign(&mut reply, len, 1001, None);
        reply.truncate(end);
        replies.push((reply, len));
    }
    for (reply, at) in &replies {
        assert_eq!(client.take(reply, Some(*at), 1002), Ok(true));
    }
    // Out of order, or without the first, nothing is taken.
    let mut other = Chain::reply(&key, mac);
    assert!(other.take(&replies[1].0, Some(replies[1].1), 1002).is_err());
    assert!(
        Chain::reply(&key, mac)
            .take(&question().0, None, 1002)
            .is_err()
    );
    // Unsigned messages in between are part of what is signed next.
    let mut client = Chain::reply(&key, mac);
    let mut server = Chain::reply(&key, mac);
    let (mut first, len) = question();
    let end = server.sign(&mut first, len, 1001, None);
    client.take(&first[..end], Some(len), 1001).unwrap();
    let between = question().0;
    server.leave_out(&between);
    let (mut last, len) = question();
    let end = server.sign(&mut last, len, 1001, None);
    assert_eq!(client.take(&between, None, 1001), Ok(false));
    assert_eq!(client.take(&last[..end], Some(len), 1001), Ok(true));
}
