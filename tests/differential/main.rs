//! For static data nearmost answers what Knot and NSD answer: the same zones, the same questions, all three. What differs
//! is explained in `explained.rs`, or the test fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]

mod compare;
#[path = "../dns/mod.rs"]
mod dns;
mod explained;
mod questions;

use std::collections::BTreeMap;
use std::path::Path;

use compare::{Case, Part};
use dns::message::{self, Message, TC};
use dns::ours;
use dns::peers::{Folder, Peer};
use explained::EXPLAINED;
use nearmost::answer::Transport;
use nearmost::snapshot::Snapshot;
use nearmost::zone::RecordType;
use questions::Question;

/// Zones beside the rich one: a part of it that is delegated to us as well, and one that its aliases lead to.
const CHILD: &str = r"
$ORIGIN sub-j.rich.example.
$TTL 300
@       SOA   ns1.rich.example. hostmaster 7 2 3 4 60
        NS    ns1.rich.example.
        A     192.0.2.200
www     A     192.0.2.201
up      CNAME target.rich.example.
over    CNAME www.example.org.
gone    CNAME not-here.rich.example.
*.wild  CNAME any.wild.rich.example.
cut     NS    ns.cut
ns.cut  A     192.0.2.202
below   DNAME here.rich.example.
";
const ODD: &str = include_str!("odd.example.zone");
/// The apex itself leads elsewhere (RFC 6672 2.3).
const APEX: &str = r"
@ 300 SOA ns.odd.example. h 1 2 3 4 5
@ 300 NS ns.odd.example.
@ 300 DNAME w.odd.example.
@ 300 TXT x
";
const OTHER: &str = r"
$ORIGIN example.org.
$TTL 120
@             SOA   ns1.rich.example. hostmaster 9 2 3 4 3600
              NS    ns1.rich.example.
www           CNAME host.elsewhere
elsewhere     TXT   x
host.elsewhere A    192.0.2.210
mail.elsewhere A    192.0.2.211
down          CNAME www.sub-j.rich.example.
cut           CNAME x.cut.sub-j.rich.example.
back          CNAME outside.rich.example.
round         CNAME round.rich-not.example.
";

#[test]
fn nearmost_answers_as_knot_and_nsd_do() {
    let rich = rich();
    let mut zones = vec![("rich.example", &*rich)];
    let Some(mut report) = differ("one zone", &zones, |_| true) else {
        return;
    };
    // Names of further zones, and those of the first that lead there.
    zones.extend([
        ("sub-j.rich.example", CHILD),
        ("example.org", OTHER),
        ("odd.example", ODD),
        ("apex.example", APEX),
    ]);
    let leads = ["outside", "chain-out", "away", "sub-j"]
        .map(|n| message::name(&format!("{n}.rich.example")));
    let others = [
        "sub-j.rich.example",
        "example.org",
        "odd.example",
        "apex.example",
    ]
    .map(message::name);
    let about = |name: &[u8]| {
        leads.iter().any(|n| n == name) || others.iter().any(|zone| name.ends_with(zone))
    };
    report.add(differ("several zones", &zones, about).expect("the servers were there"));
    report.close();
}

fn rich() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/rich.example.zone");
    std::fs::read_to_string(path).unwrap()
}

fn differ(test: &str, zones: &[(&str, &str)], about: impl Fn(&[u8]) -> bool) -> Option<Report> {
    let folder = Folder::new(&format!("differential-{}", zones.len()));
    let path = folder.path();
    let (Some(knot), Some(nsd)) = (Peer::knot(path, zones), Peer::nsd(path, zones)) else {
        return None;
    };
    let snapshot = ours::snapshot(path, zones, "[limits]\nudp_size = \"4096B\"\n");
    let questions: Vec<Question> = questions::of(snapshot.zones.list(), about)
        .into_iter()
        .collect();
    assert!(questions.len() > 1000, "{}", questions.len());
    let mut report = Report::default();
    let round = Round {
        snapshot: &snapshot,
        peers: [&knot, &nsd],
    };
    let cut = round.ask(&questions, Transport::Udp, &mut report);
    println!(
        "{test}: {} questions by UDP, {} of them by TCP",
        questions.len(),
        cut.len()
    );
    let left = round.ask(&cut, Transport::Tcp, &mut report);
    assert!(left.is_empty(), "a reply by TCP is cut short");
    Some(report)
}

struct Round<'a> {
    snapshot: &'a Snapshot,
    peers: [&'a Peer; 2],
}

impl Round<'_> {
    /// Asks all three and compares; the questions whose replies are cut short.
    fn ask(&self, questions: &[Question], by: Transport, report: &mut Report) -> Vec<Question> {
        let packets: Vec<Vec<u8>> = (0..)
            .zip(questions)
            .map(|(id, q)| q.packet((id % 0xfff0) as u16))
            .collect();
        let ask = |peer: &Peer| -> Vec<Vec<u8>> {
            let one = |packet: &Vec<u8>| match by {
                Transport::Udp => peer.udp(packet),
                _ => peer.tcp(packet),
            };
            packets.iter().map(|p| one(p).expect("a reply")).collect()
        };
        let theirs = std::thread::scope(|scope| {
            let threads = self.peers.map(|peer| scope.spawn(move || ask(peer)));
            threads.map(|t| t.join().unwrap())
        });
        let mut cut = Vec::new();
        for (at, question) in questions.iter().enumerate() {
            let ours = ours::read(self.snapshot, &packets[at], by);
            assert_eq!(
                ours.question,
                packets[at][12..12 + question.qname.len() + 4],
                "{question:?}"
            );
            let mut any_cut = ours.is(TC);
            let mut unlike = 0;
            for (peer, replies) in self.peers.iter().zip(&theirs) {
                let theirs = Message::read(&replies[at]).expect("a message");
                any_cut |= theirs.is(TC);
                unlike += usize::from(report.take(
                    peer.name,
                    &Case {
                        zones: &self.snapshot.zones,
                        question,
                        ours: &ours,
                        theirs: &theirs,
                    },
                ));
            }
            report.alone += usize::from(unlike == self.peers.len());
            if any_cut {
                cut.push(question.clone());
            }
        }
        cut
    }
}

#[derive(Default)]
struct Report {
    /// Questions that we answer like neither.
    alone: usize,
    explained: [usize; EXPLAINED.len()],
    unexplained: BTreeMap<(&'static str, Vec<Part>), Vec<String>>,
}

impl Report {
    /// Whether there is a difference.
    fn take(&mut self, peer: &'static str, case: &Case<'_>) -> bool {
        let parts = case.differences();
        if parts.is_empty() {
            return false;
        }
        let explains = |d: &explained::Difference| {
            d.peer == peer && parts.iter().all(|part| d.parts.contains(part)) && (d.holds)(case)
        };
        match EXPLAINED.iter().position(explains) {
            Some(at) => self.explained[at] += 1,
            None => self
                .unexplained
                .entry((peer, parts))
                .or_default()
                .push(shown(case)),
        }
        true
    }

    fn add(&mut self, other: Self) {
        self.alone += other.alone;
        for (count, more) in self.explained.iter_mut().zip(other.explained) {
            *count += more;
        }
        for (key, cases) in other.unexplained {
            self.unexplained.entry(key).or_default().extend(cases);
        }
    }

    fn close(&self) {
        for (difference, count) in EXPLAINED.iter().zip(self.explained) {
            println!(
                "{count:6} x {} {} ({})",
                difference.peer, difference.what, difference.rfc
            );
        }
        println!(
            "{:6} questions are answered otherwise by both, each for one of these reasons",
            self.alone
        );
        let mut text = String::new();
        for ((peer, parts), cases) in &self.unexplained {
            text += &format!("\n{} x {peer} differs in {parts:?}:\n", cases.len());
            // From all over the zone.
            let step = cases.len().div_ceil(4);
            cases.iter().step_by(step).for_each(|case| text += case);
        }
        assert!(text.is_empty(), "unexplained differences{text}");
        let stale = EXPLAINED
            .iter()
            .zip(self.explained)
            .filter(|(_, count)| *count == 0);
        let stale: Vec<&str> = stale.map(|(d, _)| d.what).collect();
        assert!(
            stale.is_empty(),
            "explained, and no longer there: {stale:?}"
        );
    }
}

fn shown(case: &Case<'_>) -> String {
    let Question { qname, qtype, with } = case.question;
    let reply = |m: &Message| {
        let sections =
            [&m.answer, &m.authority, &m.additional].map(|s| format!("{:.700}", format!("{s:?}")));
        format!(
            "rcode {} flags {:04x} {}",
            m.rcode,
            m.flags,
            sections.join(" | ")
        )
    };
    let question = format!("{} {} {with:?}", message::shown(qname), RecordType(*qtype));
    format!(
        "  {question}\n    ours:   {}\n    theirs: {}\n",
        reply(case.ours),
        reply(case.theirs)
    )
}
