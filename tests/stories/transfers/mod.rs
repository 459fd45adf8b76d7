//! Zones between name servers: dig, kdig, Knot and NSD fetch ours, and we fetch theirs.

mod catalog;
mod dig;
pub mod given;
mod ours;
pub mod peers;
mod primary;
mod restarts;
mod secondaries;
mod signed;
mod slow;
mod tls;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::program::{Folder, Server};

/// 32 octets; and others.
pub const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gb2N0ZXRzLi4uLi4=";
pub const OTHER: &str = "b3RoZXIgb2YgdGhpcnR5LXR3byBvY3RldHMuLi4uLi4=";

/// A zone of all sorts, with so many names besides: more than one message holds.
pub fn large(serial: u32, names: usize) -> String {
    let mut zone = format!(
        "$TTL 300\n@ SOA ns1 Host {serial} 3600 600 86400 60\n@ NS ns1\n@ NS ns.elsewhere.example.\n@ MX 10 mail\n\
         ns1 A 192.0.2.53\nns1 AAAA 2001:db8::53\nmail A 192.0.2.25\n*.wild TXT \"a\" \"b\"\nsub NS ns.sub\nns.sub A 192.0.2.54\n\
         alias CNAME ns1\nsrv SRV 1 2 3 ns1\nodd TYPE65280 \\# 3 010203\ncaa CAA 0 issue \"ca.example\"\nlower.UPPER TXT x\n"
    );
    for n in 0..names {
        writeln!(
            zone,
            "n{n} A 192.0.2.{}\nn{n} TXT \"{}\"",
            n % 250,
            "x".repeat(n % 200)
        )
        .unwrap();
    }
    zone
}

/// A server of `large.example`, whose table says this besides.
pub fn server_of(zone: &str, table: &str, more: &str) -> Server {
    Server::start_in(&Arc::new(folder_of(zone, table, more)))
}

/// The folder of such a server.
pub fn folder_of(zone: &str, table: &str, more: &str) -> Folder {
    let folder = Folder::with(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate = \"state\"\n[key.\"transfer.key\"]\nsecret = \"{SECRET}\"\n\
         [key.\"other.key\"]\nalgorithm = \"hmac-sha512\"\nsecret = \"{OTHER}\"\n[zone.\"large.example\"]\n{table}\n{more}"
    ));
    folder.write("zones/large.example.zone", zone);
    folder
}

/// All records that `dig AXFR` prints, in order and each once, names in lower case.
pub fn transferred(from: SocketAddr, zone: &str, key: &str) -> Vec<String> {
    let lines = records(from, zone, key).into_iter();
    let mut lines: Vec<String> = lines.map(|line| line.to_lowercase()).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// All records that `dig AXFR` prints, as it does but for spaces.
pub fn records(from: SocketAddr, zone: &str, key: &str) -> Vec<String> {
    let more = (!key.is_empty()).then(|| vec!["-y".to_owned(), key.to_owned()]);
    let mut arguments = vec![
        "AXFR".to_owned(),
        zone.to_owned(),
        "+noall".to_owned(),
        "+answer".to_owned(),
        "+onesoa".to_owned(),
    ];
    arguments.extend(more.into_iter().flatten());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = crate::program::dig(from, &arguments);
    let lines = ran.out.lines();
    let lines = lines.filter(|l| !l.starts_with(';') && !l.is_empty());
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The key as dig takes it.
pub fn signed() -> String {
    format!("hmac-sha256:transfer.key:{SECRET}")
}
