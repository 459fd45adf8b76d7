//! `status`: the running server as a whole.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::hosts::hosts;
use super::running::Running;
use super::table::table;
use super::{Format, NO, Stop, ago, print, print_json};
use crate::admin::{FamilyLine, Status};
use crate::answer::Transport;
use crate::clock::utc;
use crate::control::ReceivedLine;
use crate::health::Time;

#[derive(Debug, Args)]
pub(super) struct StatusVerb {
    #[command(flatten)]
    format: Format,
}

impl StatusVerb {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let status: Status = Running::of(config)?.ask("/v1/status")?;
        if self.format.json {
            print_json(&status);
        } else {
            print(&text(&status));
        }
        let empty = |f: &Option<FamilyLine>| f.as_ref().is_some_and(|f| f.in_service == 0);
        let none_left = status.pools.iter().any(|p| empty(&p.v4) || empty(&p.v6));
        let stale = status
            .last_reload
            .as_ref()
            .is_some_and(|last| last.error.is_some());
        let ended = |zone: &ReceivedLine| zone.signed_until.is_some_and(|until| until < status.now);
        let lost = status
            .received
            .iter()
            .any(|zone| zone.expired || ended(zone));
        let wrong = none_left || stale || lost || !status.frozen.is_empty();
        Ok(if wrong {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Lines for what nobody should overlook.
fn alarms(status: &Status) -> String {
    let mut out = String::new();
    if let Some((last, error)) = status
        .last_reload
        .as_ref()
        .and_then(|last| Some((last, last.error.as_ref()?)))
    {
        let past = ago(status.now.saturating_sub(last.at));
        out += &format!(
            "not reloaded   {past} ago, by {}: what runs is older than the files\n",
            last.who
        );
        error.lines().for_each(|line| out += &format!("  {line}\n"));
    }
    for f in &status.frozen {
        out += &format!(
            "states frozen  IPv{}, since {}, until {} UTC at most: {} of {} nodes failed at once\n",
            f.family,
            ago(status.now.saturating_sub(f.since)),
            utc(Time::from_secs(f.until)),
            f.failed,
            f.of
        );
    }
    for pool in &status.pools {
        for (family, word) in [(&pool.v4, "IPv4"), (&pool.v6, "IPv6")] {
            if let Some(f) = family.as_ref().filter(|f| f.in_service == 0) {
                out += &format!(
                    "nobody left    pool {}, {word}: none of {} in service, answered: {}\n",
                    pool.pool,
                    super::plural(f.nodes, "node"),
                    f.none
                );
            }
        }
    }
    for key in status.keys.iter().filter(|key| key.waits_for_ds) {
        let (zone, key) = (&key.zone, key.key);
        out += &format!(
            "waits for DS   zone {zone}, key {key}: `nearmost keys ds {zone}` is for the parent, then `nearmost keys ds-seen {zone}`\n"
        );
    }
    for zone in &status.received {
        let lines = zone.problems.iter();
        lines.for_each(|why| out += &format!("not taken      catalog {}: {why}\n", zone.zone));
    }
    out
}

/// Of a zone with which nothing is wrong: until when the signatures of its primary hold.
fn signed(zone: &ReceivedLine, now: u64) -> String {
    let Some(until) = zone.signed_until else {
        return "fine".into();
    };
    let at = utc(Time::from_secs(until));
    match until > now {
        true => format!("signed by its primary, until {at} UTC"),
        false => format!("signed by its primary, but signatures have ended on {at} UTC"),
    }
}

/// The zones that come from others.
fn received(status: &Status) -> String {
    if status.received.is_empty() {
        return String::new();
    }
    let past =
        |at: Option<u64>| at.map_or_else(|| "-".into(), |at| ago(status.now.saturating_sub(at)));
    let until =
        |at: Option<u64>| at.map_or_else(|| "-".into(), |at| ago(at.saturating_sub(status.now)));
    let lines = status.received.iter().map(|zone| {
        let serial = zone
            .serial
            .map_or_else(|| "-".into(), |serial| serial.to_string());
        let state = match (&zone.error, zone.expired) {
            (Some(why), true) => format!("SERVFAIL: {why}"),
            (Some(why), false) => why.clone(),
            (None, true) => "SERVFAIL".into(),
            (None, false) => match zone.members {
                Some(count) => format!("catalog of {}", super::plural(count, "zone")),
                None => signed(zone, status.now),
            },
        };
        let times = [
            past(zone.fetched),
            past(zone.checked),
            until(Some(zone.next)),
            until(zone.expires),
        ];
        let head = [zone.zone.clone(), serial].into_iter();
        head.chain(times).chain([state]).collect()
    });
    let head = [
        "zone of others",
        "serial",
        "fetched",
        "checked",
        "next in",
        "expires in",
        "state",
    ];
    format!("\n{}", table(&head, lines))
}

/// Who it is, and what it is held to.
fn runs_as(status: &Status) -> String {
    let landlock = match status.landlock.as_str() {
        "off" => String::new(),
        words => format!(", Landlock: {words}"),
    };
    let (user, seccomp) = (&status.user, &status.seccomp);
    format!("runs as        {user}, seccomp: {seccomp}{landlock}\n")
}

fn text(status: &Status) -> String {
    let mut out = format!(
        "nearmost {}, generation {}, up for {}\nconfiguration  {}\n",
        status.version,
        status.generation,
        ago(status.now.saturating_sub(status.started)),
        status.config
    );
    status
        .listen
        .iter()
        .for_each(|a| out += &format!("answering on   {a}, UDP and TCP\n"));
    for listener in &status.encrypted {
        let known = Transport::STREAMS.into_iter();
        let known = known.map(|t| (t.word(), t.name()));
        let mut known = known.filter(|(word, _)| *word == listener.transport);
        let how = known.next().map_or(&*listener.transport, |(_, name)| name);
        out += &format!("answering on   {}, {how}\n", listener.address);
    }
    out += &runs_as(status);
    status
        .databases
        .iter()
        .for_each(|d| out += &format!("places from    {d}\n"));
    out += &alarms(status);
    let zones = status
        .zones
        .iter()
        .map(|z| vec![z.zone.clone(), z.serial.to_string(), z.names.to_string()]);
    out += &format!("\n{}", table(&["zone", "serial", "names"], zones));
    out += &received(status);
    let family = |f: &Option<FamilyLine>| match f {
        None => "-".into(),
        Some(f) if f.in_service == 0 => format!("0 of {}: {}", f.nodes, f.none),
        Some(FamilyLine {
            spilled: Some(why), ..
        }) => why.clone(),
        Some(f) => format!("{} of {}", f.in_service, f.nodes),
    };
    let pools = status
        .pools
        .iter()
        .map(|p| vec![p.pool.clone(), family(&p.v4), family(&p.v6)]);
    out += &format!(
        "\n{}",
        table(
            &["pool", "IPv4 nodes in service", "IPv6 nodes in service"],
            pools
        )
    );
    if !status.orders.is_empty() {
        let orders = status.orders.iter().map(|o| {
            let until = o.until.map(|t| utc(Time::from_secs(t)));
            vec![
                o.node.clone(),
                o.state.clone(),
                ago(status.now.saturating_sub(o.since)),
                until.unwrap_or_else(|| "-".into()),
                o.who.clone(),
                o.why.clone(),
            ]
        });
        let head = ["ordered", "state", "since", "until, UTC", "by", "why"];
        out += &format!("\n{}", table(&head, orders));
    }
    if !status.warnings.is_empty() {
        let warnings = status.warnings.iter().map(|w| vec![w.clone()]);
        out += &format!("\n{}", table(&["warnings"], warnings));
    }
    out += &hosts(&status.hosts, status.now);
    let counters = status
        .counters
        .iter()
        .map(|(name, n)| vec![name.clone(), n.to_string()]);
    out += &format!("\n{}", table(&["counted", "since the start"], counters));
    out
}
