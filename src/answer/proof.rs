//! The half of an answer that proves it: RRSIG records beside the sets that they cover, NSEC where there is nothing (RFC 4035 3.1, RFC 9824).
//! Here they are made; [`super::stored`] takes them from a zone that is signed elsewhere.

use super::chain::{Chain, purpose};
use super::stored::signatures;
use crate::dnssec::{Covered, Key, Purpose, Signature, SignedZone, Types};
use crate::snapshot::{Signatures, Snapshot};
use crate::wire::{Full, Mark, Place, Section, Writer};
use crate::zone::version::with_serial;
use crate::zone::{NameKey, NodeId, Rrset, Zone, rtype};

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The addresses of an answer, in the order in which they are signed.
    addresses: Vec<[u8; 16]>,
    /// What is to be shown of the chains of zones, by their numbers.
    pub(super) proofs: Vec<(u32, NodeId)>,
}

/// What is not there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Absent {
    /// The type that is asked for, at the name or at the wildcard that stands for it.
    Type(NodeId),
    /// The name, below this one.
    Name(NodeId),
}

impl<'a> Chain<'a, '_> {
    /// Whether signatures are wanted.
    pub(super) fn wants_signatures(&self) -> bool {
        self.query.edns.is_some_and(|e| e.dnssec_ok)
    }

    /// The signatures of the zone that is asked, if they are ours to make.
    pub(super) fn made(&self) -> Option<&'a SignedZone> {
        match self.signing? {
            Signatures::Made(signing) => Some(signing),
            Signatures::Stored(_) => None,
        }
    }

    /// Whether a name that is not there is denied as one that is (RFC 9824 3.1), as the asker cannot tell by the response code.
    pub(super) fn denies_compactly(&self) -> bool {
        let edns = self.query.edns.filter(|e| e.dnssec_ok && !e.compact_ok);
        self.made().is_some() && edns.is_some()
    }

    /// The signatures of a set of an answer that was just written at the name that is asked for, whose records they are or a wildcard's.
    pub(super) fn sign_set(
        &mut self,
        by: &Signatures,
        (zone, at): (&Zone, NodeId),
        set: &Rrset<'_>,
        key: &NameKey,
    ) -> Result<(), Full> {
        let signing = match by {
            Signatures::Made(signing) => signing,
            Signatures::Stored(stored) => return self.stored_set(stored, (zone, at), set, key),
        };
        let (section, name) = (Section::Answer, key.suffix(0));
        if zone.name(at) == name {
            let owner = self.trail.owner();
            return write_ready(signing, self.writer, section, owner, name, (set, set.ttl));
        }
        let covered = Covered {
            owner: name,
            rtype: set.rtype,
            ttl: set.ttl,
        };
        let signature = signing.of_expanded(set, &covered);
        self.put(section, None, (&covered, set.ttl), signature)
    }

    /// The signature of a pool's addresses, written since `mark`, at a name that has them for `most` seconds; whether it fits.
    pub(super) fn sign_addresses(
        &mut self,
        purpose: Purpose,
        key: &NameKey,
        most: u32,
        mark: &Mark,
    ) -> bool {
        let Some(signing) = self.made() else {
            return true;
        };
        let addresses = &mut self.desk.addresses;
        addresses.clear();
        let (mut rtype, mut ttl, mut len) = (rtype::A, most, 0);
        for (its, seconds, rdata) in self.writer.since(mark) {
            let mut address = [0; 16];
            (rtype, ttl, len) = (its, seconds, rdata.len().min(16));
            address[..len].copy_from_slice(&rdata[..len]);
            addresses.push(address);
        }
        addresses.sort_unstable();
        addresses.dedup();
        let covered = Covered {
            owner: key.suffix(0),
            rtype,
            ttl: most,
        };
        let rdata = addresses.iter().map(|address| &address[..len]);
        let signature = signing.of_records(purpose, &covered, rdata);
        self.put(Section::Answer, None, (&covered, ttl), signature)
            .is_ok()
    }

    /// The signature of the alias that a pool answers with.
    pub(super) fn sign_alias(
        &mut self,
        purpose: Purpose,
        key: &NameKey,
        most: u32,
        ttl: u32,
        target: &[u8],
    ) {
        let Some(signing) = self.made().filter(|_| !self.found.truncated) else {
            return;
        };
        let covered = Covered {
            owner: key.suffix(0),
            rtype: rtype::CNAME,
            ttl: most,
        };
        let signature = signing.of_records(purpose, &covered, std::iter::once(target));
        let place = Place::Name(key.suffix(0));
        let written = self.put(Section::Answer, Some(place), (&covered, ttl), signature);
        self.found.truncated |= written.is_err();
    }

    /// The signature of the zone's SOA with another serial than it has in the file.
    pub(super) fn sign_soa(
        &mut self,
        section: Section,
        owner: Option<Place<'_>>,
        (apex, soa): (&[u8], &Rrset<'_>),
        serial: u32,
        ttl: u32,
    ) -> Result<(), Full> {
        let (Some(signing), Some(rdata)) = (self.made(), soa.rdata().next()) else {
            return Ok(());
        };
        let rdata = with_serial(rdata, serial);
        let covered = Covered {
            owner: apex,
            rtype: rtype::SOA,
            ttl: soa.ttl,
        };
        // Strangers cannot make up serials.
        let signature = signing.of_records(Purpose::Pool, &covered, std::iter::once(&*rdata));
        self.put(section, owner, (&covered, ttl), signature)
    }

    /// The proof that what is asked for is not there, with a TTL of its own: which types are, or that the name is not.
    pub(super) fn deny_absent(
        &mut self,
        zone: &Zone,
        key: &NameKey,
        absent: Absent,
        ttl: u32,
    ) -> Result<(), Full> {
        let (snapshot, qtype, name) = (self.snapshot, self.query.qtype, key.suffix(0));
        match self.signing {
            None => Ok(()),
            Some(Signatures::Stored(stored)) => self.stored_absence(stored, zone, absent, name),
            Some(Signatures::Made(_)) => {
                let (types, purpose) = match absent {
                    Absent::Name(_) => (Types::none_such(), Purpose::Odd),
                    Absent::Type(at) => {
                        let mut types = types(snapshot, zone, at);
                        // A pool may have none just now.
                        types.remove(qtype);
                        (types, purpose(Purpose::Known, (zone, at), name))
                    }
                };
                let (ttls, nsec) = ((zone.negative_ttl(), ttl), types.nsec(name));
                let section = (Section::Authority, purpose);
                self.nsec(section, name, ttls, nsec.rdata(), [true; 2])
            }
        }
    }

    /// Writes an NSEC, and its signature, or one of both; its TTL, as it is signed and as it is given.
    fn nsec(
        &mut self,
        (section, purpose): (Section, Purpose),
        name: &[u8],
        (most, ttl): (u32, u32),
        rdata: &[u8],
        [record, signature]: [bool; 2],
    ) -> Result<(), Full> {
        let owner = Place::Name(name);
        if record {
            let write = |w: &mut Writer<'_>| w.put(rdata);
            self.writer
                .record(section, owner, rtype::NSEC, ttl, write)?;
        }
        let Some(signing) = self.made().filter(|_| signature) else {
            return Ok(());
        };
        let covered = Covered {
            owner: name,
            rtype: rtype::NSEC,
            ttl: most,
        };
        let made = signing.of_records(purpose, &covered, std::iter::once(rdata));
        self.found.compact = true;
        self.put(section, Some(owner), (&covered, ttl), made)
    }

    /// What a referral says of the other zone: its DS, or that it has none (RFC 4035 3.1.4).
    pub(super) fn sign_referral(
        &mut self,
        zone: &Zone,
        cut: NodeId,
        owner: Place<'_>,
    ) -> Result<(), Full> {
        let Some(by) = self.signing else {
            return Ok(());
        };
        let section = Section::Authority;
        match (zone.rrset(cut, rtype::DS), by) {
            (Some(ds), _) => {
                self.writer.rrset(section, owner, &ds, ds.ttl)?;
                let by = self.signing;
                sign_static(by, self.writer, section, owner, (zone, cut), (&ds, ds.ttl))
            }
            (None, Signatures::Stored(stored)) => self.stored_referral(stored, zone, cut),
            (None, Signatures::Made(_)) => {
                let (name, ttl) = (zone.name(cut), zone.negative_ttl());
                let nsec = types(self.snapshot, zone, cut).nsec(name);
                let section = (section, Purpose::Known);
                self.nsec(section, name, (ttl, ttl), nsec.rdata(), [true; 2])
            }
        }
    }

    /// Answers to who asks for NSEC or RRSIG of a name whose signatures are ours, whether or not these are wanted: the NSEC there would be, and the
    /// signatures of one set (RFC 8482 4.1), or of that NSEC where no set stands at the name. A name that is denied as if it were there (`at` is
    /// none) has its NSEC too: to say that there is no such record would be a lie that validators find. Whether it was such a question.
    pub(super) fn explicit(&mut self, zone: &Zone, at: Option<NodeId>, key: &NameKey) -> bool {
        let by_name = match self.query.qtype {
            rtype::RRSIG => true,
            rtype::NSEC => false,
            _ => return false,
        };
        let Some(by @ Signatures::Made(signing)) = self.snapshot.signatures(self.number) else {
            return false;
        };
        let wanted = self.signing.replace(by).is_some();
        let name = key.suffix(0);
        let mark = self.writer.mark();
        let own = at.filter(|at| by_name && zone.name(*at) == name);
        let set = own.and_then(|at| zone.rrsets(at).next());
        let written = if let Some(set) = set {
            let owner = self.trail.owner();
            let section = Section::Answer;
            write_ready(signing, self.writer, section, owner, name, (&set, set.ttl))
        } else {
            let ttl = zone.negative_ttl();
            let types = at.map_or_else(Types::none_such, |at| types(self.snapshot, zone, at));
            let nsec = types.nsec(name);
            let parts = [!by_name, by_name || wanted];
            let purpose = at.map_or(Purpose::Odd, |at| purpose(Purpose::Known, (zone, at), name));
            let section = (Section::Answer, purpose);
            self.nsec(section, name, (ttl, ttl), nsec.rdata(), parts)
        };
        if written.is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
        }
        true
    }

    /// Writes a signature, under `owner` or the name that is answered; without one the answer is none.
    fn put(
        &mut self,
        section: Section,
        owner: Option<Place<'_>>,
        (covered, ttl): (&Covered<'_>, u32),
        signature: Option<Signature>,
    ) -> Result<(), Full> {
        let (Some(signing), Some(signature)) = (self.made(), signature) else {
            self.found.busy = true;
            return Ok(());
        };
        let owner = owner.unwrap_or(self.trail.owner());
        let by = (signing.zsk(), &signature);
        write(signing, self.writer, section, owner, (covered, ttl), by)
    }
}

/// What is at a node, whoever asks.
pub(super) fn types(snapshot: &Snapshot, zone: &Zone, at: NodeId) -> Types {
    let mut types = Types::default();
    let cut = zone.cut(at) == Some(at);
    // At a cut all but these is the other zone's (RFC 4035 2.3).
    let ours = |rtype: &u16| !cut || matches!(*rtype, rtype::NS | rtype::DS);
    let sets = zone.rrsets(at).map(|set| set.rtype).filter(ours);
    sets.for_each(|rtype| types.add(rtype));
    if let Some(used) = zone.pool(at).filter(|_| !cut) {
        for rtype in [rtype::A, rtype::AAAA] {
            if super::pool::family(snapshot, used.pool, rtype).is_some() {
                types.add(rtype);
            }
        }
    }
    types.sign();
    types
}

/// The signatures of a set at its own name, if they are wanted.
#[inline]
pub(super) fn sign_static(
    signing: Option<&Signatures>,
    writer: &mut Writer<'_>,
    section: Section,
    owner: Place<'_>,
    (zone, at): (&Zone, NodeId),
    set: (&Rrset<'_>, u32),
) -> Result<(), Full> {
    match signing {
        Some(Signatures::Made(signing)) => {
            write_ready(signing, writer, section, owner, zone.name(at), set)
        }
        Some(Signatures::Stored(_)) => signatures(writer, section, owner, (zone, at), set),
        None => Ok(()),
    }
}

#[inline(never)]
fn write_ready(
    signing: &SignedZone,
    writer: &mut Writer<'_>,
    section: Section,
    owner: Place<'_>,
    name: &[u8],
    (set, ttl): (&Rrset<'_>, u32),
) -> Result<(), Full> {
    let covered = Covered {
        owner: name,
        rtype: set.rtype,
        ttl: set.ttl,
    };
    let mut written = Ok(());
    signing.of_set(set, |key, signature| {
        if written.is_ok() {
            written = write(
                signing,
                writer,
                section,
                owner,
                (&covered, ttl),
                (key, signature),
            );
        }
    });
    written
}

fn write(
    signing: &SignedZone,
    writer: &mut Writer<'_>,
    section: Section,
    owner: Place<'_>,
    (covered, ttl): (&Covered<'_>, u32),
    (key, signature): (&Key, &Signature),
) -> Result<(), Full> {
    let (head, signer) = signing.head(covered, key, signature);
    writer.record(section, owner, rtype::RRSIG, ttl, |w| {
        w.put(&head)?;
        w.put(signer)?;
        w.put(&signature.octets)
    })
}
