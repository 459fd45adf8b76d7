//! Clients that mean no good and ordinary ones beside them: what `examples/abuse` and its story share.
#![allow(dead_code, reason = "each program uses its part")]

pub mod frames;
pub mod mutated;
pub mod steady;
pub mod strangers;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Whom the certificate is for.
pub const NAME: &str = "dns.example.org";
/// What ordinary clients ask for: a pool of a signed zone.
pub const POOL: &str = "get.example.org";
/// What those ask for who do not read: a reply that nearly fills a message.
pub const LARGE: &str = "huge.large.example";

pub const A: u16 = 1;
pub const TXT: u16 = 16;
/// RFC 7873.
pub const COOKIE: u16 = 10;

/// Where questions are taken.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// UDP and TCP.
    pub plain: SocketAddr,
    pub dot: SocketAddr,
    pub doh: SocketAddr,
}

/// A server with a signed zone, a pool, cookies and all of TLS; no limit of rates, and all limits of connections as they are by default.
pub fn config() -> String {
    let node = |name: &str, at: &str, n: u8| {
        format!("[node.{name}]\nat = \"{at}\"\nip = [\"192.0.2.{n}\", \"2001:db8::{n}\"]\n")
    };
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nat = \"FRA\"\nstate = \".\"\n\
         [tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\ndot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\n\
         [zone.\"{POOL}\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"site\" }}\nsigned = true\n\
         [pool.site]\n{}{}{}",
        node("fra", "FRA", 1),
        node("nyc", "NYC", 2),
        node("tyo", "TYO", 3)
    )
}

/// The zone of [`LARGE`].
pub fn large_zone() -> String {
    let text = "x".repeat(197);
    let records = (0..280).map(|n| format!("huge TXT \"{n:03}{text}\"\n"));
    let records: String = records.collect();
    format!("$TTL 300\n@ SOA ns1 host 1 2 3 4 60\n@ NS ns1\nns1 A 192.0.2.53\n{records}")
}

/// A question with an OPT record that has these options; `signed`: signatures are wanted.
pub fn question(id: u16, name: &str, rtype: u16, options: &[u8], signed: bool) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(rtype.to_be_bytes());
    out.extend([0, 1]);
    let flags = if signed { 0x80 } else { 0 };
    out.extend([0, 0, 41, 4, 208, 0, 0, flags, 0]);
    out.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    out.extend(options);
    out
}

/// An option.
pub fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&code.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

/// A message as it goes over a stream.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap();
    [&len.to_be_bytes()[..], message].concat()
}

/// The address of one of a crowd: eight of them share a /24, as resolvers of a provider do.
pub fn spread(crowd: u8, number: usize) -> Ipv4Addr {
    let [low, high] = [number % 8 + 1, number / 8].map(|n| u8::try_from(n).unwrap());
    Ipv4Addr::new(127, crowd, high, low)
}

/// The address of one of a crowd that is all in one /24.
pub fn together(crowd: u8, number: usize) -> Ipv4Addr {
    let low = u8::try_from(number % 250 + 1).unwrap();
    Ipv4Addr::new(127, crowd, 0, low)
}

/// A client's side of TLS that knows this authority, and speaks this inside.
pub fn trust(authority: &str, inside: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = inside.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Numbers that look random, the same each time.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next, below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

/// Kilobytes of memory that a process has now.
pub fn memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
