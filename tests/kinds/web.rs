//! What HTTP probes ask beyond a status: headers, redirects, HTTP/2; and what they see beside the verdict.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nearmost::health::{Kind, Outcome, Time};
use nearmost::probe::prepare;
use regex::Regex;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::common::certificates::Authority;
use crate::common::nodes::{Does, Node};
use crate::{HOST, SHORT, check, check_at, file, http, https, run, with, with_timeout};

async fn outcome(node: SocketAddr, kind: Kind) -> Outcome {
    let check = with_timeout(check_at(node, kind), SHORT);
    prepare(&[check]).unwrap()[0].run().await
}

fn expecting(headers: &[(&str, &str)]) -> Kind {
    let pattern = |(name, text): &(&str, &str)| ((*name).to_owned(), Regex::new(text).unwrap());
    with(http(None), |http| {
        http.expect.header = headers.iter().map(pattern).collect();
    })
}

#[tokio::test]
async fn headers() {
    let answer = "HTTP/1.1 200 X\r\nContent-Type: text/html\r\nX-A: one\r\nx-a: two\r\nX-Empty:\r\nX-Odd: \u{fc}\r\nContent-Length: 0\r\n\r\n";
    let node = Node::start("127.0.3.1:0", Does::Raw(answer.into())).await;
    let said = async |headers: &[(&str, &str)]| run(check(&node, expecting(headers))).await.err();
    for good in [
        &[("content-type", "^text/html$"), ("x-empty", "")][..],
        &[("x-a", "^one$"), ("x-a", "^two$")],
        &[("x-odd", ".")],
    ] {
        assert_eq!(said(good).await, None, "{good:?}");
    }
    for (bad, words) in [
        (
            ("content-type", "^text/plain"),
            "header content-type does not match /^text/plain/: text/html",
        ),
        (("x-a", "three"), "header x-a does not match /three/: one"),
        (("x-b", ""), "no header x-b, expected //"),
    ] {
        assert_eq!(said(&[("x-empty", ""), bad]).await.as_deref(), Some(words));
    }
}

/// A node whose answers are these, connection by connection.
async fn in_turn(at: &str, answers: Vec<(u16, String)>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, location) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            asked.push(head.split(' ').nth(1).unwrap().to_owned());
            let text =
                format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        asked
    });
    (address, task)
}

#[tokio::test]
async fn redirects_that_stay_are_followed_three_times() {
    let follow = || with(http(None), |http| http.redirects = true);
    let to = |path: &str| (302, path.to_owned());
    let own = async |answers: Vec<(u16, String)>| {
        let (address, task) = in_turn("127.0.3.2:0", answers).await;
        let result = outcome(address, follow()).await.result;
        (result, task.await.unwrap(), address.port())
    };
    let (result, asked, _) = own(vec![to("/a"), to("b"), to("/c?d"), (200, "/x".into())]).await;
    assert_eq!(result, Ok(()));
    assert_eq!(asked, ["/debian/?x=1", "/a", "/b", "/c?d"]);
    let (result, asked, _) = own(vec![to("/a"), to("/b"), to("/c"), to("/d")]).await;
    assert_eq!(
        result.unwrap_err(),
        "status 302, expected 2xx (redirects to /d)"
    );
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn redirects_that_leave_are_not_followed() {
    let elsewhere = Node::start("127.0.3.3:0", Does::ok()).await;
    let node = Node::start("127.0.3.4:0", Does::Hang).await;
    let (port, other) = (node.address.port(), elsewhere.address.port());
    let follow = || with(http(None), |http| http.redirects = true);
    for to in [
        format!("http://{}/", elsewhere.address),
        format!("http://other.example:{port}/"),
        format!("http://{HOST}:{other}/"),
        format!("https://{HOST}:{port}/"),
        format!("http://{}/", node.address),
    ] {
        node.now(Does::Redirect(to.clone())).await;
        let before = node.served();
        assert_eq!(
            outcome(node.address, follow()).await.result.unwrap_err(),
            format!("status 302, expected 2xx (redirects to {to})")
        );
        assert_eq!(node.served() - before, 1, "{to}");
    }
    assert_eq!(elsewhere.served(), 0);
    // The same by its whole URL stays, and is followed to the end.
    node.now(Does::Redirect(format!("HTTP://{HOST}:{port}/x")))
        .await;
    let before = node.served();
    let _ = outcome(node.address, follow()).await;
    assert_eq!(node.served() - before, 4);
}

/// A node that speaks HTTP/2 to whoever agrees on it, and answers 200.
async fn speaks_http2(at: &str, tls: Arc<ServerConfig>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(offering(&tls, &[b"h2"]));
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().authority().unwrap().host(), HOST);
                let mut response = hyper::Response::new(());
                response
                    .headers_mut()
                    .insert("x-v", hyper::header::HeaderValue::from_static("two"));
                let mut body = respond.send_response(response, false).unwrap();
                body.send_data("second".into(), true).unwrap();
            }
        }
    });
    (address, task)
}

fn offering(tls: &ServerConfig, versions: &[&[u8]]) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = versions.iter().map(|v| v.to_vec()).collect();
    Arc::new(tls)
}

#[tokio::test]
async fn http2_must_be_spoken_where_it_is_asked_for() {
    let authority = Authority::new("ours");
    let ca = Some(file("http2.pem", &authority.pem));
    let tls = authority.server(&[HOST], 2090);
    let one = || https(ca.clone());
    let two = || with(one(), |http| http.http2 = true);
    let (address, task) = speaks_http2("127.0.3.5:0", Arc::clone(&tls)).await;
    let whole = with(two(), |http| {
        http.expect.body = Some(Regex::new("^second$").unwrap());
        http.expect.header = vec![("x-v".into(), Regex::new("two").unwrap())];
    });
    for _ in 0..2 {
        assert_eq!(outcome(address, whole.clone()).await.result, Ok(()));
    }
    let refused = "TLS handshake refused by the node: it does not speak the version of HTTP that is asked for";
    assert_eq!(outcome(address, one()).await.result.unwrap_err(), refused);
    task.abort();
    for (versions, words) in [
        (&[b"http/1.1".as_slice()][..], refused),
        // It does not know that there are versions.
        (&[], "answered by HTTP/1.1, expected HTTP/2"),
    ] {
        let node = Node::tls("127.0.3.6:0", Does::ok(), offering(&tls, versions)).await;
        assert_eq!(outcome(node.address, one()).await.result, Ok(()));
        let error = outcome(node.address, two()).await.result.unwrap_err();
        assert_eq!(error, words);
    }
}

#[tokio::test]
async fn times_of_parts_and_the_end_of_the_certificate() {
    let authority = Authority::new("ours");
    let kind = https(Some(file("times.pem", &authority.pem)));
    // 2090-12-31 00:00:00.
    let end = Time::from_secs(3_818_361_600);
    let node = Node::tls("127.0.3.7:0", Does::ok(), authority.server(&[HOST], 2090)).await;
    let seen = outcome(node.address, kind.clone()).await;
    assert_eq!(seen.result, Ok(()));
    let parts = seen.seen.connect.unwrap() + seen.seen.tls.unwrap();
    assert!(parts < seen.latency, "{seen:?}");
    assert_eq!(seen.seen.certificate_ends, Some(end));
    // A bad certificate is seen too, but no TLS.
    let expired = Node::tls("127.0.3.7:0", Does::ok(), authority.server(&[HOST], 2020)).await;
    let seen = outcome(expired.address, kind.clone()).await;
    assert_eq!(seen.result.unwrap_err(), "certificate expired 2020-12-31");
    assert!(seen.seen.connect.is_some() && seen.seen.tls.is_none());
    let then = end - Duration::from_secs(25_567 * 86_400);
    assert_eq!(seen.seen.certificate_ends, Some(then));
    // Plain kinds see less, and where nobody is there, nothing.
    for (kind, connects) in [(http(None), true), (Kind::Tcp, true), (Kind::Rsync, true)] {
        let plain = Node::start("127.0.3.8:0", Does::ok()).await;
        let seen = outcome(plain.address, kind.clone()).await.seen;
        assert_eq!(seen.connect.is_some(), connects, "{kind:?}");
        assert_eq!((seen.tls, seen.certificate_ends), (None, None));
        plain.now(Does::Refuse).await;
        let seen = outcome(plain.address, kind).await.seen;
        assert_eq!(seen, nearmost::health::Seen::default());
    }
}
