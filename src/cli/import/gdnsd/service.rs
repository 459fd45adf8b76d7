//! gdnsd's `service_types`: how an address is checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Work;
use super::vscf::Value;
use crate::cli::import::text::list;
use crate::config::quote;
use crate::diagnostic::Span;

/// Counts beyond this are not taken here.
const MOST: u32 = 100;

/// What a service type became.
#[derive(Clone, Debug, PartialEq)]
enum Made {
    Probe(String),
    /// Nothing is checked.
    Nothing,
}

/// The service types that were asked for so far.
#[derive(Default)]
pub(super) struct Services {
    made: BTreeMap<String, Made>,
}

impl Services {
    /// The probes of these service types, each once.
    pub(super) fn probes(
        &mut self,
        names: &[(String, Span)],
        types: Option<&Value>,
        work: &mut Work,
    ) -> Vec<String> {
        let mut out = Vec::new();
        for (name, span) in names {
            let made = match self.made.get(name) {
                Some(made) => made.clone(),
                None => {
                    let made = make(name, *span, types.and_then(|t| t.get(name)), work);
                    self.made.insert(name.clone(), made.clone());
                    made
                }
            };
            match made {
                Made::Probe(probe) if !out.contains(&probe) => out.push(probe),
                _ => {}
            }
        }
        out
    }
}

fn make(name: &str, span: Span, service: Option<&Value>, work: &mut Work) -> Made {
    let Some(service) = service else {
        // What needs no definition. `none` and `default` are their names in older versions.
        if !["up", "none", "default"].contains(&name) {
            let what = format!("service type {name}: nothing is checked");
            let instead = match name {
                "down" => "leave these nodes out of the pool, or `nearmost force down` them",
                _ => "it is not defined: write a probe and name it in `probes` of the pool",
            };
            work.report.lost(span, what, instead);
        }
        return Made::Nothing;
    };
    let plugin = service.get("plugin").and_then(Value::text).unwrap_or("");
    let mut lines = Vec::new();
    let mut by_pool_name = false;
    let own: &[&str] = match plugin {
        "http_status" => {
            by_pool_name = http(service, &mut lines);
            &["port", "url_path", "vhost", "ok_codes", "method"]
        }
        "tcp_connect" => {
            let port = service
                .get("port")
                .and_then(Value::number::<u16>)
                .unwrap_or(80);
            lines.extend(["kind = \"tcp\"".to_owned(), format!("port = {port}")]);
            &["port"]
        }
        "extmon" => {
            command(service, name, &mut lines, work);
            &["cmd", "direct", "max_proc"]
        }
        "extfile" => {
            file(service, name, &mut lines, work);
            &["file", "direct", "def_ttl", "def_down"]
        }
        "static" | "null" => {
            let up = service.get("state").and_then(Value::text) != Some("DOWN");
            if plugin == "null" || !up {
                let what = format!("service type {name}, which is always down: nothing is checked");
                work.report.lost(
                    service.span,
                    what,
                    "leave its nodes out of the pool, or `nearmost force down` them",
                );
            }
            return Made::Nothing;
        }
        _ => {
            let what = format!("service type {name} of plugin \"{plugin}\": nothing is checked");
            work.report.lost(
                service.span,
                what,
                "write a probe of kind \"exec\" that does what the plugin does",
            );
            return Made::Nothing;
        }
    };
    times(service, name, &mut lines, work);
    without_like(service, name, own, work);
    let probe = work.system.probe(&[name.to_owned()], lines, by_pool_name);
    Made::Probe(probe)
}

/// Tells of settings that are neither common to all plugins nor the plugin's `own`.
fn without_like(service: &Value, name: &str, own: &[&str], work: &mut Work) {
    let common = [
        "plugin",
        "up_thresh",
        "ok_thresh",
        "down_thresh",
        "interval",
        "timeout",
    ];
    for (key, value) in service.entries() {
        let known = own.iter().chain(&common).any(|k| *k == key.text);
        let get =
            key.text == "method" && !value.text().is_some_and(|m| m.eq_ignore_ascii_case("GET"));
        if !known || get {
            let what = format!("{} of service type {name}", key.text);
            work.report.lost(
                key.span,
                what,
                "a probe of kind \"exec\" can do what this one cannot",
            );
        }
    }
}

/// A page; whether it is asked for by the pool's name.
fn http(service: &Value, lines: &mut Vec<String>) -> bool {
    let text = |key: &str| service.get(key).and_then(Value::text);
    lines.push("kind = \"http\"".to_owned());
    if let Some(port) = text("port") {
        lines.push(format!("port = {port}"));
    }
    lines.push(format!("path = {}", quote(text("url_path").unwrap_or("/"))));
    match text("vhost") {
        Some(host) => lines.push(format!("host = {}", quote(host))),
        None => lines.push(
            "# gdnsd sends no Host header here; nearmost asks for the pool's first name, unless `host` says another".to_owned(),
        ),
    }
    let codes = service.get("ok_codes").map(Value::texts);
    let codes = codes.unwrap_or_else(|| vec!["200"]);
    lines.push(format!(
        "expect = {{ status = {} }}",
        list(codes.into_iter().map(str::to_owned))
    ));
    text("vhost").is_none()
}

fn command(service: &Value, name: &str, lines: &mut Vec<String>, work: &mut Work) {
    let words = service.get("cmd").map(Value::texts).unwrap_or_default();
    let words = words.iter().map(|word| {
        word.replace("%%ITEM%%", "{address}")
            .replace("%%IPADDR%%", "{address}")
    });
    let words: Vec<String> = words.collect();
    if !words
        .first()
        .is_some_and(|program| program.starts_with('/'))
    {
        let what = format!("the command of service type {name} is no absolute path");
        work.report.lost(
            service.span,
            what,
            "write the program's whole path in the probe's `command`",
        );
    }
    lines.extend([
        "kind = \"exec\"".to_owned(),
        format!("command = {}", list(words)),
    ]);
}

fn file(service: &Value, name: &str, lines: &mut Vec<String>, work: &mut Work) {
    let path = service.get("file").and_then(Value::text).unwrap_or(name);
    let path: PathBuf = match path.starts_with('/') {
        true => path.into(),
        // Where gdnsd's own folder of states is only its build knows; this is Debian's.
        false => Path::new("/var/lib/gdnsd/extfile").join(path),
    };
    let what = format!(
        "the file of service type {name} is of another form; its probe is a shadow and decides nothing"
    );
    let instead = "have it written as lines `ADDRESS up` and `ADDRESS down` (docs/configuration.md), then remove `shadow` from the probe";
    work.report.lost(service.span, what, instead);
    lines.extend([
        "kind = \"file\"".to_owned(),
        format!("file = {}", quote(&path.display().to_string())),
        "shadow = true   # until the file has lines such as `192.0.2.1 up`".to_owned(),
    ]);
}

fn times(service: &Value, name: &str, lines: &mut Vec<String>, work: &mut Work) {
    let number = |key: &str| service.get(key).and_then(Value::number::<u32>);
    let every = number("interval").unwrap_or(10).clamp(1, 86_400);
    lines.push(format!("every = \"{every}s\""));
    let millis = number("timeout").map_or(every * 500, |seconds| seconds.saturating_mul(1000));
    let timeout = match millis >= every * 1000 {
        // gdnsd refuses this; half of the interval is its own choice where none is given.
        true => every * 500,
        false => millis.max(10),
    };
    lines.push(match timeout % 1000 {
        0 => format!("timeout = \"{}s\"", timeout / 1000),
        _ => format!("timeout = \"{timeout}ms\""),
    });
    for (key, theirs, default) in [
        ("down", "down_thresh", 10),
        ("ok", "ok_thresh", 10),
        ("up", "up_thresh", 20),
    ] {
        let count = number(theirs).unwrap_or(default);
        if count > MOST
            && let Some(value) = service.get(theirs)
        {
            let what = format!("{theirs} of {count} in service type {name}: {MOST} is written");
            work.report.lost(
                value.span,
                what,
                "check less often: a larger `every` with a smaller count is as slow",
            );
        }
        lines.push(format!("{key} = {}", count.clamp(1, MOST)));
    }
}
