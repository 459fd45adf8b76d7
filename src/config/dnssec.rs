//! `[dnssec]`: where keys are, and how signing is done.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::table::{Keys, Table};
use crate::diagnostic::Diagnostics;
use crate::dnssec::Settings;

static DNSSEC: Keys = Keys {
    known: &["keys", "validity", "signatures_per_second"],
    later: &[],
};

/// One that is shorter would end while it is in caches; a longer one helps only who has copied an answer.
const VALIDITY: RangeInclusive<Duration> = DAY..=Duration::from_secs(90 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// How zones are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnssec {
    /// The folder of keys. Default: `keys` in the state folder, else beside `nearmost.toml`.
    pub keys: PathBuf,
    /// How signing is done.
    pub settings: Settings,
}

/// Reads the table.
pub(super) fn read(top: &Table<'_>, state: Option<&PathBuf>, found: &mut Diagnostics) -> Dnssec {
    let table = top
        .get("dnssec")
        .and_then(|v| v.table(top.key_span("dnssec")?, &DNSSEC, found));
    let get = |key| table.and_then(|t| t.get(key));
    let usual = Settings::default();
    let keys = get("keys").and_then(|v| v.path(found));
    let validity = get("validity").and_then(|v| v.duration(VALIDITY, found));
    let rate = get("signatures_per_second");
    Dnssec {
        keys: keys.unwrap_or_else(|| state.unwrap_or(&top.file.folder).join("keys")),
        settings: Settings {
            validity: validity.map_or(usual.validity, |v| {
                v.as_secs().try_into().unwrap_or(u32::MAX)
            }),
            rate: rate
                .and_then(|v| v.whole(100..=1_000_000u32, found))
                .unwrap_or(usual.rate),
        },
    }
}
