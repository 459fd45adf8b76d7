//! Whether a reply proves what is not there: a validator's reckoning (RFC 4035 5.4, RFC 5155 8, RFC 9824) over what the reply has, without
//! looking at signatures and written apart from what is judged.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use nearmost::zone::rtype;

use super::message::{Message, Record, rtype::CNAME, rtype::DNAME, rtype::DS, rtype::NS, shown};

/// The type of a name that is not there (RFC 9824 3).
const NXNAME: u16 = 128;

/// One record of a chain, as a validator sees it.
struct Link<'m> {
    /// NSEC: the owner's labels from the root; NSEC3: its hash.
    from: Vec<Vec<u8>>,
    to: Vec<Vec<u8>>,
    /// Which types are there.
    types: Vec<u16>,
    opt_out: bool,
    /// NSEC3's.
    salt: Option<&'m [u8]>,
}

/// The records of a zone's chain in the authority section.
struct Denial<'m> {
    links: Vec<Link<'m>>,
    apex: &'m [u8],
}

/// A name less its first label.
fn parent(name: &[u8]) -> &[u8] {
    &name[1 + usize::from(name[0])..]
}

/// The labels of a name from the root, which order names (RFC 4034 6.1).
fn labels(mut name: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while name[0] != 0 {
        out.push(name[1..=usize::from(name[0])].to_vec());
        name = parent(name);
    }
    out.reverse();
    out
}

fn wildcard(of: &[u8]) -> Vec<u8> {
    [b"\x01*", of].concat()
}

/// The types of a bitmap (RFC 4034 4.1.2).
fn types(mut map: &[u8]) -> Vec<u16> {
    let mut out = Vec::new();
    while let [window, len, rest @ ..] = map {
        let (bits, rest) = rest.split_at((*len).into());
        for bit in 0..bits.len() * 8 {
            if bits[bit / 8] & 0x80 >> (bit % 8) != 0 {
                out.push(u16::from(*window) << 8 | u16::try_from(bit).expect("below 256"));
            }
        }
        map = rest;
    }
    out
}

/// Octets of a label in base 32 with the digits of hexadecimal numbers (RFC 4648 7).
fn base32(label: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for octet in label {
        let digit = char::from(*octet).to_digit(32).expect("a digit");
        (bits, held) = (bits << 5 | digit, held + 5);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

impl<'m> Link<'m> {
    fn read(record: &'m Record) -> Option<Self> {
        let rdata = &record.rdata[..];
        match record.rtype {
            rtype::NSEC => {
                let mut map = rdata;
                while map[0] != 0 {
                    map = parent(map);
                }
                Some(Self {
                    from: labels(&record.owner),
                    to: labels(rdata),
                    types: types(&map[1..]),
                    opt_out: false,
                    salt: None,
                })
            }
            rtype::NSEC3 => {
                assert_eq!(rdata[..1], [1], "SHA-1");
                assert_eq!(rdata[2..4], [0, 0], "without iterations");
                let (salt, rest) = rdata[5..].split_at(rdata[4].into());
                let (next, map) = rest[1..].split_at(rest[0].into());
                let own = &record.owner[1..=usize::from(record.owner[0])];
                Some(Self {
                    from: vec![base32(own)],
                    to: vec![next.to_vec()],
                    types: types(map),
                    opt_out: rdata[1] & 1 == 1,
                    salt: Some(salt),
                })
            }
            _ => None,
        }
    }

    /// Where a name stands in the order of this chain.
    fn place(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let Some(salt) = self.salt else {
            return labels(name);
        };
        let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[name, salt].concat());
        vec![hashed.as_ref().to_vec()]
    }

    fn matches(&self, name: &[u8]) -> bool {
        self.place(name) == self.from
    }

    fn covers(&self, name: &[u8]) -> bool {
        let place = self.place(name);
        let (behind, before) = (self.from < place, place < self.to);
        if self.from < self.to {
            behind && before
        } else {
            behind || before
        }
    }

    fn has(&self, rtype: u16) -> bool {
        self.types.contains(&rtype)
    }

    /// NSEC only: there is something below a name that has nothing itself.
    fn shows_below(&self, name: &[u8]) -> bool {
        let own = labels(name);
        self.salt.is_none() && self.to.len() > own.len() && self.to.starts_with(&own)
    }
}

impl Denial<'_> {
    fn any(&self, holds: impl Fn(&Link<'_>) -> bool) -> bool {
        self.links.iter().any(holds)
    }

    fn covered(&self, name: &[u8]) -> bool {
        self.any(|link| link.covers(name))
    }

    /// The longest name above that is there, and the one below it towards the name, which is not; whether that may be a delegation left out.
    fn closest<'n>(&self, name: &'n [u8]) -> Option<(&'n [u8], bool)> {
        let mut closer = name;
        while closer.len() > self.apex.len() {
            let above = parent(closer);
            let is_there =
                |link: &Link<'_>| link.salt.is_none() || link.matches(above) && !link.has(DNAME);
            let covering = self.links.iter().find(|link| link.covers(closer));
            let known = |link: &Link<'_>| {
                // By NSEC the closest encloser is what the name shares with either end.
                let own = labels(above);
                link.salt.is_some() || link.from.starts_with(&own) || link.to.starts_with(&own)
            };
            if let Some(covering) = covering.filter(|link| known(link))
                && self.any(is_there)
            {
                return Some((above, covering.opt_out));
            }
            closer = above;
        }
        None
    }

    /// The name is not there, nor a wildcard for it; or its own record says so, where it is made for the question.
    fn no_name(&self, name: &[u8]) -> bool {
        self.any(|link| link.matches(name) && link.has(NXNAME))
            || self
                .closest(name)
                .is_some_and(|(encloser, _)| self.covered(&wildcard(encloser)))
    }

    /// The name has no such type, or the wildcard for it has not, or nothing may be said of it.
    fn no_type(&self, name: &[u8], qtype: u16) -> bool {
        let lacks = |link: &Link<'_>, at: &[u8]| {
            // A delegation's own NSEC speaks of nothing but its DS.
            let above = link.has(NS) && !link.has(rtype::SOA);
            link.matches(at) && !link.has(qtype) && !link.has(CNAME) && (!above || qtype == DS)
        };
        let empty = |link: &Link<'_>| link.covers(name) && link.shows_below(name);
        self.any(|link| lacks(link, name) || empty(link))
            || self.closest(name).is_some_and(|(encloser, opt_out)| {
                opt_out || self.any(|link| lacks(link, &wildcard(encloser)))
            })
    }

    /// A delegation has no DS, so what is below is not signed.
    fn no_ds(&self, cut: &[u8]) -> bool {
        self.any(|link| link.matches(cut) && link.has(NS) && !link.has(DS))
            || self.closest(cut).is_some_and(|(_, opt_out)| opt_out)
    }
}

/// Holds a whole reply with signatures to what it must prove, as far as it is of this zone.
pub(crate) fn holds(message: &Message, qtype: u16, apex: &[u8]) {
    let links = message.authority.iter().filter(|r| r.owner.ends_with(apex));
    let denial = Denial {
        links: links.filter_map(Link::read).collect(),
        apex,
    };
    // A wildcard's signature has fewer labels than the name, which then is not there itself (RFC 4035 5.3.4).
    for made in message.answer.iter().filter(|r| r.rtype == rtype::RRSIG) {
        let mut closer = &made.owner[..];
        let own = labels(closer).len() - usize::from(closer.starts_with(b"\x01*"));
        if !closer.ends_with(apex) || own <= made.rdata[3].into() {
            continue;
        }
        while labels(closer).len() > usize::from(made.rdata[3]) + 1 {
            closer = parent(closer);
        }
        // By NSEC the name itself is what is covered.
        assert!(
            denial.covered(closer) || denial.covered(&made.owner),
            "a wildcard for {}, which may be there: {message:?}",
            shown(&made.owner)
        );
    }
    let name_len = message.question.len() - 4;
    let mut name = message.question[..name_len].to_ascii_lowercase();
    for _ in 0..message.answer.len() {
        let alias = |r: &&Record| r.owner == name && r.rtype == CNAME;
        match message.answer.iter().find(alias) {
            Some(alias) if qtype != CNAME => name.clone_from(&alias.rdata),
            _ => break,
        }
    }
    let soa = |r: &Record| r.rtype == rtype::SOA && r.owner == apex;
    if message.authority.iter().any(soa) {
        let proven = if message.rcode == 3 {
            denial.no_name(&name)
        } else {
            denial.no_type(&name, qtype)
        };
        assert!(proven, "nothing proves it: {} {message:?}", shown(&name));
    }
    let cut = message.authority.iter().find(|r| r.rtype == NS);
    if let Some(cut) = cut.filter(|r| r.owner != apex && r.owner.ends_with(apex)) {
        let has_ds = message.authority.iter().any(|r| r.rtype == DS);
        let proven = has_ds || denial.no_ds(&cut.owner);
        assert!(proven, "a referral without a word of DS: {message:?}");
    }
}
