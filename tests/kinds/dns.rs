//! Name servers that answer, answer something else, or do not.

use std::net::SocketAddr;

use nearmost::health::{DnsCheck, Kind};
use regex::Regex;
use tokio::net::UdpSocket;

use crate::{SHORT, check_at, run, with_timeout};

/// `example.org. 300 IN A 192.0.2.1`, its name a pointer to the question's.
const RECORD: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1];

fn kind(rcode: u8, answer: Option<&str>) -> Kind {
    Kind::Dns(DnsCheck {
        name: "example.org.".into(),
        rtype: 1,
        rcode,
        answer: answer.map(|a| Regex::new(a).unwrap()),
    })
}

/// The reply to a question with this rcode and, if wanted, the record.
fn reply(question: &[u8], rcode: u8, record: bool) -> Vec<u8> {
    let mut out = question.to_vec();
    (out[2], out[3], out[7]) = (0x84, rcode, u8::from(record));
    if record {
        out.extend(RECORD);
    }
    out
}

/// What is said of a server that answers a question with these messages.
async fn said(at: &str, kind: Kind, answers: fn(&[u8]) -> Vec<Vec<u8>>) -> Result<(), String> {
    let socket = UdpSocket::bind(at).await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = async {
        let mut room = [0; 512];
        let (length, from) = socket.recv_from(&mut room).await.unwrap();
        // Anybody may send: it is not taken for the node's.
        let stranger = UdpSocket::bind(at).await.unwrap();
        let bad = reply(&room[..length], 5, false);
        stranger.send_to(&bad, from).await.unwrap();
        for message in answers(&room[..length]) {
            socket.send_to(&message, from).await.unwrap();
        }
    };
    let check = with_timeout(check_at(address, kind), SHORT);
    let (result, ()) = tokio::join!(run(check), server);
    result
}

#[tokio::test]
async fn good_replies() {
    let at = "127.0.2.4:0";
    let plain = |q: &[u8]| vec![reply(q, 0, true)];
    assert_eq!(said(at, kind(0, None), plain).await, Ok(()));
    let exact = kind(0, Some(r"^example\.org\. 300 IN A 192\.0\.2\.1$"));
    assert_eq!(said(at, exact, plain).await, Ok(()));
    let missing = said(at, kind(3, None), |q| vec![reply(q, 3, false)]).await;
    assert_eq!(missing, Ok(()));
    let at = "[::1]:0";
    assert_eq!(said(at, kind(0, Some("192")), plain).await, Ok(()));
    // Letter case need not be kept.
    let loud = |q: &[u8]| {
        let mut reply = reply(q, 0, true);
        reply[12..25].make_ascii_uppercase();
        vec![reply]
    };
    assert_eq!(said("127.0.2.4:0", kind(0, None), loud).await, Ok(()));
}

#[tokio::test]
async fn replies_to_something_else_are_passed_over() {
    let result = said("127.0.2.5:0", kind(0, Some("192")), |q| {
        let mut other_id = reply(q, 2, false);
        other_id[0] ^= 1;
        let mut other_name = reply(q, 2, false);
        other_name[13] = b'x';
        let mut other_type = reply(q, 2, false);
        let end = other_type.len();
        other_type[end - 3] = 28;
        let no_reply = q.to_vec();
        vec![
            vec![],
            q[..11].to_vec(),
            other_id,
            other_name,
            other_type,
            no_reply,
            reply(q, 0, true),
        ]
    });
    assert_eq!(result.await, Ok(()));
}

#[tokio::test]
async fn bad_replies() {
    let at = "127.0.2.6:0";
    let error = said(at, kind(0, None), |q| vec![reply(q, 2, false)]).await;
    assert_eq!(error.unwrap_err(), "rcode SERVFAIL, expected NOERROR");
    let error = said(at, kind(3, None), |q| {
        let mut short = q[..12].to_vec();
        (short[2], short[3], short[5]) = (0x80, 9, 0);
        vec![short]
    });
    assert_eq!(error.await.unwrap_err(), "rcode 9, expected NXDOMAIN");
    let error = said(at, kind(0, Some("x")), |q| vec![reply(q, 0, false)]).await;
    assert_eq!(error.unwrap_err(), "no record in the answer, expected /x/");
    let error = said(at, kind(0, Some("x$")), |q| {
        let mut cut = reply(q, 0, true);
        cut[2] |= 2;
        vec![cut]
    });
    assert_eq!(
        error.await.unwrap_err(),
        "the reply is cut, and no record matches /x$/; the first is example.org. 300 IN A 192.0.2.1"
    );
    let error = said(at, kind(0, Some("x")), |q| {
        let mut torn = reply(q, 0, true);
        torn.pop();
        vec![torn]
    });
    let error = error.await.unwrap_err();
    assert!(
        error.starts_with("the reply is no good message: "),
        "{error}"
    );
}

#[tokio::test]
async fn no_reply() {
    let error = said("127.0.2.7:0", kind(0, None), |_| Vec::new()).await;
    assert_eq!(
        error.unwrap_err(),
        "timed out after 1500 ms while waiting for the answer"
    );
    let socket = UdpSocket::bind("127.0.2.8:0").await.unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    drop(socket);
    let error = run(check_at(address, kind(0, None))).await.unwrap_err();
    assert_eq!(error, "connection refused");
}
