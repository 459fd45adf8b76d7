//! `[admin]`: who may ask the running server and make it act, over the control socket and over TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::files::name_problem;
use super::server::{hex, sockets};
use super::table::{Keys, Table, Value};
use super::tls::{TlsFiles, files};
use crate::diagnostic::{Diagnostics, Span};

static ADMIN: Keys = Keys {
    known: &[
        "mode",
        "group",
        "listen",
        "cert",
        "key",
        "client_ca",
        "plain",
        "token",
    ],
    later: &[],
};

static TOKEN: Keys = Keys {
    known: &["name", "role", "hash"],
    later: &[],
};

/// Over TCP, unless another is given.
const PORT: u16 = 8053;
/// User and group.
const MODE: u32 = 0o660;

/// Who may ask the running server, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The control socket's mode. Default 0660.
    pub mode: u32,
    /// The control socket's group, by name or number; none: that of the process.
    pub group: Option<String>,
    /// Addresses over TCP, port 8053 unless given. None: only the control socket.
    pub listen: Vec<SocketAddr>,
    /// What TLS needs; none: plain text, on loopback only.
    pub tls: Option<TlsFiles>,
    /// Who may ask over TCP.
    pub tokens: Vec<Token>,
}

/// What somebody shows who asks over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is; actions are logged under this name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The SHA-256 of it. It is random and long, so nobody finds it by trying, and a slow hash would protect nothing.
    pub hash: [u8; 32],
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Reader,
    /// Look and act.
    Operator,
}

impl Role {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            mode: MODE,
            group: None,
            listen: Vec::new(),
            tls: None,
            tokens: Vec::new(),
        }
    }
}

/// Reads the table.
pub(super) fn read(top: &Table<'_>, found: &mut Diagnostics) -> Admin {
    let usual = Admin::default();
    let table = top
        .get("admin")
        .and_then(|v| v.table(top.key_span("admin")?, &ADMIN, found));
    let Some(table) = table else {
        return usual;
    };
    let listen = table.get("listen");
    let admin = Admin {
        mode: table
            .get("mode")
            .and_then(|v| mode(&v, found))
            .unwrap_or(MODE),
        group: table.get("group").and_then(|v| account(&v, found)),
        listen: listen
            .as_ref()
            .map_or_else(Vec::new, |v| sockets(v, "to listen on", PORT, found)),
        tls: files(&table, table.get("client_ca"), found),
        tokens: tokens(&table, found),
    };
    match &listen {
        Some(value) => guarded(value, &table, found),
        None => {
            let needless = ["cert", "key", "client_ca", "plain"];
            let needless = needless.into_iter().filter_map(|key| table.get(key));
            for value in needless {
                value.error(
                    format!("\"{}\" decides nothing without \"listen\"", value.key),
                    found,
                );
            }
        }
    }
    admin
}

/// Whether what listens over TCP is kept from strangers.
fn guarded(listen: &Value<'_>, table: &Table<'_>, found: &mut Diagnostics) {
    let plain = table.get("plain");
    let is_plain = plain.as_ref().and_then(|v| v.truth(found)) == Some(true);
    let tls = ["cert", "key", "client_ca"].map(|key| table.get(key));
    match (is_plain, tls.iter().flatten().next()) {
        (true, Some(value)) => {
            let message = format!("\"{}\" is for TLS, and \"plain\" is without it", value.key);
            value.error(message, found);
        }
        (false, None) => {
            listen
                .error("over TCP TLS is needed: \"cert\" and \"key\"", found)
                .note("on loopback, plain = true does without");
        }
        _ => {}
    }
    for (text, span) in listen
        .texts(&mut Diagnostics::default())
        .unwrap_or_default()
    {
        let ip = super::server::socket_address(text, PORT).map(|a| a.ip());
        if is_plain && ip.is_some_and(|ip| !ip.is_loopback()) {
            let example = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);
            found
                .error(span, "\"plain\" is for loopback only")
                .note(format!("write \"{example}\", or give \"cert\" and \"key\""));
        }
    }
    if table.get("token").is_none() {
        listen
            .error("over TCP a token is needed, and there is none", found)
            .note("`nearmost token NAME` makes one");
    }
}

/// `0660`: what the owner, the group and all others may.
fn mode(value: &Value<'_>, found: &mut Diagnostics) -> Option<u32> {
    let text = value.text(found)?;
    let digits = text.strip_prefix('0').unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok();
    let mode = mode.filter(|_| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()));
    match mode {
        Some(mode) if mode & 0o007 != 0 => {
            value
                .error("everybody on this machine would be an operator", found)
                .note("write \"0660\" or \"0600\"");
            None
        }
        // To connect is to write (unix(7)).
        Some(mode) if mode & 0o600 == 0o600 && mode & 0o111 == 0 => Some(mode),
        _ => {
            value.error("\"mode\" must be \"0660\" or \"0600\"", found);
            None
        }
    }
}

/// The name or number of a user or a group, as the key says.
pub(super) fn account(value: &Value<'_>, found: &mut Diagnostics) -> Option<String> {
    let text = value.text(found)?;
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ':') {
        let key = value.key;
        value.error(format!("\"{key}\" must be a {key}'s name or number"), found);
        return None;
    }
    Some(text.to_owned())
}

fn tokens(table: &Table<'_>, found: &mut Diagnostics) -> Vec<Token> {
    let mut out: Vec<(Token, Span)> = Vec::new();
    let items = table.get("token").and_then(|v| v.items(found));
    for value in items.unwrap_or_default() {
        let Some(token) = token(&value, found) else {
            continue;
        };
        let same = |(other, _): &&(Token, Span)| other.name == token.name;
        let known = out.iter().find(same);
        if let Some((_, first)) = known {
            let first = *first;
            let message = format!("token \"{}\" is there twice", token.name);
            found
                .error(value.span(), message)
                .note_at(first, "first here");
        } else if let Some((other, _)) = out.iter().find(|(other, _)| other.hash == token.hash) {
            let message = format!("it is the same token as that of \"{}\"", other.name);
            found.error(value.span(), message);
        } else {
            out.push((token, value.span()));
        }
    }
    out.into_iter().map(|(token, _)| token).collect()
}

fn token(value: &Value<'_>, found: &mut Diagnostics) -> Option<Token> {
    let table = value.table(value.span(), &TOKEN, found)?;
    for key in TOKEN.known {
        if table.get(key).is_none() {
            table.missing(format!("a token needs \"{key}\""), found);
        }
    }
    let name = table.get("name").and_then(|v| {
        let name = v.text(found)?;
        let problem = name_problem(name);
        if let Some(problem) = &problem {
            v.error(format!("a token's name {problem}"), found);
        }
        problem.is_none().then(|| name.to_owned())
    });
    let role = table.get("role").and_then(|v| match v.text(found)? {
        "reader" => Some(Role::Reader),
        "operator" => Some(Role::Operator),
        other => {
            v.error(format!("no such role: \"{other}\""), found)
                .note("write \"reader\" or \"operator\"");
            None
        }
    });
    let hash = table.get("hash").and_then(|v| {
        let text = v.text(found)?;
        let octets = hex(text).and_then(|octets| <[u8; 32]>::try_from(octets).ok());
        if octets.is_none() {
            v.error("\"hash\" must be a SHA-256: 64 hexadecimal digits", found)
                .note("`nearmost token NAME` makes a token and shows its hash");
        }
        octets
    });
    Some(Token {
        name: name?,
        role: role?,
        hash: hash?,
    })
}
