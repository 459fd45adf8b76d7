//! `prefer` of a pool: what some nodes can have in common with a client.

use super::table::Value;
use crate::diagnostic::Diagnostics;
use crate::policy::Prefer;

/// The last word: what decides among nodes that are alike by all others.
pub(super) const DISTANCE: &str = "distance";

/// Reads the list. `distance` may be left out, but nothing comes after it.
pub(super) fn read(value: &Value<'_>, found: &mut Diagnostics) -> Vec<Prefer> {
    let mut out: Vec<Prefer> = Vec::new();
    let mut last = None;
    for (word, span) in value.texts(found).unwrap_or_default() {
        if let Some(last) = last {
            found.error(
                span,
                format!("\"{word}\" comes after \"{last}\", which leaves nothing to decide"),
            );
            continue;
        }
        let known = Prefer::WORDS.iter().find(|(known, _)| *known == word);
        match known {
            Some((_, prefer)) if out.contains(prefer) => {
                found.error(span, format!("\"{word}\" is listed twice"));
            }
            Some((_, prefer)) => out.push(*prefer),
            None if word != DISTANCE => {
                let message = format!("\"{word}\" is nothing that nodes can be preferred by");
                let words = Prefer::WORDS.iter().map(|(word, _)| *word);
                found
                    .error(span, message)
                    .suggest(word, words.chain([DISTANCE]));
            }
            None => {}
        }
        if word == DISTANCE || known.is_some_and(|(_, p)| *p == Prefer::Order) {
            last = Some(word);
        }
    }
    out
}

/// As [`read`] reads it.
pub(super) fn words(prefer: &[Prefer]) -> Vec<&'static str> {
    let decided = prefer.last() == Some(&Prefer::Order);
    let distance = (!decided).then_some(DISTANCE);
    prefer.iter().map(|p| p.word()).chain(distance).collect()
}
