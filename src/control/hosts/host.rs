//! What is known of one name: the last good answer, the newest error, and when it is asked for again.

use std::net::IpAddr;
use std::time::Duration;

use super::HostLine;
use crate::config::unusable;
use crate::health::Time;
use crate::probe::{Found, Resolved};
use crate::zone::Name;

/// No answer is trusted for longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A look-up that failed is repeated after this, and then after twice as long each time.
const RETRY: Duration = Duration::from_secs(5);
/// At most.
const SLOWEST: Duration = Duration::from_secs(900);

/// A node's name and what is known of it.
#[derive(Clone, Debug)]
pub(in crate::control) struct Host {
    node: String,
    /// The node's index in the configuration.
    index: usize,
    name: Name,
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    resolved: Option<Time>,
    next: Time,
    /// Look-ups in a row that were not good.
    failures: u32,
    error: Option<(Time, String)>,
}

impl Host {
    /// A name that was never resolved; it is due.
    pub(super) fn new(node: &str, index: usize, name: &Name) -> Self {
        Self {
            node: node.into(),
            index,
            name: name.clone(),
            v4: Vec::new(),
            v6: Vec::new(),
            resolved: None,
            next: Time::ZERO,
            failures: 0,
            error: None,
        }
    }

    /// Goes on from an answer that came before the start.
    pub(super) fn resume(&mut self, addresses: &[IpAddr], resolved: Time, next: Time, now: Time) {
        let usable = addresses
            .iter()
            .copied()
            .filter(|ip| unusable(*ip).is_none());
        (self.v4, self.v6) = usable.partition(IpAddr::is_ipv4);
        self.resolved = Some(resolved.min(now));
        // A clock that was wrong must not keep it for years.
        self.next = if next > now + LONGEST { now } else { next };
    }

    /// The same where the node has another index.
    pub(super) fn at(&self, index: usize) -> Self {
        Self {
            index,
            ..self.clone()
        }
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// The name as people write it.
    pub(super) fn name_text(&self) -> String {
        self.name.to_string().trim_end_matches('.').to_owned()
    }

    pub(super) fn resolved(&self) -> Option<Time> {
        self.resolved
    }

    pub(super) fn next(&self) -> Time {
        self.next
    }

    /// The last good answer, IPv4 first.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        [&self.v4[..], &self.v6].concat()
    }

    /// Takes what the resolvers say. A family of which they say nothing good keeps its addresses; where both have none, that is taken
    /// for a mistake of somebody, as a name that vanishes for a moment must not take its node out: probes see whether it serves.
    pub(super) fn take(&mut self, said: &Resolved, now: Time, least: Duration) {
        let (v4, v6) = (usable(&said.v4), usable(&said.v6));
        let any = [&v4, &v6]
            .into_iter()
            .flatten()
            .any(|f| !f.addresses.is_empty());
        if any {
            for (own, said) in [(&mut self.v4, &v4), (&mut self.v6, &v6)] {
                if let Ok(found) = said {
                    own.clone_from(&found.addresses);
                }
            }
        }
        let error = match (&v4, &v6) {
            (Ok(_), Ok(_)) if any => None,
            (Ok(_), Ok(_)) => Some("the name has no address".to_owned()),
            (Err(one), Err(other)) if one == other => Some(one.clone()),
            (Err(one), Err(other)) => Some(format!("A: {one}; AAAA: {other}")),
            (Err(why), Ok(_)) => Some(format!("A: {why}")),
            (Ok(_), Err(why)) => Some(format!("AAAA: {why}")),
        };
        let Some(error) = error else {
            let ttls = [&v4, &v6].into_iter().flatten().filter_map(|f| f.ttl);
            self.good(ttls.min().unwrap_or(least), now, least);
            return;
        };
        self.next = now + (RETRY * 2u32.pow(self.failures.min(8))).min(SLOWEST);
        self.failures += 1;
        if self.failures == 1 {
            let (node, name, kept) = (&self.node, self.name_text(), words(&self.addresses()));
            tracing::warn!("{node}: {name} is not resolved, going on with {kept}: {error}");
        }
        self.error = Some((now, error));
    }

    fn good(&mut self, ttl: Duration, now: Time, least: Duration) {
        self.resolved = Some(now);
        self.next = now + ttl.clamp(least, LONGEST);
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("{}: {} is resolved again", self.node, self.name_text());
        }
    }

    /// It for people.
    pub(in crate::control) fn line(&self) -> HostLine {
        HostLine {
            node: self.node.clone(),
            host: self.name_text(),
            addresses: self.addresses(),
            resolved: self.resolved.map(|t| t.as_secs()),
            next: self.next.as_secs(),
            last_error: self.error.as_ref().map(|(_, error)| error.clone()),
            last_error_at: self.error.as_ref().map(|(at, _)| at.as_secs()),
            ok: self.resolved.is_some() && self.failures == 0,
            lost: false,
        }
    }
}

/// What was found less what no client can be sent to.
fn usable(found: &Result<Found, String>) -> Result<Found, String> {
    let mut found = found.clone()?;
    let bad = found
        .addresses
        .iter()
        .find_map(|ip| Some(format!("{ip} {}", unusable(*ip)?)));
    found.addresses.retain(|ip| unusable(*ip).is_none());
    match bad {
        Some(bad) if found.addresses.is_empty() => Err(bad),
        _ => Ok(found),
    }
}

/// Addresses in words.
pub(in crate::control) fn words(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no address".into();
    }
    let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(30);
    const NOW: Time = Time::from_secs(1_000_000);

    fn host() -> Host {
        Host::new("kcl", 0, &Name::absolute("mirror.kcl.example").unwrap())
    }

    fn found(addresses: &[&str], ttl: u64) -> Result<Found, String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let ttl = (!addresses.is_empty()).then(|| Duration::from_secs(ttl));
        Ok(Found { addresses, ttl })
    }

    fn said(v4: Result<Found, String>, v6: Result<Found, String>) -> Resolved {
        Resolved { v4, v6 }
    }

    fn failed() -> Result<Found, String> {
        Err("SERVFAIL".into())
    }

    #[test]
    fn the_ttl_says_when_within_bounds() {
        let next = |ttl| {
            let mut host = host();
            host.take(&said(found(&["192.0.2.1"], ttl), found(&[], 0)), NOW, LEAST);
            assert_eq!(host.resolved(), Some(NOW));
            (host.next() - NOW).as_secs()
        };
        assert_eq!([0, 29, 300, 1 << 31].map(next), [30, 30, 300, 86_400]);
    }

    #[test]
    fn the_last_good_answer_is_kept_over_failures_that_come_ever_more_seldom() {
        let mut host = host();
        host.take(
            &said(found(&["192.0.2.1"], 60), found(&["2001:db8::1"], 60)),
            NOW,
            LEAST,
        );
        let before = host.addresses();
        let (mut at, mut gaps) = (host.next(), Vec::new());
        for round in 0..10 {
            let fails = [
                said(failed(), failed()),
                said(Err("NXDOMAIN".into()), Err("NXDOMAIN".into())),
                said(found(&[], 0), found(&[], 0)),
                said(failed(), found(&[], 0)),
                said(found(&["0.0.0.0"], 60), found(&[], 0)),
            ];
            host.take(&fails[round % 5], at, LEAST);
            assert_eq!(host.addresses(), before, "{round}");
            assert_eq!(host.resolved(), Some(NOW));
            gaps.push((host.next() - at).as_secs());
            at = host.next();
        }
        assert_eq!(gaps, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        let line = host.line();
        assert!(!line.ok && line.last_error.is_some());
        host.take(&said(found(&["192.0.2.2"], 60), found(&[], 0)), at, LEAST);
        assert_eq!(words(&host.addresses()), "192.0.2.2");
        assert!(host.line().ok);
        assert!(host.line().last_error.is_some(), "to be read afterwards");
    }

    #[test]
    fn a_family_that_fails_keeps_its_own() {
        let mut host = host();
        host.take(
            &said(found(&["192.0.2.1"], 60), found(&["2001:db8::1"], 60)),
            NOW,
            LEAST,
        );
        host.take(
            &said(found(&["192.0.2.2", "224.0.0.1"], 60), failed()),
            NOW,
            LEAST,
        );
        assert_eq!(words(&host.addresses()), "192.0.2.2 2001:db8::1");
        assert_eq!(host.line().last_error.as_deref(), Some("AAAA: SERVFAIL"));
        assert!(!host.line().ok);
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_keep_an_answer() {
        let mut host = host();
        let ip = ["192.0.2.1".parse().unwrap()];
        host.resume(&ip, NOW * 2, NOW * 2, NOW);
        assert_eq!((host.resolved(), host.next()), (Some(NOW), NOW));
        host.resume(&ip, NOW - LEAST, NOW + LEAST, NOW);
        assert_eq!(
            (host.resolved(), host.next()),
            (Some(NOW - LEAST), NOW + LEAST)
        );
    }
}
