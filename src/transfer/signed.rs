//! A signed zone as its secondaries are given it: a signature for each set, and a chain of NSEC records that says what is not there (RFC 4034 4).
//!
//! Secondaries make no signatures, so the compact denial of our own answers is not for them. Signatures of the last version are
//! taken over while they are not old and what they cover is the same: only what has changed is another record.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dnssec::{Covered, SignedZone, Types};
use crate::zone::version::{Records, Rr, Version, with_serial};
use crate::zone::{Name, is_below, rtype};

/// A type and its set.
type Typed<'r> = (u16, Set<'r>);

/// All records of one name and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set<'r> {
    ttl: u32,
    /// In the order in which they lie.
    rdata: Vec<&'r [u8]>,
}

/// A name of the zone that is ours to speak of.
struct Owner<'r> {
    name: &'r [u8],
    /// Whether another zone begins here.
    is_cut: bool,
    sets: Vec<Typed<'r>>,
}

/// A record that was made: owner, type, TTL, RDATA.
type Made<'r> = (&'r [u8], u16, u32, Vec<u8>);

/// Adds NSEC records with the TTL `negative` (RFC 9077), and signatures, to a version that has none, after `last`. The SOA has none in the
/// end if its last one is old or covers another: that makes the version another too, and [`sign_soa`] follows.
pub fn sign(version: &mut Version, signed: &SignedZone, negative: u32, last: Option<&Version>) {
    let apex = version.apex.to_lower();
    let plain = Arc::clone(&version.records);
    let before = last.map(Before::of).unwrap_or_default();
    let owners = owners(&plain, apex.wire());
    let mut made = Vec::new();
    for (number, owner) in owners.iter().enumerate() {
        let mut types = Types::default();
        for (rtype, set) in &owner.sets {
            types.add(*rtype);
            // A delegation is the other zone's to sign (RFC 4035 2.2).
            if !owner.is_cut || *rtype == rtype::DS {
                before.sign(signed, owner.name, (*rtype, set), &mut made);
            }
        }
        if owner.name == apex.wire() {
            types.add(rtype::SOA);
        }
        types.sign();
        let next = owners.get(number + 1).map_or(apex.wire(), |next| next.name);
        let nsec = types.nsec_before(next);
        let set = Set {
            ttl: negative,
            rdata: vec![nsec.rdata()],
        };
        before.sign(signed, owner.name, (rtype::NSEC, &set), &mut made);
        let rdata = nsec.rdata().to_vec();
        made.push((owner.name, rtype::NSEC, negative, rdata));
    }
    let same = last.filter(|last| {
        last.ttl == version.ttl && with_serial(&last.soa, 0) == with_serial(&version.soa, 0)
    });
    if let Some(last) = same {
        let known = before.signatures(apex.wire(), rtype::SOA);
        let soa = [&*last.soa];
        let covered = of_soa(&apex, version.ttl);
        let kept = signed.sign_all(&covered, &soa, known);
        let kept = kept.into_iter().filter(|rdata| known.contains(&&**rdata));
        made.extend(kept.map(|rdata| (apex.wire(), rtype::RRSIG, version.ttl, rdata)));
    }
    version.records = Arc::new(with(&plain, &made));
}

/// Signs the SOA of a version whose serial is settled.
pub fn sign_soa(version: &mut Version, signed: &SignedZone) {
    let apex = version.apex.to_lower();
    let covered = of_soa(&apex, version.ttl);
    let made = signed.sign_all(&covered, &[&version.soa], &[]);
    let made = made.into_iter();
    let made: Vec<Made<'_>> = made
        .map(|rdata| (apex.wire(), rtype::RRSIG, version.ttl, rdata))
        .collect();
    let stale = |rr: &Rr<'_>| {
        rr.rtype == rtype::RRSIG && rr.owner == apex.wire() && covers(rr.rdata) == rtype::SOA
    };
    let others = version.records.iter().filter(|rr| !stale(rr));
    version.records = Arc::new(Records::new(others.chain(made.iter().map(rr))));
}

fn of_soa(apex: &Name, ttl: u32) -> Covered<'_> {
    Covered {
        owner: apex.wire(),
        rtype: rtype::SOA,
        ttl,
    }
}

fn with(records: &Records, made: &[Made<'_>]) -> Records {
    Records::new(records.iter().chain(made.iter().map(rr)))
}

fn rr<'m>((owner, rtype, ttl, rdata): &'m Made<'_>) -> Rr<'m> {
    Rr {
        owner,
        rtype: *rtype,
        ttl: *ttl,
        rdata,
    }
}

/// The type that a signature covers.
fn covers(rrsig: &[u8]) -> u16 {
    rrsig
        .first_chunk()
        .map_or(0, |octets| u16::from_be_bytes(*octets))
}

/// The names that are ours, in order: what lies below a delegation or a DNAME is not.
fn owners<'r>(records: &'r Records, apex: &[u8]) -> Vec<Owner<'r>> {
    let mut owners: Vec<Owner<'r>> = Vec::new();
    // What it hides comes right behind it.
    let mut hides: Option<&[u8]> = None;
    for rr in records.iter() {
        if hides.is_some_and(|top| rr.owner != top && is_below(rr.owner, top)) {
            continue;
        }
        if owners.last().is_none_or(|last| last.name != rr.owner) {
            owners.push(Owner {
                name: rr.owner,
                is_cut: false,
                sets: Vec::new(),
            });
        }
        let Some(owner) = owners.last_mut() else {
            continue;
        };
        owner.is_cut |= rr.rtype == rtype::NS && rr.owner != apex;
        if owner.is_cut || rr.rtype == rtype::DNAME {
            hides = Some(rr.owner);
        }
        match owner
            .sets
            .last_mut()
            .filter(|(rtype, _)| *rtype == rr.rtype)
        {
            Some((_, set)) => set.rdata.push(rr.rdata),
            None => owner.sets.push((
                rr.rtype,
                Set {
                    ttl: rr.ttl,
                    rdata: vec![rr.rdata],
                },
            )),
        }
    }
    for owner in owners.iter_mut().filter(|owner| owner.is_cut) {
        // At a cut all else is the other zone's (RFC 4035 2.3).
        owner
            .sets
            .retain(|(rtype, _)| matches!(*rtype, rtype::NS | rtype::DS));
    }
    owners
}

/// What the last version had.
#[derive(Default)]
struct Before<'r> {
    sets: HashMap<(&'r [u8], u16), Set<'r>>,
    /// By the type that they cover.
    signatures: HashMap<(&'r [u8], u16), Vec<&'r [u8]>>,
}

impl<'r> Before<'r> {
    fn of(version: &'r Version) -> Self {
        let mut before = Self::default();
        for rr in version.records.iter() {
            if rr.rtype == rtype::RRSIG {
                let own = before.signatures.entry((rr.owner, covers(rr.rdata)));
                own.or_default().push(rr.rdata);
            } else {
                let set = before.sets.entry((rr.owner, rr.rtype)).or_default();
                set.ttl = rr.ttl;
                set.rdata.push(rr.rdata);
            }
        }
        before
    }

    fn signatures<'s>(&'s self, owner: &'s [u8], covered: u16) -> &'s [&'s [u8]] {
        self.signatures
            .get(&(owner, covered))
            .map_or(&[], Vec::as_slice)
    }

    /// Signs a set, with what is known where that holds.
    fn sign<'o>(
        &self,
        signed: &SignedZone,
        owner: &'o [u8],
        (rtype, set): (u16, &Set<'_>),
        made: &mut Vec<Made<'o>>,
    ) {
        let same = self
            .sets
            .get(&(owner, rtype))
            .is_some_and(|before| before == set);
        let known = if same {
            self.signatures(owner, rtype)
        } else {
            &[]
        };
        let covered = Covered {
            owner,
            rtype,
            ttl: set.ttl,
        };
        let all = signed.sign_all(&covered, &set.rdata, known).into_iter();
        made.extend(all.map(|rdata| (owner, rtype::RRSIG, set.ttl, rdata)));
    }
}
