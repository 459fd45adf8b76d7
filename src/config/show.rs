//! The configuration as it was understood, as a `nearmost.toml` that means the same.

use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::Duration;

use super::show_probe::{self, in_words, is_shorthand};
use super::{
    Admin, Config, Geo, Limits, Server, SharedKey, Tls, TlsFiles, Zone, ZoneSource, prefer,
    show_transfer, unit,
};
use crate::geo::{Point, Subject, nearest_city};
use crate::health::{Probe, Require};
use crate::policy::{Answer, Below, Keep, Low, Node, Pool, Rule, Selector, UnknownClient};
use crate::zone::Name;

/// Text of one `nearmost.toml` that reads back as this very configuration, with all defaults and places as numbers.
/// Paths in it are absolute.
#[must_use]
pub fn show(config: &Config) -> String {
    let mut out = Text(String::new());
    out.line("# The configuration as nearmost understands it.");
    server(&mut out, &config.server, &config.keys);
    limits(&mut out, &config.limits);
    tls(&mut out, &config.tls);
    admin(&mut out, &config.admin);
    out.table("[querylog]");
    out.value("to", quote(&config.querylog.to.to_string()));
    out.value("sample", config.querylog.sample);
    out.table("[dnssec]");
    out.value("keys", path(&config.dnssec.keys));
    let validity = Duration::from_secs(config.dnssec.settings.validity.into());
    out.value("validity", quote(&unit::duration_text(validity)));
    out.value("signatures_per_second", config.dnssec.settings.rate);
    if let Some(limit) = &config.rrl {
        out.table("[rrl]");
        out.value("rate", limit.rate);
        out.value("slip", limit.slip);
        out.value(
            "exempt",
            list(limit.exempt.iter().map(|net| quote(&net.to_string()))),
        );
    }
    out.table("[cookies]");
    out.value("give", config.cookies.give);
    let secrets = config.cookies.secrets.len();
    if secrets > 0 {
        out.line(format!("# {secrets} secrets, which are not shown"));
    }
    geo(&mut out, &config.geo);
    show_probe::health(&mut out, config);
    show_transfer::keys(&mut out, &config.keys);
    for zone in &config.zones {
        show_zone(&mut out, zone, &config.pools);
        show_transfer::zone(&mut out, zone, &config.keys);
    }
    for pool in &config.pools {
        show_pool(&mut out, pool, config);
    }
    for node in &config.nodes {
        show_node(&mut out, node);
    }
    for probe in config.probes.iter().filter(|p| !is_shorthand(p)) {
        show_probe::table(&mut out, probe);
    }
    out.0
}

/// Lines of TOML.
pub(super) struct Text(String);

impl Text {
    pub(super) fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}");
    }

    pub(super) fn table(&mut self, header: impl Display) {
        let _ = writeln!(self.0, "\n{header}");
    }

    pub(super) fn value(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn place(&mut self, at: Point) {
        let near = nearest_city(at)
            .map(|(city, km)| format!("  # {km:.0} km from {city}"))
            .unwrap_or_default();
        self.value("at", format!("[{}, {}]{near}", at.lat, at.lon));
    }
}

fn server(out: &mut Text, server: &Server, keys: &[SharedKey]) {
    out.table("[server]");
    out.value("listen", addresses(&server.listen));
    match server.at {
        Some(at) => out.place(at),
        None => out.line("# at: not stated"),
    }
    match &server.state {
        Some(state) => out.value("state", path(state)),
        None => out.line("# state: none, so forced states and history end with the process"),
    }
    out.value("control", path(&server.control));
    if let Some(nsid) = &server.nsid {
        let hex: String = nsid.iter().map(|o| format!("{o:02x}")).collect();
        let text = std::str::from_utf8(nsid)
            .ok()
            .filter(|t| !t.starts_with("0x") && !t.chars().any(char::is_control));
        out.value("nsid", text.map_or_else(|| format!("\"0x{hex}\""), quote));
    }
    match &server.query {
        Some(lines) => out.value("query", show_transfer::lets_in(lines, keys)),
        None => out.line("# query: everybody may ask"),
    }
    if server.resolvers.is_empty() {
        out.line("# resolvers: those of /etc/resolv.conf");
    } else {
        out.value("resolvers", addresses(&server.resolvers));
    }
    match server.log {
        Some(log) => out.value("log", format!("\"{log}\"")),
        None => out.line("# log: for the journal where it goes there, else for people"),
    }
    out.value("log_level", format!("\"{}\"", server.log_level));
    out.value("watch", server.watch);
    match &server.user {
        Some(user) => out.value("user", quote(user)),
        None => out.line("# user: the one that starts it"),
    }
    if let Some(group) = &server.group {
        out.value("group", quote(group));
    }
    out.value("landlock", server.landlock);
    match server.workers {
        Some(workers) => out.value("workers", workers),
        None => out.line("# workers: as many as fit the machine"),
    }
}

fn limits(out: &mut Text, limits: &Limits) {
    out.table("[limits]");
    out.value("udp_size", format!("\"{}B\"", limits.udp_size));
    out.value("tcp_connections", limits.tcp_connections);
    out.value("tcp_per_client", limits.tcp_per_client);
    out.value("tcp_per_network", limits.tcp_per_network);
    out.value("tcp_idle", quote(&unit::duration_text(limits.tcp_idle)));
    out.value("tcp_total", quote(&unit::duration_text(limits.tcp_total)));
    out.value("tcp_keepalive", limits.tcp_keepalive);
    let least = unit::duration_text(limits.resolve_least);
    out.value("resolve_least", quote(&least));
    let every = unit::duration_text(limits.serial_every);
    out.value("serial_every", quote(&every));
    out.value("catalog_members", limits.catalog_members);
    let size = unit::octets_text(limits.received_memory as u64);
    out.value("received_memory", quote(&size));
}

fn admin(out: &mut Text, admin: &Admin) {
    out.table("[admin]");
    out.value("mode", format!("\"{:04o}\"", admin.mode));
    match &admin.group {
        Some(group) => out.value("group", quote(group)),
        None => out.line("# group: that of the process"),
    }
    if admin.listen.is_empty() {
        out.line("# listen: only the control socket");
    } else {
        out.value("listen", addresses(&admin.listen));
    }
    match &admin.tls {
        Some(tls) => certificate(out, tls),
        None if !admin.listen.is_empty() => out.value("plain", true),
        None => {}
    }
    for token in &admin.tokens {
        out.table("[[admin.token]]");
        out.value("name", quote(&token.name));
        out.value("role", quote(token.role.word()));
        let hash: String = token.hash.iter().map(|o| format!("{o:02x}")).collect();
        out.value("hash", quote(&hash));
    }
}

fn certificate(out: &mut Text, tls: &TlsFiles) {
    out.value("cert", path(&tls.cert.0));
    out.value("key", path(&tls.key.0));
    if let Some((ca, _)) = &tls.client_ca {
        out.value("client_ca", path(ca));
    }
}

fn tls(out: &mut Text, tls: &Tls) {
    out.table("[tls]");
    if let Some(files) = &tls.files {
        certificate(out, files);
    }
    let all = [
        ("dot", &tls.dot),
        ("doh", &tls.doh),
        ("doq", &tls.doq),
        ("doh3", &tls.doh3),
    ];
    for (key, listen) in all {
        match listen.is_empty() {
            true => out.line(format!("# {key}: nowhere")),
            false => out.value(key, addresses(listen)),
        }
    }
    out.value("padding", tls.padding);
}

fn geo(out: &mut Text, geo: &Geo) {
    out.table("[geo]");
    if geo.databases.is_empty() {
        out.line("# databases: none given, so the small one that ships with nearmost");
    } else {
        out.value("databases", list(geo.databases.iter().map(|d| path(&d.0))));
    }
    if !geo.latency.is_empty() {
        out.value("latency", list(geo.latency.iter().map(|d| path(&d.0))));
    }
    for row in &geo.overrides {
        out.table("[[geo.override]]");
        let key = match row.subject {
            Subject::Net(_) => "net",
            Subject::Asn(..) => "asn",
        };
        out.value(key, quote(&row.subject.to_string()));
        if let Some(at) = row.at {
            out.place(at);
        }
        if let Some(country) = row.country {
            out.value("country", quote(country.code()));
        }
    }
}

fn show_zone(out: &mut Text, zone: &Zone, pools: &[Pool]) {
    out.table(format!("[zone.{}]", name(&zone.name)));
    match &zone.source {
        ZoneSource::File(file) => out.value("file", path(file)),
        ZoneSource::Primary(_) => {}
        ZoneSource::Made {
            ns,
            pools: owners,
            ttl,
        } => {
            out.value("ns", list(ns.iter().map(name)));
            let pool_of = |index: &usize| quote(pools.get(*index).map_or("", |p| &p.name));
            let entries = owners.iter().map(|(owner, pool, _)| {
                format!("{} = {}", quote(&owner.to_string()), pool_of(pool))
            });
            out.value(
                "pools",
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", ")),
            );
            out.value("ttl", format!("\"{}/{}\"", ttl.0, ttl.1));
        }
    }
    if zone.signed.is_some() {
        out.value("signed", true);
    }
}

fn show_pool(out: &mut Text, pool: &Pool, config: &Config) {
    let nodes = |indices: &[usize]| {
        list(
            indices
                .iter()
                .filter_map(|i| config.nodes.get(*i))
                .map(|n| quote(&n.name)),
        )
    };
    let probes: Vec<&Probe> = pool
        .probes
        .iter()
        .filter_map(|i| config.probes.get(*i))
        .collect();
    out.table(format!("[pool.{}]", key(&pool.name)));
    out.value("nodes", nodes(&pool.nodes));
    out.value("probes", list(probes.iter().map(|p| quote(&p.name))));
    for probe in probes.iter().filter(|p| is_shorthand(p)) {
        out.line(format!("# {}: {}", probe.name, in_words(probe)));
    }
    match pool.require {
        Require::All => out.value("require", "\"all\""),
        Require::Any => out.value("require", "\"any\""),
        Require::AtLeast(n) => out.value("require", format!("{{ at_least = {n} }}")),
    }
    let ttl = if pool.strict { "strict" } else { "steady" };
    out.value("ttl", quote(ttl));
    out.value("damping", pool.damping);
    let Keep {
        nodes: kept,
        capacity,
    } = pool.keep;
    let parts = [
        (kept > 0).then(|| format!("nodes = {kept}")),
        (capacity > 0.0).then(|| format!("capacity = \"{:.0}%\"", capacity * 100.0)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        out.value("keep", format!("{{ {} }}", parts.join(", ")));
    }
    match pool.answer {
        Answer::Nodes(nodes) => out.value("answer", nodes),
        Answer::All => out.value("answer", "\"all\""),
    }
    out.value("near", quote(&pool.near.to_string()));
    let prefer = prefer::words(&pool.prefer).into_iter();
    out.value("prefer", list(prefer.map(quote)));
    if !pool.low.is_empty() {
        out.value("low", list(pool.low.iter().map(low)));
    }
    if let Some(share) = pool.max_share {
        out.value("max_share", format!("\"{share}%\""));
    }
    if let Some(time) = pool.slow_start {
        out.value("slow_start", quote(&unit::duration_text(time)));
    }
    if !pool.rules.is_empty() {
        out.value("rules", list(pool.rules.iter().map(rule)));
    }
    if pool.spread {
        out.value("spread", "\"asn\"");
    }
    out.value("sticky", pool.sticky);
    out.value("none", quote(&pool.none.to_string()));
    match &pool.unknown {
        UnknownClient::Server => out.value("unknown_client", "\"server\""),
        UnknownClient::Nodes(indices) => out.value("unknown_client", nodes(indices)),
    }
}

fn show_node(out: &mut Text, node: &Node) {
    out.table(format!("[node.{}]", key(&node.name)));
    match node.at {
        Some(at) => out.place(at),
        None => out.line("# at: where the GeoIP database puts its first address"),
    }
    if let Some(country) = node.country {
        out.value("country", quote(country.code()));
    }
    if let Some(admin) = &node.admin {
        out.value("admin", quote(admin));
    }
    out.value("tags", list(node.tags.iter().map(|t| quote(t))));
    match node.asn {
        Some(asn) => out.value("asn", format!("\"AS{asn}\"")),
        None => out.line("# asn: that of its first address, if a database knows it"),
    }
    out.value("weight", node.weight);
    if let Some(capacity) = node.capacity {
        out.value("capacity", quote(&unit::megabits_text(capacity)));
    }
    out.value("tier", node.tier);
    if node.bias.0 != 0 {
        out.value("bias", node.bias.0);
    }
    if !node.limit.is_open() {
        let part = |key: &str, selectors: &[Selector]| {
            let some = !selectors.is_empty();
            some.then(|| format!("{key} = {}", selected(selectors)))
        };
        let parts = [
            part("only", &node.limit.only),
            part("except", &node.limit.except),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        out.value("limit", format!("{{ {} }}", parts.join(", ")));
    }
    if let Some(host) = &node.host {
        out.value("host", name(host));
        if node.cname {
            out.value("cname", true);
        }
    } else if !node.addresses.is_empty() {
        out.value("ip", addresses(&node.addresses));
    }
    for route in &node.routes {
        out.table(format!("[[node.{}.address]]", key(&node.name)));
        out.value("ip", addresses(&route.addresses));
        out.value("for", selected(&route.clients));
        if route.private {
            out.value("private", true);
        }
    }
}

fn addresses(addresses: &[impl Display]) -> String {
    list(addresses.iter().map(|a| quote(&a.to_string())))
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn low(low: &Low) -> String {
    let below = match low.below {
        Below::Nodes(nodes) => nodes.to_string(),
        share => quote(&share.to_string()),
    };
    format!("{{ below = {below}, use = {} }}", quote(&low.uses.text))
}

fn rule(rule: &Rule) -> String {
    let uses = list(rule.uses.iter().map(|u| quote(&u.text)));
    if rule.from.is_empty() {
        return format!("{{ use = {uses} }}");
    }
    format!("{{ from = {}, use = {uses} }}", selected(&rule.from))
}

fn selected(selectors: &[Selector]) -> String {
    list(selectors.iter().map(|s| quote(&s.to_string())))
}

pub(super) fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A name without its final dot, as people write it.
pub(super) fn name(name: &Name) -> String {
    let text = name.to_string();
    quote(
        text.strip_suffix('.')
            .filter(|t| !t.is_empty())
            .unwrap_or(&text),
    )
}

/// A TOML key, bare where it can be.
pub(super) fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare { text.to_owned() } else { quote(text) }
}

/// A TOML basic string.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
