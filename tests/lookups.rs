//! Zones against a second opinion: the algorithm of RFC 1034 4.3.2 with RFC 4592 and RFC 6672, step by step over a sorted
//! map, compared with the answers of random small zones full of stars, cuts, aliases and gaps.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

mod dns;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, OnceLock};

use dns::message::{self, AA, Message, rtype};
use dns::ours;
use dns::peers::Folder;
use nearmost::answer::Transport;
use nearmost::diagnostic::Span;
use nearmost::snapshot::{Snapshot, Zones};
use nearmost::zone::{Data, Name, Record, Zone};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestRng, TestRunner};

/// Labels from the top down, without the apex's.
type Path = Vec<&'static str>;
/// What stands at a name; aliases with where they lead.
type Tree = BTreeMap<Path, BTreeMap<u16, Path>>;

const APEX: &str = "z";
const NONE: Path = Vec::new();

/// What a reply comes to: enough to tell any two different ones apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    rcode: u16,
    authoritative: bool,
    /// Owner and type of each record in the answer, in order.
    answer: Vec<(String, u16)>,
    /// The cut that a referral leads to.
    referral: Option<String>,
    /// Whether the SOA says that there is no more.
    negative: bool,
}

/// As RFC 1034 4.3.2 says it, slowly.
struct Naive<'t> {
    tree: &'t Tree,
}

impl Naive<'_> {
    /// Owners, and the names between them and the apex (RFC 4592 2.2.2).
    fn exists(&self, name: &[&str]) -> bool {
        name.is_empty() || self.tree.keys().any(|owner| owner.starts_with(name))
    }

    fn has(&self, name: &[&str], rtype: u16) -> bool {
        self.tree
            .get(name)
            .is_some_and(|sets| sets.contains_key(&rtype))
    }

    fn answer(&self, qname: &[&'static str], qtype: u16) -> Verdict {
        let mut verdict = Verdict {
            authoritative: true,
            ..Verdict::default()
        };
        let mut name = qname.to_vec();
        let mut passed = BTreeSet::new();
        for aliases in 0.. {
            let next = self.step(&name, qtype, aliases, &mut verdict);
            passed.insert(name);
            match next {
                Some(next) if !passed.contains(&next) => name = next,
                _ => break,
            }
        }
        verdict
    }

    /// Steps 3 and 4 for one name; the next name, if it is an alias.
    fn step(&self, name: &Path, qtype: u16, aliases: usize, verdict: &mut Verdict) -> Option<Path> {
        // 3b, from the top.
        for len in 1..=name.len() {
            let ds = qtype == rtype::DS && len == name.len();
            if self.has(&name[..len], rtype::NS) && !ds {
                verdict.referral = Some(shown(&name[..len]));
                verdict.authoritative &= aliases > 0;
                return None;
            }
            if len < name.len() && self.has(&name[..len], rtype::DNAME) {
                return self.dname(name, len, qtype, aliases, verdict);
            }
        }
        if !name.is_empty() && self.has(&[], rtype::DNAME) {
            return self.dname(name, 0, qtype, aliases, verdict);
        }
        if self.exists(name) {
            return self.at(name, name, qtype, aliases, verdict);
        }
        // 3c: the closest encloser, and its star.
        let encloser = (0..name.len())
            .rev()
            .find(|&len| self.exists(&name[..len]))?;
        let mut star = name[..encloser].to_vec();
        star.push("*");
        if self.exists(&star) {
            return self.at(&star, name, qtype, aliases, verdict);
        }
        verdict.rcode = 3;
        verdict.negative = true;
        None
    }

    /// 3a, and 3c with a star: the sets of `source`, with `name` as their owner.
    fn at(
        &self,
        source: &Path,
        name: &Path,
        qtype: u16,
        aliases: usize,
        verdict: &mut Verdict,
    ) -> Option<Path> {
        if self.has(source, qtype) {
            let given = (shown(name), qtype);
            if qtype != rtype::DNAME || !verdict.answer.contains(&given) {
                verdict.answer.push(given);
            }
            return None;
        }
        match self
            .tree
            .get(source)
            .and_then(|sets| sets.get(&rtype::CNAME))
        {
            Some(_) if aliases == 16 => None,
            Some(target) => {
                verdict.answer.push((shown(name), rtype::CNAME));
                Some(target.clone())
            }
            None => {
                verdict.negative = true;
                None
            }
        }
    }

    fn dname(
        &self,
        name: &Path,
        len: usize,
        qtype: u16,
        aliases: usize,
        verdict: &mut Verdict,
    ) -> Option<Path> {
        if aliases == 16 {
            return None;
        }
        let owner = &name[..len];
        let given = (shown(owner), rtype::DNAME);
        if !verdict.answer.contains(&given) {
            verdict.answer.push(given);
        }
        let target = &self.tree[owner][&rtype::DNAME];
        verdict.answer.push((shown(name), rtype::CNAME));
        if target.starts_with(owner) || qtype == rtype::CNAME {
            return None;
        }
        Some([target, &name[len..]].concat())
    }
}

fn shown(path: &[&str]) -> String {
    message::shown(&wire(path))
}

fn wire(path: &[&str]) -> Vec<u8> {
    let labels: Vec<&str> = path.iter().rev().copied().chain([APEX]).collect();
    message::name(&labels.join("."))
}

/// What the program says.
fn ours(snapshot: &Snapshot, qname: &Path, qtype: u16) -> Verdict {
    let packet = message::query(1, &wire(qname), qtype, None);
    let reply: Message = ours::read(snapshot, &packet, Transport::Tcp);
    let referral = reply.authority.iter().find(|r| r.rtype == rtype::NS);
    Verdict {
        rcode: reply.rcode,
        authoritative: reply.is(AA),
        answer: reply
            .answer
            .iter()
            .map(|r| (message::shown(&r.owner), r.rtype))
            .collect(),
        referral: referral.map(|r| message::shown(&r.owner)),
        negative: reply.authority.iter().any(|r| r.rtype == rtype::SOA),
    }
}

fn zone(tree: &Tree) -> Zone {
    let apex = Name::absolute(APEX).unwrap();
    let mut records = vec![record(&NONE, rtype::SOA, &[&[0, 0][..], &[0; 20]].concat())];
    records.push(record(&NONE, rtype::NS, &message::name("ns.elsewhere")));
    for (owner, sets) in tree {
        for (&rtype, target) in sets {
            let rdata = match rtype {
                rtype::A => vec![192, 0, 2, 1],
                rtype::TXT => vec![1, b'x'],
                rtype::DS => vec![0; 24],
                rtype::NS => message::name("ns.elsewhere"),
                _ => wire(target),
            };
            records.push(record(owner, rtype, &rdata));
        }
    }
    Zone::build(&apex, &records, &HashMap::new())
}

fn record(owner: &Path, rtype: u16, rdata: &[u8]) -> Record {
    Record {
        owner: Name::from_wire(&wire(owner)).unwrap(),
        ttl: 60,
        data: Data::Plain {
            rtype,
            rdata: rdata.into(),
        },
        span: Span::new(0, 0, 0),
    }
}

/// A generation whose zones are replaced: only the zone differs from case to case.
fn with_zone<T>(zone: Zone, test: impl FnOnce(&Snapshot) -> T) -> T {
    static SNAPSHOT: OnceLock<Mutex<Snapshot>> = OnceLock::new();
    let first = || {
        let folder = Folder::new("lookups");
        let text = "$ORIGIN z.\n@ 60 SOA . . 0 0 0 0 0\n@ 60 NS ns.elsewhere.\n";
        Mutex::new(ours::snapshot(folder.path(), &[("z", text)], ""))
    };
    let snapshot = SNAPSHOT.get_or_init(first).lock();
    let mut snapshot = snapshot.unwrap_or_else(std::sync::PoisonError::into_inner);
    snapshot.zones = Zones::new(vec![zone]);
    test(&snapshot)
}

fn path(longest: usize) -> impl Strategy<Value = Path> {
    vec(select(vec!["a", "b", "*"]), 0..=longest)
}

/// Owners with what may stand together: an alias stands alone, only A and DS are beside NS.
fn tree() -> impl Strategy<Value = Tree> {
    let sets = prop_oneof![
        4 => Just(vec![rtype::A]),
        2 => Just(vec![rtype::TXT]),
        2 => Just(vec![rtype::NS]),
        1 => Just(vec![rtype::NS, rtype::DS, rtype::A]),
        3 => Just(vec![rtype::CNAME]),
        2 => Just(vec![rtype::DNAME, rtype::A]),
    ];
    let owner = (path(4), sets, path(3));
    vec(owner, 0..16).prop_map(|owners| {
        let mut tree = Tree::new();
        for (owner, sets, target) in owners {
            if owner.is_empty() && sets.iter().any(|s| matches!(*s, rtype::NS | rtype::CNAME)) {
                continue;
            }
            // A wildcard's NS and DNAME are not defined (RFC 4592 4.2, 4.4).
            let star = owner.last() == Some(&"*")
                && sets.iter().any(|s| matches!(*s, rtype::NS | rtype::DNAME));
            if !star {
                tree.insert(
                    owner,
                    sets.into_iter().map(|s| (s, target.clone())).collect(),
                );
            }
        }
        // What is hidden below a DNAME may not be there (RFC 6672 2.4).
        let dnames: Vec<Path> = tree
            .iter()
            .filter(|(_, s)| s.contains_key(&rtype::DNAME))
            .map(|(o, _)| o.clone())
            .collect();
        tree.retain(|owner, _| {
            !dnames
                .iter()
                .any(|d| owner.len() > d.len() && owner.starts_with(d))
        });
        tree
    })
}

fn questions() -> impl Strategy<Value = Vec<(Path, u16)>> {
    let types = vec![
        rtype::A,
        rtype::TXT,
        rtype::DS,
        rtype::CNAME,
        rtype::DNAME,
        rtype::AAAA,
    ];
    vec((path(5), select(types)), 1..30)
}

/// What an answer is an example of, so that the test can tell that it saw some of all.
fn kinds(
    naive: &Naive<'_>,
    qname: &[&str],
    verdict: &Verdict,
) -> impl Iterator<Item = &'static str> {
    let gap = naive.exists(qname) && !naive.tree.contains_key(qname);
    let dname = verdict
        .answer
        .iter()
        .any(|(_, rtype)| *rtype == rtype::DNAME);
    [
        (verdict.rcode == 3, "NXDOMAIN"),
        (verdict.negative && verdict.rcode == 0, "NODATA"),
        (verdict.negative && gap, "NODATA of an empty non-terminal"),
        (verdict.referral.is_some(), "a referral"),
        (
            verdict.referral.is_some() && verdict.authoritative,
            "a referral behind an alias",
        ),
        (
            !verdict.answer.is_empty() && !naive.exists(qname) && !dname,
            "a wildcard",
        ),
        (dname, "a DNAME"),
        (verdict.answer.len() > 2, "a chain"),
        (
            verdict.answer.len() > 1 && verdict.rcode == 3,
            "an alias to nowhere",
        ),
    ]
    .into_iter()
    .filter_map(|(holds, kind)| holds.then_some(kind))
}

#[test]
fn answers_follow_the_algorithm() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(3000)
    };
    let random = TestRng::deterministic_rng(config.rng_algorithm);
    let seen = RefCell::new(BTreeMap::<&str, usize>::new());
    let tested = TestRunner::new_with_rng(config, random).run(
        &(tree(), questions()),
        |(tree, questions)| {
            let naive = Naive { tree: &tree };
            with_zone(zone(&tree), |snapshot| {
                for (qname, qtype) in &questions {
                    let expected = naive.answer(qname, *qtype);
                    prop_assert_eq!(
                        &ours(snapshot, qname, *qtype),
                        &expected,
                        "{} {}",
                        shown(qname),
                        qtype
                    );
                    for kind in kinds(&naive, qname, &expected) {
                        *seen.borrow_mut().entry(kind).or_default() += 1;
                    }
                }
                Ok(())
            })
        },
    );
    tested.unwrap();
    let seen = seen.into_inner();
    println!("{seen:?}");
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert!(seen.values().all(|count| *count > 100), "{seen:?}");
}
