//! Where Knot or NSD answers otherwise than we do, and which RFC lets us. Each says exactly what the other's answer is
//! then; one that no question needs any more fails the test.

use nearmost::zone::NameKey;

use super::compare::{Case, Part, sets};
use super::dns::message::{self, Message, Record, rtype};

/// A difference that is as it should be.
pub(crate) struct Difference {
    /// Whose answer differs.
    pub(crate) peer: &'static str,
    /// What it does and what we do.
    pub(crate) what: &'static str,
    /// Why ours is right, or as right.
    pub(crate) rfc: &'static str,
    /// The parts of the reply that differ by it, at most.
    pub(crate) parts: &'static [Part],
    /// Whether that is all there is to a case.
    pub(crate) holds: fn(&Case<'_>) -> bool,
}

const NSEC: u16 = 47;
const RRSIG: u16 = 46;
const NSEC3: u16 = 50;
const IPSECKEY: u16 = 45;
const NOTIMP: u16 = 4;
const YXDOMAIN: u16 = 6;
const NXDOMAIN: u16 = 3;

pub(crate) const EXPLAINED: &[Difference] = &[
    Difference {
        peer: "knotd",
        what: "stops after five aliases with what it has; we go on to the sixteenth",
        rfc: "RFC 1034 3.6.2: software should not fail on chains; no bound is given",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| {
            let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
            aliases(case.theirs) == 5
                && aliases(case.ours) > 5
                && ours.starts_with(&theirs)
                && case.theirs.authority.is_empty()
        },
    },
    Difference {
        peer: "knotd",
        what: "says NOTIMP to type 0; to us it is one more type that is not there",
        rfc: "RFC 6895 3.1: type 0 is reserved, no answer to it is given",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| case.question.qtype == 0 && case.theirs.rcode == NOTIMP,
    },
    Difference {
        peer: "knotd",
        what: "does not follow an alias for RRSIG and NSEC, as these may stand beside it; here they do not",
        rfc: "RFC 1034 3.6.2, RFC 4035 2.5: the alias is followed where the type is not at the name",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| matches!(case.question.qtype, RRSIG | NSEC) && keeps_alias_to_itself(case),
    },
    Difference {
        peer: "nsd",
        what: "does not follow an alias for NSEC3",
        rfc: "RFC 1034 3.6.2, RFC 5155 7.2.8: NSEC3 owners are no names to be found at",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| case.question.qtype == NSEC3 && keeps_alias_to_itself(case),
    },
    Difference {
        peer: "knotd",
        what: "says NXDOMAIN where a name made by a DNAME is too long",
        rfc: "RFC 6672 2.2: YXDOMAIN",
        parts: &[Part::Header, Part::Authority],
        holds: |case| case.ours.rcode == YXDOMAIN && case.theirs.rcode == NXDOMAIN,
    },
    Difference {
        peer: "knotd",
        what: "goes on from the name of the DNAME where a name made by it is too long",
        rfc: "RFC 6672 2.2: YXDOMAIN, and no name to go on with",
        parts: &[Part::Answer],
        holds: |case| {
            let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
            case.ours.rcode == YXDOMAIN && theirs.starts_with(&ours)
        },
    },
    Difference {
        peer: "knotd",
        what: "goes on with a DNAME that leads below itself; we stop, as it never ends",
        rfc: "RFC 6672 2.2: a DNAME alone can form a loop; servers are to be cautious",
        parts: &[Part::Answer],
        holds: |case| {
            let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
            aliases(case.ours) == 1 && aliases(case.theirs) == 5 && theirs.starts_with(&ours)
        },
    },
    Difference {
        peer: "knotd",
        what: "does not follow an alias into another of its zones",
        rfc: "RFC 1034 4.3.2 (3a): start again with the target, at the step that finds the zone",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: leaves_its_zone,
    },
    Difference {
        peer: "nsd",
        what: "goes on beyond the sixteenth alias",
        rfc: "RFC 1034 3.6.2: no bound is given, and some is needed",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| {
            let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
            aliases(case.ours) == 16
                && aliases(case.theirs) > 16
                && theirs.starts_with(&ours)
                && case.ours.authority.is_empty()
        },
    },
    Difference {
        peer: "knotd",
        what: "refers to the servers of a wildcard's NS; to us a wildcard makes no delegation",
        rfc: "RFC 4592 4.2: not defined, and discouraged",
        parts: &[
            Part::Header,
            Part::Answer,
            Part::Authority,
            Part::Additional,
        ],
        holds: |case| {
            let wildcard = |r: &Record| r.rtype == rtype::NS && r.owner.starts_with(b"\x01*");
            case.theirs.authority.iter().any(wildcard)
        },
    },
    Difference {
        peer: "knotd",
        what: "makes a DNAME of a wildcard's, at the name asked for",
        rfc: "RFC 6672 3.3: such DNAMEs are discouraged; RFC 4592 4.4",
        parts: &[Part::Answer],
        holds: |case| {
            let wildcard = |r: &Record| r.rtype == rtype::DNAME && r.owner.starts_with(b"\x01*");
            case.ours.answer.first().is_some_and(wildcard)
                && case.ours.answer[1..] == case.theirs.answer[1..]
        },
    },
    Difference {
        peer: "knotd",
        what: "says again what is in the answer, where DNAMEs form a loop",
        rfc: "RFC 2181 5: a set has each record once",
        parts: &[Part::Answer],
        holds: |case| {
            let (ours, theirs) = (&case.ours.answer, &case.theirs.answer);
            theirs.starts_with(ours) && theirs.iter().all(|record| ours.contains(record))
        },
    },
    Difference {
        peer: "knotd",
        what: "adds what a wildcard below a cut would make",
        rfc: "RFC 1034 4.2.1: below a cut there is glue only, for names that are there",
        parts: &[Part::Additional],
        holds: |case| {
            let below = |r: &Record| r.owner == message::name("x.cut.odd.example");
            case.ours.additional.is_empty() && case.theirs.additional.iter().all(below)
        },
    },
    Difference {
        peer: "knotd",
        what: "adds the records of a wildcard that a service's name leads to with the wildcard's own name",
        rfc: "RFC 4592 3.3.1, RFC 1034 4.3.3: the owner is the name looked for",
        parts: &[Part::Additional],
        holds: |case| {
            let wildcard = |r: &Record| r.owner.starts_with(b"\x01*");
            case.theirs.additional.len() == case.ours.additional.len()
                && case.theirs.additional.iter().all(wildcard)
        },
    },
    Difference {
        peer: "knotd",
        what: "adds the SOA to YXDOMAIN",
        rfc: "RFC 2308 2: asked for with NXDOMAIN and NODATA only",
        parts: &[Part::Authority],
        holds: |case| {
            case.ours.rcode == YXDOMAIN
                && case.theirs.authority.iter().all(|r| r.rtype == rtype::SOA)
        },
    },
    Difference {
        peer: "nsd",
        what: "sets no TC where glue below the cut does not fit",
        rfc: "RFC 9471 3.1: TC where in-domain glue is left out",
        parts: &[Part::Truncated],
        holds: |case| {
            case.ours.authority.iter().any(|r| r.rtype == rtype::NS) && !case.ours.is(message::AA)
        },
    },
    Difference {
        peer: "nsd",
        what: "with minimal-responses adds no addresses of hosts that an answer names",
        rfc: "RFC 1034 4.3.2 (6), RFC 9460 4.1: useful, not required",
        parts: &[Part::Additional],
        holds: |case| !case.ours.answer.is_empty() && case.theirs.additional.is_empty(),
    },
    Difference {
        peer: "nsd",
        what: "changes the letters of an IPSECKEY's gateway",
        rfc: "RFC 4343 4.1: the case of data is kept",
        parts: &[Part::Answer],
        holds: |case| {
            lower(&case.ours.answer) == lower(&case.theirs.answer)
                && case.ours.answer.iter().all(|r| r.rtype == IPSECKEY)
        },
    },
    Difference {
        peer: "nsd",
        what: "picks another set of records for ANY",
        rfc: "RFC 8482 4.1: any subset",
        parts: &[Part::Answer, Part::Additional],
        holds: any_set,
    },
];

fn any_set(case: &Case<'_>) -> bool {
    let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
    let same_but_last = ours.len() == theirs.len()
        && ours.split_last().map(|s| s.1) == theirs.split_last().map(|s| s.1);
    case.question.qtype == rtype::ANY && same_but_last
}

/// Whether the other's answer ends with an alias out of the alias's own zone, and ours goes on.
fn leaves_its_zone(case: &Case<'_>) -> bool {
    let zone = |name: &[u8]| {
        case.zones
            .find(&NameKey::new(name), false)
            .map(|(number, _)| number)
    };
    let (ours, theirs) = (sets(&case.ours.answer), sets(&case.theirs.answer));
    let Message {
        rcode,
        answer,
        authority,
        additional,
        ..
    } = case.theirs;
    ours.starts_with(&theirs)
        && *rcode == 0
        && authority.is_empty()
        && additional.is_empty()
        && answer
            .last()
            .is_some_and(|r| r.rtype == rtype::CNAME && zone(&r.owner) != zone(&r.rdata))
}

/// Whether the other says that there is nothing of the type, where we follow an alias.
fn keeps_alias_to_itself(case: &Case<'_>) -> bool {
    let alias = |r: &Record| r.rtype == rtype::CNAME;
    let soa = |r: &Record| r.rtype == rtype::SOA;
    let theirs = case.theirs;
    case.ours.answer.first().is_some_and(alias)
        && (theirs.rcode, theirs.answer.len(), theirs.authority.len()) == (0, 0, 1)
        && theirs.authority.iter().all(soa)
}

fn aliases(message: &Message) -> usize {
    message
        .answer
        .iter()
        .filter(|r| r.rtype == rtype::CNAME)
        .count()
}

fn lower(records: &[Record]) -> Vec<Vec<u8>> {
    let mut out: Vec<_> = records
        .iter()
        .map(|r| r.rdata.to_ascii_lowercase())
        .collect();
    out.sort();
    out
}
