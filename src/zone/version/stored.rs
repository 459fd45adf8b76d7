//! A journal as octets, for the state folder.

use std::sync::Arc;

use super::{Journal, Records, Step, Version};
use crate::zone::Name;

/// What such octets begin with.
const MAGIC: &[u8] = b"nearmost zone 2\n";

impl Journal {
    /// All of it.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let Version {
            apex,
            ttl,
            soa,
            records,
        } = &*self.version;
        let mut out = MAGIC.to_vec();
        part(&mut out, apex.wire());
        part(&mut out, &ttl.to_be_bytes());
        part(&mut out, soa);
        part(&mut out, records.octets());
        part(&mut out, &(self.steps.len() as u64).to_be_bytes());
        for step in &self.steps {
            for (ttl, soa) in [&step.from, &step.to] {
                part(&mut out, &ttl.to_be_bytes());
                part(&mut out, soa);
            }
            part(&mut out, step.removed.octets());
            part(&mut out, step.added.octets());
        }
        out
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
