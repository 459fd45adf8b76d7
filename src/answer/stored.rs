//! What a zone that is signed elsewhere proves: its signatures beside the sets that they cover, and records of its own chain where there is
//! nothing (RFC 4035 3.1.3, RFC 5155 7.2).
//!
//! Which records prove an answer is known name by name along its aliases, but they stand in the authority section: they are noted on the
//! way, each once, and shown behind the last record of the answer.

use super::chain::Chain;
use super::proof::Absent;
use crate::dnssec::Presigned;
use crate::wire::{Full, Place, Section, Writer};
use crate::zone::{MAX_NAME, NameKey, NodeId, Rrset, Zone, rtype};

impl Chain<'_, '_> {
    /// The signatures of a set of the answer that was just written; and where it is a wildcard's, that no closer name is there.
    pub(super) fn stored_set(
        &mut self,
        stored: &Presigned,
        (zone, at): (&Zone, NodeId),
        set: &Rrset<'_>,
        key: &NameKey,
    ) -> Result<(), Full> {
        let owner = self.trail.owner();
        signatures(
            self.writer,
            Section::Answer,
            owner,
            (zone, at),
            (set, set.ttl),
        )?;
        let (name, own) = (key.suffix(0), zone.name(at));
        if own != name {
            let closer = if stored.is_hashed() {
                next_closer(name, parent(own))
            } else {
                name
            };
            self.note(stored, zone, closer);
        }
        // Behind an alias there may be more.
        let goes_on =
            set.rtype == rtype::CNAME && !matches!(self.query.qtype, rtype::CNAME | rtype::ANY);
        if goes_on { Ok(()) } else { self.show() }
    }

    /// The proof that something is not there, into the authority section.
    pub(super) fn stored_absence(
        &mut self,
        stored: &Presigned,
        zone: &Zone,
        absent: Absent,
        name: &[u8],
    ) -> Result<(), Full> {
        match absent {
            Absent::Type(at) if zone.name(at) == name => {
                self.lacks_type(stored, zone, name);
            }
            Absent::Type(at) => self.lacks_name(stored, zone, name, parent(zone.name(at))),
            Absent::Name(encloser) => self.lacks_name(stored, zone, name, zone.name(encloser)),
        }
        self.show()
    }

    /// A name that is there has no such type. What an NSEC3 has left out (RFC 5155 6) is next to one that says so.
    fn lacks_type(&mut self, stored: &Presigned, zone: &Zone, name: &[u8]) {
        match stored.find(zone, name) {
            Some((_, false)) if stored.is_hashed() => {
                self.closest(stored, zone, name);
            }
            Some((at, _)) => self.note_at(at),
            None => {}
        }
    }

    /// A name is not there below its closest encloser, whose wildcard is not there either, or has no such type.
    fn lacks_name(&mut self, stored: &Presigned, zone: &Zone, name: &[u8], encloser: &[u8]) {
        let mut encloser = encloser;
        if stored.is_hashed() {
            let closer = next_closer(name, encloser);
            encloser = self.closest(stored, zone, closer).unwrap_or(encloser);
        } else {
            self.note(stored, zone, name);
        }
        let mut wildcard = [0; MAX_NAME];
        let len = encloser.len() + 2;
        if let Some(octets) = wildcard.get_mut(..len) {
            octets[..2].copy_from_slice(b"\x01*");
            octets[2..].copy_from_slice(encloser);
            self.note(stored, zone, octets);
        }
    }

    /// Notes the closest encloser of a name that has an NSEC3, and that what lies between is not there; gives that encloser.
    fn closest<'n>(
        &mut self,
        stored: &Presigned,
        zone: &Zone,
        mut closer: &'n [u8],
    ) -> Option<&'n [u8]> {
        let apex = zone.name(zone.apex_node()).len();
        while closer.len() > apex {
            let encloser = parent(closer);
            if let Some((at, true)) = stored.find(zone, encloser) {
                self.note_at(at);
                self.note(stored, zone, closer);
                return Some(encloser);
            }
            closer = encloser;
        }
        None
    }

    /// What a referral says of a zone without a DS, behind its NS: the proof that it has none.
    pub(super) fn stored_referral(
        &mut self,
        stored: &Presigned,
        zone: &Zone,
        cut: NodeId,
    ) -> Result<(), Full> {
        self.lacks_type(stored, zone, zone.name(cut));
        self.show()
    }

    fn note(&mut self, stored: &Presigned, zone: &Zone, name: &[u8]) {
        if let Some((at, _)) = stored.find(zone, name) {
            self.note_at(at);
        }
    }

    fn note_at(&mut self, at: NodeId) {
        let proof = (self.number, at);
        if !self.desk.proofs.contains(&proof) {
            self.desk.proofs.push(proof);
        }
    }

    /// Writes what was noted. Nothing of the additional section may stand there already.
    pub(super) fn show(&mut self) -> Result<(), Full> {
        let zones = self.snapshot.zones.list();
        for (number, at) in self.desk.proofs.drain(..) {
            let Some(zone) = zones.get(number as usize) else {
                continue;
            };
            let mut kinds = [rtype::NSEC3, rtype::NSEC].into_iter();
            let Some(set) = kinds.find_map(|rtype| zone.rrset(at, rtype)) else {
                continue;
            };
            let (section, owner) = (Section::Authority, Place::Name(zone.name(at)));
            self.writer.rrset(section, owner, &set, set.ttl)?;
            signatures(self.writer, section, owner, (zone, at), (&set, set.ttl))?;
        }
        Ok(())
    }

    /// Writes what was noted of aliases on the way to another zone, or to nothing.
    #[cold]
    pub(super) fn show_late(&mut self) {
        let mark = self.writer.mark();
        if self.show().is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
        }
    }
}

/// Writes the signatures of a set that is given with this TTL, all or none.
pub(super) fn signatures(
    writer: &mut Writer<'_>,
    section: Section,
    owner: Place<'_>,
    (zone, at): (&Zone, NodeId),
    (set, ttl): (&Rrset<'_>, u32),
) -> Result<(), Full> {
    let mark = writer.mark();
    for rdata in zone.signatures(at, set.rtype) {
        let written = writer.record(section, owner, rtype::RRSIG, ttl, |w| w.put(rdata));
        if written.is_err() {
            writer.back_to(mark);
            return written;
        }
    }
    Ok(())
}

/// A name less its first label.
fn parent(name: &[u8]) -> &[u8] {
    match name[0] {
        0 => name,
        len => &name[1 + usize::from(len)..],
    }
}

/// A name that is below another, cut to one label more than that has (RFC 5155 1.3).
fn next_closer<'n>(mut name: &'n [u8], encloser: &[u8]) -> &'n [u8] {
    while parent(name).len() > encloser.len() {
        name = parent(name);
    }
    name
}
