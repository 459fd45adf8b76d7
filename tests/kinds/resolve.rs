//! Resolvers that answer, fail, cut, or say nothing.

use std::net::{IpAddr, SocketAddr};

use nearmost::probe::{Found, resolve};
use nearmost::zone::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// The reply to a question: this response code and flags, and an address for each of `last`, if A was asked for.
fn reply(question: &[u8], rcode: u8, cut: bool, last: &[u8]) -> Vec<u8> {
    let is_a = question[question.len() - 3] == 1;
    let last = if is_a { last } else { &[] };
    let mut out = question.to_vec();
    (out[2], out[3]) = (0x81 | u8::from(cut) << 1, 0x80 | rcode);
    out[7] = u8::try_from(last.len()).unwrap();
    for n in last {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, *n]);
    }
    out
}

/// A resolver that answers each question with these messages, until the test ends.
async fn resolver(at: &str, answers: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    let socket = UdpSocket::bind(at).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut room = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut room).await.unwrap();
            for message in answers(&room[..length]) {
                socket.send_to(&message, from).await.unwrap();
            }
        }
    });
    address
}

async fn v4(resolvers: &[SocketAddr]) -> Result<Vec<String>, String> {
    let name = Name::absolute("mirror.example").unwrap();
    let found: Found = resolve(&name, resolvers).await.v4?;
    Ok(found.addresses.iter().map(IpAddr::to_string).collect())
}

#[tokio::test]
async fn the_next_is_asked_where_one_fails() {
    let broken = resolver("127.0.2.20:0", |q| vec![reply(q, 2, false, &[])]).await;
    let good = resolver("127.0.2.21:0", |q| vec![reply(q, 0, false, &[2, 1])]).await;
    let given = Ok(vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()]);
    assert_eq!(v4(&[broken, good]).await, given);
    let error = v4(&[broken]).await.unwrap_err();
    assert_eq!(error, format!("{broken}: SERVFAIL"));
    assert_eq!(v4(&[]).await.unwrap_err(), "no resolver");
    let none = resolver("127.0.2.22:0", |q| vec![reply(q, 3, false, &[])]).await;
    let said = v4(&[none, good]).await;
    assert_eq!(said, Err("NXDOMAIN".to_owned()), "that is an answer");
}

#[tokio::test]
async fn forged_replies_are_passed_over_and_silence_ends() {
    let forged = resolver("127.0.2.23:0", |q| {
        let (mut id, mut name) = (reply(q, 0, false, &[66]), reply(q, 0, false, &[66]));
        id[0] ^= 1;
        name[13] ^= 1;
        vec![id, name, vec![0; 3], reply(q, 0, false, &[1])]
    });
    assert_eq!(v4(&[forged.await]).await, Ok(vec!["192.0.2.1".into()]));
    let silent = resolver("127.0.2.24:0", |_| Vec::new()).await;
    let error = v4(&[silent]).await.unwrap_err();
    let words = format!("{silent}: timed out after 1500 ms while waiting for the answer");
    assert_eq!(error, words, "said once, though it was asked again");
}

#[tokio::test]
async fn what_is_cut_comes_over_tcp() {
    let cut = resolver("127.0.2.25:0", |q| vec![reply(q, 0, true, &[])]).await;
    let listener = TcpListener::bind(cut).await.unwrap();
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await.unwrap().0;
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            let reply = reply(&question, 0, false, &[1, 2, 3]);
            let length = u16::try_from(reply.len()).unwrap();
            stream.write_u16(length).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    assert_eq!(v4(&[cut]).await.unwrap().len(), 3);
}
