//! The last 24 hours of each node, a letter for every quarter of an hour, put together from the events.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::control::Entry;

/// Quarters of an hour in a day.
const QUARTERS: u64 = 96;
/// Seconds of each.
const QUARTER: u64 = 900;

/// A check as it is now.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) address: IpAddr,
    pub(super) probe: String,
    /// `up`, `down` or `unknown`.
    pub(super) state: &'static str,
}

/// A day of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strip {
    /// For every quarter of an hour, the newest last, the worst that was: `d` all addresses out of service, `p` some of them, `o` taken out
    /// by an operator, `u` in service, `-` unknown.
    pub(super) letters: String,
    /// Minutes for which all addresses were out of service unordered, rounded up.
    pub(super) out: u64,
    /// Minutes for which it is known.
    pub(super) known: u64,
}

/// Letters from harmless to bad: what is shown of a quarter in which several were.
const WORSE: &str = "-uopd";

/// What changes in the life of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Part<'a> {
    Check(IpAddr, &'a str),
    Damping(Option<IpAddr>),
    Order,
}

/// The part that an event is of, if it is one that strips show.
fn part(entry: &Entry) -> Option<Part<'_>> {
    if entry.who.is_some() {
        return entry.address.is_none().then_some(Part::Order);
    }
    if [&entry.from, &entry.to].contains(&&"damped".to_owned()) {
        return Some(Part::Damping(entry.address));
    }
    // The probe stands before its words.
    let (probe, _) = entry.why.split_once(": ")?;
    Some(Part::Check(entry.address?, probe))
}

/// The day of a node before `now`, from all events of it, oldest first, its checks as they are now, and the order that holds. Events are
/// complete from `reach` on.
pub(super) fn strip(
    events: &[&Entry],
    checks: &[Now],
    order: Option<&str>,
    reach: u64,
    now: u64,
) -> Strip {
    let first = (now.div_ceil(QUARTER) - QUARTERS) * QUARTER;
    let mut life = Life::before(events, checks, order);
    let mut strip = Day::new(first);
    let mut at = reach.max(first);
    for event in events {
        strip.fill(at, event.at.min(now), life.letter(checks));
        at = at.max(event.at);
        life.change(event);
    }
    strip.fill(at, now, life.letter(checks));
    strip.done()
}

/// What holds at a time, by part.
struct Life<'a>(HashMap<Part<'a>, &'a str>);

impl<'a> Life<'a> {
    /// What held before the first event: what each part came from, or what it still is.
    fn before(events: &[&'a Entry], checks: &'a [Now], order: Option<&'a str>) -> Self {
        let now = checks
            .iter()
            .map(|c| (Part::Check(c.address, &c.probe), c.state));
        let mut parts: HashMap<Part<'a>, &'a str> = now.collect();
        parts.extend(order.map(|order| (Part::Order, order)));
        for event in events.iter().rev() {
            if let Some(part) = part(event) {
                parts.insert(part, &event.from);
            }
        }
        Self(parts)
    }

    fn change(&mut self, event: &'a Entry) {
        if let Some(part) = part(event) {
            self.0.insert(part, &event.to);
        }
    }

    fn is(&self, part: Part<'a>, state: &str) -> bool {
        self.0.get(&part) == Some(&state)
    }

    fn letter(&self, checks: &'a [Now]) -> char {
        match self.0.get(&Part::Order).copied() {
            Some("drained" | "forced-down") => return 'o',
            Some("forced-up") => return 'u',
            _ => {}
        }
        let damped = |ip| self.is(Part::Damping(Some(ip)), "damped");
        let every = self.is(Part::Damping(None), "damped");
        // Of each address whether it is out of service; none: unknown.
        let mut addresses: HashMap<IpAddr, Option<bool>> = HashMap::new();
        for check in checks {
            let part = Part::Check(check.address, &check.probe);
            let out = every || damped(check.address) || self.is(part, "down");
            let known = out || self.is(part, "up");
            let address = addresses.entry(check.address).or_insert(Some(false));
            *address = match *address {
                Some(true) => Some(true),
                _ if out => Some(true),
                before => before.filter(|_| known),
            };
        }
        let out = addresses.values().filter(|a| **a == Some(true)).count();
        let known = addresses.values().any(Option::is_some);
        match out {
            0 if known => 'u',
            0 => '-',
            n if n == addresses.len() => 'd',
            _ => 'p',
        }
    }
}

/// A strip in the making.
struct Day {
    first: u64,
    letters: Vec<char>,
    out: u64,
    known: u64,
}

impl Day {
    fn new(first: u64) -> Self {
        Self {
            first,
            letters: (0..QUARTERS).map(|_| '-').collect(),
            out: 0,
            known: 0,
        }
    }

    /// So it was from one time to another.
    fn fill(&mut self, from: u64, to: u64, letter: char) {
        if from >= to || letter == '-' {
            return;
        }
        self.known += to - from;
        self.out += if letter == 'd' { to - from } else { 0 };
        let quarter = |at: u64| usize::try_from((at - self.first) / QUARTER).unwrap_or(0);
        let (start, end) = (quarter(from), quarter(to - 1));
        for slot in self.letters.iter_mut().take(end + 1).skip(start) {
            if WORSE.find(*slot) < WORSE.find(letter) {
                *slot = letter;
            }
        }
    }

    fn done(self) -> Strip {
        Strip {
            letters: self.letters.into_iter().collect(),
            out: self.out.div_ceil(60),
            known: self.known.div_ceil(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 900_000_000;
    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn event(ago: u64, address: Option<IpAddr>, from: &str, to: &str, who: Option<&str>) -> Entry {
        Entry {
            at: NOW - ago,
            node: "fra".into(),
            address,
            from: from.into(),
            to: to.into(),
            why: "web: in its words: and more".into(),
            who: who.map(str::to_owned),
        }
    }

    fn check(address: IpAddr, state: &'static str) -> Now {
        Now {
            address,
            probe: "web".into(),
            state,
        }
    }

    fn day(events: &[Entry], checks: &[Now], order: Option<&str>, reach: u64) -> Strip {
        let events: Vec<&Entry> = events.iter().collect();
        strip(&events, checks, order, reach, NOW)
    }

    /// How often each letter is there, in their order.
    fn runs(strip: &Strip) -> Vec<(char, usize)> {
        let mut runs: Vec<(char, usize)> = Vec::new();
        for letter in strip.letters.chars() {
            match runs.last_mut() {
                Some((last, n)) if *last == letter => *n += 1,
                _ => runs.push((letter, 1)),
            }
        }
        runs
    }

    #[test]
    fn a_day_is_what_happened_and_unknown_before_that() {
        let (down, up) = (
            event(7200, Some(A), "up", "down", None),
            event(5400, Some(A), "down", "up", None),
        );
        let strip = day(&[down, up], &[check(A, "up")], None, NOW - 36_000);
        assert_eq!(runs(&strip), [('-', 56), ('u', 32), ('d', 2), ('u', 6)]);
        assert_eq!((strip.out, strip.known), (30, 600));
    }

    #[test]
    fn addresses_orders_and_short_times_count() {
        let events = [
            event(90_000, Some(A), "unknown", "up", None),
            event(9000, Some(A), "up", "down", None),
            event(8990, Some(A), "down", "up", None),
            event(5400, Some(B), "up", "down", None),
            event(3600, None, "measured", "drained", Some("ola")),
            event(1800, None, "drained", "measured", Some("ola")),
        ];
        let checks = [check(A, "up"), check(B, "down")];
        let strip = day(&events, &checks, None, NOW - 100_000);
        let runs = runs(&strip);
        let expected = [('u', 86), ('p', 1), ('u', 3), ('p', 2), ('o', 2), ('p', 2)];
        assert_eq!(runs, expected, "before the first event of B it was up");
        assert_eq!(strip.out, 0, "never all of it");
    }

    #[test]
    fn nothing_is_made_up() {
        let strip = day(&[], &[], None, 0);
        assert_eq!((runs(&strip), strip.known), (vec![('-', 96)], 0));
        let strip = day(&[], &[check(A, "unknown")], None, 0);
        assert_eq!(runs(&strip), [('-', 96)]);
        let strip = day(&[], &[check(A, "down")], Some("forced-up"), NOW - 900);
        assert_eq!(runs(&strip), [('-', 95), ('u', 1)]);
    }
}
