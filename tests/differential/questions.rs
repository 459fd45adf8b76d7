//! Thousands of questions made of a zone: its own names and those around them, types that are there and that are not.

use std::collections::BTreeSet;

use nearmost::zone::Zone;

use super::dns::message::{self, Edns, rtype};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) qname: Vec<u8>,
    pub(crate) qtype: u16,
    pub(crate) with: With,
}

/// What a question has beside its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum With {
    Nothing,
    Edns(u16),
    DnssecOk,
}

impl Question {
    pub(crate) fn packet(&self, id: u16) -> Vec<u8> {
        let edns = match self.with {
            With::Nothing => None,
            With::Edns(size) => Some(Edns::of_size(size)),
            With::DnssecOk => Some(Edns {
                dnssec_ok: true,
                ..Edns::of_size(4096)
            }),
        };
        message::query(id, &self.qname, self.qtype, edns.as_ref())
    }
}

const EDNS: With = With::Edns(4096);

/// Types that are asked for at every name there is, beside those of the zone: pseudo-types, signatures, unknown ones.
const MORE_TYPES: [u16; 8] = [rtype::ANY, 46, 47, 50, 51, 65_282, 3, 0];

/// Types that are asked for at names that are not there, or not quite.
const FEW_TYPES: [u16; 10] = [
    rtype::A,
    rtype::NS,
    rtype::CNAME,
    rtype::SOA,
    15,
    rtype::TXT,
    rtype::DNAME,
    rtype::DS,
    rtype::ANY,
    65_280,
];

/// The questions that a set of zones leads to, each once, always the same.
/// `about` chooses among the zones' names; those around a chosen one come with it.
pub(crate) fn of(zones: &[Zone], about: impl Fn(&[u8]) -> bool) -> BTreeSet<Question> {
    let mut out = BTreeSet::new();
    let types = types(zones);
    for name in zones.iter().flat_map(names).filter(|name| about(name)) {
        for &qtype in &types {
            out.insert(Question {
                qname: name.clone(),
                qtype,
                with: EDNS,
            });
        }
        for qtype in FEW_TYPES {
            for with in [
                With::Nothing,
                With::DnssecOk,
                With::Edns(512),
                With::Edns(1232),
            ] {
                out.insert(Question {
                    qname: name.clone(),
                    qtype,
                    with,
                });
            }
        }
        for qname in around(&name) {
            for qtype in FEW_TYPES {
                out.insert(Question {
                    qname: qname.clone(),
                    qtype,
                    with: EDNS,
                });
            }
        }
    }
    for qname in substituted(zones).into_iter().filter(|name| about(name)) {
        for qtype in FEW_TYPES {
            out.insert(Question {
                qname: qname.clone(),
                qtype,
                with: EDNS,
            });
        }
    }
    for text in [
        "com",
        "org",
        "xrich.example",
        "www.example.org",
        "rich.example.org",
    ] {
        for qtype in FEW_TYPES {
            out.insert(Question {
                qname: message::name(text),
                qtype,
                with: EDNS,
            });
        }
    }
    out
}

fn names(zone: &Zone) -> impl Iterator<Item = Vec<u8>> {
    zone.nodes().map(|at| zone.name(at).to_vec())
}

/// For each DNAME the names that it makes one of the zone's names of.
fn substituted(zones: &[Zone]) -> BTreeSet<Vec<u8>> {
    let mut out = BTreeSet::new();
    for zone in zones {
        for at in zone.nodes() {
            let Some(target) = zone
                .rrset(at, rtype::DNAME)
                .and_then(|set| set.rdata().next())
            else {
                continue;
            };
            for name in zones.iter().flat_map(names) {
                if let Some(below) = name
                    .strip_suffix(&*target.to_ascii_lowercase())
                    .filter(|b| !b.is_empty())
                {
                    out.insert([below, zone.name(at)].concat());
                }
            }
        }
    }
    out.retain(|name| name.len() <= 255 && message::is_name(name));
    out
}

fn types(zones: &[Zone]) -> BTreeSet<u16> {
    let own = zones.iter().flat_map(|zone| {
        zone.nodes()
            .flat_map(|at| zone.rrsets(at).map(|set| set.rtype))
            .collect::<Vec<_>>()
    });
    own.chain(MORE_TYPES).collect()
}

/// Names above, below and beside a name, and itself in other letters.
fn around(name: &[u8]) -> Vec<Vec<u8>> {
    let below = |labels: &[u8]| [labels, name].concat();
    let mut random = Random(
        name.iter()
            .fold(7, |n: u64, &o| n.wrapping_mul(31) + u64::from(o)),
    );
    let mut out = vec![
        below(b"\x01*"),
        below(b"\x01*\x01*"),
        below(b"\x01a\x01*"),
        below(b"\x02*a"),
        below(b"\x03a.b"),
        below(b"\x01x\x01y\x01z"),
        below(&random.label()),
        below(&[random.label(), random.label()].concat()),
        mixed(name, &mut random),
        mixed(&below(b"\x04host"), &mut random),
        longest(name, 63),
        longest(name, 1),
    ];
    if let Some(parent) = name.get(1 + usize::from(name[0])..) {
        out.push(parent.to_vec());
        let beside = |label: &[u8]| [label, parent].concat();
        out.push(beside(&random.label()));
        out.push(beside(b"\x01*"));
        // The neighbours in the order of names.
        let mut next = name.to_vec();
        next[usize::from(name[0])] ^= 1;
        out.push(next);
        out.push(
            [
                &[name[0] + 1][..],
                &name[1..=usize::from(name[0])],
                b"0",
                parent,
            ]
            .concat(),
        );
    }
    out.retain(|name| name.len() <= 255 && name[0] <= 63);
    out
}

/// The name with labels before it until no more fit.
fn longest(name: &[u8], label: usize) -> Vec<u8> {
    let mut out = name.to_vec();
    while out.len() < 254 {
        let len = label.min(254 - out.len());
        let mut longer = vec![len as u8];
        longer.extend(std::iter::repeat_n(b'l', len));
        longer.extend(out);
        out = longer;
    }
    out
}

fn mixed(name: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = name.to_vec();
    let mut at = 0;
    while out[at] != 0 {
        let end = at + 1 + usize::from(out[at]);
        for octet in &mut out[at + 1..end] {
            if octet.is_ascii_alphabetic() && random.below(2) == 0 {
                *octet ^= 0x20;
            }
        }
        at = end;
    }
    out
}

/// A sequence that looks random and is always the same (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    /// A label of letters or of any octets.
    fn label(&mut self) -> Vec<u8> {
        let len = 1 + self.below(12);
        let letters = self.below(3) > 0;
        let octet = |random: &mut Self| {
            if letters {
                b'a' + random.below(26) as u8
            } else {
                random.below(256) as u8
            }
        };
        let octets: Vec<u8> = (0..len).map(|_| octet(self)).collect();
        [&[len as u8][..], &octets].concat()
    }
}
