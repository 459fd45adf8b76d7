//! Records in one piece of memory, in canonical order: to be sent as they lie, and to be compared with others.
//!
//! ```text
//!   owner's length u8 | owner | type u16 | TTL u32 | length u16, RDATA | the next ...
//! ```

use std::cmp::Ordering;

use crate::zone::{canonical, folded};

/// One record, as it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rr<'r> {
    /// The name it belongs to, in wire form.
    pub owner: &'r [u8],
    /// The type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// RDATA, names uncompressed.
    pub rdata: &'r [u8],
}

impl Rr<'_> {
    /// By name (RFC 4034 6.1), type and RDATA; not by TTL. Letters' case in names tells no records apart: the other side may have compressed a
    /// name against one that differs in it.
    fn order(&self, other: &Self) -> Ordering {
        let names = || canonical(self.owner, other.owner);
        let types = || self.rtype.cmp(&other.rtype);
        let rdata = || folded(self.rtype, self.rdata).cmp(folded(other.rtype, other.rdata));
        names().then_with(types).then_with(rdata)
    }
}

/// Records, each once, in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    octets: Box<[u8]>,
    count: usize,
}

impl Records {
    /// These, in order; of equal ones the first.
    #[must_use]
    pub fn new<'r>(records: impl IntoIterator<Item = Rr<'r>>) -> Self {
        let mut records: Vec<Rr<'_>> = records.into_iter().collect();
        records.sort_by(Rr::order);
        records.dedup_by(|b, a| a.order(b).is_eq());
        Self::in_order(records.into_iter())
    }

    fn in_order<'r>(records: impl Iterator<Item = Rr<'r>>) -> Self {
        let (mut octets, mut count) = (Vec::new(), 0);
        for Rr {
            owner,
            rtype,
            ttl,
            rdata,
        } in records
        {
            // Names have 255 octets at most, RDATA 65,535.
            octets.push(u8::try_from(owner.len()).unwrap_or(u8::MAX));
            octets.extend_from_slice(owner);
            octets.extend_from_slice(&rtype.to_be_bytes());
            octets.extend_from_slice(&ttl.to_be_bytes());
            let len = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
            octets.extend_from_slice(&len.to_be_bytes());
            octets.extend_from_slice(rdata);
            count += 1;
        }
        let octets = octets.into();
        Self { octets, count }
    }

    /// What [`Self::octets`] gave; none if these are no such octets.
    #[must_use]
    pub fn of_octets(octets: &[u8]) -> Option<Self> {
        let whole = Self {
            octets: octets.into(),
            count: 0,
        };
        let (mut at, mut count, mut before) = (0, 0, None);
        while at < octets.len() {
            let (rr, next) = whole.at(at)?;
            let name = crate::zone::Name::from_wire(rr.owner).ok()?;
            let ordered = before.is_none_or(|before: Rr<'_>| before.order(&rr).is_lt());
            if name.wire().len() != rr.owner.len() || !ordered {
                return None;
            }
            (at, count, before) = (next, count + 1, Some(rr));
        }
        Some(Self { count, ..whole })
    }

    /// As they lie.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The record that begins at an octet, and where the next one does; none behind the last.
    #[must_use]
    pub fn at(&self, at: usize) -> Option<(Rr<'_>, usize)> {
        let rest = self.octets.get(at..)?;
        let (len, rest) = rest.split_first()?;
        let (owner, rest) = rest.split_at_checked(usize::from(*len))?;
        let ([r0, r1, t0, t1, t2, t3, l0, l1], rest) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let rdata = rest.get(..len)?;
        let rr = Rr {
            owner,
            rtype: u16::from_be_bytes([*r0, *r1]),
            ttl: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
            rdata,
        };
        Some((rr, at + 9 + owner.len() + len))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Rr<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (rr, next) = self.at(at)?;
            at = next;
            Some(rr)
        })
    }

    /// What these have that `later` has not, and the other way round. One with another TTL is another.
    #[must_use]
    pub fn difference(&self, later: &Self) -> (Self, Self) {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let (mut old, mut new) = (self.iter().peekable(), later.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) => a.order(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            match order {
                Ordering::Less => removed.extend(old.next()),
                Ordering::Greater => added.extend(new.next()),
                Ordering::Equal => {
                    let (a, b) = (old.next(), new.next());
                    if a.map(|a| a.ttl) != b.map(|b| b.ttl) {
                        removed.extend(a);
                        added.extend(b);
                    }
                }
            }
        }
        let packed = |records: Vec<Rr<'_>>| Self::in_order(records.into_iter());
        (packed(removed), packed(added))
    }

    /// These after changes, in the order in which they were made; none where one does not fit: what goes was not there, or what comes was.
    #[must_use]
    pub fn changed<'r>(&self, changes: impl IntoIterator<Item = (Change, Rr<'r>)>) -> Option<Self> {
        let mut changes: Vec<(Change, Rr<'_>)> = changes.into_iter().collect();
        // Those of one record stay in their order.
        changes.sort_by(|(_, a), (_, b)| a.order(b));
        let same = |(_, a): &(Change, Rr<'_>), (_, b): &(Change, Rr<'_>)| a.order(b).is_eq();
        let mut nets = Vec::with_capacity(changes.len());
        for of_one in changes.chunk_by(same) {
            nets.push(Net::of(of_one)?);
        }
        let mut kept = Vec::with_capacity(self.count + nets.len());
        let mut nets = nets.into_iter().peekable();
        for rr in self.iter() {
            while let Some(net) = nets.next_if(|net| net.rr.order(&rr).is_lt()) {
                kept.extend(net.after(Change::Comes)?);
            }
            match nets.next_if(|net| net.rr.order(&rr).is_eq()) {
                Some(net) => kept.extend(net.after(Change::Goes)?),
                None => kept.push(rr),
            }
        }
        for net in nets {
            kept.extend(net.after(Change::Comes)?);
        }
        Some(Self::in_order(kept.into_iter()))
    }
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there no more.
    Goes,
    /// It was not there.
    Comes,
}

/// What many changes make of one record.
struct Net<'r> {
    rr: Rr<'r>,
    first: Change,
    last: Change,
}

impl<'r> Net<'r> {
    /// None: they do not follow each other.
    fn of(changes: &[(Change, Rr<'r>)]) -> Option<Self> {
        let turns = changes.windows(2).all(|pair| pair[0].0 != pair[1].0);
        let ((first, _), (last, rr)) = (*changes.first()?, *changes.last()?);
        turns.then_some(Self { rr, first, last })
    }

    /// What there is in the end, if the first change is what it must be.
    fn after(self, first: Change) -> Option<Option<Rr<'r>>> {
        let there = (self.last == Change::Comes).then_some(self.rr);
        (self.first == first).then_some(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (Vec<u8>, u16, u32, Vec<u8>);

    fn rr((owner, rtype, ttl, rdata): &Owned) -> Rr<'_> {
        Rr {
            owner,
            rtype: *rtype,
            ttl: *ttl,
            rdata,
        }
    }

    fn some() -> impl Strategy<Value = Vec<Owned>> {
        let owner = prop::collection::vec("[abA]{1,2}", 0..3).prop_map(|labels| {
            let mut wire = Vec::new();
            for label in &labels {
                wire.push(u8::try_from(label.len()).unwrap());
                wire.extend_from_slice(label.as_bytes());
            }
            wire.push(0);
            wire
        });
        let one = (owner, 1u16..3, 1u32..3, prop::collection::vec(0u8..2, 0..2));
        prop::collection::vec(one, 0..12)
    }

    /// Steps, each what goes and what comes, as changes.
    fn steps<'r>(steps: &[(&'r Records, &'r Records)]) -> Vec<(Change, Rr<'r>)> {
        let step = |(removed, added): &(&'r Records, &'r Records)| {
            let gone = removed.iter().map(|rr| (Change::Goes, rr));
            gone.chain(added.iter().map(|rr| (Change::Comes, rr)))
                .collect::<Vec<_>>()
        };
        steps.iter().flat_map(step).collect()
    }

    #[test]
    fn names_are_in_the_order_of_the_rfc() {
        let names = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            "\\001.z.example",
            "*.z.example",
            "\\200.z.example",
        ];
        let names = names.map(|n| crate::zone::Name::absolute(n).unwrap());
        for pair in names.windows(2) {
            assert_eq!(
                canonical(pair[0].wire(), pair[1].wire()),
                Ordering::Less,
                "{pair:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_to_the_other(before in some(), after in some()) {
            let (before, after) = (Records::new(before.iter().map(rr)), Records::new(after.iter().map(rr)));
            let (removed, added) = before.difference(&after);
            let changed = before.changed(steps(&[(&removed, &added)])).unwrap();
            prop_assert_eq!(changed.len(), after.len());
            prop_assert!(changed.difference(&after).0.is_empty() && changed.difference(&after).1.is_empty());
            prop_assert_eq!(Records::of_octets(after.octets()), Some(after.clone()));
            // What is to go is not there any more, unless only its TTL was another.
            let gone = |rr: Rr<'_>| after.iter().all(|a| a.order(&rr).is_ne());
            if removed.iter().any(gone) {
                prop_assert_eq!(after.changed(steps(&[(&removed, &Records::default())])), None);
            }
        }

        #[test]
        fn many_steps_are_as_good_as_one_after_the_other(states in prop::collection::vec(some(), 2..6)) {
            let states: Vec<Records> = states.iter().map(|s| Records::new(s.iter().map(rr))).collect();
            let all: Vec<_> = states.windows(2).map(|pair| pair[0].difference(&pair[1])).collect();
            let all: Vec<_> = all.iter().map(|(removed, added)| (removed, added)).collect();
            let changed = states[0].changed(steps(&all)).unwrap();
            let last = &states[states.len() - 1];
            prop_assert!(changed.difference(last).0.is_empty() && changed.difference(last).1.is_empty());
            // A step twice is one that does not fit.
            let twice: Vec<_> = all.iter().chain(all.last()).copied().collect();
            let differ = all.last().is_some_and(|(removed, added)| !removed.is_empty() || !added.is_empty());
            let missing = |rr: Rr<'_>| all[all.len() - 1].1.iter().all(|a| a.order(&rr).is_ne());
            let only_ttls = all.last().is_some_and(|(removed, added)| removed.len() == added.len() && !removed.iter().any(missing));
            prop_assert_eq!(states[0].changed(steps(&twice)).is_none(), differ && !only_ttls);
        }

        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            if let Some(records) = Records::of_octets(&octets) {
                prop_assert_eq!(records.octets(), &octets[..]);
            }
        }
    }
}
