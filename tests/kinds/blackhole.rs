//! A node behind a network that loses all packets: nothing is refused, nothing comes back.

use std::net::SocketAddr;

use nearmost::health::{DnsCheck, Kind};

use crate::common::certificates::Authority;
use crate::common::namespace::{BLACKHOLE, inside};
use crate::{SHORT, check_at, file, http, https, run, with_timeout};

#[tokio::test]
async fn silence_is_a_timeout() {
    if !inside("kinds::blackhole::silence_is_a_timeout", BLACKHOLE) {
        return;
    }
    let ca = file("blackhole.pem", &Authority::new("ours").pem);
    let question = DnsCheck {
        name: "example.org.".into(),
        rtype: 6,
        rcode: 0,
        answer: None,
    };
    let mut runs = Vec::new();
    for node in ["192.0.2.9:80", "[2001:db8::9]:80"] {
        let node: SocketAddr = node.parse().unwrap();
        for (kind, phase) in [
            (Kind::Tcp, "connecting"),
            (Kind::Rsync, "connecting"),
            (http(None), "connecting"),
            (https(Some(ca.clone())), "connecting"),
            (Kind::Dns(question.clone()), "waiting for the answer"),
        ] {
            let one = run(with_timeout(check_at(node, kind), SHORT));
            runs.push((phase, tokio::spawn(one)));
        }
    }
    for (phase, run) in runs {
        let words = format!("timed out after 1500 ms while {phase}");
        assert_eq!(run.await.unwrap().unwrap_err(), words);
    }
}
