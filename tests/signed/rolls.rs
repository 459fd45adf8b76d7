//! Answers stay secure while a key is replaced, whatever a validator has in its cache of the step before.

use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::rr::RecordType;
use nearmost::control::KeyState::{self, Active, Published, Ready, Retired};
use nearmost::dnssec::{Algorithm, Key, Role};

use crate::{NAMES, NOW, Reply, Signed};

const ALGORITHM: Algorithm = Algorithm::EcdsaP256;

/// The numbers of keys: the one that goes, the one that comes, and one that stays and does what they do not.
const OLD: usize = 0;
const NEW: usize = 1;
const OTHER: usize = 2;

/// A step of a roll, as docs/dnssec.md has it.
struct Step {
    /// The states of the old key and of the new one; none: it is not there.
    states: [Option<KeyState>; 2],
    /// Which keys a DS may point at that is at the parent then, or that caches have of it still.
    ds: &'static [usize],
}

const fn step(old: Option<KeyState>, new: Option<KeyState>, ds: &'static [usize]) -> Step {
    Step {
        states: [old, new],
        ds,
    }
}

/// Of a key that a DS points at. The parent's is changed while the new one is ready, and caches forget the old DS while the old key is retired.
const WITH_A_DS: [Step; 5] = [
    step(Some(Active), None, &[OLD]),
    step(Some(Active), Some(Published), &[OLD]),
    step(Some(Active), Some(Ready), &[OLD, NEW]),
    step(Some(Retired), Some(Active), &[OLD, NEW]),
    step(None, Some(Active), &[NEW]),
];

/// Of a ZSK: it becomes active at once, and the DS of the KSK stays as it is.
const WITHOUT: [Step; 4] = [
    step(Some(Active), None, &[OTHER]),
    step(Some(Active), Some(Published), &[OTHER]),
    step(Some(Retired), Some(Active), &[OTHER]),
    step(None, Some(Active), &[OTHER]),
];

/// A key, as PKCS#8.
struct Made {
    role: Role,
    tag: u16,
    pkcs8: Vec<u8>,
}

/// Keys of these roles.
fn made(roles: &[Role]) -> Vec<Made> {
    let mut all: Vec<Made> = Vec::new();
    for role in roles.iter().copied() {
        // Two of one tag are rare, and nothing here could tell them apart.
        let next = loop {
            let pkcs8 = Key::make(ALGORITHM).unwrap();
            let tag = Key::read(ALGORITHM, role, &pkcs8).unwrap().public.tag;
            if all.iter().all(|other| other.tag != tag) {
                break Made { role, tag, pkcs8 };
            }
        };
        all.push(next);
    }
    all
}

/// The keys that are there in a step, with their states.
fn there<'k>(keys: &'k [Made], step: &Step) -> Vec<(&'k Made, KeyState)> {
    let [old, new] = step.states;
    let states = [old, new, Some(Active)];
    let keys = keys.iter().zip(states);
    keys.filter_map(|(key, state)| Some((key, state?)))
        .collect()
}

/// Whose signatures there are over this type's sets, sorted.
fn signers(reply: &Reply, rtype: RecordType) -> Vec<u16> {
    let sets = reply.sets();
    let sets = sets.iter().filter(|((_, of), _)| *of == rtype);
    let signatures = sets.flat_map(|(_, (_, signatures))| signatures);
    let mut tags: Vec<u16> = signatures.map(|(s, _)| s.input().key_tag).collect();
    tags.sort_unstable();
    tags
}

fn stays_secure(test: &str, roles: &[Role], steps: &[Step]) {
    let keys = made(roles);
    let zone = |(number, step): (usize, &Step)| {
        let own = there(&keys, step).into_iter();
        let own: Vec<_> = own
            .map(|(key, state)| ((ALGORITHM, key.role, state), key.pkcs8.clone()))
            .collect();
        let signed = Signed::of(&format!("roll-{test}-{number}"), &own, "");
        let set = signed.keys();
        (signed, set)
    };
    let zones: Vec<(Signed, Vec<DNSKEY>)> = steps.iter().enumerate().map(zone).collect();
    for (number, step) in steps.iter().enumerate() {
        let what = format!("{test}: step {number}");
        let there = there(&keys, step);
        let (signed, set) = &zones[number];
        let mut tags: Vec<u16> = there.iter().map(|(key, _)| key.tag).collect();
        let mut given: Vec<u16> = set.iter().map(|k| k.calculate_key_tag().unwrap()).collect();
        tags.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, tags, "{what}");

        // Caches may have this set of keys still when the next step begins.
        let next = steps.get(number + 1).map_or(&[][..], |next| next.ds);
        let reply = signed.ask("example.org", RecordType::DNSKEY.into());
        reply.verify(set, NOW);
        let by = signers(&reply, RecordType::DNSKEY);
        for ds in step.ds.iter().chain(next) {
            assert!(by.contains(&keys[*ds].tag), "{what}: no signature of {ds}");
        }

        // One key signs all else, and who has the keys of the step before or already those of the next one can tell.
        let mut active = there
            .iter()
            .filter(|(key, state)| *state == Active && key.role.signs_data());
        let (active, _) = active.next().unwrap();
        let around = number.saturating_sub(1)..=(number + 1).min(steps.len() - 1);
        let mut checked = 0;
        for qname in NAMES {
            for qtype in [1, 6, 16, 28, 43] {
                let reply = signed.ask(qname, qtype);
                for (set, (_, signatures)) in reply.sets() {
                    let tags: Vec<u16> =
                        signatures.iter().map(|(s, _)| s.input().key_tag).collect();
                    // What has none is judged below.
                    let wanted = vec![active.tag; tags.len().min(1)];
                    assert_eq!(tags, wanted, "{what}: {qname} {qtype}: {set:?}");
                }
                for (_, known) in &zones[around.clone()] {
                    checked += reply.verify(known, NOW);
                }
            }
        }
        assert!(checked > 2 * 5 * NAMES.len(), "{what}: {checked}");
    }
}

#[test]
fn a_csk_is_replaced_and_all_stays_secure() {
    stays_secure("csk", &[Role::Csk, Role::Csk], &WITH_A_DS);
}

#[test]
fn a_ksk_is_replaced_and_all_stays_secure() {
    stays_secure("ksk", &[Role::Ksk, Role::Ksk, Role::Zsk], &WITH_A_DS);
}

#[test]
fn a_zsk_is_replaced_and_all_stays_secure() {
    stays_secure("zsk", &[Role::Zsk, Role::Zsk, Role::Ksk], &WITHOUT);
}
