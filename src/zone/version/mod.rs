//! A zone as its secondaries know it: a serial, the records that belong to it, and how it came to be.
//!
//! The serial that secondaries see is that of the file for a zone without pools. The records of a zone with pools move
//! with the health of nodes, those of a signed zone with its signatures, so the serial does too: it is the file's, or one more than
//! the last where that is not behind (RFC 1982).

mod records;
mod stored;

use std::sync::Arc;

pub use records::{Change, Records, Rr};

use super::Name;

/// One state of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The zone's name.
    pub apex: Name,
    /// The TTL of the SOA.
    pub ttl: u32,
    /// The RDATA of the SOA.
    pub soa: Arc<[u8]>,
    /// All other records.
    pub records: Arc<Records>,
}

/// From one state to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The TTL and the RDATA of the SOA before.
    pub from: (u32, Arc<[u8]>),
    /// And after.
    pub to: (u32, Arc<[u8]>),
    /// What went.
    pub removed: Arc<Records>,
    /// What came.
    pub added: Arc<Records>,
}

/// The newest state, and the steps that led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The newest state.
    pub version: Arc<Version>,
    /// The oldest first.
    pub steps: Vec<Arc<Step>>,
}

/// More steps are never kept.
const STEPS: usize = 200;
/// Octets of steps that are kept however small the zone is.
const LEAST: usize = 64 * 1024;

/// The serial in an SOA's RDATA.
#[must_use]
pub fn serial(soa: &[u8]) -> u32 {
    numbers(soa).map_or(0, |[serial, ..]| serial)
}

/// The numbers in an SOA's RDATA: serial, refresh, retry, expire, minimum (RFC 1035 3.3.13).
#[must_use]
pub fn numbers(soa: &[u8]) -> Option<[u32; 5]> {
    let (octets, _) = soa.last_chunk::<20>()?.as_chunks();
    let mut numbers = octets.iter().map(|octets| u32::from_be_bytes(*octets));
    Some(std::array::from_fn(|_| numbers.next().unwrap_or_default()))
}

/// The same RDATA with another serial.
#[must_use]
pub fn with_serial(soa: &[u8], serial: u32) -> Arc<[u8]> {
    let mut out = soa.to_vec();
    if let Some(at) = out.len().checked_sub(20) {
        out[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    }
    out.into()
}

/// Whether a serial is newer than another (RFC 1982 3.2).
#[must_use]
pub fn is_newer(serial: u32, than: u32) -> bool {
    let ahead = serial.wrapping_sub(than);
    ahead != 0 && ahead < 1 << 31
}

impl Version {
    /// Its serial.
    #[must_use]
    pub fn serial(&self) -> u32 {
        serial(&self.soa)
    }

    /// The TTL and the RDATA of its SOA.
    #[must_use]
    pub fn soa(&self) -> (u32, Arc<[u8]>) {
        (self.ttl, Arc::clone(&self.soa))
    }

    /// Whether both hold the same, their serials aside.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.ttl == other.ttl
            && with_serial(&self.soa, 0) == with_serial(&other.soa, 0)
            && self.records == other.records
    }
}

impl Step {
    fn octets(&self) -> usize {
        self.removed.octets().len()
            + self.added.octets().len()
            + self.from.1.len()
            + self.to.1.len()
    }
}

impl Journal {
    /// Of a zone that nobody has seen before.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            version: Arc::new(version),
            steps: Vec::new(),
        }
    }

    /// After the zone became `next`, with the serial of its file; `moves` if its records do without that. None: nothing differs. Once its
    /// serial is settled `finish` has it.
    #[must_use]
    pub fn next(
        &self,
        mut next: Version,
        moves: bool,
        finish: impl FnOnce(&mut Version),
    ) -> Option<Self> {
        let (last, written) = (self.version.serial(), next.serial());
        if moves && !is_newer(written, last) {
            if self.version.is_like(&next) {
                return None;
            }
            // Some take 0 for none.
            next.soa = with_serial(&next.soa, last.wrapping_add(1).max(1));
        }
        finish(&mut next);
        // What changes under one serial is no version of its own: whoever has that serial is led on from what it was first.
        if next.serial() == last {
            return None;
        }
        // Whoever has the last has no way to this.
        if !is_newer(next.serial(), last) {
            return Some(Self::new(next));
        }
        let (removed, added) = self.version.records.difference(&next.records);
        let step = Step {
            from: self.version.soa(),
            to: next.soa(),
            removed: Arc::new(removed),
            added: Arc::new(added),
        };
        let mut journal = Self {
            version: Arc::new(next),
            steps: self.steps.clone(),
        };
        journal.steps.push(Arc::new(step));
        journal.cut();
        Some(journal)
    }

    /// Forgets the oldest steps: those that are more to send than all of the zone are of no use.
    fn cut(&mut self) {
        let most = LEAST.max(self.version.records.octets().len());
        let mut octets: usize = self.steps.iter().map(|s| s.octets()).sum();
        let mut gone = 0;
        while octets > most || self.steps.len() - gone > STEPS {
            octets -= self.steps[gone].octets();
            gone += 1;
        }
        self.steps.drain(..gone);
    }

    /// The steps from a serial on; none where it is not known.
    #[must_use]
    pub fn since(&self, serial: u32) -> Option<&[Arc<Step>]> {
        let mut steps = self.steps.iter();
        let at = steps.position(|s| self::serial(&s.from.1) == serial)?;
        self.steps.get(at..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(serial: u32, addresses: &[u8]) -> Version {
        let mut soa = b"\x01a\0\x01b\0".to_vec();
        [serial, 1, 1, 1, 1]
            .iter()
            .for_each(|n| soa.extend_from_slice(&n.to_be_bytes()));
        let rdata: Vec<[u8; 4]> = addresses.iter().map(|n| [192, 0, 2, *n]).collect();
        let rr = |rdata| Rr {
            owner: b"\x01x\0",
            rtype: 1,
            ttl: 60,
            rdata,
        };
        Version {
            apex: Name::root(),
            ttl: 60,
            soa: soa.into(),
            records: Arc::new(Records::new(rdata.iter().map(|r| rr(&r[..])))),
        }
    }

    fn serials(journal: &Journal) -> Vec<(u32, u32)> {
        let of = |s: &Arc<Step>| (serial(&s.from.1), serial(&s.to.1));
        journal.steps.iter().map(of).collect()
    }

    #[test]
    fn a_zone_without_pools_keeps_the_serial_of_its_file() {
        let first = Journal::new(version(5, &[1]));
        assert_eq!(first.next(version(5, &[1]), false, |_| ()), None);
        let second = first.next(version(7, &[1, 2]), false, |_| ()).unwrap();
        assert_eq!(serials(&second), [(5, 7)]);
        // Under an older one: nobody can be led there.
        let lost = second.next(version(6, &[3]), false, |_| ()).unwrap();
        assert_eq!((lost.version.serial(), lost.steps.len()), (6, 0));
        // Under the same one: it is told with the next.
        assert_eq!(second.next(version(7, &[1, 2, 3]), false, |_| ()), None);
        let told = second.next(version(8, &[1, 2, 3]), false, |_| ()).unwrap();
        assert_eq!(told.since(7).unwrap()[0].added.iter().count(), 1);
        let third = second.next(version(8, &[1, 2]), false, |_| ()).unwrap();
        assert_eq!(serials(&third), [(5, 7), (7, 8)]);
        assert_eq!(third.since(7).map(<[_]>::len), Some(1));
        assert_eq!(third.since(5).map(<[_]>::len), Some(2));
        assert_eq!(third.since(6), None);
    }

    #[test]
    fn the_serial_of_a_zone_with_pools_goes_up_with_its_records() {
        let first = Journal::new(version(5, &[1]));
        assert_eq!(first.next(version(5, &[1]), true, |_| ()), None);
        let second = first.next(version(5, &[2]), true, |_| ()).unwrap();
        let third = second.next(version(5, &[3]), true, |_| ()).unwrap();
        assert_eq!(serials(&third), [(5, 6), (6, 7)]);
        // The file is behind: its serial decides nothing. Then it is ahead.
        assert_eq!(third.next(version(6, &[3]), true, |_| ()), None);
        assert_eq!(
            third
                .next(version(100, &[3]), true, |_| ())
                .unwrap()
                .version
                .serial(),
            100
        );
        let last = Journal::new(version(u32::MAX, &[1])).next(version(5, &[1]), true, |_| ());
        assert_eq!(
            last.unwrap().version.serial(),
            5,
            "RFC 1982: 5 is ahead of 2^32 - 1"
        );
        let last =
            Journal::new(version(u32::MAX, &[1])).next(version(u32::MAX, &[2]), true, |_| ());
        assert_eq!(last.unwrap().version.serial(), 1);
    }

    #[test]
    fn a_journal_is_bounded() {
        let mut journal = Journal::new(version(1, &[0]));
        for serial in 2..600 {
            let number = u8::try_from(serial % 250).unwrap();
            journal = journal
                .next(version(serial, &[number]), false, |_| ())
                .unwrap();
        }
        assert_eq!(journal.steps.len(), STEPS);
        assert!(journal.since(599 - 200).is_some() && journal.since(598 - 200).is_none());
    }

    #[test]
    fn what_is_stored_comes_back() {
        let journal = Journal::new(version(5, &[1, 2]));
        let journal = journal.next(version(6, &[2, 3]), false, |_| ()).unwrap();
        let octets = journal.to_octets();
        assert_eq!(Journal::of_octets(&octets), Some(journal));
        for cut in 0..octets.len() {
            assert_eq!(Journal::of_octets(&octets[..cut]), None, "{cut}");
        }
    }
}
