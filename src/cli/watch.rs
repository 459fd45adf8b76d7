//! `health --watch` on a terminal: what is wrong comes first, and what happened last stands below, in one screen that is drawn again and again.

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::health::{Seen, text};
use super::history::lines;
use super::hosts::hosts;
use super::running::Running;
use super::{Stop, ago, plural, print};
use crate::admin::{CheckLine, Status};
use crate::clock::utc;
use crate::control::Entry;

/// Events that are shown.
const EVENTS: usize = 5;
/// Lines of a terminal that does not say how many it has.
const LINES: usize = 24;

/// Draws until the terminal is gone. A server that does not answer, as it is started again, is waited for.
pub(super) fn watch(
    config: Option<&Path>,
    nodes: &[String],
    again: Duration,
) -> Result<ExitCode, Stop> {
    let server = Running::of(config)?;
    let mut last: Option<Status> = None;
    loop {
        let looked = look(&server, nodes);
        let height = rustix::termios::tcgetwinsize(std::io::stdout());
        let height = height.map_or(LINES, |size| usize::from(size.ws_row).max(4));
        let shown = match looked {
            // That there is no such node will not change.
            Err(stop) if last.is_none() => return Err(stop),
            Err(stop) => stop.message + "\n",
            Ok((seen, events)) => {
                let shown = screen(&seen, last.as_ref(), &events, height);
                last = Some(seen.status);
                shown
            }
        };
        // Over what was there: nothing flickers.
        let drawn = shown.replace('\n', "\x1b[K\r\n");
        if !print(&format!("\x1b[H{drawn}\x1b[J")) {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(again);
    }
}

fn look(server: &Running, nodes: &[String]) -> Result<(Seen, Vec<Entry>), Stop> {
    let seen = Seen::of(server, nodes)?;
    let page = format!("/v1/history?count={EVENTS}&nodes={}", nodes.join(","));
    Ok((seen, server.ask(&page)?))
}

/// All that fits into so many lines.
fn screen(seen: &Seen, last: Option<&Status>, events: &[Entry], height: usize) -> String {
    let Seen {
        checks,
        named,
        status,
    } = seen;
    let mut head = format!(
        "{} UTC   generation {}, up for {}{}\n{}\n",
        utc(Duration::from_secs(status.now)),
        status.generation,
        ago(status.now.saturating_sub(status.started)),
        last.map_or_else(String::new, |last| rate(last, status)),
        states(checks),
    );
    for frozen in &status.frozen {
        head += &format!("IPv{} states are frozen\n", frozen.family);
    }
    for pool in &status.pools {
        for (family, line) in [(4, &pool.v4), (6, &pool.v6)] {
            if let Some(line) = line.as_ref().filter(|line| line.in_service == 0) {
                let none = &line.none;
                let nodes = plural(line.nodes, "node");
                head += &format!(
                    "pool {}, IPv{family}: none of {nodes} in service: {none}\n",
                    pool.pool
                );
            }
        }
    }
    let mut checks: Vec<&CheckLine> = checks.iter().collect();
    checks.sort_by_key(|check| Reverse(trouble(check)));
    let foot = match events.is_empty() {
        true => String::new(),
        false => format!("\n{}", lines(events)),
    };
    let body = format!("\n{}{}", text(checks, status.now), hosts(named, status.now));
    let count = |text: &str| text.lines().count();
    let room = height.saturating_sub(count(&head) + count(&foot) + 1);
    let mut out = head;
    for line in body.lines().take(room) {
        out += &format!("{line}\n");
    }
    match count(&body).saturating_sub(room) {
        0 => {}
        more => out += &format!("… {} more\n", plural(more, "line")),
    }
    let all = out + &foot;
    // The last line ends without a new one, which would scroll.
    let fits: Vec<&str> = all.lines().take(height).collect();
    fits.join("\n")
}

/// Questions a second since the last look, where the process is the same.
fn rate(last: &Status, status: &Status) -> String {
    let received = |s: &Status| s.counters.get("received").copied().unwrap_or_default();
    let time = status.now.saturating_sub(last.now);
    if time == 0 || status.pid != last.pid {
        return String::new();
    }
    let count = received(status).saturating_sub(received(last));
    format!("   {} questions a second", count / time)
}

/// How many checks say what.
fn states(checks: &[CheckLine]) -> String {
    let down = checks.iter().filter(|c| c.is_down()).count();
    let ordered = checks.iter().filter(|c| c.order.is_some()).count();
    let mut words = format!("{} down of {}", down, plural(checks.len(), "check"));
    if ordered > 0 {
        words += &format!(", {ordered} of nodes that something was ordered for");
    }
    words
}

/// The higher, the sooner somebody should look.
fn trouble(check: &CheckLine) -> u8 {
    match check {
        c if c.is_down() => 4,
        c if c.order.is_some() => 3,
        c if c.last_ok == Some(false) || c.damped.is_some() => 2,
        c if c.progress.is_some() || c.warning.is_some() => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(node: &str, state: &str) -> CheckLine {
        let line = serde_json::json!({
            "node": node, "address": "192.0.2.1", "probe": "web", "shadow": false, "host": "", "place": "",
            "state": state, "since": 100, "last_ok": state == "up",
        });
        serde_json::from_value(line).unwrap()
    }

    fn status_of(pid: u32, now: u64, received: u64) -> Status {
        let status = serde_json::json!({
            "version": "0", "user": "root", "landlock": "off", "pid": pid, "generation": 3, "now": now, "started": 40, "config": "", "listen": [], "databases": [],
            "zones": [], "orders": [], "frozen": [], "warnings": [], "hosts": [], "received": [], "counters": { "received": received },
            "pools": [{ "pool": "site", "v4": { "nodes": 2, "in_service": 0, "none": "least-bad", "ranges": [1, 1], "lists": 1 } }],
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn trouble_comes_first_and_all_fits() {
        let mut checks: Vec<CheckLine> = (0..30).map(|n| check(&format!("n{n}"), "up")).collect();
        checks.push(check("sick", "down"));
        let (named, status) = (Vec::new(), status_of(1, 110, 500));
        let seen = Seen {
            checks,
            named,
            status,
        };
        let last = status_of(1, 100, 300);
        let event = Entry {
            at: 100,
            node: "sick".into(),
            address: None,
            from: "up".into(),
            to: "down".into(),
            why: "no".into(),
            who: None,
        };
        let shown = screen(&seen, Some(&last), &[event], 20);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 20, "{shown}");
        assert!(lines[0].contains("20 questions a second"), "{shown}");
        assert_eq!(lines[1], "1 down of 31 checks");
        assert_eq!(
            lines[2],
            "pool site, IPv4: none of 2 nodes in service: least-bad"
        );
        assert!(lines[5].starts_with("sick"), "{shown}");
        assert!(lines[16].starts_with("… "), "{shown}");
        assert!(lines[19].contains("up -> down"), "{shown}");
        // Another process counts from nothing.
        let other = status_of(2, 100, 300);
        assert!(!screen(&seen, Some(&other), &[], 20).contains("a second"));
    }
}
