//! `[tls]`: questions that come encrypted, and the files of certificates, which `[admin]` names as well.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::server::sockets;
use super::table::{Keys, Table, Value};
use super::{Config, Server};
use crate::diagnostic::{Diagnostics, Span};

static TLS: Keys = Keys {
    known: &["cert", "key", "dot", "doh", "doq", "doh3", "padding"],
    later: &[],
};

/// Of DNS over TLS (RFC 7858) and over QUIC (RFC 9250), unless another is given.
const DOT: u16 = 853;
/// Of HTTPS.
const DOH: u16 = 443;

/// Where questions come encrypted, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Who we are; there where something listens.
    pub files: Option<TlsFiles>,
    /// DNS over TLS, port 853 unless given.
    pub dot: Vec<SocketAddr>,
    /// DNS over HTTPS, port 443 unless given.
    pub doh: Vec<SocketAddr>,
    /// DNS over QUIC, port 853 unless given.
    pub doq: Vec<SocketAddr>,
    /// DNS over HTTP/3, port 443 unless given.
    pub doh3: Vec<SocketAddr>,
    /// Whether replies are padded for those who pad their questions (RFC 8467). Default: they are.
    pub padding: bool,
}

/// PEM files, and where they are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those that lead to its authority.
    pub cert: (PathBuf, Span),
    /// Its key.
    pub key: (PathBuf, Span),
    /// The authorities of clients' certificates; none: none is asked for.
    pub client_ca: Option<(PathBuf, Span)>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            files: None,
            dot: Vec::new(),
            doh: Vec::new(),
            doq: Vec::new(),
            doh3: Vec::new(),
            padding: true,
        }
    }
}

impl Config {
    /// The files of all certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &Path> {
        let files = self.admin.tls.iter().chain(&self.tls.files);
        let files = files.flat_map(|tls| {
            let ca = tls.client_ca.as_ref();
            [Some(&tls.cert), Some(&tls.key), ca].into_iter().flatten()
        });
        files.map(|(path, _)| path.as_path())
    }
}

/// Reads the table.
pub(super) fn read(top: &Table<'_>, server: &Server, found: &mut Diagnostics) -> Tls {
    let usual = Tls::default();
    let table = top
        .get("tls")
        .and_then(|v| v.table(top.key_span("tls")?, &TLS, found));
    let Some(table) = table else { return usual };
    let mut tcp: Vec<SocketAddr> = server.listen.clone();
    let mut udp = tcp.clone();
    let mut listen = |key, port, taken: &mut Vec<SocketAddr>| {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let addresses = sockets(&value, "to listen on", port, found);
        for address in &addresses {
            // Port 0 is another each time.
            if address.port() != 0 && taken.contains(address) {
                value.error(format!("{address} is listened on already"), found);
            }
        }
        taken.extend(&addresses);
        addresses
    };
    let (dot, doh) = (listen("dot", DOT, &mut tcp), listen("doh", DOH, &mut tcp));
    let (doq, doh3) = (listen("doq", DOT, &mut udp), listen("doh3", DOH, &mut udp));
    let tls = Tls {
        files: files(&table, None, found),
        dot,
        doh,
        doq,
        doh3,
        padding: table
            .get("padding")
            .and_then(|v| v.truth(found))
            .unwrap_or(usual.padding),
    };
    let listens = ["dot", "doh", "doq", "doh3"];
    let listens = listens.into_iter().find_map(|key| table.get(key));
    match (listens, table.get("cert").or(table.get("key"))) {
        (Some(value), None) => {
            value.error(
                format!("\"{}\" needs \"cert\" and \"key\"", value.key),
                found,
            );
        }
        (None, Some(value)) => {
            value
                .error(
                    format!("\"{}\" is of no use where nothing listens", value.key),
                    found,
                )
                .note("\"dot\", \"doh\", \"doq\" and \"doh3\" are lists of addresses");
        }
        _ => {}
    }
    tls
}

/// The files that a table names; not all have authorities of clients.
pub(super) fn files(
    table: &Table<'_>,
    client_ca: Option<Value<'_>>,
    found: &mut Diagnostics,
) -> Option<TlsFiles> {
    let [cert, key] = ["cert", "key"].map(|key| table.get(key));
    let any = [&cert, &key, &client_ca].into_iter().flatten().next()?;
    for (other, missing) in [(&cert, "cert"), (&key, "key")] {
        if other.is_none() {
            any.error(format!("TLS needs \"{missing}\" too"), found);
        }
    }
    let mut path = |value: Option<Value<'_>>| value.and_then(|v| Some((v.path(found)?, v.span())));
    let (cert, key, client_ca) = (path(cert), path(key), path(client_ca));
    Some(TlsFiles {
        cert: cert?,
        key: key?,
        client_ca,
    })
}
