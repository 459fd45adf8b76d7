//! `none` of a pool: what is answered when no node is in service.

use std::sync::Arc;

use super::pool::Known;
use super::table::Value;
use crate::diagnostic::{Diagnostics, Span};
use crate::policy::{NoneLeft, Pool};
use crate::zone::Name;

/// The words that stand alone.
static WORDS: [(&str, NoneLeft); 5] = [
    ("least-bad", NoneLeft::LeastBad),
    ("all", NoneLeft::All),
    ("nearest", NoneLeft::Nearest),
    ("nodata", NoneLeft::NoData),
    ("servfail", NoneLeft::ServFail),
];

/// Reads the `none` of the pool of a name.
pub(super) fn read(
    value: &Value<'_>,
    pool: &str,
    known: &Known<'_>,
    found: &mut Diagnostics,
) -> Option<NoneLeft> {
    let text = value.text(found)?;
    if let Some((_, none)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(none.clone());
    }
    if let Some(name) = text.strip_prefix("cname:") {
        let parsed = Name::absolute(name).ok().filter(|n| !n.is_wildcard());
        if parsed.is_none() {
            value.error(format!("\"{name}\" is no domain name"), found);
        }
        return parsed.map(|name| NoneLeft::Cname(Arc::new(name)));
    }
    if let Some(other) = text.strip_prefix("pool:") {
        let number = known.pools.iter().position(|p| *p == other);
        if number.is_none() && known.whole {
            value
                .error(format!("there is no pool \"{other}\""), found)
                .suggest(other, known.pools.iter().copied());
        }
        if other == pool {
            value.error("a pool cannot answer in its own place", found);
        }
        return Some(NoneLeft::Pool {
            number: u32::try_from(number?).ok()?,
            name: other.into(),
        });
    }
    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    value
        .error(
            format!("\"{text}\" is no policy for when no node is left"),
            found,
        )
        .suggest(text, words.iter().copied())
        .note(format!(
            "it is one of {}, \"pool:NAME\" and \"cname:NAME\"",
            words.join(", ")
        ));
    None
}

/// Pools that answer for each other in a circle.
pub(super) fn circles(pools: &[Pool], at: &[Span], found: &mut Diagnostics) {
    let next = |number: usize| match pools.get(number).map(|p| &p.none) {
        Some(NoneLeft::Pool { number, .. }) => Some(*number as usize),
        _ => None,
    };
    for (first, span) in at.iter().enumerate() {
        let mut way = vec![first];
        while let Some(number) = next(way[way.len() - 1]).filter(|n| !way.contains(n)) {
            way.push(number);
        }
        let closed = next(way[way.len() - 1]) == Some(first);
        // Told at the first of them only.
        if closed && way.len() > 1 && way.iter().min() == Some(&first) {
            let names: Vec<&str> = way.iter().map(|n| pools[*n].name.as_str()).collect();
            found.error(
                *span,
                format!(
                    "pools answer for each other in a circle: {}",
                    names.join(", ")
                ),
            );
        }
    }
}
