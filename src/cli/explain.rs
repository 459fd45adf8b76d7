//! `explain`: what a client is answered, and why.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::hosts::about;
use super::running::Running;
use super::table::table;
use super::{Format, NO, Stop, config_path, load_parts, print, print_json};
use crate::admin::{Explained, explain};
use crate::answer::PoolPart;
use crate::clock::Clock;
use crate::control::{build, known_addresses};
use crate::zone::{Name, RecordType};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name that is asked for
    name: String,
    /// The type that is asked for
    #[arg(default_value = "A")]
    rtype: String,
    /// The client's address
    #[arg(long, value_name = "IP")]
    from: IpAddr,
    /// The address of the resolver that asks for the client; else the client asks itself
    #[arg(long, value_name = "IP")]
    resolver: Option<IpAddr>,
    /// Ask the files, not the running server: every node counts as in service
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: Format,
}

impl Explain {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let usage = |message: String| Stop { message, code: 2 };
        let name = Name::absolute(&self.name).map_err(|e| usage(format!("{}: {e}", self.name)))?;
        let rtype: RecordType = self
            .rtype
            .parse()
            .map_err(|_| usage(format!("{}: no such record type", self.rtype)))?;
        let explained = if self.offline {
            self.offline(config, &name, rtype)?
        } else {
            self.live(config, &name, rtype)?
        };
        if self.format.json {
            print_json(&explained);
        } else {
            print(&text(&explained, self.offline));
        }
        Ok(if explained.answer.is_empty() {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn live(
        &self,
        config: Option<&Path>,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Explained, Stop> {
        let name = percent(&name.to_string());
        Running::of(config)?.ask(&format!(
            "/v1/explain?name={name}&type={rtype}&from={}&resolver={}",
            self.from,
            self.resolver.unwrap_or(self.from)
        ))
    }

    fn offline(
        &self,
        config: Option<&Path>,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Explained, Stop> {
        let mut parts = load_parts(&config_path(config)?)?;
        // Without results an address with probes would count as out.
        parts
            .config
            .pools
            .iter_mut()
            .for_each(|pool| pool.probes.clear());
        let now = Clock::start().now();
        known_addresses(&mut parts.config, now);
        let generation = build(&parts, 1, now);
        let generation = generation.map_err(|errors| Stop::configuration(errors.join("\n")))?;
        Ok(explain(
            &generation.snapshot,
            None,
            name,
            rtype,
            self.from,
            self.resolver.unwrap_or(self.from),
        ))
    }
}

/// A query's value in a URL.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn text(explained: &Explained, offline: bool) -> String {
    let reasons = &explained.explanation;
    let mut out = format!(
        "question  {} {} from {}\n",
        reasons.name, explained.rtype, reasons.client
    );
    if reasons.looked_up != reasons.client {
        out += &format!("          looked up as {}\n", reasons.looked_up);
    }
    if let Some(pool) = &reasons.pool {
        out += &place(explained, pool);
        let states = if offline {
            "every node counts as in service (--offline)"
        } else {
            "live"
        };
        out += &format!("pool      {}, states: {states}\n\n", pool.pool);
        out += &nodes(pool);
        for host in &explained.hosts {
            out += &format!("\n{}", about(host, explained.now));
        }
        out += &format!("\nttl       {}  ({})\n", pool.ttl, pool.ttl_why);
        out += &format!("scope     /{}  ({})\n", pool.scope, scope(pool));
    }
    out += &format!("\nanswer    {}{}\n", explained.status, nothing(explained));
    explained
        .answer
        .iter()
        .for_each(|record| out += &format!("          {record}\n"));
    out
}

/// Every node and why it is in or out; where another pool answers, its nodes too.
fn nodes(pool: &PoolPart) -> String {
    let rows = pool.nodes.iter().map(|n| {
        let addresses: Vec<String> = n.addresses.iter().map(ToString::to_string).collect();
        let mark = if n.given { "->" } else { "" };
        let row = [
            mark,
            &n.rank.map_or("-".into(), |rank| rank.to_string()),
            &n.node,
            &n.km.map_or("-".into(), |km| format!("{km:.0}")),
            &n.state,
            &n.reason,
            &addresses.join(" "),
        ];
        row.map(str::to_owned).to_vec()
    });
    let mut out = table(&["", "#", "node", "km", "state", "why", "addresses"], rows);
    pool.spilled
        .iter()
        .chain(&pool.none_left)
        .for_each(|why| out += &format!("\n{why}"));
    if let Some(instead) = &pool.instead {
        out += &format!("\n\npool      {}\n\n{}", instead.pool, nodes(instead));
    }
    out
}

/// Why there are no records, where no pool says it.
fn nothing(explained: &Explained) -> &'static str {
    match explained.status.as_str() {
        _ if explained
            .explanation
            .pool
            .as_ref()
            .is_some_and(|p| p.none_left.is_some()) =>
        {
            ""
        }
        "NOERROR" if explained.answer.is_empty() => ": no record of this type at this name",
        "NXDOMAIN" => ": no such name in the zone",
        "REFUSED" if explained.explanation.prohibited => {
            ": the zone is here, and whoever asks is not let in"
        }
        "REFUSED" => ": no zone here holds this name",
        _ => "",
    }
}

fn place(explained: &Explained, pool: &PoolPart) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(pool.at.map(|(lat, lon)| format!("{lat:.2},{lon:.2}")));
    words.extend(explained.near.as_ref().map(|near| format!("near {near}")));
    if explained.near.is_none() {
        words.extend(pool.country.as_ref().map(|c| format!("in {c}")));
    }
    let source = match (pool.source.as_str(), pool.override_number) {
        ("override", Some(n)) => format!("[[geo.override]] number {}", n + 1),
        ("asn-override", Some(n)) => format!(
            "[[geo.override]] number {}, by its autonomous system",
            n + 1
        ),
        ("latency", _) => "the latency table".into(),
        ("city", _) => "a city record of the GeoIP database".into(),
        ("country", _) => {
            "a country record of the GeoIP database: ranked by where its people live".into()
        }
        _ => "nothing is known of this address".into(),
    };
    let mut out = if words.is_empty() {
        format!("client    {source}\n")
    } else {
        format!("client    {}, from {source}\n", words.join(" "))
    };
    pool.asn
        .iter()
        .for_each(|asn| out += &format!("asn       {asn}\n"));
    out
}

fn scope(pool: &PoolPart) -> String {
    let (first, last) = pool.range;
    let to_the_end = match last {
        IpAddr::V4(last) => last.is_broadcast(),
        // Ranges of IPv6 are known by their upper halves.
        IpAddr::V6(last) => last.to_bits() >> 64 == u128::from(u64::MAX),
    };
    if first.is_unspecified() && to_the_end && !pool.ignored {
        return "the same for every client".into();
    }
    if pool.ignored {
        return "not routable, so no client's address: answered as the resolver, and for nobody else".into();
    }
    format!("the widest block around it within {first} - {last}, which all have this list")
}
