//! Probes against nodes that do all that nodes do.
//!
//! Each test has a loopback address of its own, so that no node gets the port of another that refuses.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world fails"
)]

mod common;
mod kinds;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::certificates::{Authority, self_signed};
use common::nodes::{Does, Node};
use nearmost::health::{Check, Expect, HttpCheck, Kind, Probe};
use nearmost::probe::{Prober, Problem, prepare};
use regex::Regex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

const HOST: &str = "get.example.org";
/// For nodes that answer: never reached.
const PATIENT: Duration = Duration::from_secs(30);
/// For nodes that do not: all before the interesting phase takes far less.
const SHORT: Duration = Duration::from_millis(1500);

fn check(node: &Node, kind: Kind) -> Check {
    check_at(node.address, kind)
}

fn check_at(node: SocketAddr, kind: Kind) -> Check {
    Check {
        address: node.ip(),
        host: HOST.into(),
        node: "lon".into(),
        probe: Arc::new(Probe {
            name: "web".into(),
            kind,
            port: node.port(),
            host: None,
            every: Duration::from_secs(10),
            timeout: PATIENT,
            down: 3,
            ok: 6,
            up: 6,
            shadow: false,
        }),
    }
}

fn http(body: Option<&str>) -> Kind {
    Kind::Http(HttpCheck {
        path: "/debian/?x=1".into(),
        expect: Expect {
            status: vec![(200, 299)],
            body: body.map(|body| Regex::new(body).unwrap()),
            ..Expect::default()
        },
        ..HttpCheck::default()
    })
}

fn https(ca: Option<PathBuf>) -> Kind {
    with(http(None), |http| (http.tls, http.ca) = (true, ca))
}

/// An HTTP kind that differs in something.
fn with(mut kind: Kind, change: impl FnOnce(&mut HttpCheck)) -> Kind {
    if let Kind::Http(http) = &mut kind {
        change(http);
    }
    kind
}

fn with_timeout(mut check: Check, timeout: Duration) -> Check {
    Arc::make_mut(&mut check.probe).timeout = timeout;
    check
}

async fn run(check: Check) -> Result<(), String> {
    prepare(&[check]).unwrap()[0].run().await.result
}

/// What a plain HTTP probe says of a node that does this.
async fn said(at: &str, does: Does, body: Option<&str>) -> String {
    let node = Node::start(at, does).await;
    run(check(&node, http(body))).await.unwrap_err()
}

/// The same of a node that takes longer than the probe's patience; it is left then.
async fn said_in_the_end(at: &str, does: Does, body: Option<&str>) -> String {
    let node = Node::start(at, does).await;
    let error = run(with_timeout(check(&node, http(body)), SHORT)).await;
    node.left_by(1).await;
    error.unwrap_err()
}

/// A file of this test run, and of no other that goes on beside it.
fn file(name: &str, content: &str) -> PathBuf {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("probe-{}-{name}", std::process::id()));
    std::fs::write(&file, content).unwrap();
    file
}

#[tokio::test]
async fn tcp() {
    let node = Node::start("127.0.1.1:0", Does::Hang).await;
    assert_eq!(run(check(&node, Kind::Tcp)).await, Ok(()));
    node.left_by(1).await;
    node.now(Does::Refuse).await;
    let error = run(check(&node, Kind::Tcp)).await.unwrap_err();
    assert_eq!(error, "connection refused");
}

#[tokio::test]
async fn a_good_page_is_asked_for_with_its_name() {
    let node = Node::start("127.0.1.2:0", Does::ok()).await;
    let prepared = prepare(&[check(&node, http(Some("^ok$|^ok\n$")))]).unwrap();
    assert_eq!(prepared[0].run().await.result, Ok(()));
    assert_eq!(prepared[0].run().await.result, Ok(()));
    // A connection for each.
    assert_eq!(node.served(), 2);
    let question = node.questions()[0].to_ascii_lowercase();
    assert!(
        question.starts_with("get /debian/?x=1 http/1.1\r\n"),
        "{question}"
    );
    let port = node.address.port();
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("\r\nhost: {HOST}:{port}\r\n"),
        format!("\r\nuser-agent: nearmost/{version} (+health check)\r\n"),
        "\r\nconnection: close\r\n".into(),
    ] {
        assert!(question.contains(&line), "{line:?} in {question}");
    }
}

#[tokio::test]
async fn ipv6() {
    let node = Node::start("[::1]:0", Does::ok()).await;
    assert_eq!(run(check(&node, http(None))).await, Ok(()));
    let mut by_address = check(&node, http(None));
    by_address.host = "::1".into();
    assert_eq!(run(by_address).await, Ok(()));
    let port = node.address.port();
    let host = format!("\r\nhost: [::1]:{port}\r\n");
    let question = node.questions()[1].to_ascii_lowercase();
    assert!(question.contains(&host), "{question}");
    assert_eq!(run(check(&node, Kind::Tcp)).await, Ok(()));
}

#[tokio::test]
async fn a_node_that_changes() {
    let node = Node::start("127.0.1.3:0", Does::Flap).await;
    let prepared = prepare(&[check(&node, http(None))]).unwrap();
    assert_eq!(prepared[0].run().await.result, Ok(()));
    let error = prepared[0].run().await.result.unwrap_err();
    assert_eq!(error, "status 500, expected 2xx");
    node.now(Does::Refuse).await;
    let error = prepared[0].run().await.result.unwrap_err();
    assert_eq!(error, "connection refused");
    node.now(Does::ok()).await;
    assert_eq!(prepared[0].run().await.result, Ok(()));
}

#[tokio::test]
async fn wrong_statuses() {
    let does = Does::Answer(503, String::new());
    assert_eq!(
        said("127.0.1.4:0", does, None).await,
        "status 503, expected 2xx"
    );
    let elsewhere = Node::start("127.0.1.4:0", Does::ok()).await;
    let to = format!("http://{}/", elsewhere.address);
    assert_eq!(
        said("127.0.1.4:0", Does::Redirect(to.clone()), None).await,
        format!("status 302, expected 2xx (redirects to {to})")
    );
    assert_eq!(elsewhere.served(), 0);
}

#[tokio::test]
async fn expected_statuses_in_words() {
    let node = Node::start("127.0.1.4:0", Does::Answer(418, String::new())).await;
    let kind = with(http(None), |http| {
        http.expect.status = vec![(200, 299), (301, 301), (400, 417)];
    });
    let error = run(check(&node, kind.clone())).await.unwrap_err();
    assert_eq!(error, "status 418, expected 2xx or 301 or 400-417");
    let kind = with(kind, |http| http.expect.status.push((418, 418)));
    assert_eq!(run(check(&node, kind)).await, Ok(()));
}

#[tokio::test]
async fn bodies() {
    let does = Does::Answer(200, "<h1>It works!</h1>".into());
    assert_eq!(
        said("127.0.1.5:0", does, Some("^Debian")).await,
        "body does not match /^Debian/"
    );
    let node = Node::start("127.0.1.5:0", Does::Answer(200, "a".repeat(65_536) + "b")).await;
    assert_eq!(run(check(&node, http(Some("a{100}")))).await, Ok(()));
    assert_eq!(
        run(check(&node, http(Some("b")))).await.unwrap_err(),
        "first 64 KiB of the body do not match /b/"
    );
    node.now(Does::Answer(200, "a".repeat(65_535) + "b")).await;
    assert_eq!(run(check(&node, http(Some("b$")))).await, Ok(()));
    node.now(Does::Raw(
        b"HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n\xffok".into(),
    ))
    .await;
    assert_eq!(run(check(&node, http(Some("ok")))).await, Ok(()));
}

#[tokio::test]
async fn bodies_without_end() {
    let node = Node::start("127.0.1.6:0", Does::Endless).await;
    // Not looked at, so not read; and read no further than is looked at.
    assert_eq!(run(check(&node, http(None))).await, Ok(()));
    node.left_by(1).await;
    assert_eq!(run(check(&node, http(Some("xxx")))).await, Ok(()));
    node.left_by(2).await;
    node.now(Does::DripBody).await;
    assert_eq!(run(check(&node, http(None))).await, Ok(()));
    node.left_by(3).await;
}

#[tokio::test]
async fn nodes_that_take_too_long() {
    let (hangs, header, body) = tokio::join!(
        said_in_the_end("127.0.1.7:0", Does::Hang, None),
        said_in_the_end("127.0.1.7:0", Does::DripHeader, None),
        said_in_the_end("127.0.1.7:0", Does::DripBody, Some("x")),
    );
    assert_eq!(
        hangs,
        "timed out after 1500 ms while waiting for the answer"
    );
    assert_eq!(
        header,
        "timed out after 1500 ms while waiting for the answer"
    );
    assert_eq!(body, "timed out after 1500 ms while reading the body");
}

#[tokio::test]
async fn a_node_that_does_not_accept() {
    // Nobody accepts, and the queue is filled: the kernel leaves further connections unanswered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.1.8:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let connection = tokio::net::TcpStream::connect(address);
        waiting.push(tokio::time::timeout(Duration::from_millis(200), connection).await);
    }
    assert!(waiting.last().unwrap().is_err(), "the queue is not full");
    let node = Node::start("127.0.1.8:0", Does::Refuse).await;
    for kind in [
        Kind::Tcp,
        http(None),
        https(Some(file("c.pem", &Authority::new("ours").pem))),
    ] {
        let mut check = with_timeout(check(&node, kind), SHORT);
        Arc::make_mut(&mut check.probe).port = address.port();
        let error = run(check).await.unwrap_err();
        assert_eq!(error, "timed out after 1500 ms while connecting");
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    for (does, words) in [
        (Does::Refuse, "connection refused"),
        (Does::Reset, "connection reset while waiting for the answer"),
        (
            Does::Raw(Vec::new()),
            "connection closed while waiting for the answer",
        ),
        (
            Does::Raw(b"SSH-2.0-OpenSSH_9\r\n".into()),
            "answer is not HTTP",
        ),
        (
            Does::Raw(b"\0\x01\x02\xff\r\n\r\n".into()),
            "answer is not HTTP",
        ),
        (
            Does::Raw(b"HTTP/1.1 2".into()),
            "connection closed while waiting for the answer",
        ),
        (
            Does::Raw(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nok".into()),
            "connection closed while reading the body",
        ),
        (
            Does::Raw([b"HTTP/1.1 200 X\r\n".to_vec(), b"A: b\r\n".repeat(200_000)].concat()),
            "answer has too large a header",
        ),
    ] {
        assert_eq!(said("127.0.1.9:0", does, Some("x")).await, words);
    }
}

#[tokio::test]
async fn no_network_there() {
    let node = Node::start("127.0.1.9:0", Does::Refuse).await;
    let mut check = check(&node, Kind::Tcp);
    // Multicast has no connections.
    check.address = "224.0.0.1".parse().unwrap();
    assert_eq!(run(check).await.unwrap_err(), "network unreachable");
}

#[tokio::test]
async fn certificates() {
    let authority = Authority::new("ours");
    let ca = || Some(file("ca.pem", &authority.pem));
    let at = "127.0.1.10:0";
    let good = Node::tls(
        at,
        Does::ok(),
        authority.server(&["other.example", HOST], 2090),
    )
    .await;
    let prepared = prepare(&[check(&good, https(ca()))]).unwrap();
    for _ in 0..3 {
        assert_eq!(prepared[0].run().await.result, Ok(()));
    }
    assert!(good.questions()[2].contains(HOST));
    // The same with the system's roots, which do not know it.
    assert_eq!(
        run(check(&good, https(None))).await.unwrap_err(),
        "certificate is not from a known authority"
    );
    for (tls, words) in [
        (
            authority.server(&[HOST], 2020),
            "certificate expired 2020-12-31",
        ),
        (
            authority.server(&["a.example", "*.b.example"], 2090),
            "certificate is for other names: a.example, *.b.example, not get.example.org",
        ),
        (
            Authority::new("theirs").server(&[HOST], 2090),
            "certificate is not from a known authority",
        ),
        (
            Authority::new("ours").server(&[HOST], 2090),
            "certificate is not from a known authority: its signature is bad",
        ),
        (
            self_signed(&[HOST]),
            "certificate is not from a known authority",
        ),
    ] {
        let node = Node::tls(at, Does::ok(), tls).await;
        assert_eq!(run(check(&node, https(ca()))).await.unwrap_err(), words);
        assert!(node.questions().is_empty());
    }
}

#[tokio::test]
async fn trouble_with_tls() {
    let authority = Authority::new("ours");
    let ca = || Some(file("trouble.pem", &authority.pem));
    let at = "127.0.1.11:0";
    let plain = Node::start(at, Does::Raw(Vec::new())).await;
    // Its reader waits for a line's end that TLS never sends.
    let check_plain = with_timeout(check(&plain, https(ca())), SHORT);
    assert_eq!(
        run(check_plain).await.unwrap_err(),
        "timed out after 1500 ms in the TLS handshake"
    );
    let silent = Node::tls(at, Does::Hang, authority.server(&[HOST], 2090)).await;
    assert_eq!(
        run(with_timeout(check(&silent, https(ca())), SHORT))
            .await
            .unwrap_err(),
        "timed out after 1500 ms while waiting for the answer"
    );
    silent.left_by(1).await;
}

#[tokio::test]
async fn plain_http_on_the_https_port() {
    // A web server that answers whatever comes first, as they do.
    let listener = tokio::net::TcpListener::bind("127.0.1.12:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        while stream.read_u8().await.is_ok() {}
    });
    let node = Node::start("127.0.1.12:0", Does::Refuse).await;
    let mut check = check(
        &node,
        https(Some(file("port.pem", &Authority::new("ours").pem))),
    );
    Arc::make_mut(&mut check.probe).port = address.port();
    assert_eq!(
        run(check).await.unwrap_err(),
        "no TLS on this port: the answer is something else"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn files_of_roots_must_be_good() {
    let node = Node::start("127.0.1.13:0", Does::Refuse).await;
    let cut = Authority::new("ours").pem;
    for (name, content) in [
        ("empty.pem", ""),
        ("text.pem", "not a certificate\n"),
        ("cut.pem", &cut[..cut.len() / 2]),
        (
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let file = file(name, content);
        let error = prepare(&[check(&node, https(Some(file.clone())))]).unwrap_err();
        assert_eq!(error.probe, "web");
        assert!(
            matches!(&error.problem, Problem::Ca(named, _) if *named == file),
            "{error}"
        );
    }
    let error = prepare(&[check(&node, https(Some("/nowhere/ca.pem".into())))]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "probe \"web\": CA file /nowhere/ca.pem: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn hosts() {
    let node = Node::start("127.0.1.14:0", Does::ok()).await;
    let with_host = |host: &str| {
        let mut check = check(&node, http(None));
        check.host = host.into();
        check
    };
    // Names are nowhere looked up: the node's address is asked, whatever they are.
    for host in ["GET.example.org.", "localhost", "_x.example", "127.0.1.14"] {
        assert_eq!(run(with_host(host)).await, Ok(()), "{host}");
    }
    assert_eq!(node.served(), 4);
    for host in [
        "",
        "127.0.0.1",
        "::1",
        "a/b",
        "a@b",
        "a:1",
        "a b",
        "0x7f.1",
        "127.1",
    ] {
        let error = prepare(&[with_host(host)]).unwrap_err();
        assert!(matches!(error.problem, Problem::Host(_)), "{host}: {error}");
    }
}

#[tokio::test]
async fn a_prober_reports_every_check_though_most_hang() {
    let (good, hangs) = (
        Node::start("127.0.1.15:0", Does::ok()).await,
        Node::start("127.0.1.15:0", Does::Hang).await,
    );
    let mut checks = vec![with_timeout(check(&hangs, http(None)), SHORT); 200];
    checks[199] = check(&good, http(None));
    for check in &mut checks {
        Arc::make_mut(&mut check.probe).every = Duration::from_secs(3600);
    }
    // One place: each result waits until the one before is taken.
    let (results, mut taken) = mpsc::channel(1);
    let prober = Prober::start(&checks, &Handle::current(), &results).unwrap();
    drop(results);
    let (first, outcome) = taken.recv().await.unwrap();
    assert_eq!((first, outcome.result), (199, Ok(())));
    let mut seen = [0; 200];
    for _ in 0..199 {
        let (number, outcome) = taken.recv().await.unwrap();
        seen[number] += 1;
        assert!(outcome.result.unwrap_err().starts_with("timed out"));
    }
    assert!(seen[..199].iter().all(|&times| times == 1), "{seen:?}");
    drop(prober);
    assert!(taken.recv().await.is_none());
}
