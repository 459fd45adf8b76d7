//! Probes as [`super::show`] writes them.

use super::show::{Text, key, list, path, quote};
use super::{Canary, Config, unit};
use crate::health::{DnsCheck, Expect, HttpCheck, Kind, Probe, RCODES};
use crate::zone::RecordType;

/// `[probe.NAME]`.
pub(super) fn table(out: &mut Text, probe: &Probe) {
    out.table(format!("[probe.{}]", key(&probe.name)));
    out.value("kind", quote(probe.kind.word()));
    if probe.port != 0 {
        out.value("port", probe.port);
    }
    own(out, probe);
    out.value("every", quote(&unit::duration_text(probe.every)));
    out.value("timeout", quote(&unit::duration_text(probe.timeout)));
    out.value("down", probe.down);
    out.value("ok", probe.ok);
    out.value("up", probe.up);
    out.value("shadow", probe.shadow);
}

/// `[health]`.
pub(super) fn health(out: &mut Text, config: &Config) {
    out.table("[health]");
    let health = &config.health;
    out.value("freeze", quote(&unit::duration_text(health.freeze)));
    let canary = |canary: &Canary| {
        let host = canary.host.as_ref();
        let host = host.map_or(String::new(), |h| format!(", host = {}", quote(h)));
        let (ip, probe) = (canary.ip, quote(&config.probes[canary.probe].name));
        format!("{{ ip = \"{ip}\", probe = {probe}{host} }}")
    };
    if !health.canaries.is_empty() {
        out.value("canaries", list(health.canaries.iter().map(canary)));
    }
}

/// What only its kind has.
fn own(out: &mut Text, probe: &Probe) {
    match &probe.kind {
        Kind::Tcp | Kind::Rsync | Kind::Icmp => {}
        Kind::File { path: at, max_age } => {
            out.value("file", path(at));
            out.value("max_age", quote(&unit::duration_text(*max_age)));
        }
        Kind::Exec { command } => {
            out.value("command", list(command.iter().map(|w| quote(w))));
            host(out, probe);
        }
        Kind::Dns(dns) => {
            let question = format!("{} {}", dns.name, RecordType(dns.rtype));
            out.value("question", quote(&question));
            out.value("expect", reply_text(dns));
        }
        Kind::Http(http) => page(out, probe, http),
    }
}

fn page(out: &mut Text, probe: &Probe, http: &HttpCheck) {
    out.value("path", quote(&http.path));
    host(out, probe);
    out.value("expect", expect_text(&http.expect));
    out.value("redirects", http.redirects);
    if http.tls {
        out.value("http2", http.http2);
    }
    if let Some(ca) = &http.ca {
        out.value("ca", path(ca));
    }
    if let Some(early) = http.warn_cert {
        out.value("warn_cert", quote(&unit::duration_text(early)));
    }
}

fn host(out: &mut Text, probe: &Probe) {
    match &probe.host {
        Some(host) => out.value("host", quote(host)),
        None => out.line("# host: the first name of the pool"),
    }
}

fn reply_text(dns: &DnsCheck) -> String {
    let rcode = RCODES.get(usize::from(dns.rcode)).unwrap_or(&"");
    let answer = dns
        .answer
        .as_ref()
        .map(|a| format!(", answer = {}", quote(a.as_str())))
        .unwrap_or_default();
    format!("{{ rcode = \"{rcode}\"{answer} }}")
}

fn expect_text(expect: &Expect) -> String {
    let status = list(expect.status.iter().map(|s| quote(&status_text(*s))));
    let headers: Vec<String> = expect
        .header
        .iter()
        .map(|(name, pattern)| format!("{} = {}", quote(name), quote(pattern.as_str())))
        .collect();
    let header = match headers.join(", ") {
        none if none.is_empty() => none,
        some => format!(", header = {{ {some} }}"),
    };
    let body = expect
        .body
        .as_ref()
        .map(|b| format!(", body = {}", quote(b.as_str())))
        .unwrap_or_default();
    format!("{{ status = {status}{header}{body} }}")
}

fn status_text((first, last): (u16, u16)) -> String {
    match (first, last) {
        _ if first == last => first.to_string(),
        _ if first % 100 == 0 && last == first + 99 => format!("{}xx", first / 100),
        _ => format!("{first}-{last}"),
    }
}

/// Whether a pool defined it: the names of tables hold neither a colon nor a slash.
pub(super) fn is_shorthand(probe: &Probe) -> bool {
    probe.name.contains([':', '/'])
}

/// A probe in shorthand, with what it does not say.
pub(super) fn in_words(probe: &Probe) -> String {
    let path = match &probe.kind {
        Kind::Http(HttpCheck { path, expect, .. }) => {
            let status: Vec<String> = expect.status.iter().map(|s| status_text(*s)).collect();
            format!(" {path} for {}", status.join(", "))
        }
        _ => String::new(),
    };
    let [every, timeout] = [probe.every, probe.timeout].map(unit::duration_text);
    let Probe {
        port, down, ok, up, ..
    } = probe;
    let at = match port {
        0 => String::new(),
        port => format!("port {port}{path} "),
    };
    format!("{at}every {every}, timeout {timeout}, down {down}, ok {ok}, up {up}")
}
