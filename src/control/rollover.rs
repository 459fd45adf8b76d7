//! How keys move on: where each is on its way, how long it stays there, and what comes next.
//!
//! ```text
//!   published ---(its DNSKEY is known everywhere)---> ready ---(its DS is seen)---> active ---(another is)---> retired ---> gone
//!             a ZSK becomes active at once where another becomes ready
//! ```
//! A key that a DS points at signs the keys from the beginning to the end; of those that sign the rest one is active.
//!
//! What caches know follows from what was answered, not from what is in a file: time counts from when this server first answered with a key in
//! the state that it has (RFC 7583 3.2.1), and what was not read yet does not move.

use serde::{Deserialize, Serialize};

use crate::dnssec::Role;

/// The TTL of DNSKEY, CDS and CDNSKEY, seconds.
pub(super) const TTL: u32 = 3600;
/// Seconds on top of each TTL, at least: caches are not exact.
const MARGIN: u64 = 3600;
/// Seconds that a DS may be in caches, where nobody has said what the parent gives it.
const DS_TTL: u64 = 86_400;

/// Where a key is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Its DNSKEY is given; who has asked before does not know it yet.
    Published,
    /// Its DNSKEY is known everywhere: its DS may be put into the parent.
    Ready,
    /// It is what signatures are checked by.
    Active,
    /// It makes no new signatures; its old ones are in caches.
    Retired,
}

/// A key in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its number in records.
    pub tag: u16,
    /// The mnemonic of its algorithm, in lower case.
    pub algorithm: String,
    /// `csk`, `ksk` or `zsk`.
    pub role: String,
    /// Where it is on its way.
    pub state: KeyState,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// The TTL of its DS at the parent, seconds, if it is retired and somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ds_ttl: Option<u64>,
}

/// The keys of a zone, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct KeyList {
    /// Each of them.
    pub keys: Vec<KeyEntry>,
    /// Since when the parent is asked to take the DS away, in seconds of Unix time; none: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigning: Option<u64>,
}

/// A list as files have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    List {
        keys: Vec<KeyEntry>,
        unsigning: Option<u64>,
    },
    /// As it was written when it was of keys alone.
    Keys(Vec<KeyEntry>),
}

impl From<Written> for KeyList {
    fn from(written: Written) -> Self {
        match written {
            Written::List { keys, unsigning } => Self { keys, unsigning },
            Written::Keys(keys) => Self {
                keys,
                unsigning: None,
            },
        }
    }
}

impl KeyEntry {
    pub(super) fn role(&self) -> Option<Role> {
        Role::named(&self.role)
    }

    pub(super) fn signs_keys(&self) -> bool {
        self.role().is_some_and(Role::signs_keys)
    }

    fn signs_data(&self) -> bool {
        self.role().is_some_and(Role::signs_data)
    }

    /// Seconds that it is answered with in its state before it moves on by itself; none: it waits for somebody, or for nothing. `longest` is the
    /// longest TTL of the zone, and `spread` how long its secondaries may stay behind us, seconds.
    pub(super) fn stay(&self, longest: u32, spread: u64) -> Option<u64> {
        let margin = MARGIN.max(spread);
        match self.state {
            KeyState::Published => Some(u64::from(TTL) + margin),
            // What no DS points at need not wait for one.
            KeyState::Ready => (!self.signs_keys()).then_some(u64::from(TTL) + margin),
            KeyState::Active => None,
            KeyState::Retired => {
                let ds = self.ds_ttl.unwrap_or(DS_TTL);
                let ds = if self.signs_keys() { ds } else { 0 };
                Some(ds.max(longest.into()) + margin)
            }
        }
    }
}

/// Moves keys on as far as time has; what was done, in words. `now` is by the system's clock, seconds; the two that follow are those of
/// [`KeyEntry::stay`]. `answered`: how many seconds this server has answered with a key in its state; none: it does not.
pub(super) fn advance(
    list: &mut Vec<KeyEntry>,
    now: u64,
    (longest, spread): (u32, u64),
    answered: impl Fn(&KeyEntry) -> Option<u64>,
) -> Vec<String> {
    // By the list too: a key may have left a state and come back, and clocks are set.
    let is_over = |entry: &KeyEntry| {
        let stay = entry.stay(longest, spread)?;
        let of_list = now.checked_sub(entry.since)?;
        Some(answered(entry)?.min(of_list) >= stay)
    };
    let mut over: Vec<KeyEntry> = list.clone();
    over.retain(|entry| is_over(entry) == Some(true));
    let mut done = Vec::new();
    for key in over {
        let tag = key.tag;
        done.push(match key.state {
            KeyState::Retired => {
                list.retain(|entry| entry.tag != tag);
                format!("key {tag} is gone")
            }
            _ if key.signs_keys() => {
                for entry in list.iter_mut().filter(|entry| entry.tag == tag) {
                    (entry.state, entry.since) = (KeyState::Ready, now);
                }
                format!("key {tag} is known everywhere")
            }
            _ => {
                activate(list, tag, now, None);
                format!("key {tag} signs from now on")
            }
        });
    }
    done
}

/// Makes a key the active one of its kind; those before it retire, for as long as their DS lives at the parent.
pub fn activate(list: &mut [KeyEntry], tag: u16, now: u64, ds_ttl: Option<u64>) {
    let new = list.iter().find(|entry| entry.tag == tag).cloned();
    let Some(new) = new else { return };
    let replaced = |entry: &KeyEntry| {
        entry.tag != tag
            && (!entry.signs_keys() || new.signs_keys())
            && (!entry.signs_data() || new.signs_data())
    };
    for entry in list {
        if entry.tag == tag {
            (entry.state, entry.since) = (KeyState::Active, now);
            entry.ds_ttl = None;
        } else if entry.state == KeyState::Active && replaced(entry) {
            (entry.state, entry.since) = (KeyState::Retired, now);
            entry.ds_ttl = ds_ttl;
        }
    }
}

/// Takes a key away at once. One that is needed goes only with `anyway`, for a key that others have: another of its kind does from now on what
/// it did.
///
/// # Errors
/// In words, and nothing is changed.
pub fn remove(list: &mut Vec<KeyEntry>, tag: u16, anyway: bool, now: u64) -> Result<(), String> {
    let found = list.iter().find(|entry| entry.tag == tag);
    let key = found.ok_or_else(|| format!("there is no key {tag}"))?;
    let needed = match key.state {
        KeyState::Published => None,
        KeyState::Ready if !key.signs_keys() => None,
        KeyState::Ready => Some("the parent may have its DS, or take it from the CDS record"),
        KeyState::Active => Some("it signs the zone"),
        KeyState::Retired => Some("its signatures are in caches, and it goes by itself"),
    };
    if let Some(why) = needed.filter(|_| !anyway) {
        return Err(format!(
            "key {tag} stays: {why}. If others have it, --anyway takes it away at once, and validators may find the zone bogus until caches have forgotten it"
        ));
    }
    let mut left: Vec<KeyEntry> = list.iter().filter(|e| e.tag != tag).cloned().collect();
    let steps = [KeyState::Ready, KeyState::Published, KeyState::Retired];
    let heirs = steps.into_iter().flat_map(|state| {
        let of_kind = left.iter().filter(|e| e.role == key.role);
        of_kind.filter(move |e| e.state == state)
    });
    let heir = heirs.map(|entry| entry.tag).next();
    if let Some(heir) = heir.filter(|_| !signs(&left)) {
        activate(&mut left, heir, now, None);
    }
    if !signs(&left) {
        return Err(format!(
            "key {tag} stays: no key would sign the zone. Make the one that takes its place first, with `nearmost keys roll`"
        ));
    }
    *list = left;
    Ok(())
}

/// Whether all of a zone is signed by active keys.
fn signs(list: &[KeyEntry]) -> bool {
    let active = || list.iter().filter(|e| e.state == KeyState::Active);
    active().any(KeyEntry::signs_keys) && active().any(KeyEntry::signs_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn entry(tag: u16, role: &str, state: KeyState, since: u64) -> KeyEntry {
        KeyEntry {
            tag,
            algorithm: "ed25519".into(),
            role: role.into(),
            state,
            since,
            ds_ttl: None,
        }
    }

    fn states(list: &[KeyEntry]) -> Vec<(u16, KeyState)> {
        list.iter().map(|e| (e.tag, e.state)).collect()
    }

    /// Of a server that has taken each step at once.
    fn advance_at(list: &mut Vec<KeyEntry>, now: u64, longest: u32) -> Vec<String> {
        advance(list, now, (longest, 0), |entry| {
            now.checked_sub(entry.since)
        })
    }

    #[test]
    fn a_zsk_rolls_by_itself_and_never_leaves_the_zone_without_one() {
        let (active, published) = (KeyState::Active, KeyState::Published);
        let mut list = vec![
            entry(1, "ksk", active, 0),
            entry(2, "zsk", active, 0),
            entry(3, "zsk", published, 1000),
        ];
        let mut seen = vec![states(&list)];
        for minute in 0..60 * 24 {
            advance_at(&mut list, 1000 + 60 * minute, 7200);
            let signs = |e: &&KeyEntry| e.state == active && e.signs_data();
            assert_eq!(list.iter().filter(signs).count(), 1, "{list:?}");
            if seen.last() != Some(&states(&list)) {
                seen.push(states(&list));
                println!("{minute} {list:?}");
            }
        }
        assert_eq!(
            seen,
            [
                vec![(1, active), (2, active), (3, published)],
                vec![(1, active), (2, KeyState::Retired), (3, active)],
                vec![(1, active), (3, active)],
            ]
        );
    }

    #[test]
    fn a_csk_waits_for_its_ds() {
        let mut list = vec![
            entry(1, "csk", KeyState::Active, 0),
            entry(2, "csk", KeyState::Published, 0),
        ];
        let (year, day) = (365 * 24 * HOUR, 24 * HOUR);
        advance_at(&mut list, year, 300);
        assert_eq!(states(&list), [(1, KeyState::Active), (2, KeyState::Ready)]);
        let mut slow = list.clone();
        activate(&mut list, 2, year, None);
        advance_at(&mut list, year + day, 300);
        assert_eq!(
            states(&list),
            [(1, KeyState::Retired), (2, KeyState::Active)]
        );
        advance_at(&mut list, year + day + MARGIN, 300);
        assert_eq!(states(&list), [(2, KeyState::Active)]);
        // A DS that lives for a week at the parent.
        activate(&mut slow, 2, year, Some(7 * day));
        advance_at(&mut slow, year + 7 * day, 300);
        assert_eq!(slow.len(), 2, "the old key stays");
        advance_at(&mut slow, year + 7 * day + MARGIN, 300);
        assert_eq!(states(&slow), [(2, KeyState::Active)]);
    }

    #[test]
    fn what_was_not_answered_with_does_not_move() {
        let (active, published) = (KeyState::Active, KeyState::Published);
        let rolling = vec![
            entry(1, "ksk", active, 0),
            entry(2, "zsk", active, 0),
            entry(3, "zsk", published, 0),
        ];
        let after = |now: u64, answered: Option<u64>| {
            let mut list = rolling.clone();
            advance(&mut list, now, (300, 0), |_| answered);
            states(&list)
        };
        // Nobody has reloaded for a day, or the key has come by then.
        assert_eq!(after(24 * HOUR, None), states(&rolling));
        assert_eq!(after(24 * HOUR, Some(2 * HOUR - 1)), states(&rolling));
        // The system's clock was set back, or was behind when the key was made.
        let mut early = rolling.clone();
        early[2].since = 30 * HOUR;
        advance(&mut early, 24 * HOUR, (300, 0), |_| Some(9 * HOUR));
        assert_eq!(states(&early), states(&rolling));
        let moved = after(24 * HOUR, Some(2 * HOUR));
        assert_eq!(
            moved,
            [(1, active), (2, KeyState::Retired), (3, active)],
            "two hours after it was first answered with"
        );
    }

    #[test]
    fn secondaries_that_ask_once_a_day_are_waited_for() {
        let (active, published) = (KeyState::Active, KeyState::Published);
        let mut list = vec![
            entry(1, "ksk", active, 0),
            entry(2, "zsk", active, 0),
            entry(3, "zsk", published, 0),
        ];
        let day = 24 * HOUR;
        let mut states_at = |now: u64| {
            advance(&mut list, now, (300, day), |entry| {
                now.checked_sub(entry.since)
            });
            states(&list)
        };
        let before = [(1, active), (2, active), (3, published)];
        let signs = [(1, active), (2, KeyState::Retired), (3, active)];
        assert_eq!(states_at(day + HOUR - 1), before);
        assert_eq!(states_at(day + HOUR), signs);
        assert_eq!(states_at(2 * day + HOUR + 299), signs);
        assert_eq!(states_at(2 * day + HOUR + 300), [(1, active), (3, active)]);
    }

    #[test]
    fn what_is_needed_stays_unless_another_takes_its_place() {
        let csk = |tag, state| entry(tag, "csk", state, 0);
        let (active, published) = (KeyState::Active, KeyState::Published);
        let mut rolling = vec![csk(1, active), csk(2, published)];
        // A roll that is called off.
        let mut list = rolling.clone();
        remove(&mut list, 2, false, 9).unwrap();
        assert_eq!(states(&list), [(1, active)]);
        remove(&mut list, 1, true, 9).unwrap_err();
        remove(&mut list, 7, true, 9).unwrap_err();
        assert_eq!(states(&list), [(1, active)]);
        // A key that others have.
        remove(&mut rolling, 1, false, 9).unwrap_err();
        remove(&mut rolling, 1, true, 9).unwrap();
        assert_eq!(states(&rolling), [(2, active)]);
        // One whose DS may be at the parent, and one that is in caches.
        for state in [KeyState::Ready, KeyState::Retired] {
            let mut list = vec![csk(1, active), csk(2, state)];
            remove(&mut list, 2, false, 9).unwrap_err();
            remove(&mut list, 2, true, 9).unwrap();
            assert_eq!(states(&list), [(1, active)]);
        }
        // A ZSK does not stand in for a KSK.
        let mut split = vec![
            entry(1, "ksk", active, 0),
            entry(2, "zsk", active, 0),
            entry(3, "zsk", published, 0),
        ];
        remove(&mut split, 1, true, 9).unwrap_err();
        remove(&mut split, 2, true, 9).unwrap();
        assert_eq!(states(&split), [(1, active), (3, active)]);
    }

    #[test]
    fn lists_of_keys_alone_are_read() {
        let key = r#"{"tag":1,"algorithm":"ed25519","role":"csk","state":"active","since":5}"#;
        let alone: KeyList = serde_json::from_str(&format!("[{key}]")).unwrap();
        assert_eq!(alone.keys, [entry(1, "csk", KeyState::Active, 5)]);
        assert_eq!(alone.unsigning, None);
        let leaving = KeyList {
            unsigning: Some(7),
            ..alone
        };
        let text = serde_json::to_string(&leaving).unwrap();
        assert_eq!(serde_json::from_str::<KeyList>(&text).unwrap(), leaving);
    }
}
