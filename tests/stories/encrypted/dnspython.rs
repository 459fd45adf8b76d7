//! dnspython and aioquic as clients: a second opinion of DNS over QUIC, and one of HTTP/3, which kdig and dig of Debian do not speak.

use std::process::Command;

use super::Encrypted;
use super::client::NAME;
use crate::program::{Ran, ours, skip};
use crate::world::World;

#[test]
fn dnspython_asks_over_everything() {
    let there = Command::new("python3")
        .args([
            "-c",
            "import dns.query as q, dns.quic as d; q.have_doh and d.have_quic or exit(1)",
        ])
        .output();
    if !there.is_ok_and(|ran| ran.status.success()) {
        return skip("python3 has no dnspython with its doh and doq");
    }
    let world = World::of(245, 1);
    let all = Encrypted::start(&world, "");
    let ports = [all.dot, all.doh, all.doq, all.doh3].map(|at| at.port().to_string());
    let ran = Ran::of(
        Command::new("python3")
            .arg(ours("tests/stories/encrypted/dnspython.py"))
            .arg(all.server.folder.path("authority.pem"))
            .arg(NAME)
            .args(ports),
    );
    let text = format!("\"000{}", "x".repeat(36));
    let said = [
        ("get.example.org", "NOERROR 1", world.ip(0)),
        ("none.example.org", "REFUSED 0", "-".to_owned()),
        ("huge.large.example", "NOERROR 280", text),
    ];
    let ways = ["tls", "https", "https-get", "quic", "h3"];
    let expected: Vec<_> = said
        .iter()
        .flat_map(|(name, how, first)| ways.map(|way| format!("{way} {name} {how} {first}")))
        .collect();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{ran:?}");
}
