//! `[rrl]` and `[cookies]`: what strangers may have of us.

use super::network;
use super::server::hex;
use super::table::{Keys, Table};
use crate::diagnostic::Diagnostics;
use crate::prefix::Prefix;
use crate::snapshot::RateLimit;

static RRL: Keys = Keys {
    known: &["rate", "slip", "exempt"],
    later: &[],
};

static COOKIES: Keys = Keys {
    known: &["give", "secrets"],
    later: &[],
};

/// Cookies of clients (RFC 7873).
#[derive(Clone, PartialEq, Eq)]
pub struct Cookies {
    /// Whether they are given. Default: they are.
    pub give: bool,
    /// What they are made with: the first; the others are known. Default: one of this process alone.
    pub secrets: Vec<[u8; 16]>,
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookies({}, {} secrets)", self.give, self.secrets.len())
    }
}

/// Reads `[rrl]`; none: it is not there, and replies are not limited. A benchmark, or the resolvers of a large network, would be.
pub(super) fn rate_limit(top: &Table<'_>, found: &mut Diagnostics) -> Option<RateLimit> {
    let table = top
        .get("rrl")
        .and_then(|v| v.table(top.key_span("rrl")?, &RRL, found))?;
    let get = |key| table.get(key);
    let usual = RateLimit::default();
    let rate = get("rate").and_then(|v| v.whole(0..=1_000_000u32, found));
    let slip = get("slip").and_then(|v| v.whole(0..=1000u32, found));
    let exempt = get("exempt")
        .and_then(|v| v.texts(found))
        .unwrap_or_default();
    let exempt = exempt
        .iter()
        .filter_map(|(text, span)| network::prefix(text, *span, found));
    let exempt: Vec<Prefix> = exempt.collect();
    let rate = rate.unwrap_or(usual.rate);
    (rate > 0).then(|| RateLimit {
        rate,
        slip: slip.unwrap_or(usual.slip),
        exempt,
    })
}

/// Reads `[cookies]`.
pub(super) fn cookies(top: &Table<'_>, found: &mut Diagnostics) -> Cookies {
    let table = top
        .get("cookies")
        .and_then(|v| v.table(top.key_span("cookies")?, &COOKIES, found));
    let get = |key| table.and_then(|t| t.get(key));
    let give = get("give").and_then(|v| v.truth(found)).unwrap_or(true);
    let mut secrets = Vec::new();
    for (text, span) in get("secrets")
        .and_then(|v| v.texts(found))
        .unwrap_or_default()
    {
        match hex(text).and_then(|octets| octets.try_into().ok()) {
            Some(secret) => secrets.push(secret),
            None => {
                let error = found.error(span, "a secret of cookies has 32 hexadecimal digits");
                error.note("make one with `openssl rand -hex 16`");
            }
        }
    }
    Cookies { give, secrets }
}
