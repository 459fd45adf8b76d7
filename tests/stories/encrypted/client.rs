//! A small client of TLS and of HTTP/1.1 inside.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::common::certificates::Authority;
use crate::program::PATIENCE;
use crate::question::{Question, send};

/// What the server's certificate is for.
pub const NAME: &str = "dns.example.org";

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A client that knows one authority.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
}

impl Trust {
    pub fn new(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let roots = Arc::new(roots);
        let config = config(&roots, rustls::ALL_VERSIONS);
        Self { roots, config }
    }

    /// With this version of TLS alone.
    pub fn only(self, version: &'static SupportedProtocolVersion) -> Self {
        let config = config(&self.roots, &[version]);
        Self { config, ..self }
    }

    /// Which means to speak one of these inside.
    pub fn inside(self, names: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        let config = Arc::new(config);
        Self { config, ..self }
    }

    /// The same over QUIC.
    pub fn quic(&self, inside: &[u8]) -> quinn::ClientConfig {
        let trust = self.clone().only(&TLS13).inside(&[inside]);
        let tls = QuicClientConfig::try_from(trust.config).unwrap();
        quinn::ClientConfig::new(Arc::new(tls))
    }

    /// A connection after its handshake; none: one of the two does not want it.
    pub fn connect(&self, at: SocketAddr) -> Option<Tls> {
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(stream)
    }
}

fn config(
    roots: &Arc<RootCertStore>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(Arc::clone(roots));
    Arc::new(config.with_no_client_auth())
}

/// The reply to a message; none: the connection has ended.
pub fn exchange(stream: &mut (impl Read + Write), packet: &[u8]) -> Option<Vec<u8>> {
    send(stream, packet);
    receive(stream)
}

/// The next message with its length before it.
pub fn receive(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut octets = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut octets).ok()?;
    Some(octets)
}

/// A question with these options in the place of its own.
pub fn with_options(question: &Question, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut packet = question.to_vec();
    let mut data = Vec::new();
    for (code, octets) in options {
        data.extend(code.to_be_bytes());
        data.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
        data.extend_from_slice(octets);
    }
    // OPT without options comes last.
    let end = packet.len() - 2;
    assert_eq!(packet[end..], [0, 0]);
    packet.truncate(end);
    packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    packet.extend(data);
    packet
}

/// The data of an option of a reply whose last record is OPT.
pub fn option(reply: &[u8], wanted: u16) -> Option<Vec<u8>> {
    let message = hickory_proto::op::Message::from_vec(reply).unwrap();
    let edns = message.edns.unwrap();
    let options = edns.options().as_ref().iter();
    let found = options.filter(|(code, _)| u16::from(*code) == wanted);
    let mut data = found.map(|(_, option)| Vec::<u8>::try_from(option).unwrap());
    data.next()
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// A request that ends its connection.
pub fn say(trust: &Trust, at: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = trust.connect(at).unwrap();
    let head = format!("{head}\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = octets.split_at(end.expect("a head") + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: body.to_vec(),
    }
}

pub fn get(trust: &Trust, at: SocketAddr, path: &str) -> Answer {
    say(trust, at, &format!("GET {path} HTTP/1.1"), &[])
}

pub fn post(trust: &Trust, at: SocketAddr, packet: &[u8]) -> Answer {
    let head = format!(
        "POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message\r\ncontent-length: {}",
        packet.len()
    );
    say(trust, at, &head, packet)
}
