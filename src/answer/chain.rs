//! From the name asked for along its aliases to records, a referral, or the proof that there is nothing.

use super::client::Asker;
use super::proof::{Absent, sign_static};
use super::{Findings, Request, pool};
use crate::dnssec::Purpose;
use crate::health::Table;
use crate::snapshot::{Signatures, Snapshot};
use crate::wire::{ExtendedError, Full, Place, Query, Section, Writer, rcode};
use crate::zone::{Lookup, MAX_NAME, NameKey, NodeId, PoolUse, Rrset, Zone, is_below, rtype};

/// Aliases that are followed in one answer.
const ALIASES: usize = 16;
/// Hosts whose addresses are added to an answer that names them.
const HOSTS: usize = 32;

/// The way along aliases.
#[derive(Debug)]
pub(super) struct Trail {
    /// The name that is being answered, once it is no longer the question's.
    owner: [u8; MAX_NAME],
    owner_len: usize,
    /// Where in the message the owners of the aliases stand that were followed.
    passed: [usize; ALIASES],
    /// Zone and node of the DNAMEs among them.
    dnames: [Option<(u32, NodeId)>; ALIASES],
    /// How many were followed.
    aliases: usize,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            owner: [0; MAX_NAME],
            owner_len: 0,
            passed: [0; ALIASES],
            dnames: [None; ALIASES],
            aliases: 0,
        }
    }
}

impl Trail {
    /// The owner of the records that come next.
    pub(super) fn owner(&self) -> Place<'_> {
        if self.aliases == 0 {
            Place::Question
        } else {
            Place::Name(self.name())
        }
    }

    /// The name that comes next, once an alias was followed.
    fn name(&self) -> &[u8] {
        &self.owner[..self.owner_len]
    }

    fn go_to(&mut self, name: &[u8]) {
        self.owner_len = name.len().min(MAX_NAME);
        self.owner[..self.owner_len].copy_from_slice(&name[..self.owner_len]);
    }

    /// Goes on with another name after an alias whose owner stands at `at` in the message: one of [`ALIASES`] at most.
    fn pass(&mut self, at: usize, dname: Option<(u32, NodeId)>) {
        (self.passed[self.aliases], self.dnames[self.aliases]) = (at, dname);
        self.aliases += 1;
    }

    /// Whether the DNAME of a node is in the answer already.
    fn is_given(&self, number: u32, at: NodeId) -> bool {
        self.dnames[..self.aliases].contains(&Some((number, at)))
    }
}

/// One question on its way from name to name; the records go to `writer`.
pub(super) struct Chain<'a, 'b> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) table: &'a Table,
    pub(super) query: &'a Query<'a>,
    pub(super) asker: Asker,
    pub(super) request: &'a Request<'a>,
    /// The key that it is signed with, by its number.
    pub(super) key: Option<usize>,
    /// The zone that is being asked, by its number.
    pub(super) number: u32,
    pub(super) writer: &'a mut Writer<'b>,
    pub(super) trail: &'a mut Trail,
    /// For the names of hosts in records.
    pub(super) hosts: &'a mut NameKey,
    pub(super) given: &'a mut pool::Given,
    /// The signatures of the zone that is asked, where they are wanted.
    pub(super) signing: Option<&'a Signatures>,
    pub(super) desk: &'a mut super::proof::Desk,
    pub(super) found: Findings,
}

/// Whether there is another name to answer.
enum Step {
    Done,
    Alias,
}

impl<'a> Chain<'a, '_> {
    /// Answers; `key` is for the names on the way.
    pub(super) fn run(&mut self, key: &mut NameKey) {
        self.walk(key);
        if !self.desk.proofs.is_empty() {
            self.show_late();
        }
    }

    fn walk(&mut self, key: &mut NameKey) {
        self.trail.aliases = 0;
        key.set(self.query.qname);
        loop {
            let Some((number, zone)) = self.zone_of(key) else {
                if self.trail.aliases == 0 {
                    self.found.rcode = rcode::REFUSED;
                    self.found.error = Some(ExtendedError::NOT_AUTHORITATIVE);
                }
                return;
            };
            // RFC 1034 6.2.7, RFC 2181 5.4.1: AA speaks of the first owner in the answer.
            if self.trail.aliases == 0 {
                self.found.authoritative = true;
                self.found.zone = Some(number);
            }
            self.number = number;
            if !self.snapshot.may_ask(number, self.request.source, self.key) {
                // What came before along aliases is of zones that may be asked.
                if self.trail.aliases == 0 {
                    self.found.authoritative = false;
                    self.found.rcode = rcode::REFUSED;
                    self.found.error = Some(ExtendedError::PROHIBITED);
                }
                return;
            }
            if zone.is_void() {
                // What came before along aliases holds all the same.
                self.found.authoritative &= self.trail.aliases > 0;
                self.found.rcode = rcode::SERVFAIL;
                self.found.error = Some(ExtendedError::NOT_READY);
                return;
            }
            let signing = self.snapshot.signatures(number);
            self.signing = signing.filter(|_| self.wants_signatures());
            match self.name(number, zone, key) {
                Step::Done => return,
                Step::Alias if self.is_closed() => return,
                Step::Alias => key.set(self.trail.name()),
            }
        }
    }

    /// Whether the name that comes next was passed already: all of a loop is in the answer then, and asking on would
    /// only say it again.
    fn is_closed(&self) -> bool {
        let Trail {
            passed, aliases, ..
        } = &*self.trail;
        let mut passed = passed[..*aliases].iter();
        passed.any(|&at| self.writer.stands(at, self.trail.name()))
    }

    /// A zone's own name is in the parent too, and DS there is the parent's to answer (RFC 4035 3.1.4.1).
    fn zone_of(&self, key: &NameKey) -> Option<(u32, &'a Zone)> {
        let zones = &self.snapshot.zones;
        let parent = || {
            let (number, parent) = zones
                .find(key, true)
                .filter(|_| self.query.qtype == rtype::DS)?;
            // One that has delegated a name in between knows nothing of it.
            let lookup = parent.lookup(key);
            let (Lookup::Exact(at) | Lookup::Below(at)) = lookup;
            let ours = |cut| lookup == Lookup::Exact(cut);
            parent.cut(at).is_none_or(ours).then_some((number, parent))
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
            Lookup::Exact(at) => self.node(number, zone, at, key),
            Lookup::Below(encloser) => {
                if let Some(dname) = zone.rrset(encloser, rtype::DNAME) {
                    return match self.trail.aliases {
                        ALIASES => Step::Done,
                        _ => self.dname(number, zone, encloser, &dname),
                    };
                }
                match zone.wildcard(encloser) {
                    Some(wildcard) => self.node(number, zone, wildcard, key),
                    None if self.denies_compactly() => {
                        if !self.explicit(zone, None, key) {
                            self.negative(zone, key, Absent::Name(encloser));
                        }
                        Step::Done
                    }
                    None => {
                        self.found.rcode = rcode::NXDOMAIN;
                        self.negative(zone, key, Absent::Name(encloser));
                        Step::Done
                    }
                }
            }
        }
    }

    /// Answers from a node: that of the name, or the wildcard's that stands for it.
    fn node(&mut self, number: u32, zone: &'a Zone, at: NodeId, key: &NameKey) -> Step {
        let qtype = self.query.qtype;
        if let Some(pool) = zone.pool(at)
            && (matches!(qtype, rtype::A | rtype::AAAA)
                || (qtype == rtype::ANY && zone.rrsets(at).next().is_none()))
        {
            return self.pool(pool, zone, at, key);
        }
        if self.explicit(zone, Some(at), key) {
            return Step::Done;
        }
        // RFC 8482 4.1: one set is enough of an answer to ANY.
        let set = if qtype == rtype::ANY {
            let proves = |set: &Rrset<'_>| matches!(set.rtype, rtype::RRSIG | rtype::NSEC);
            zone.rrsets(at).find(|set| !proves(set))
        } else {
            zone.rrset(at, qtype)
        };
        if let Some(set) = set {
            let given = set.rtype == rtype::DNAME && self.trail.is_given(number, at);
            if !given && self.answer(zone, at, &set, key).is_some() {
                self.additional(zone, &set);
            }
            return Step::Done;
        }
        match zone.rrset(at, rtype::CNAME) {
            Some(_) if self.trail.aliases == ALIASES => Step::Done,
            Some(alias) => self.cname(zone, at, &alias, key),
            None => {
                self.nodata(zone, at, key);
                Step::Done
            }
        }
    }

    fn pool(&mut self, used: PoolUse, zone: &Zone, at: NodeId, key: &NameKey) -> Step {
        let draw = self.request.draw;
        let draw = self.made().map_or(draw, |signing| signing.draw(draw));
        let request = pool::Request {
            used,
            qtype: self.query.qtype,
            asker: self.asker,
            draw,
        };
        self.found.pool = self.found.pool.or(Some(used));
        let owner = self.trail.owner();
        let mark = self.writer.mark();
        let signed_for = self
            .signing
            .map(|_| purpose(Purpose::Pool, (zone, at), key.suffix(0)));
        let given = pool::answer(
            self.snapshot,
            self.table,
            request,
            owner,
            self.writer,
            self.given,
        );
        self.found.scope = self.found.scope.max(self.asker.scope(given.scope));
        self.found.truncated |= given.truncated;
        self.found.none_left |= given.none_left;
        self.found.error = given.error.or(self.found.error);
        if given.servfail {
            self.found.rcode = rcode::SERVFAIL;
            self.found.authoritative = false;
        }
        match given.alias {
            Some(_) if self.trail.aliases == ALIASES => return Step::Done,
            Some((target, ttl)) => {
                let step = self.made_cname(None, ttl, target.wire());
                if let Some(purpose) = signed_for {
                    self.sign_alias(purpose, key, used.max_ttl, ttl, target.wire());
                }
                return step;
            }
            None => {}
        }
        if given.records > 0
            && let Some(purpose) = signed_for
            && !self.sign_addresses(purpose, key, used.max_ttl, &mark)
        {
            self.writer.back_to(mark);
            self.given.clear();
            self.found.truncated = true;
        }
        // Whether there was anything to say but that there are no records.
        if given.records == 0 && !given.servfail && !given.truncated {
            self.nodata(zone, at, key);
        }
        Step::Done
    }

    // Of two callers this is the rarer one's: CNAMEs can wait.
    #[inline(always)]
    fn answer(&mut self, zone: &Zone, at: NodeId, set: &Rrset<'_>, key: &NameKey) -> Option<()> {
        let mark = self.writer.mark();
        let written = match set.rtype {
            rtype::SOA => self.soa(Section::Answer, None, zone, set, set.ttl),
            _ => {
                let owner = self.trail.owner();
                let written = self.writer.rrset(Section::Answer, owner, set, set.ttl);
                match self.signing {
                    Some(by) => written.and_then(|()| self.sign_set(by, (zone, at), set, key)),
                    None => written,
                }
            }
        };
        if written.is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
        }
        written.ok()
    }

    fn cname(&mut self, zone: &Zone, node: NodeId, alias: &Rrset<'_>, key: &NameKey) -> Step {
        let at = self.writer.place(self.trail.owner());
        let target = alias.rdata().next();
        let (Some(()), Some(target)) = (self.answer(zone, node, alias, key), target) else {
            return Step::Done;
        };
        self.trail.pass(at, None);
        self.trail.go_to(target);
        Step::Alias
    }

    /// RFC 6672 3.2: the DNAME, and a CNAME made from it.
    fn dname(&mut self, number: u32, zone: &Zone, at: NodeId, set: &Rrset<'_>) -> Step {
        let name = if self.trail.aliases == 0 {
            self.query.qname
        } else {
            self.trail.name()
        };
        let (prefix, suffix) = name.split_at(name.len() - zone.name(at).len());
        // An alias may lead back to a DNAME that was used: it is in the answer once.
        let given = self.trail.is_given(number, at);
        // The DNAME's owner in the letters of the question: a pointer into it.
        let owner = Place::Name(suffix);
        if !given {
            let mark = self.writer.mark();
            let written = self.writer.rrset(Section::Answer, owner, set, set.ttl);
            let (signing, writer) = (self.signing, &mut *self.writer);
            let (section, by) = (Section::Answer, (set, set.ttl));
            let sign = |()| sign_static(signing, writer, section, owner, (zone, at), by);
            if written.and_then(sign).is_err() {
                self.writer.back_to(mark);
                self.found.truncated = true;
                return Step::Done;
            }
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
        let step = self.made_cname(Some((number, at)), set.ttl, &made[..len]);
        // RFC 6672 2.2: a DNAME that leads below itself never ends.
        if is_below(target, zone.name(at)) {
            Step::Done
        } else {
            step
        }
    }

    /// A CNAME that stands in no zone: what a DNAME means at one name, or a pool answers.
    fn made_cname(&mut self, dname: Option<(u32, NodeId)>, ttl: u32, target: &[u8]) -> Step {
        let from = self.trail.owner();
        let at = self.writer.place(from);
        let written = self
            .writer
            .record(Section::Answer, from, rtype::CNAME, ttl, |w| w.name(target));
        if written.is_err() {
            self.found.truncated = true;
            return Step::Done;
        }
        self.trail.pass(at, dname);
        self.trail.go_to(target);
        if self.query.qtype == rtype::CNAME {
            Step::Done
        } else {
            Step::Alias
        }
    }

    /// There are no such records at a node that is there.
    fn nodata(&mut self, zone: &Zone, at: NodeId, key: &NameKey) {
        self.negative(zone, key, Absent::Type(at));
    }

    /// RFC 2308 3: the SOA with the TTL of negative answers; where that is signed with the proof.
    /// Where a pool has nobody left, that is not remembered longer than its least TTL.
    fn negative(&mut self, zone: &Zone, key: &NameKey, absent: Absent) {
        let least = self
            .found
            .pool
            .filter(|_| self.found.none_left)
            .map(|used| used.min_ttl);
        let ttl = zone.negative_ttl().min(least.unwrap_or(u32::MAX));
        let Some(soa) = zone.rrset(zone.apex_node(), rtype::SOA) else {
            return;
        };
        let owner = Place::Name(zone.apex().wire());
        let mark = self.writer.mark();
        let written = self.soa(Section::Authority, Some(owner), zone, &soa, ttl);
        let deny = |()| self.deny_absent(zone, key, absent, ttl);
        if written.and_then(deny).is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
        }
    }

    /// Writes the zone's SOA, under `owner` or the name that is answered: with the serial that secondaries know, where that is not the file's.
    fn soa(
        &mut self,
        section: Section,
        owner: Option<Place<'_>>,
        zone: &Zone,
        set: &Rrset<'_>,
        ttl: u32,
    ) -> Result<(), Full> {
        let place = owner.unwrap_or(self.trail.owner());
        self.writer.rrset(section, place, set, ttl)?;
        let apex = zone.name(zone.apex_node());
        let secondaries = self.snapshot.secondaries.get(self.number as usize);
        if let Some(secondaries) = secondaries
            && secondaries.moves
            && let Some(journal) = &*secondaries.journal.load()
        {
            let serial = journal.version.serial();
            self.writer.serial(serial);
            return self.sign_soa(section, owner, (apex, set), serial, ttl);
        }
        let at = (zone, zone.apex_node());
        sign_static(self.signing, self.writer, section, place, at, (set, ttl))
    }

    /// RFC 1034 4.3.2 3b: who knows more, and where they are, if only we can say so.
    fn referral(&mut self, zone: &Zone, cut: NodeId) {
        self.found.authoritative &= self.trail.aliases > 0;
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
        let mark = self.writer.mark();
        // What was noted along aliases belongs to this section too, and glue comes behind it.
        let proven = self.sign_referral(zone, cut, owner);
        if proven.and_then(|()| self.show()).is_err() {
            self.writer.back_to(mark);
            self.found.truncated = true;
            return;
        }
        // In-domain glue is part of the referral (RFC 9471 2.1): it goes first, and where it does not fit the reply is cut
        // short.
        for in_domain in [true, false] {
            for target in servers.rdata() {
                if is_below(target, zone.name(cut)) == in_domain
                    && let Some(at) = host(zone, target, self.hosts)
                {
                    let fits = self.write_host(zone, at, None);
                    self.found.truncated |= in_domain && !fits;
                }
            }
        }
    }

    /// Addresses of the hosts that NS, MX, SRV, SVCB and HTTPS records name, while there is room (RFC 1035 3.3, RFC 2782,
    /// RFC 9460 4.1).
    fn additional(&mut self, zone: &Zone, set: &Rrset<'_>) {
        let skip = match set.rtype {
            rtype::NS => 0,
            rtype::MX | rtype::SVCB | rtype::HTTPS => 2,
            rtype::SRV => 6,
            _ => return,
        };
        // What was noted along aliases stands before it.
        if !self.desk.proofs.is_empty() {
            self.show_late();
        }
        // The next step of an alias among services.
        let further = matches!(set.rtype, rtype::SVCB | rtype::HTTPS).then_some(set.rtype);
        // A host that several records name is given once.
        let (mut given, mut hosts) = ([None; HOSTS], 0);
        for target in set
            .rdata()
            .filter_map(|rdata| name_at_start(rdata.get(skip..)?))
        {
            let Some(at) = host(zone, target, self.hosts) else {
                continue;
            };
            if hosts == HOSTS {
                return;
            }
            let known = (at, self.hosts.hash(0));
            if !given[..hosts].contains(&Some(known)) {
                given[hosts] = Some(known);
                hosts += 1;
                self.write_host(zone, at, further);
            }
        }
    }

    /// Adds what the host in `hosts` has at `at`: addresses, and perhaps a `further` type; whether all of it fits. Signatures that do not fit
    /// are left out (RFC 4035 3.1.1).
    fn write_host(&mut self, zone: &Zone, at: NodeId, further: Option<u16>) -> bool {
        let types = [rtype::A, rtype::AAAA].into_iter().chain(further);
        let mut sets = types.filter_map(|rtype| zone.rrset(at, rtype));
        sets.all(|set| {
            let owner = Place::Name(self.hosts.suffix(0));
            let section = Section::Additional;
            if self.writer.rrset(section, owner, &set, set.ttl).is_err() {
                return false;
            }
            // That of a wildcard would need a proof.
            if zone.name(at) == self.hosts.suffix(0) {
                let by = self.signing;
                let set = (&set, set.ttl);
                let _ = sign_static(by, self.writer, section, owner, (zone, at), set);
            }
            true
        })
    }
}

/// For whom a signature is made: names of the zone have one of their `own`, as they cannot be made up; those that a wildcard stands for can.
pub(super) fn purpose(own: Purpose, (zone, at): (&Zone, NodeId), name: &[u8]) -> Purpose {
    if zone.name(at) == name {
        own
    } else {
        Purpose::Odd
    }
}

/// Where a host's records are in the zone, if it has any: at its name, glue too, or at the wildcard that stands for it.
fn host(zone: &Zone, name: &[u8], key: &mut NameKey) -> Option<NodeId> {
    if !is_below(name, zone.apex().wire()) {
        return None;
    }
    key.set(name);
    match zone.lookup(key) {
        Lookup::Exact(at) => Some(at),
        Lookup::Below(encloser) if zone.cut(encloser).is_none() => zone.wildcard(encloser),
        Lookup::Below(_) => None,
    }
}

/// The name that `wire` begins with.
fn name_at_start(wire: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    while *wire.get(end)? != 0 {
        end += 1 + usize::from(wire[end]);
    }
    wire.get(..=end)
}
