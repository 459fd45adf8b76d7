//! The steps of a scenario, one after the other, and what must follow from each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use nearmost::health::{Forced, Notice, Order, Time};
use nearmost::zone::rtype::RecordType;

use crate::agree;
use crate::dns::{Ecs, Question, Reply};
use crate::script::{Item, Scenario};
use crate::stage::{Finds, Stage};
use crate::world::{blocks, network};

/// A scenario while it is played.
struct Play {
    stage: Stage,
    /// The node that each client of the last sweep was given.
    swept: BTreeMap<IpAddr, String>,
}

/// How much was played.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    pub(crate) steps: usize,
    /// Lines that had to be as they are.
    pub(crate) expected: usize,
    /// Replies that were compared with `explain`.
    pub(crate) explained: usize,
}

/// Plays a scenario.
pub(crate) fn play(scenario: &Scenario, folder: &Path) -> Result<Played, (usize, String)> {
    let stage = Stage::open(&scenario.setting, folder)?;
    let mut play = Play {
        stage,
        swept: BTreeMap::new(),
    };
    let mut played = Played {
        steps: scenario.steps.len(),
        ..Played::default()
    };
    for step in &scenario.steps {
        let got = play
            .step(step)
            .map_err(|problem| (step.line, format!("{}\n  {problem}", step.head)))?;
        compare(step, &got)?;
        played.expected += got.len();
        played.explained += usize::from(step.head.starts_with("query "));
    }
    Ok(played)
}

/// The lines below a step have to be those it gives, and with any one of them changed it must be noticed.
fn compare(step: &Item, got: &[String]) -> Result<(), (usize, String)> {
    let expected: Vec<&str> = step.block.iter().map(|l| &*l.1).collect();
    let line = step.block.first().map_or(step.line, |l| l.0);
    if let Some(at) = difference(&expected, got) {
        let line = step
            .block
            .get(at)
            .or(step.block.last())
            .map_or(line, |l| l.0);
        let list = |lines: &[&str]| {
            lines
                .iter()
                .fold(String::new(), |out, l| out + "\n      " + l)
        };
        let got: Vec<&str> = got.iter().map(|l| &**l).collect();
        return Err((
            line,
            format!(
                "{}\n    expected:{}\n    got:{}",
                step.head,
                list(&expected),
                list(&got)
            ),
        ));
    }
    for at in 0..expected.len() {
        let mut spoilt = expected.clone();
        let other = format!("{}x", expected[at].trim_end_matches("..."));
        spoilt[at] = &other;
        let shorter = [&expected[..at], &expected[at + 1..]].concat();
        if difference(&spoilt, got).is_none() || difference(&shorter, got).is_none() {
            return Err((
                line,
                format!("{}\n    nothing depends on \"{}\"", step.head, expected[at]),
            ));
        }
    }
    Ok(())
}

/// The first line that differs. One that ends in `...` says only how the line begins.
fn difference(expected: &[&str], got: &[String]) -> Option<usize> {
    let same = |e: &str, g: &str| {
        e.strip_suffix("...")
            .map_or(e == g, |start| g.starts_with(start))
    };
    let long = expected.len().max(got.len());
    (0..long).find(|&at| match (expected.get(at), got.get(at)) {
        (Some(e), Some(g)) => !same(e, g),
        _ => true,
    })
}

impl Play {
    /// Does a step; the lines that have to stand below it.
    fn step(&mut self, step: &Item) -> Result<Vec<String>, String> {
        let (command, rest) = step.command();
        match command {
            "first" if rest == "round" => self.stage.pass(Duration::ZERO),
            "after" => self.stage.pass(duration(rest)?),
            "restart" => self.stage.restart()?,
            "drain" => self.order(Forced::Drained, rest)?,
            "force" => match rest.split_once(' ') {
                Some(("up", rest)) => self.order(Forced::Up, rest)?,
                Some(("down", rest)) => self.order(Forced::Down, rest)?,
                _ => return Err("`force up|down NODE` is meant".into()),
            },
            "undrain" => self.stage.order(rest, None)?,
            "query" => return self.query(rest),
            "explain" => return self.explain(rest),
            "events" => return Ok(self.events()),
            "state" => self.state(rest)?,
            "sweep" => return self.sweep(rest, step),
            _ => self.finds(&step.head)?,
        }
        Ok(Vec::new())
    }

    fn query(&self, text: &str) -> Result<Vec<String>, String> {
        let question = Question::read(text)?;
        let Some(packet) = self.stage.ask(&question, 0) else {
            return Ok(vec!["nothing yet".into()]);
        };
        let reply = Reply::read(&question, &packet)?;
        agree::check(&self.stage, &question, &reply)?;
        Ok(reply.lines(&|ip| self.stage.called(ip)))
    }

    /// `NAME TYPE from ADDRESS`: where the client is taken to be, then every node with its state and the reason.
    fn explain(&self, text: &str) -> Result<Vec<String>, String> {
        let question = Question::read(text)?;
        let explained =
            self.stage
                .explain(&question.name, question.qtype, question.from, question.from);
        let part = explained.pool.ok_or("nothing leads to a pool")?;
        let mut out = vec![format!("place from {}, ttl {}", part.source, part.ttl)];
        let mut next = Some(Box::new(part));
        while let Some(part) = next {
            out.extend(part.spilled);
            out.extend(part.none_left);
            for line in part.nodes {
                out.push(format!("{} {}: {}", line.node, line.state, line.reason));
            }
            next = part.instead;
        }
        Ok(out)
    }

    /// `NODE: WHY`, `NODE for 10m: WHY`
    fn order(&mut self, forced: Forced, text: &str) -> Result<(), String> {
        let (who, why) = text.split_once(": ").ok_or("a reason is missing")?;
        let (node, time) = match who.split_once(" for ") {
            Some((node, time)) => (node, Some(duration(time)?)),
            None => (who, None),
        };
        let until = time.map(|time| self.stage.now() + time);
        let order = Order {
            forced,
            why: why.into(),
            who: "ola".into(),
            since: self.stage.now(),
            until,
            at_once: false,
        };
        self.stage.order(node, Some(order))
    }

    fn events(&self) -> Vec<String> {
        let shown = |(at, notice): &(Time, Notice)| {
            let at = Stage::since_start(*at).as_secs();
            format!("{at}s {}", self.notice(notice))
        };
        let mut lines: Vec<String> = self.stage.events.iter().map(shown).collect();
        if lines.is_empty() {
            lines.push("none".into());
        }
        lines
    }

    fn notice(&self, notice: &Notice) -> String {
        let family = |v6: &bool| if *v6 { "IPv6" } else { "IPv4" };
        match notice {
            Notice::State(event) => {
                let check = &self.stage.board.checks()[event.check];
                let (from, to) = (event.from.word(), event.to.word());
                let (node, address, probe) = (&check.node, check.address, &check.probe.name);
                format!("{node} {address} {probe} {from} -> {to}: {}", event.why)
            }
            Notice::Damped(slot, damped) => {
                let (node, address) = self.stage.board.whose(*slot);
                format!(
                    "{node} {} {}",
                    address.map_or("-".into(), |a| a.to_string()),
                    damped.words()
                )
            }
            Notice::Undamped(slot) => {
                let (node, address) = self.stage.board.whose(*slot);
                format!(
                    "{node} {} not damped",
                    address.map_or("-".into(), |a| a.to_string())
                )
            }
            Notice::Frozen(v6, frozen) => {
                let (family, until) = (family(v6), Stage::since_start(frozen.until).as_secs());
                let (failed, of) = (frozen.failed, frozen.of);
                format!("{family} frozen until {until}s: {failed} of {of} failed")
            }
            Notice::Thawed(v6, _, thaw) => format!("{} thawed: {thaw:?}", family(v6)),
        }
    }

    /// `WHO is STATE[, PROGRESS]`
    fn state(&self, text: &str) -> Result<(), String> {
        let (who, expected) = text
            .split_once(" is ")
            .ok_or("`state WHO is STATE` is meant")?;
        for check in self.checks(who)? {
            let (status, check) = (
                &self.stage.board.statuses()[check],
                &self.stage.board.checks()[check],
            );
            let progress = status.counter.progress(check.probe.thresholds());
            let got = status.counter.state().word().to_owned()
                + &progress.map_or(String::new(), |p| format!(", {p}"));
            if got != expected {
                return Err(format!(
                    "{} {} by {} is {got}",
                    check.node, check.address, check.probe.name
                ));
            }
        }
        Ok(())
    }

    /// `WHO succeeds`, `WHO fails: WORDS`, `WHO is silent`: from now on. `WHO fails 3 times: WORDS`: at once, so often.
    fn finds(&mut self, text: &str) -> Result<(), String> {
        let (what, words) = text.split_once(": ").unwrap_or((text, "no words"));
        let (what, times) = match what.strip_suffix(" times").and_then(|w| w.rsplit_once(' ')) {
            Some((what, n)) => (
                what,
                Some(n.parse::<u32>().map_err(|_| "no number of times")?),
            ),
            None => (what, None),
        };
        let (who, finds) = if let Some(who) = what.strip_suffix(" succeeds") {
            (who, Finds::Success)
        } else if let Some(who) = what.strip_suffix(" fails") {
            (who, Finds::Failure(words.into()))
        } else if let Some(who) = what.strip_suffix(" is silent") {
            (who, Finds::Silence)
        } else {
            return Err("no such step".into());
        };
        for check in self.checks(who)? {
            match times {
                None => self.stage.finds[check] = finds.clone(),
                Some(n) => (0..n).for_each(|_| self.stage.observe(check, finds.clone())),
            }
        }
        Ok(())
    }

    /// `everybody`, or `[NODE] [ADDRESS | IPv4 | IPv6] [by PROBE] [as HOST]`
    fn checks(&self, who: &str) -> Result<Vec<usize>, String> {
        let mut words = who.split(' ');
        let mut found: Vec<usize> = (0..self.stage.board.checks().len()).collect();
        let checks = self.stage.board.checks();
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word {
                "everybody" => {}
                "by" => {
                    let probe = value();
                    found.retain(|&c| checks[c].probe.name == probe);
                }
                "as" => {
                    let host = value();
                    found.retain(|&c| checks[c].host == host);
                }
                "IPv4" => found.retain(|&c| checks[c].address.is_ipv4()),
                "IPv6" => found.retain(|&c| checks[c].address.is_ipv6()),
                _ => match word.parse::<IpAddr>() {
                    Ok(address) => found.retain(|&c| checks[c].address == address),
                    Err(_) => found.retain(|&c| checks[c].node == word),
                },
            }
        }
        if found.is_empty() {
            Err(format!("\"{who}\" is no check"))
        } else {
            Ok(found)
        }
    }

    /// `NAME TYPE over NET by /LEN` or `NAME TYPE from ADDRESS, N draws`: who is given how much, and who moved since the
    /// last sweep. Shares are ranges: `lon 20..30%`.
    fn sweep(&mut self, text: &str, step: &Item) -> Result<Vec<String>, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, qtype, rest @ ..] = &words[..] else {
            return Err("a name and a type are needed".into());
        };
        let clients: Vec<(IpAddr, u64)> = match rest {
            ["over", net, "by", len] => {
                let len = len
                    .strip_prefix('/')
                    .and_then(|l| l.parse().ok())
                    .ok_or("no length")?;
                blocks(network(net)?, len)
                    .iter()
                    .map(|b| (b.addr, 0))
                    .collect()
            }
            ["from", addr, n, "draws"] => {
                let (addr, n): (IpAddr, u64) = (
                    addr.parse().map_err(|_| "no address")?,
                    n.parse().map_err(|_| "no number")?,
                );
                (0..n)
                    .map(|draw| (addr, draw.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                    .collect()
            }
            _ => return Err("`over NET by /LEN` or `from ADDRESS N draws` is meant".into()),
        };
        let RecordType(qtype) = qtype.parse().map_err(|_| "no such type")?;
        let (mut shares, mut swept) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
        for &(client, draw) in &clients {
            let node = self.first_given(name, qtype, client, draw)?;
            *shares.entry(node.clone()).or_default() += 1;
            swept.insert(client, node);
        }
        let moved = self.moved(&swept);
        self.swept = swept;
        let mut out: Vec<String> = shares
            .iter()
            .map(|(node, n)| in_range(step, node, *n, clients.len()))
            .collect();
        out.extend(moved);
        Ok(out)
    }

    /// The node of the first address that a client is given.
    fn first_given(
        &self,
        name: &str,
        qtype: u16,
        client: IpAddr,
        draw: u64,
    ) -> Result<String, String> {
        let bits = if client.is_ipv4() { 24 } else { 56 };
        let question = Question::about(name, qtype, client, Some(Ecs::of(client, bits)))?;
        let packet = self
            .stage
            .ask(&question, draw)
            .ok_or("nothing is answered yet")?;
        let reply = Reply::read(&question, &packet)?;
        if draw == 0 {
            agree::check(&self.stage, &question, &reply)?;
        }
        let first = reply
            .addresses()
            .first()
            .and_then(|(ip, _)| self.stage.node_of(*ip));
        Ok(first.unwrap_or("nobody").to_owned())
    }

    /// From where to where clients moved since the last sweep, if that was over the same ones.
    fn moved(&self, now: &BTreeMap<IpAddr, String>) -> Option<String> {
        if !self.swept.keys().eq(now.keys()) || now.len() < 2 {
            return None;
        }
        let pairs = self
            .swept
            .values()
            .zip(now.values())
            .filter(|(a, b)| a != b);
        let (mut from, mut to): (Vec<&str>, Vec<&str>) = pairs.map(|(a, b)| (&**a, &**b)).unzip();
        for list in [&mut from, &mut to] {
            list.sort_unstable();
            list.dedup();
        }
        Some(if from.is_empty() {
            "nobody moved".into()
        } else {
            format!("moved from {} to {}", from.join(", "), to.join(", "))
        })
    }
}

/// A node's share in the words of the step's own line for it if it is in that range, else as it is.
fn in_range(step: &Item, node: &str, n: usize, of: usize) -> String {
    let percent = 100 * n / of;
    let own = step.block.iter().find(|(_, line)| {
        line.strip_prefix(node)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let range =
        own.and_then(|(_, line)| line[node.len() + 1..].strip_suffix('%')?.split_once(".."));
    match range.and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?))) {
        Some((least, most)) if (least..=most).contains(&percent) => {
            format!("{node} {least}..{most}%")
        }
        _ => format!("{node} {percent}%"),
    }
}

/// `500ms`, `30s`, `2m`, `1h`
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("\"{text}\" is no time"))?;
    Ok(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        _ => return Err(format!("\"{unit}\" is no unit")),
    })
}
