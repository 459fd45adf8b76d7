//! A journal as octets, for the state folder.

use std::sync::Arc;

use super::{Journal, Records, Step, Version};
use crate::zone::Name;

/// What such octets begin with.
const MAGIC: &[u8] = b"nearmost zone 2\n";
/// Octets of a step besides its records and SOAs: six lengths and two TTLs.
const STEP: usize = 56;
/// Octets of the rest at most, beside its records: two names in an SOA and the zone's own.
const HEAD: usize = 1024;

impl Journal {
    /// All of it.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }

    /// The same behind others: a zone may be large, and is not copied twice.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let Version {
            apex,
            ttl,
            soa,
            records,
        } = &*self.version;
        let steps: usize = self.steps.iter().map(|step| step.octets() + STEP).sum();
        out.reserve(records.octets().len() + steps + HEAD);
        out.extend_from_slice(MAGIC);
        part(out, apex.wire());
        part(out, &ttl.to_be_bytes());
        part(out, soa);
        part(out, records.octets());
        part(out, &(self.steps.len() as u64).to_be_bytes());
        for step in &self.steps {
            for (ttl, soa) in [&step.from, &step.to] {
                part(out, &ttl.to_be_bytes());
                part(out, soa);
            }
            part(out, step.removed.octets());
            part(out, step.added.octets());
        }
    }

    /// What [`Self::to_octets`] gave; none if it is not whole.
    #[must_use]
    pub fn of_octets(octets: &[u8]) -> Option<Self> {
        let mut rest = octets.strip_prefix(MAGIC)?;
        let mut take = || {
            let (len, tail) = rest.split_first_chunk()?;
            let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
            let (part, tail) = tail.split_at_checked(len)?;
            rest = tail;
            Some(part)
        };
        let records = |octets: &[u8]| Records::of_octets(octets).map(Arc::new);
        let version = Version {
            apex: Name::from_wire(take()?).ok()?,
            ttl: u32::from_be_bytes(take()?.try_into().ok()?),
            soa: take()?.into(),
            records: records(take()?)?,
        };
        let count = u64::from_be_bytes(take()?.try_into().ok()?);
        let mut steps = Vec::new();
        for _ in 0..count {
            steps.push(Arc::new(Step {
                from: (u32::from_be_bytes(take()?.try_into().ok()?), take()?.into()),
                to: (u32::from_be_bytes(take()?.try_into().ok()?), take()?.into()),
                removed: records(take()?)?,
                added: records(take()?)?,
            }));
        }
        let version = Arc::new(version);
        rest.is_empty().then_some(Self { version, steps })
    }
}

fn part(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(&(octets.len() as u64).to_be_bytes());
    out.extend_from_slice(octets);
}
