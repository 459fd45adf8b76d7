//! gdnsd's `options`: what there is of it here, what needs nothing here, and what is lost.

use super::Work;
use super::vscf::{Key, Value};
use crate::cli::import::text::list;
use crate::config::quote;

/// What zones need to know of the options.
pub(super) struct Options {
    /// The TTL of records where a zone states none.
    pub(super) ttl: u32,
}

/// Options that concern how gdnsd runs and that have nothing to be carried over: processes, buffers, when files are read again.
const NEEDLESS: [&str; 30] = [
    "username",
    "run_dir",
    "state_dir",
    "lock_mem",
    "priority",
    "weaker_security",
    "realtime_stats",
    "log_stats",
    "dns_port",
    "http_port",
    "tcp_timeout",
    "tcp_clients_per_thread",
    "tcp_threads",
    "udp_recv_width",
    "udp_rcvbuf",
    "udp_sndbuf",
    "max_http_clients",
    "http_timeout",
    "zones_default_ttl",
    "zones_strict_data",
    "zones_strict_startup",
    "zones_rfc1035_auto",
    "zones_rfc1035_auto_interval",
    "zones_rfc1035_min_quiesce",
    "zones_rfc1035_quiesce",
    "zones_rfc1035_threads",
    "disable_text_autosplit",
    "plugin_search_path",
    "experimental_no_chain",
    "include_optional_ns",
];

/// Options that mean something to clients or operators and have no like here.
const WITHOUT_LIKE: [(&str, &str); 9] = [
    (
        "http_listen",
        "the statistics are at /metrics: [admin] listen, docs/api.md",
    ),
    (
        "max_ttl",
        "TTLs are given as zones state them: look for larger ones",
    ),
    (
        "min_ttl",
        "TTLs are given as zones state them: look for smaller ones",
    ),
    (
        "max_ncache_ttl",
        "negative answers live as long as the zone's SOA says: look for larger ones",
    ),
    (
        "chaos_response",
        "questions of class CH are refused: use `nsid` of [server] to tell servers apart",
    ),
    (
        "edns_client_subnet",
        "client subnets are always used; a resolver may be told apart by `resolver:` in rules",
    ),
    (
        "acme_challenge_ttl",
        "there are no records that come and go: put them into the zone's file",
    ),
    ("cookies_key_file", "DNS cookies are not yet supported"),
    (
        "any_mitigation",
        "ANY is answered with one of the sets there are",
    ),
];

/// Reads the options into the tables `[server]` and `[limits]`.
pub(super) fn read(options: Option<&Value>, work: &mut Work) -> Options {
    let get = |key: &str| options.and_then(|o| o.get(key));
    let port: u16 = get("dns_port").and_then(Value::number).unwrap_or(53);
    let mut listen: Vec<String> = Vec::new();
    let mut any = get("listen").is_none();
    for value in get("listen").map(Value::items).unwrap_or_default() {
        if value.is_table() {
            for (key, settings) in value.entries() {
                listen.push(address(&key.text, port));
                for (setting, _) in settings.entries() {
                    let what = format!("{} of one address of `listen`", setting.text);
                    work.report.lost(
                        setting.span,
                        what,
                        "what is set of TCP and threads holds for all addresses",
                    );
                }
            }
        } else if let Some(text) = value.text() {
            any |= text == "any";
            if text != "any" {
                listen.push(address(text, port));
            }
        }
    }
    if any {
        listen = vec![format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    }
    let server = &mut work.system.server;
    server.push(format!("listen = {}", list(listen)));
    server.push(
        "# at = \"FRA\"                    # where this name server stands: clients of whom nothing is known are taken to be there".to_owned(),
    );
    server.push("# state = \"/var/lib/nearmost\"   # a folder for what outlives a restart: orders, states, history".to_owned());
    if let Some(threads) = get("udp_threads").and_then(Value::number::<u32>) {
        server.push(format!("workers = {}", threads.clamp(1, 1024)));
    }
    if let Some(id) = get("nsid").and_then(Value::text) {
        let hex = !id.is_empty() && id.len() <= 256 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && id.len().is_multiple_of(2) {
            server.push(format!("nsid = \"0x{}\"", id.to_ascii_lowercase()));
        }
    }
    if let Some(id) = get("nsid_ascii").and_then(Value::text) {
        server.push(format!("nsid = {}", quote(id)));
    }
    limits(options, work);
    told(options, work);
    Options {
        ttl: get("zones_default_ttl")
            .and_then(Value::number)
            .unwrap_or(86_400),
    }
}

/// An address of `listen`, with its port.
fn address(text: &str, port: u16) -> String {
    match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => format!("{ip}:{port}"),
        Ok(std::net::IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Err(_) => text.to_owned(),
    }
}

fn limits(options: Option<&Value>, work: &mut Work) {
    let number = |key: &str| {
        options
            .and_then(|o| o.get(key))
            .and_then(Value::number::<u32>)
    };
    let limits = &mut work.system.limits;
    // The smaller of what it takes with and without EDNS over IPv6 would be truncated sooner than need be.
    if let Some(octets) = number("max_edns_response").or(number("max_response")) {
        let fits = octets.clamp(512, 4096);
        limits.push(format!("udp_size = \"{fits}B\""));
    }
    if let Some(seconds) = number("tcp_timeout") {
        limits.push(format!("tcp_idle = \"{}s\"", seconds.max(1)));
    }
    let (clients, threads) = (number("tcp_clients_per_thread"), number("tcp_threads"));
    if clients.is_some() || threads.is_some() {
        let all = clients
            .unwrap_or(128)
            .saturating_mul(threads.unwrap_or(1).max(1));
        limits.push(format!(
            "tcp_connections = {}   # of all addresses together",
            all.clamp(1, 1_000_000)
        ));
    }
}

fn told(options: Option<&Value>, work: &mut Work) {
    const CARRIED: [&str; 6] = [
        "listen",
        "udp_threads",
        "nsid",
        "nsid_ascii",
        "max_response",
        "max_edns_response",
    ];
    for (Key { text, span }, _) in options.map(Value::entries).unwrap_or_default() {
        let known = |list: &[&str]| list.contains(&text.as_str());
        if known(&CARRIED) || known(&NEEDLESS) {
            continue;
        }
        match WITHOUT_LIKE.iter().find(|(key, _)| key == text) {
            Some((_, instead)) => work.report.lost(*span, format!("option {text}"), *instead),
            None => work.report.lost(
                *span,
                format!("option {text}, which is not known here"),
                "look whether docs/configuration.md has its like",
            ),
        }
    }
}
