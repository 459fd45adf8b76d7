//! A signed zone: its keys, and a signature for each of its sets of records.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cache::{Print, Printer};
use super::signature::FIXED;
use super::{Covered, Key, Signature, Signing, canonical};
use crate::zone::{NodeId, Rrset, Zone, rtype};

/// The keys and signatures of one zone.
#[derive(Debug)]
pub struct SignedZone {
    /// The zone's name in wire form and lower case: the signer.
    apex: Box<[u8]>,
    /// Those that sign the keys.
    ksks: Vec<Arc<Key>>,
    /// The one that signs all else.
    zsk: Arc<Key>,
    signing: Arc<Signing>,
    sets: ArcSwap<Sets>,
}

/// What is signed beforehand.
#[derive(Clone, Debug, Default)]
struct Sets {
    /// By the number of the set; sets that are not signed have one that ends at 0.
    data: Box<[(Print, Signature)]>,
    /// Those of the apex's sets about keys, by the numbers of set and key.
    keys: Vec<(u32, usize, Print, Signature)>,
}

const NONE: (Print, Signature) = (
    Print::NONE,
    Signature {
        inception: 0,
        expiration: 0,
        octets: [0; super::signature::SIGNATURE],
    },
);

/// Whether these are signed by the keys that a DS points at.
fn is_of_keys(rtype: u16) -> bool {
    matches!(rtype, rtype::DNSKEY | rtype::CDS | rtype::CDNSKEY)
}

impl SignedZone {
    /// Signs all sets of a zone that has its keys among its records. Signatures of `last` that still hold are taken over.
    /// For a hundred thousand names this takes seconds.
    #[must_use]
    pub fn new(
        zone: &Zone,
        ksks: Vec<Arc<Key>>,
        zsk: Arc<Key>,
        signing: Arc<Signing>,
        last: Option<&Self>,
    ) -> Self {
        let signed = Self {
            apex: zone.name(zone.apex_node()).into(),
            ksks,
            zsk,
            signing,
            sets: ArcSwap::default(),
        };
        let before = last.map(|last| last.sets.load_full()).unwrap_or_default();
        signed.sign(zone, &before);
        signed
    }

    /// Which draw a question for a pool has whose answer is to be signed: one of few at any time, so that the same sets come again.
    #[must_use]
    pub fn draw(&self, draw: u64) -> u64 {
        self.signing.draw(draw)
    }

    /// Signs anew what is old; whether anything was. `zone` is that of the start.
    pub fn refresh(&self, zone: &Zone) -> bool {
        let sets = self.sets.load_full();
        let old = |s: &Signature| s.expiration != 0 && self.signing.is_old(s);
        let data = sets.data.iter().map(|(_, s)| s);
        let keys = sets.keys.iter().map(|(_, _, _, s)| s);
        if !data.chain(keys).any(old) {
            return false;
        }
        let Sets { mut data, mut keys } = Sets::clone(&sets);
        let again = |at, set: &Rrset<'_>, key: &Key| self.set(zone, at, set, key, &HashMap::new());
        for at in zone.nodes() {
            for set in zone.rrsets(at) {
                let own = data.get_mut(set.number as usize);
                if let Some(own) = own.filter(|(_, s)| old(s)) {
                    *own = again(at, &set, &self.zsk);
                }
                let own = keys.iter_mut().filter(|(of, ..)| *of == set.number);
                for (_, key, print, signature) in own.filter(|(.., s)| old(s)) {
                    (*print, *signature) = again(at, &set, &self.ksks[*key]);
                }
            }
        }
        self.sets.store(Arc::new(Sets { data, keys }));
        true
    }

    fn sign(&self, zone: &Zone, before: &Sets) {
        let keys = before.keys.iter().map(|(_, _, print, s)| (*print, *s));
        let known = before.data.iter().copied().chain(keys);
        let known: HashMap<Print, Signature> = known.collect();
        let mut sets = Sets::default();
        let mut data = Vec::new();
        for at in zone.nodes() {
            for set in zone.rrsets(at) {
                let keys_own = is_of_keys(set.rtype) && at == zone.apex_node();
                let signed = is_signed(zone, at, &set);
                data.push(match signed && !keys_own {
                    true => self.set(zone, at, &set, &self.zsk, &known),
                    false => NONE,
                });
                for (number, key) in self.ksks.iter().enumerate().filter(|_| keys_own) {
                    let (print, signature) = self.set(zone, at, &set, key, &known);
                    sets.keys.push((set.number, number, print, signature));
                }
            }
        }
        sets.data = data.into();
        self.sets.store(Arc::new(sets));
    }

    fn set(
        &self,
        zone: &Zone,
        at: NodeId,
        set: &Rrset<'_>,
        key: &Key,
        known: &HashMap<Print, Signature>,
    ) -> (Print, Signature) {
        let covered = covered(zone.name(at), set);
        let rdata = canonical::ordered(set.rtype, set.rdata());
        let print = self.print(key, &covered, rdata.iter().map(Vec::as_slice));
        let kept = known.get(&print).filter(|s| !self.signing.is_old(s));
        let sign = || {
            self.signing
                .sign((key, &self.apex), print, &covered, &rdata)
        };
        (print, kept.copied().unwrap_or_else(sign))
    }

    /// The print of a set with this key.
    fn print<'r>(
        &self,
        key: &Key,
        covered: &Covered<'_>,
        rdata: impl Iterator<Item = &'r [u8]>,
    ) -> Print {
        let head = self
            .signing
            .printer()
            .with(&self.apex)
            .with(&key.public.rdata);
        let head = head.with(covered.owner).with(&covered.rtype.to_be_bytes());
        let head = head.with(&covered.ttl.to_be_bytes());
        rdata.fold(head, Printer::with).print()
    }

    /// The signatures of a set at its own name, each handed to `take` with its key.
    pub fn of_set(&self, set: &Rrset<'_>, mut take: impl FnMut(&Key, &Signature)) {
        let sets = self.sets.load();
        let known = sets.data.get(set.number as usize);
        if let Some((_, signature)) = known.filter(|(_, s)| s.expiration != 0) {
            take(&self.zsk, signature);
        } else {
            let own = sets.keys.iter().filter(|(of, ..)| *of == set.number);
            own.for_each(|(_, number, _, signature)| take(&self.ksks[*number], signature));
        }
    }

    /// The signature of a set of the zone under another name: a wildcard's records at the name asked for, signed as if they stood there
    /// (RFC 9824 3.3 knows no proof for the wildcard otherwise).
    pub fn of_expanded(&self, set: &Rrset<'_>, covered: &Covered<'_>) -> Option<Signature> {
        let sets = self.sets.load();
        let (of_wildcard, _) = sets.data.get(set.number as usize)?;
        if *of_wildcard == Print::NONE {
            // NS at a wildcard makes it a cut, whose sets are not signed as they stand there.
            let rdata = canonical::ordered(set.rtype, set.rdata());
            let rdata = rdata.iter().map(Vec::as_slice);
            return self.of_records(super::Purpose::Odd, covered, rdata);
        }
        let print = self.signing.printer().with(covered.owner);
        let print = print.with(&of_wildcard.octets()).print();
        let rdata = || canonical::ordered(set.rtype, set.rdata());
        let by = (&*self.zsk, &*self.apex);
        self.signing
            .get(by, print, super::Purpose::Odd, covered, rdata)
    }

    /// The signature of records that depend on the question, in canonical order.
    pub fn of_records<'r>(
        &self,
        purpose: super::Purpose,
        covered: &Covered<'_>,
        rdata: impl Iterator<Item = &'r [u8]> + Clone,
    ) -> Option<Signature> {
        let print = self.print(&self.zsk, covered, rdata.clone());
        let all = || rdata.map(|r| canonical::lower(covered.rtype, r)).collect();
        let by = (&*self.zsk, &*self.apex);
        self.signing.get(by, print, purpose, covered, all)
    }

    /// The RDATA of the signatures of a set by all keys that sign it: of `known` ones, of the very same set, those that are not old, others new. For
    /// who hands on the zone as a whole: no budget limits it.
    #[must_use]
    pub fn sign_all(
        &self,
        covered: &Covered<'_>,
        rdata: &[&[u8]],
        known: &[&[u8]],
    ) -> Vec<Vec<u8>> {
        let by_ksks = is_of_keys(covered.rtype) && covered.owner == &*self.apex;
        let keys = match by_ksks {
            true => self.ksks.as_slice(),
            false => std::slice::from_ref(&self.zsk),
        };
        let of_key = |key: &Arc<Key>| {
            let kept = known.iter().find(|rrsig| {
                let own = Signature::of_rdata(rrsig, self.apex.len());
                own.is_some_and(|own| {
                    let head = covered.head(key, own.inception, own.expiration);
                    rrsig.starts_with(&head) && !self.signing.is_old(&own)
                })
            });
            if let Some(kept) = kept {
                return kept.to_vec();
            }
            let rdata = canonical::ordered(covered.rtype, rdata.iter().copied());
            let print = self.print(key, covered, rdata.iter().map(Vec::as_slice));
            let signature = self.signing.sign((key, &self.apex), print, covered, &rdata);
            let (head, signer) = self.head(covered, key, &signature);
            [&head[..], signer, &signature.octets].concat()
        };
        keys.iter().map(of_key).collect()
    }

    /// The key that signs all but the keys.
    #[must_use]
    pub fn zsk(&self) -> &Key {
        &self.zsk
    }

    /// What comes before the signature in the RDATA of its record: the fields of fixed size, and the signer.
    #[must_use]
    pub fn head(
        &self,
        covered: &Covered<'_>,
        key: &Key,
        signature: &Signature,
    ) -> ([u8; FIXED], &[u8]) {
        let head = covered.head(key, signature.inception, signature.expiration);
        (head, &self.apex)
    }
}

/// A set at its own name.
pub(super) fn covered<'z>(owner: &'z [u8], set: &Rrset<'_>) -> Covered<'z> {
    Covered {
        owner,
        rtype: set.rtype,
        ttl: set.ttl,
    }
}

/// Whether a set is ours to sign: not what belongs to another zone, but that it has a DS (RFC 4035 2.2).
fn is_signed(zone: &Zone, at: NodeId, set: &Rrset<'_>) -> bool {
    match zone.cut(at) {
        None => true,
        Some(cut) => cut == at && set.rtype == rtype::DS,
    }
}
