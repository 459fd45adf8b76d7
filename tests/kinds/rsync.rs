//! rsync daemons, and what else may listen on their port.

use std::net::SocketAddr;

use nearmost::health::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{SHORT, check_at, run, with_timeout};

/// Something that says this to whoever connects, in pieces, and then either closes or waits until it is left.
async fn speaker(at: &str, says: Vec<Vec<u8>>, closes: bool) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in says {
            // The probe may have heard enough.
            let _ = stream.write_all(&piece).await;
        }
        if !closes {
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    (address, task)
}

async fn said(at: &str, says: &[&[u8]], closes: bool) -> Result<(), String> {
    let says = says.iter().map(|piece| piece.to_vec()).collect();
    let (address, task) = speaker(at, says, closes).await;
    let result = run(with_timeout(check_at(address, Kind::Rsync), SHORT)).await;
    task.await.unwrap();
    result
}

#[tokio::test]
async fn banners() {
    let at = "127.0.2.1:0";
    for banner in [
        &[b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n".as_slice()][..],
        &[b"@RSY", b"NCD: 2", b"9\r\nWelcome\n"],
    ] {
        assert_eq!(said(at, banner, false).await, Ok(()));
    }
}

#[tokio::test]
async fn what_is_no_banner() {
    let at = "127.0.2.2:0";
    let long = [b"@RSYNCD: ".as_slice(), &[b'x'; 5000]].concat();
    for (says, closes, words) in [
        (
            &b"SSH-2.0-OpenSSH_9\r\n"[..],
            false,
            "no rsync banner, but \"SSH-2.0-OpenSSH_9\"",
        ),
        (
            b"@ERROR: max\n",
            false,
            "no rsync banner, but \"@ERROR: max\"",
        ),
        (b"\n", false, "no rsync banner, but \"\""),
        (
            b"@RSYNCD: x\n",
            false,
            "no rsync banner, but \"@RSYNCD: x\"",
        ),
        (b"", true, "connection closed while waiting for the answer"),
        (
            b"@RSYNCD: 31",
            true,
            "connection closed while waiting for the answer",
        ),
        (
            b"@RSYNCD: 31",
            false,
            "timed out after 1500 ms while waiting for the answer",
        ),
        (
            b"",
            false,
            "timed out after 1500 ms while waiting for the answer",
        ),
    ] {
        assert_eq!(said(at, &[says], closes).await.unwrap_err(), words);
    }
    // No more is read than a banner may be long, and no more is said than fits a line.
    let error = said(at, &[&long], false).await.unwrap_err();
    assert!(
        error.starts_with("no rsync banner, but \"@RSYNCD: xxx"),
        "{error}"
    );
    assert!(error.chars().count() < 300, "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.2.3:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = run(check_at(address, Kind::Rsync)).await.unwrap_err();
    assert_eq!(error, "connection refused");
}
