//! `[server]` and `[limits]`: where we listen, who we are, and what clients may use.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::admin::account;
use super::keys::Key;
use super::location;
use super::log::{self, LogFormat, LogLevels};
use super::table::{Keys, Table, Value};
use super::{transfer, unit};
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::Point;
use crate::snapshot::Allow;

static SERVER: Keys = Keys {
    known: &[
        "listen",
        "at",
        "state",
        "control",
        "nsid",
        "workers",
        "query",
        "resolvers",
        "log",
        "log_level",
        "watch",
        "user",
        "group",
        "landlock",
    ],
    later: &[],
};

static LIMITS: Keys = Keys {
    known: &[
        "udp_size",
        "tcp_connections",
        "tcp_per_client",
        "tcp_per_network",
        "tcp_idle",
        "tcp_total",
        "tcp_keepalive",
        "resolve_least",
        "serial_every",
        "catalog_members",
        "received_memory",
    ],
    later: &[],
};

/// The port of the DNS.
const PORT: u16 = 53;
/// Where we listen unless told: a port that needs no rights, for trying out.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5300);
/// `sun_path` of unix(7) less its final zero.
const SOCKET_PATH: usize = 107;
/// An NSID has no limit of its own (RFC 5001); this leaves the answer room.
const NSID: usize = 128;

/// Where we listen and who we are.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// UDP and TCP. Default 127.0.0.1:5300; port 53 unless given.
    pub listen: Vec<SocketAddr>,
    /// Where this name server stands.
    pub at: Option<Point>,
    /// The folder for forced states and history; none: they are not kept.
    pub state: Option<PathBuf>,
    /// The control socket. Default: `control.sock` in the state folder, else `nearmost.sock` beside `nearmost.toml`.
    pub control: PathBuf,
    /// The octets that RFC 5001 has us say who we are with.
    pub nsid: Option<Vec<u8>>,
    /// Threads that answer UDP; none: as many as fit the machine.
    pub workers: Option<usize>,
    /// Who may ask zones that do not say so themselves; none: everybody.
    pub query: Option<Vec<Allow>>,
    /// Whom nodes' names are asked of, the first first; port 53 unless given. None: those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// How the log is written; none: for the journal where it goes there, else for people.
    pub log: Option<LogFormat>,
    /// What is left out of the log. Default: what is below `info`.
    pub log_level: LogLevels,
    /// Whether files that change are read again by themselves. Default: they are.
    pub watch: bool,
    /// Who the process becomes if it was started as root, by name or number; none: it stays root.
    pub user: Option<String>,
    /// The group then, by name or number; none: the user's own.
    pub group: Option<String>,
    /// Whether files that are not named here are out of the running server's reach. Default: they are not.
    pub landlock: bool,
}

/// Bounds on what clients may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Octets: the largest answer over UDP. Default 1232, 512 to 4096.
    pub udp_size: u16,
    /// TCP connections at one time. Default 1000.
    pub tcp_connections: usize,
    /// TCP connections of one client address at one time. Default 64.
    pub tcp_per_client: usize,
    /// TCP connections of one network, a /24 or a /56, at one time. Default 256.
    pub tcp_per_network: usize,
    /// A connection with no question for so long is closed. Default 10 s.
    pub tcp_idle: Duration,
    /// A connection is closed after so long in any case. Default 120 s.
    pub tcp_total: Duration,
    /// Whether clients that ask are told `tcp_idle` (RFC 7828). Default: they are.
    pub tcp_keepalive: bool,
    /// A node's name is not resolved again sooner, whatever its TTL. Default 30 s.
    pub resolve_least: Duration,
    /// The serial of a zone with secondaries goes up for its pools at most once in this time. Default 60 s.
    pub serial_every: Duration,
    /// A catalog with more zones is not taken. Default 10000.
    pub catalog_members: usize,
    /// Octets of memory of the zones of others, all together and about: what would make them more is not taken. Default 4 GiB.
    pub received_memory: usize,
}

/// Reads both tables.
pub(super) fn read(top: &Table<'_>, keys: &[Key], found: &mut Diagnostics) -> (Server, Limits) {
    let mut inner = |key, keys| {
        top.get(key)
            .and_then(|v| v.table(top.key_span(key)?, keys, found))
    };
    let (server_table, limits_table) = (inner("server", &SERVER), inner("limits", &LIMITS));
    let limits = limits_table.map(|t| limits(&t, found)).unwrap_or_default();
    let get = |key| server_table.and_then(|t| t.get(key));
    let state = get("state").and_then(|v| v.path(found));
    let control = control(top, get("control"), state.as_deref(), found);
    let user = get("user").and_then(|v| account(&v, found));
    let group = get("group").and_then(|v| account(&v, found));
    if let Some(value) = get("group").filter(|_| get("user").is_none()) {
        value
            .error("\"group\" is of no use without \"user\"", found)
            .note("it is the group of the user that the server becomes when it is started as root");
    }
    let server = Server {
        listen: get("listen").map_or_else(
            || vec![LISTEN],
            |v| sockets(&v, "to listen on", PORT, found),
        ),
        at: get("at").and_then(|v| location::at(&v, found)).map(|p| p.0),
        state,
        control,
        nsid: get("nsid").and_then(|v| nsid(&v, found)),
        workers: get("workers")
            .and_then(|v| v.whole(1..=1024u16, found))
            .map(usize::from),
        query: server_table.and_then(|t| transfer::lets_in(&t, "query", keys, found)),
        resolvers: get("resolvers")
            .map_or_else(Vec::new, |v| sockets(&v, "of a resolver", PORT, found)),
        log: get("log").and_then(|v| log::format(&v, found)),
        log_level: get("log_level")
            .and_then(|v| log::levels(&v, found))
            .unwrap_or_default(),
        watch: get("watch").and_then(|v| v.truth(found)).unwrap_or(true),
        user,
        group,
        landlock: get("landlock")
            .and_then(|v| v.truth(found))
            .unwrap_or(false),
    };
    (server, limits)
}

/// Addresses with ports, `port` unless given; `what` they are for.
pub(super) fn sockets(
    value: &Value<'_>,
    what: &str,
    port: u16,
    found: &mut Diagnostics,
) -> Vec<SocketAddr> {
    let Some(texts) = value.texts(found) else {
        return Vec::new();
    };
    if value.items(found).is_some_and(|i| i.is_empty()) {
        value.error("the list of addresses is empty", found);
    }
    let mut out: Vec<(SocketAddr, Span)> = Vec::new();
    for (text, span) in texts {
        let Some(address) = socket_address(text, port) else {
            found
                .error(span, format!("\"{text}\" is no address {what}"))
                .note("write \"192.0.2.53\", \"192.0.2.53:5353\", \"2001:db8::53\" or \"[2001:db8::53]:5353\"");
            continue;
        };
        match out.iter().find(|(known, _)| *known == address) {
            Some((_, first)) => {
                let first = *first;
                found
                    .error(span, format!("{address} is listed twice"))
                    .note_at(first, "first here");
            }
            None => out.push((address, span)),
        }
    }
    out.into_iter().map(|(address, _)| address).collect()
}

pub(super) fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .filter(|t| t.contains(':'))
        .unwrap_or(text);
    Some(SocketAddr::new(bare.parse().ok()?, port))
}

/// Reads [`Server::control`] alone.
pub(super) fn read_control(top: &Table<'_>, found: &mut Diagnostics) -> PathBuf {
    let span = top.key_span("server");
    let table = top.get("server").zip(span);
    let table = table.and_then(|(v, span)| v.table(span, &SERVER, found));
    let get = |key| table.and_then(|t| t.get(key));
    let state = get("state").and_then(|v| v.path(found));
    control(top, get("control"), state.as_deref(), found)
}

fn control(
    top: &Table<'_>,
    told: Option<Value<'_>>,
    state: Option<&Path>,
    found: &mut Diagnostics,
) -> PathBuf {
    let Some((value, path)) = told.and_then(|v| Some((v, v.path(found)?))) else {
        return match state {
            Some(state) => state.join("control.sock"),
            None => top.file.folder.join("nearmost.sock"),
        };
    };
    if path.as_os_str().len() > SOCKET_PATH {
        value.error(
            format!("a socket's path has at most {SOCKET_PATH} octets"),
            found,
        );
    }
    path
}

/// Text, or octets as `0x…`.
fn nsid(value: &Value<'_>, found: &mut Diagnostics) -> Option<Vec<u8>> {
    let text = value.text(found)?;
    let octets = match text.strip_prefix("0x") {
        Some(digits) => hex(digits),
        None => Some(text.as_bytes().to_vec()),
    };
    let Some(octets) = octets else {
        value.error(
            "\"nsid\" must have two hexadecimal digits for each octet",
            found,
        );
        return None;
    };
    if octets.is_empty() || octets.len() > NSID {
        value.error(format!("\"nsid\" must have 1 to {NSID} octets"), found);
        return None;
    }
    Some(octets)
}

/// Octets, two hexadecimal digits each.
pub(super) fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| {
        char::from(*c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

fn limits(table: &Table<'_>, found: &mut Diagnostics) -> Limits {
    let usual = Limits::default();
    let second = Duration::from_secs(1);
    let udp_size = table
        .get("udp_size")
        .and_then(|v| v.octets(512..=4096, found));
    let received_memory = table
        .get("received_memory")
        .and_then(|v| v.octets(1 << 20..=1 << 40, found));
    let mut count = |key| {
        table
            .get(key)
            .and_then(|v| v.whole(1..=1_000_000u32, found))
            .map(|n| n as usize)
    };
    let (tcp_connections, tcp_per_client) = (count("tcp_connections"), count("tcp_per_client"));
    let tcp_per_network = count("tcp_per_network");
    let catalog_members = count("catalog_members").unwrap_or(usual.catalog_members);
    let mut time = |key| {
        table
            .get(key)
            .and_then(|v| v.duration(second..=second * 86_400, found))
    };
    let (tcp_idle, tcp_total) = (time("tcp_idle"), time("tcp_total"));
    let resolve_least = time("resolve_least").unwrap_or(usual.resolve_least);
    let serial_every = time("serial_every").unwrap_or(usual.serial_every);
    let tcp_connections = tcp_connections.unwrap_or(usual.tcp_connections);
    let most = tcp_connections.min(tcp_per_network.unwrap_or(usize::MAX));
    let tcp_per_client = tcp_per_client.unwrap_or(usual.tcp_per_client.min(most));
    let least = usual.tcp_per_network.max(tcp_per_client);
    let tcp_per_network = tcp_per_network.unwrap_or(least.min(tcp_connections));
    let tcp_keepalive = table.get("tcp_keepalive").and_then(|v| v.truth(found));
    let limits = Limits {
        udp_size: udp_size
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or(usual.udp_size),
        tcp_connections,
        tcp_per_client,
        tcp_per_network,
        tcp_idle: tcp_idle.unwrap_or(tcp_total.unwrap_or(usual.tcp_idle).min(usual.tcp_idle)),
        tcp_total: tcp_total.unwrap_or(tcp_idle.unwrap_or(usual.tcp_total).max(usual.tcp_total)),
        tcp_keepalive: tcp_keepalive.unwrap_or(usual.tcp_keepalive),
        resolve_least,
        serial_every,
        catalog_members,
        received_memory: received_memory
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(usual.received_memory),
    };
    let (client, network) = (limits.tcp_per_client, limits.tcp_per_network);
    let wholes = [
        ("tcp_per_client", "client", client, tcp_connections, "all"),
        (
            "tcp_per_network",
            "network",
            network,
            tcp_connections,
            "all",
        ),
        ("tcp_per_client", "client", client, network, "its network's"),
    ];
    // Of two that do not fit the first is told.
    let wrong = wholes
        .into_iter()
        .filter(|(key, _, part, whole, _)| part > whole && table.get(key).is_some());
    for (key, who, _, whole, whose) in wrong.take(1) {
        if let Some(value) = table.get(key) {
            let message = format!("one {who} cannot have more than {whose} {whole} connections");
            value.error(message, found);
        }
    }
    if let Some(value) = table
        .get("tcp_idle")
        .filter(|_| limits.tcp_idle > limits.tcp_total)
    {
        let total = unit::duration_text(limits.tcp_total);
        value.error(
            format!("\"tcp_idle\" is longer than \"tcp_total\", {total}"),
            found,
        );
    }
    limits
}
