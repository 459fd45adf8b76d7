//! What is the same in two replies, and what is not.

use nearmost::snapshot::Zones;

use super::dns::message::{Message, Record, TC};
use super::questions::Question;

/// A part of a reply that may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The code, and the bits of the header less TC.
    Header,
    /// TC.
    Truncated,
    /// The question's octets.
    Question,
    /// Sets of records in their order; within a set the order does not matter.
    Answer,
    /// Records in any order.
    Authority,
    /// Records in any order, each once.
    Additional,
    /// Whether there is an OPT record, its version and its DO bit.
    Opt,
}

/// A question and what one of the others replied.
pub(crate) struct Case<'a> {
    pub(crate) zones: &'a Zones,
    pub(crate) question: &'a Question,
    pub(crate) ours: &'a Message,
    pub(crate) theirs: &'a Message,
}

impl Case<'_> {
    /// The parts that differ. Of replies that were cut short the sections are not compared: how much of a reply is left
    /// is everybody's own choice; the whole is compared by TCP.
    pub(crate) fn differences(&self) -> Vec<Part> {
        let (ours, theirs) = (self.ours, self.theirs);
        let cut = ours.is(TC) || theirs.is(TC);
        let opt = |m: &Message| m.edns.as_ref().map(|e| (e.version, e.dnssec_ok));
        let same = [
            (Part::Header, header(ours) == header(theirs)),
            (Part::Truncated, ours.is(TC) == theirs.is(TC)),
            (Part::Question, ours.question == theirs.question),
            (
                Part::Answer,
                cut || sets(&ours.answer) == sets(&theirs.answer),
            ),
            (
                Part::Authority,
                cut || sorted(&ours.authority) == sorted(&theirs.authority),
            ),
            (
                Part::Additional,
                cut || sorted(&ours.additional) == sorted(&theirs.additional),
            ),
            (Part::Opt, opt(ours) == opt(theirs)),
        ];
        same.into_iter()
            .filter(|(_, same)| !same)
            .map(|(part, _)| part)
            .collect()
    }
}

fn header(message: &Message) -> (u16, u16) {
    (message.rcode, message.flags & !TC)
}

/// Records of one owner and type that follow each other, sorted.
pub(crate) fn sets(records: &[Record]) -> Vec<Vec<&Record>> {
    let same = |a: &Record, b: &Record| (&a.owner, a.rtype) == (&b.owner, b.rtype);
    records.chunk_by(same).map(sorted_all).collect()
}

fn sorted_all(records: &[Record]) -> Vec<&Record> {
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort();
    records
}

pub(crate) fn sorted(records: &[Record]) -> Vec<&Record> {
    let mut records = sorted_all(records);
    records.dedup();
    records
}
