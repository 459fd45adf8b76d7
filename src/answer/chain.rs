//! From the name asked for along its aliases to records, a referral, or the proof that there is nothing.

use super::client::Asker;
use super::{Findings, pool};
use crate::health::Table;
use crate::snapshot::Snapshot;
use crate::wire::{ExtendedError, Place, Query, Section, Writer, rcode};
use crate::zone::{Lookup, MAX_NAME, NameKey, NodeId, Rrset, Zone, rtype};

/// Aliases that are followed in one answer.
const ALIASES: usize = 16;

/// Answers `query`; the records go to `writer`.
pub(super) fn follow(
    snapshot: &Snapshot,
    table: &Table,
    query: &Query<'_>,
    asker: Asker,
    draw: u64,
    writer: &mut Writer<'_>,
) -> Findings {
    let mut chain = Chain {
        snapshot,
        table,
        query,
        asker,
        draw,
        writer,
        found: Findings::default(),
        owner: [0; MAX_NAME],
        owner_len: 0,
        passed: [(0, None); ALIASES],
        aliases: 0,
    };
    chain.run();
    chain.found
}

struct Chain<'a, 'b> {
    snapshot: &'a Snapshot,
    table: &'a Table,
    query: &'a Query<'a>,
    asker: Asker,
    draw: u64,
    writer: &'a mut Writer<'b>,
    found: Findings,
    /// The name that is being answered, once it is no longer the question's.
    owner: [u8; MAX_NAME],
    owner_len: usize,
    /// Aliases that were followed: zone and node.
    passed: [(u32, Option<NodeId>); ALIASES],
    aliases: usize,
}

/// Whether there is another name to answer.
enum Step {
    Done,
    Alias,
}

impl<'a> Chain<'a, '_> {
    fn run(&mut self) {
        let mut key = NameKey::new(self.query.qname);
        loop {
            let Some((number, zone)) = self.zone_of(&key) else {
                if self.aliases == 0 {
                    self.found.rcode = rcode::REFUSED;
                    self.found.error = Some(ExtendedError::NOT_AUTHORITATIVE);
                }
                return;
            };
            // RFC 1034 6.2.7, RFC 2181 5.4.1: AA speaks of the first owner in the answer.
            self.found.authoritative |= self.aliases == 0;
            match self.name(number, zone, &key) {
                Step::Done => return,
                Step::Alias if self.aliases >= ALIASES => return,
                Step::Alias => {
                    self.aliases += 1;
                    key.set(&self.owner[..self.owner_len]);
                }
            }
        }
    }

    /// A zone's own name is in the parent too, and DS there is the parent's to answer (RFC 4035 3.1.4.1).
    fn zone_of(&self, key: &NameKey) -> Option<(u32, &'a Zone)> {
        let zones = &self.snapshot.zones;
        let parent = || {
            zones
                .find(key, true)
                .filter(|_| self.query.qtype == rtype::DS)
        };
        let (number, zone) = zones.find(key, false)?;
        let at_apex = key.labels() == zone.apex_labels();
        Some(if at_apex {
            parent().unwrap_or((number, zone))
        } else {
            (number, zone)
        })
    }

    fn name(&mut self, number: u32, zone: &'a Zone, key: &NameKey) -> Step {
        let lookup = zone.lookup(key);
        let (Lookup::Exact(at) | Lookup::Below(at)) = lookup;
        if let Some(cut) = zone.cut(at) {
            let ds = self.query.qtype == rtype::DS && lookup == Lookup::Exact(cut);
            if !ds {
                self.referral(zone, cut);
                return Step::Done;
            }
        }
        match lookup {
            Lookup::Exact(at) => self.node(number, zone, at, true),
            Lookup::Below(encloser) => {
                if let Some(dname) = zone.rrset(encloser, rtype::DNAME) {
                    return self.dname(zone, encloser, &dname);
                }
                match zone.wildcard(encloser) {
                    Some(wildcard) => self.node(number, zone, wildcard, false),
                    None => {
                        self.found.rcode = rcode::NXDOMAIN;
                        self.negative(zone);
                        Step::Done
                    }
                }
            }
        }
    }

    /// Answers from a node: that of the name, or (not `exact`) the wildcard's that stands for it.
    fn node(&mut self, number: u32, zone: &'a Zone, at: NodeId, exact: bool) -> Step {
        let qtype = self.query.qtype;
        if let Some(pool) = zone.pool(at)
            && (matches!(qtype, rtype::A | rtype::AAAA)
                || (qtype == rtype::ANY && zone.rrsets(at).next().is_none()))
        {
            let given = self.pool(pool);
            if !given {
                self.negative(zone);
            }
            return Step::Done;
        }
        // RFC 8482 4.1: one set is enough of an answer to ANY.
        let set = if qtype == rtype::ANY {
            zone.rrsets(at).next()
        } else {
            zone.rrset(at, qtype)
        };
        if let Some(set) = set {
            if self.answer(&set).is_some() {
                self.additional(zone, &set);
            }
            return Step::Done;
        }
        match zone.rrset(at, rtype::CNAME) {
            Some(alias) => self.cname(number, exact.then_some(at), &alias),
            None => {
                self.negative(zone);
                Step::Done
            }
        }
    }

    /// Whether there was anything to say but that there are no records.
    fn pool(&mut self, used: crate::zone::PoolUse) -> bool {
        let request = pool::Request {
            used,
            qtype: self.query.qtype,
            asker: self.asker,
            draw: self.draw,
        };
        let owner = owner(self.aliases, &self.owner, self.owner_len);
        self.found.pool = Some(used);
        let given = pool::answer(self.snapshot, self.table, request, owner, self.writer);
        if self.asker.by_ecs {
            self.found.scope = self.found.scope.max(given.scope);
        }
        self.found.truncated |= given.truncated;
        self.found.none_left |= given.none_left;
        self.found.error = given.error.or(self.found.error);
        if given.servfail {
            self.found.rcode = rcode::SERVFAIL;
            self.found.authoritative = false;
        }
        given.records > 0 || given.servfail || given.truncated
    }

    fn answer(&mut self, set: &Rrset<'_>) -> Option<()> {
        let owner = owner(self.aliases, &self.owner, self.owner_len);
        let written = self.writer.rrset(Section::Answer, owner, set, set.ttl);
        self.found.truncated |= written.is_err();
        written.ok()
    }

    fn cname(&mut self, number: u32, at: Option<NodeId>, alias: &Rrset<'_>) -> Step {
        // A name that was passed already closes a loop: all of it is in the answer, and asking on would say it again.
        if at.is_some() && self.passed[..self.aliases].contains(&(number, at)) {
            return Step::Done;
        }
        let target = alias.rdata().next();
        let (Some(()), Some(target)) = (self.answer(alias), target) else {
            return Step::Done;
        };
        if let Some(slot) = self.passed.get_mut(self.aliases) {
            *slot = (number, at);
        }
        self.owner_len = target.len().min(MAX_NAME);
        self.owner[..self.owner_len].copy_from_slice(&target[..self.owner_len]);
        Step::Alias
    }

    /// RFC 6672 3.2: the DNAME, and a CNAME made from it.
    fn dname(&mut self, zone: &Zone, at: NodeId, set: &Rrset<'_>) -> Step {
        let above = zone.name(at);
        let name = if self.aliases == 0 {
            self.query.qname
        } else {
            &self.owner[..self.owner_len]
        };
        let (prefix, suffix) = name.split_at(name.len() - above.len());
        // The DNAME's owner in the letters of the question: a pointer into it.
        if self
            .writer
            .rrset(Section::Answer, Place::Name(suffix), set, set.ttl)
            .is_err()
        {
            self.found.truncated = true;
            return Step::Done;
        }
        let target = set.rdata().next().unwrap_or(&[0]);
        let len = prefix.len() + target.len();
        if len > MAX_NAME {
            self.found.rcode = rcode::YXDOMAIN;
            return Step::Done;
        }
        let mut made = [0; MAX_NAME];
        made[..prefix.len()].copy_from_slice(prefix);
        made[prefix.len()..len].copy_from_slice(target);
        let (mark, from) = (
            self.writer.mark(),
            owner(self.aliases, &self.owner, self.owner_len),
        );
        let written = self
            .writer
            .record(Section::Answer, from, rtype::CNAME, set.ttl, |w| {
                w.name(&made[..len])
            });
        if written.is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
            return Step::Done;
        }
        (self.owner, self.owner_len) = (made, len);
        if self.query.qtype == rtype::CNAME {
            Step::Done
        } else {
            Step::Alias
        }
    }

    /// RFC 2308 3: the SOA with the TTL of negative answers.
    fn negative(&mut self, zone: &Zone) {
        let Some(soa) = zone.rrset(zone.apex_node(), rtype::SOA) else {
            return;
        };
        let owner = Place::Name(zone.apex().wire());
        let written = self
            .writer
            .rrset(Section::Authority, owner, &soa, zone.negative_ttl());
        self.found.truncated |= written.is_err();
    }

    /// RFC 1034 4.3.2 3b: who knows more, and where they are, if only we can say so.
    fn referral(&mut self, zone: &Zone, cut: NodeId) {
        self.found.authoritative &= self.aliases > 0;
        let Some(servers) = zone.rrset(cut, rtype::NS) else {
            return;
        };
        let owner = Place::Name(zone.name(cut));
        if self
            .writer
            .rrset(Section::Authority, owner, &servers, servers.ttl)
            .is_err()
        {
            self.found.truncated = true;
            return;
        }
        if self.query.edns.is_some_and(|e| e.dnssec_ok)
            && let Some(ds) = zone.rrset(cut, rtype::DS)
        {
            self.found.truncated |= self
                .writer
                .rrset(Section::Authority, owner, &ds, ds.ttl)
                .is_err();
        }
        // In-domain glue is part of the referral (RFC 9471 2.1): where it does not fit the reply is cut short. It goes first.
        let mut key = NameKey::default();
        for in_domain in [true, false] {
            for target in servers.rdata() {
                key.set(target);
                let below =
                    key.labels() >= labels(zone.name(cut)) && ends_with(&key, zone.name(cut));
                if below == in_domain {
                    let fits = self.addresses(zone, &key);
                    self.found.truncated |= in_domain && !fits;
                }
            }
        }
    }

    /// Addresses of the hosts that NS, MX and SRV records name, while there is room (RFC 1035 3.3, RFC 2782).
    fn additional(&mut self, zone: &Zone, set: &Rrset<'_>) {
        let skip = match set.rtype {
            rtype::NS => 0,
            rtype::MX => 2,
            rtype::SRV => 6,
            _ => return,
        };
        let mut key = NameKey::default();
        for rdata in set.rdata() {
            if let Some(target) = rdata.get(skip..) {
                key.set(target);
                self.addresses(zone, &key);
            }
        }
    }

    /// Adds the addresses that the zone itself has for a name; whether all of them fit.
    fn addresses(&mut self, zone: &Zone, key: &NameKey) -> bool {
        let Some(at) = zone.find(key.hash(0), key.suffix(0)) else {
            return true;
        };
        let owner = Place::Name(zone.name(at));
        [rtype::A, rtype::AAAA]
            .into_iter()
            .filter_map(|rtype| zone.rrset(at, rtype))
            .all(|set| {
                self.writer
                    .rrset(Section::Additional, owner, &set, set.ttl)
                    .is_ok()
            })
    }
}

/// The owner of the records that come next.
fn owner(aliases: usize, name: &[u8; MAX_NAME], len: usize) -> Place<'_> {
    if aliases == 0 {
        Place::Question
    } else {
        Place::Name(&name[..len])
    }
}

fn labels(wire: &[u8]) -> usize {
    crate::zone::labels(wire).count()
}

fn ends_with(key: &NameKey, lower: &[u8]) -> bool {
    key.suffix(key.labels() - labels(lower)) == lower
}
