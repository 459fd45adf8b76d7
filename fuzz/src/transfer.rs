//! A zone from a primary: whatever messages come, what is made of them is a zone's version, which can be kept, sent on and taken again, and
//! read as a catalog of zones. Or what comes for a notice of ours.
//!
//! An octet says whether a version is known, whether messages are signed and what they reply to; then the messages, each behind two octets
//! of its length.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nearmost::answer::LONGEST;
use nearmost::snapshot::Snapshot;
use nearmost::transfer::{Incoming, Kind, Outgoing, Progress, members, notify};
use nearmost::wire::tsig::{Algorithm, Chain, Key, Tsig};
use nearmost::wire::{HEADER, Query, opcode};
use nearmost::zone::version::{Change, Journal, Records, Rr, Version, is_newer};
use nearmost::zone::{Name, RecordType, file, rtype};

use super::generation::{self, KEY, NOW};

/// The number of our question.
const ID: u16 = 7;

/// Runs one input.
pub fn run(octets: &[u8]) {
    let Some((how, rest)) = octets.split_first() else {
        return;
    };
    let apex = Name::absolute("x.example").unwrap();
    let known = (how & 1 == 1).then(|| Arc::new(known(&apex)));
    let name = Name::absolute(KEY.0).unwrap();
    let key = Key::new(&name, Algorithm::Sha256, KEY.1);
    let key = (how & 2 == 2).then_some(&key);
    let now = u64::from(NOW);
    if how & 4 == 4 {
        let told = self::known(&apex);
        messages(rest).for_each(|message| noticed(&told, message, key, now));
        return;
    }
    let (question, mut incoming) = Incoming::ask(&apex, ID, known.clone(), key, now);
    let query = Query::parse(&question).expect("our own question is one");
    assert_eq!(query.tsig.is_some(), key.is_some());
    let mut chain = key.map(|key| replies(&question, key, now));
    for message in messages(rest) {
        let message = signed(message, chain.as_mut(), now);
        match incoming.take(&message, now) {
            Ok(Progress::More) => {}
            Ok(Progress::Current | Progress::Older(_)) => {
                assert!(known.is_some(), "nothing newer than nothing");
                return;
            }
            Ok(Progress::End) => {
                let whole = incoming.is_whole();
                match incoming.version() {
                    Ok(version) => made(&version, known.as_deref(), whole),
                    Err(why) => assert!(!whole, "{why}"),
                }
                return;
            }
            Err(why) => {
                assert!(!why.is_empty());
                return;
            }
        }
    }
}

/// Signs replies to a question of ours.
fn replies<'k>(question: &[u8], key: &'k Key, now: u64) -> Chain<'k> {
    let at = Query::signature(question).expect("it is signed");
    let tsig = Tsig::read(question, at).expect("a signature");
    let mac = key.verify(question, &tsig, now);
    Chain::reply(key, mac.expect("our own signature"))
}

fn signed(message: &[u8], chain: Option<&mut Chain<'_>>, now: u64) -> Vec<u8> {
    let (mut message, len) = (message.to_vec(), message.len());
    if let Some(chain) = chain {
        message.resize(len + 256, 0);
        let end = chain.sign(&mut message, len, now, None);
        message.truncate(end);
    }
    message
}

/// What comes for a notice: a reply to it says so, and where there is a key is signed.
fn noticed(told: &Version, message: &[u8], key: Option<&Key>, now: u64) {
    let mut question = notify(told, ID, key, now);
    let mut chain = key.map(|key| replies(&question.packet, key, now));
    if key.is_some() {
        let taken = question.reply(message, now);
        assert!(!matches!(taken, Some(Ok(_))), "taken without a signature");
        question = notify(told, ID, key, now);
        chain = key.map(|key| replies(&question.packet, key, now));
    }
    // Who signs, counts one record more.
    let signed = (message.len() >= HEADER).then(|| signed(message, chain.as_mut(), now));
    if let Some(Ok(code)) = question.reply(signed.as_deref().unwrap_or(message), now) {
        assert_eq!(message[..2], ID.to_be_bytes());
        assert_eq!(message[2] & 0xf8, 0x80 | opcode::NOTIFY << 3);
        assert_eq!(code, u16::from(message[3] & 0xf));
        let asked = [told.apex.wire(), &[0, 6, 0, 1]].concat();
        let echoed = &message[HEADER..HEADER + asked.len()];
        assert!(echoed.eq_ignore_ascii_case(&asked));
    }
}

fn messages(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ([l0, l1], tail) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*l0, *l1])).min(tail.len());
        let (message, tail) = tail.split_at(len);
        rest = tail;
        Some(message)
    })
}

/// The version that is known: serial 3 and a few records.
fn known(apex: &Name) -> Version {
    let mut soa = b"\x02ns\x01x\x07example\0\x04host\x01x\x07example\0".to_vec();
    [3u32, 3600, 600, 86_400, 60]
        .iter()
        .for_each(|n| soa.extend(n.to_be_bytes()));
    let rr = |rtype, rdata| Rr {
        owner: apex.wire(),
        rtype,
        ttl: 60,
        rdata,
    };
    let records = [
        rr(rtype::A, &[192, 0, 2, 1]),
        rr(rtype::A, &[192, 0, 2, 2]),
        rr(rtype::NS, b"\x02ns\x01x\x07example\0"),
    ];
    Version {
        apex: apex.clone(),
        ttl: 60,
        soa: soa.into(),
        records: Arc::new(Records::new(records)),
    }
}

/// Whether a version is one, and comes through the state folder and through a transfer.
fn made(version: &Version, known: Option<&Version>, whole: bool) {
    for rr in version.records.iter() {
        let owner = Name::from_wire(rr.owner).expect("a name");
        assert!(owner.is_within(&version.apex));
        assert!(rr.rtype != rtype::SOA && !RecordType(rr.rtype).is_meta());
        assert!(file::check_rdata(rr.rtype, rr.rdata), "{rr:?}");
    }
    assert!(file::check_rdata(rtype::SOA, &version.soa));
    match members(version) {
        Ok(members) => {
            assert!(members.is_sorted_by(|a, b| a.unique.wire()[1..] < b.unique.wire()[1..]));
            let zones: BTreeSet<&Name> = members.iter().map(|m| &m.zone).collect();
            assert_eq!(zones.len(), members.len(), "a zone twice: {members:?}");
        }
        Err(why) => assert!(!why.is_empty()),
    }
    assert_eq!(
        Records::of_octets(version.records.octets()).as_ref(),
        Some(&*version.records)
    );
    assert!(whole || known.is_some());
    let alone = Journal::new(version.clone());
    let journal =
        known.and_then(|known| Journal::new(known.clone()).next(version.clone(), false, |_| ()));
    let journal = journal.unwrap_or(alone);
    assert_eq!(
        Journal::of_octets(&journal.to_octets()).as_ref(),
        Some(&journal)
    );
    if let (Some(known), [step]) = (known, &journal.steps[..]) {
        let gone = step.removed.iter().map(|rr| (Change::Goes, rr));
        let come = step.added.iter().map(|rr| (Change::Comes, rr));
        let changed = known.records.changed(gone.chain(come));
        let changed = Version {
            records: Arc::new(changed.expect("a step that fits")),
            ..version.clone()
        };
        assert_eq!(content(&changed), content(version));
    }
    let (again, kind) = sent(&journal, None);
    assert_eq!(kind, Kind::Whole);
    assert_eq!(content(&again), content(version));
    if let Some(known) = known.filter(|k| is_newer(version.serial(), k.serial())) {
        let (again, _) = sent(&journal, Some(known));
        assert_eq!(content(&again), content(version));
    }
}

/// Owner, type, TTL and data of a record.
type Owned = (Vec<u8>, u16, u32, Vec<u8>);

/// What a version says, letters' case aside: names are compressed against others that differ in it.
fn content(version: &Version) -> (u32, u32, BTreeSet<Owned>) {
    let of = |rr: Rr<'_>| {
        let [owner, rdata] = [rr.owner, rr.rdata].map(<[u8]>::to_ascii_lowercase);
        (owner, rr.rtype, rr.ttl, rdata)
    };
    (
        version.serial(),
        version.ttl,
        version.records.iter().map(of).collect(),
    )
}

/// Sends the newest version to somebody who knows another or none, as a primary.
fn sent(journal: &Journal, known: Option<&Version>) -> (Version, Kind) {
    static PRIMARY: OnceLock<Mutex<Snapshot>> = OnceLock::new();
    let primary = PRIMARY.get_or_init(|| Mutex::new(generation::primary()));
    let primary = primary.lock().unwrap_or_else(PoisonError::into_inner);
    primary.secondaries[0]
        .journal
        .store(Some(Arc::new(journal.clone())));
    let known = known.map(|k| Arc::new(k.clone()));
    let (question, mut incoming) = Incoming::ask(&journal.version.apex, ID, known, None, 0);
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut outgoing = Outgoing::begin(&primary, &question, source).expect("it is granted");
    let mut out = vec![0; LONGEST];
    loop {
        let len = outgoing.message(&mut out);
        assert!(len > HEADER, "it ends before its end");
        match incoming.take(&out[..len], 0) {
            Ok(Progress::End) => return (incoming.version().expect("it fits"), outgoing.kind),
            Ok(Progress::More) => {}
            other => panic!("{other:?}: {:02x?}", &out[..len]),
        }
    }
}
