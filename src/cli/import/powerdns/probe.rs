//! How PowerDNS checks: a port or a page, every five seconds; one result decides.

use super::lua::Expression;
use super::pick::whole;
use crate::config::quote;

/// What is checked, and how often.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    /// What the probe may be called.
    pub(super) name: String,
    what: What,
    timeout: u32,
    every: u32,
    down: u32,
    body: Option<String>,
    status: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Port(u32),
    Page {
        tls: bool,
        host: String,
        port: Option<u16>,
        path: String,
    },
}

impl Checked {
    fn new(name: String, what: What) -> Self {
        Self {
            name,
            what,
            // What PowerDNS takes where nothing is said: lua-health-checks-interval, and the timeout of its functions.
            timeout: 2,
            every: 5,
            down: 1,
            body: None,
            status: 200,
        }
    }

    pub(super) fn port(value: &Expression) -> Result<Self, String> {
        let number = match value {
            Expression::Number(number) => whole(*number),
            Expression::Text(text) => text.trim().parse().unwrap_or(0),
            _ => 0,
        };
        match number {
            port @ 1..=65535 => Ok(Self::new(format!("tcp-{port}"), What::Port(port))),
            _ => Err("a port that is worked out".to_owned()),
        }
    }

    pub(super) fn url(value: &Expression) -> Result<Self, String> {
        let Expression::Text(url) = value else {
            return Err("an address of a page that is worked out".to_owned());
        };
        let wrong = || format!("the page {url}");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (authority, None),
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if host.is_empty() || !host.chars().all(fine) {
            return Err(wrong());
        }
        let path = path.split('#').next().unwrap_or("/").to_owned();
        Ok(Self::new(
            format!("{scheme}-{host}"),
            What::Page {
                tls,
                host: host.to_owned(),
                port,
                path,
            },
        ))
    }

    /// The probe's file.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        match &self.what {
            What::Port(port) => out.extend(["kind = \"tcp\"".to_owned(), format!("port = {port}")]),
            What::Page {
                tls,
                host,
                port,
                path,
            } => {
                out.push(format!(
                    "kind = \"{}\"",
                    if *tls { "https" } else { "http" }
                ));
                if let Some(port) = port {
                    out.push(format!("port = {port}"));
                }
                out.push(format!("path = {}", quote(path)));
                out.push(format!("host = {}", quote(host)));
                let body = self
                    .body
                    .as_ref()
                    .map(|text| format!(", body = {}", quote(&regex::escape(text))));
                out.push(format!(
                    "expect = {{ status = {}{} }}",
                    self.status,
                    body.unwrap_or_default()
                ));
            }
        }
        out.push(
            "# As PowerDNS does it: one result decides. down = 3, ok = 6, up = 6 would be calmer."
                .to_owned(),
        );
        out.push(format!("every = \"{}s\"", self.every.max(self.timeout + 1)));
        out.push(format!("timeout = \"{}s\"", self.timeout));
        out.extend([
            format!("down = {}", self.down),
            "ok = 1".to_owned(),
            "up = 1".to_owned(),
        ]);
        out
    }
}

/// An option of a check; what to do instead where there is no like of it.
pub(super) fn option(
    checked: &mut Checked,
    key: &str,
    value: &Expression,
) -> Result<Option<&'static str>, String> {
    let number = match value {
        Expression::Number(number) => whole(*number),
        Expression::Text(text) => text.trim().parse().unwrap_or(0),
        _ => 0,
    };
    match key {
        "timeout" => checked.timeout = number.clamp(1, 86_000),
        "interval" => checked.every = number.clamp(1, 86_000),
        "minimumFailures" => checked.down = number.clamp(1, 100),
        "httpcode" => checked.status = number.clamp(100, 599),
        "stringmatch" => match value {
            Expression::Text(text) => checked.body = Some(text.clone()),
            _ => return Err("a text to look for that is worked out".to_owned()),
        },
        // The body is read only where something is looked for in it, and never more than 64 KiB.
        "byteslimit" => {}
        "source" => {
            return Ok(Some(
                "let the routes of this machine choose the address that checks come from",
            ));
        }
        "useragent" => {
            return Ok(Some(
                "let the web server know nearmost's own User-Agent, or use a probe of kind \"exec\"",
            ));
        }
        "failOnIncompleteCheck" => {
            return Ok(Some(
                "nothing: nearmost answers only after a first round of all checks",
            ));
        }
        _ => return Ok(Some("look whether docs/configuration.md has its like")),
    }
    Ok(None)
}
