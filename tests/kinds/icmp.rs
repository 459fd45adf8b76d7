//! Echo requests to who answers, who does not, and where they may not be sent.

use std::net::SocketAddr;

use nearmost::health::Kind;
use nearmost::probe::{Problem, prepare};

use crate::common::namespace::{BLACKHOLE, PING, inside};
use crate::{SHORT, check_at, run, with_timeout};

async fn said(address: &str) -> Result<(), String> {
    let at = SocketAddr::new(address.parse().unwrap(), 0);
    run(with_timeout(check_at(at, Kind::Icmp), SHORT)).await
}

#[tokio::test]
async fn answers_and_silence() {
    if !inside(
        "kinds::icmp::answers_and_silence",
        &format!("{PING} && {BLACKHOLE}"),
    ) {
        return;
    }
    for address in ["127.0.0.1", "127.9.8.7", "::1", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(said(address).await, Ok(()), "{address}");
    }
    let silence = "timed out after 1500 ms while waiting for the answer";
    let (v4, v6) = tokio::join!(said("192.0.2.9"), said("2001:db8::9"));
    assert_eq!([v4, v6].map(Result::unwrap_err), [silence, silence]);
    for address in ["198.51.100.1", "2001:db8:1::1"] {
        assert_eq!(said(address).await.unwrap_err(), "network unreachable");
    }
}

#[test]
fn a_kernel_that_refuses() {
    // The range of a new network is empty.
    if !inside("kinds::icmp::a_kernel_that_refuses", "true") {
        return;
    }
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let error = prepare(&[check_at(at.parse().unwrap(), Kind::Icmp)]).unwrap_err();
        assert!(matches!(error.problem, Problem::Ping(_)), "{error}");
        let words = error.to_string();
        assert!(words.starts_with("probe \"web\": this user may not send"));
        assert!(words.contains("net.ipv4.ping_group_range="), "{words}");
    }
}
