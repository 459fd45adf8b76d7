//! What is known of a zone of others: its newest version, until when it may be served (RFC 1035 3.3.13), and when its primaries are asked next.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::put::Fetched;
use crate::health::Time;
use crate::snapshot::Peer;
use crate::transfer::{Kind, Member};
use crate::zone::Name;
use crate::zone::version::{Version, numbers};

/// Times that an SOA may ask for, however it is written.
const REFRESH: (u32, u32) = (5, 7 * 86_400);
/// Until the first has come: this, twice as long each time, up to the last.
const BEGIN: (u32, u32) = (2, 300);

/// Which of all zones that had a name a zone is: one that begins anew is another.
#[derive(Clone, Debug, Default)]
pub(super) struct Life(Arc<()>);

impl PartialEq for Life {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What is known of a zone of others.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Theirs {
    pub(super) life: Life,
    /// The newest that has come, expired or not.
    pub(super) version: Option<Arc<Version>>,
    /// Octets that it takes, about.
    pub(super) memory: usize,
    /// The primary that gave it.
    pub(super) from: Option<SocketAddr>,
    /// Whether whatever its primaries have takes its place: it is from somebody who is none any more, or an operator wants that.
    pub(super) foreign: bool,
    /// Whether the state folder has it.
    pub(super) kept: bool,
    /// Whether it could not be written there.
    pub(super) unkept: bool,
    /// When a primary said last that this is the newest.
    pub(super) checked: Time,
    /// When it was fetched.
    pub(super) fetched: Option<Time>,
    pub(super) next: Time,
    /// When primaries were asked last.
    pub(super) asked: Time,
    pub(super) failures: u32,
    pub(super) error: Option<String>,
    pub(super) running: bool,
    /// When it is to be asked for again, as somebody wants while it is being asked for.
    pub(super) again: Option<Time>,
    /// The primaries that have told of another version, a bit each.
    pub(super) told: u64,
    /// Its records are not served: they are too old, or have not come.
    pub(super) expired: bool,
    /// The catalog that lists it.
    pub(super) catalog: Option<Name>,
    pub(super) is_catalog: bool,
    /// What it lists itself; none: nobody knows, or it is no catalog.
    pub(super) members: Option<Arc<[Member]>>,
    /// What of that is refused, and why.
    pub(super) problems: Vec<String>,
    pub(super) counts: RefreshCounts,
}

/// How often primaries were asked, by what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshCounts {
    /// All of the zone came.
    pub whole: u64,
    /// What differs came.
    pub differences: u64,
    /// There was nothing newer.
    pub current: u64,
    /// None of them gave anything that could be taken.
    pub failed: u64,
}

/// What is known of all of them, by their names.
pub(in crate::control) type AllTheirs = HashMap<Name, Theirs>;

/// A zone of others, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// Its name.
    pub zone: String,
    /// The serial; none: nothing has come yet.
    pub serial: Option<u32>,
    /// Whether it is answered with SERVFAIL, as it is too old or has not come.
    pub expired: bool,
    /// When it was fetched, since the start.
    pub fetched: Option<u64>,
    /// When a primary said last that this is the newest.
    pub checked: Option<u64>,
    /// When it is asked for next.
    pub next: u64,
    /// When it expires.
    pub expires: Option<u64>,
    /// When the first of the signatures that it brings ends; none: it is not signed.
    #[serde(default)]
    pub signed_until: Option<u64>,
    /// Why the last try failed, or what a primary lacks; none: nothing.
    pub error: Option<String>,
    /// The catalog that lists it; none: it stands in the files.
    pub catalog: Option<String>,
    /// How many zones are here because of it, if it is a catalog.
    pub members: Option<usize>,
    /// Its members that are not taken, and why.
    pub problems: Vec<String>,
    /// How often it was asked for; for metrics.
    #[serde(skip)]
    pub counts: RefreshCounts,
}

impl Theirs {
    /// A number of the SOA: refresh, retry or expire.
    fn timer(&self, number: usize, (least, most): (u32, u32)) -> Option<Duration> {
        let soa = &self.version.as_ref()?.soa;
        let [_, timers @ .., _] = numbers(soa)?;
        let seconds = timers.get(number)?.clamp(&least, &most);
        Some(Duration::from_secs((*seconds).into()))
    }

    pub(super) fn expires(&self) -> Option<Time> {
        Some(self.checked + self.timer(2, (REFRESH.0, u32::MAX))?)
    }

    /// Up to a tenth sooner, so that not all zones of a primary come at once.
    fn soon(time: Duration) -> Duration {
        let draw = RandomState::new().hash_one(time) % 100;
        time - time * u32::try_from(draw).unwrap_or(0) / 1000
    }

    pub(super) fn line(&self, name: &Name) -> ReceivedLine {
        ReceivedLine {
            zone: name.to_string(),
            serial: self.version.as_ref().map(|v| v.serial()),
            expired: self.expired,
            fetched: self.fetched.map(|at| at.as_secs()),
            checked: self.version.as_ref().map(|_| self.checked.as_secs()),
            next: self.next.as_secs(),
            expires: self.expires().map(|at| at.as_secs()),
            signed_until: None,
            error: self.error.clone(),
            catalog: self.catalog.as_ref().map(ToString::to_string),
            members: None,
            problems: self.problems.clone(),
            counts: self.counts,
        }
    }

    /// What IXFR is asked for from: a catalog that could not be read comes again, and nothing is built on what others have given.
    pub(super) fn known(&self) -> Option<Arc<Version>> {
        let readable = !self.is_catalog || self.members.is_some();
        self.version.clone().filter(|_| readable && !self.foreign)
    }

    /// Goes on with these primaries; whether the version that is here is of another.
    pub(super) fn judge(&mut self, peers: &[Peer]) -> bool {
        let gave = |from| peers.iter().any(|peer| peer.at == from);
        self.foreign |= self.from.is_some_and(|from| !gave(from));
        self.foreign
    }

    /// Whether anything is better than what is here.
    pub(super) fn takes_any(&self) -> bool {
        self.expired || self.known().is_none()
    }

    pub(super) fn has_come(&mut self, now: Time) {
        (self.checked, self.failures, self.error) = (now, 0, None);
        self.next = now + Self::soon(self.timer(0, REFRESH).unwrap_or_default());
    }

    pub(super) fn has_failed(&mut self, why: String, now: Time) {
        let retry = self.timer(1, REFRESH).unwrap_or(self.pause());
        self.failures += 1;
        self.counts.failed += 1;
        self.next = now + Self::soon(retry);
        self.error = Some(why);
    }

    /// Not all primaries could be asked that had to be.
    pub(super) fn has_come_partly(&mut self, why: String, now: Time) {
        self.has_come(now);
        self.next = now + Self::soon(self.timer(1, REFRESH).unwrap_or_default());
        self.error = Some(why);
    }

    /// Least time between tries, whatever strangers say who know a primary's address; longer after failures.
    fn pause(&self) -> Duration {
        Duration::from_secs((BEGIN.0 << self.failures.min(10)).min(BEGIN.1).into())
    }

    /// Some primaries have told of another version.
    pub(super) fn hear(&mut self, who: u64, now: Time) {
        self.told |= who;
        self.want(now.max(self.asked + self.pause()));
    }

    /// It is to be asked for at this time at the latest.
    pub(super) fn want(&mut self, at: Time) {
        match self.running {
            true => self.again = Some(self.again.map_or(at, |before| before.min(at))),
            false => self.next = self.next.min(at),
        }
    }

    /// Its primaries are being asked; those that have told.
    pub(super) fn begin(&mut self, now: Time) -> u64 {
        (self.running, self.asked) = (true, now);
        mem::take(&mut self.told)
    }

    /// A version is in service.
    pub(super) fn take(&mut self, fetched: &Fetched, now: Time) {
        let count = match fetched.how {
            Kind::Whole => &mut self.counts.whole,
            Kind::Differences => &mut self.counts.differences,
            Kind::Current => &mut self.counts.current,
        };
        *count += 1;
        (self.version, self.fetched) = (Some(Arc::clone(&fetched.version)), Some(now));
        self.from = Some(fetched.from);
        // What was asked for before that was wanted is built on what is here.
        self.foreign &= fetched.how != Kind::Whole;
        (self.kept, self.expired) = (false, false);
        self.has_come(now);
    }

    /// What came was too late, by no fault of theirs: it is soon asked for again.
    pub(super) fn is_late(&mut self, now: Time) {
        self.next = now + Duration::from_secs(BEGIN.0.into());
    }

    /// They have been asked.
    pub(super) fn end(&mut self) {
        self.running = false;
        if let Some(at) = self.again.take() {
            self.want(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    /// Of a zone whose refresh time is an hour, and whose retry time is ten minutes.
    fn theirs() -> Theirs {
        let mut soa = b"\x01a\0\x01b\0".to_vec();
        for number in [5u32, 3600, 600, 86_400, 60] {
            soa.extend_from_slice(&number.to_be_bytes());
        }
        let version = Version {
            apex: Name::root(),
            ttl: 60,
            soa: soa.into(),
            records: Arc::default(),
        };
        Theirs {
            version: Some(Arc::new(version)),
            ..Theirs::default()
        }
    }

    #[test]
    fn a_notice_is_followed_soon_and_many_are_one() {
        let mut theirs = theirs();
        assert_eq!(theirs.begin(at(1000)), 0);
        theirs.has_come(at(1001));
        theirs.end();
        assert!(theirs.next > at(4000));
        theirs.hear(2, at(1500));
        assert_eq!((theirs.next, theirs.begin(at(1500))), (at(1500), 2));
        // While it is being asked for, and just after.
        theirs.hear(1, at(1501));
        theirs.has_come(at(1501));
        theirs.end();
        theirs.hear(4, at(1501));
        assert_eq!((theirs.next, theirs.begin(at(1502))), (at(1502), 5));
    }

    #[test]
    fn notices_do_not_make_us_ask_more_often_who_does_not_answer() {
        let mut theirs = theirs();
        let mut now = at(1000);
        let mut times = Vec::new();
        for _ in 0..10 {
            theirs.begin(now);
            theirs.hear(1, now);
            theirs.has_failed("silence".into(), now);
            theirs.end();
            theirs.hear(1, now);
            times.push((theirs.next - now).as_secs());
            now = theirs.next;
        }
        assert_eq!(times, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn who_wants_it_while_it_is_asked_for_is_not_forgotten() {
        let mut theirs = theirs();
        theirs.begin(at(1000));
        theirs.want(at(1005));
        theirs.has_failed("refused".into(), at(1010));
        theirs.end();
        assert_eq!(theirs.next, at(1005), "not in ten minutes");
        theirs.begin(at(1010));
        theirs.has_failed("refused".into(), at(1010));
        theirs.end();
        assert!(theirs.next > at(1500));
    }

    #[test]
    fn all_of_it_is_wanted_until_all_of_it_has_come() {
        let mut theirs = theirs();
        let from = ([192, 0, 2, 1], 53).into();
        let peer = |at| Peer {
            at,
            key: None,
            source: None,
        };
        let come = |theirs: &mut Theirs, how| {
            let fetched = Fetched {
                version: theirs.version.clone().unwrap(),
                from,
                how,
                life: theirs.life.clone(),
            };
            theirs.take(&fetched, at(1000));
        };
        come(&mut theirs, Kind::Whole);
        assert!(!theirs.judge(&[peer(from)]));
        assert!(theirs.judge(&[peer(([192, 0, 2, 2], 53).into())]));
        for how in [Kind::Current, Kind::Differences] {
            come(&mut theirs, how);
            assert!(theirs.foreign && theirs.known().is_none(), "{how:?}");
        }
        come(&mut theirs, Kind::Whole);
        assert!(!theirs.foreign);
    }

    #[test]
    fn nothing_is_built_on_what_is_not_to_be_kept() {
        let mut theirs = theirs();
        assert!(theirs.known().is_some() && !theirs.takes_any());
        theirs.foreign = true;
        assert!(theirs.known().is_none() && theirs.takes_any());
        (theirs.foreign, theirs.is_catalog) = (false, true);
        assert!(theirs.known().is_none() && theirs.takes_any());
    }
}
