//! `expect = { … }`: what an HTTP answer or a DNS reply must be.

use super::table::{Keys, Table, Value};
use crate::diagnostic::Diagnostics;
use crate::health::{Expect, RCODES};

static EXPECT: Keys = Keys {
    known: &["status", "header", "body"],
    later: &["size", "hash"],
};

static DNS: Keys = Keys {
    known: &["rcode", "answer"],
    later: &[],
};

/// A redirect is no proof of health: what it leads to is not asked, so 2xx alone is good unless told otherwise.
pub(super) const GOOD: (u16, u16) = (200, 299);

/// The `expect` of a probe.
pub(super) fn read(table: &Table<'_>, found: &mut Diagnostics) -> Expect {
    let inner = table
        .get("expect")
        .and_then(|v| v.table(v.span(), &EXPECT, found));
    let status = inner
        .and_then(|t| t.get("status"))
        .and_then(|v| statuses(&v, found));
    let header = inner
        .and_then(|t| t.get("header"))
        .and_then(|v| headers(&v, found));
    let body = inner
        .and_then(|t| t.get("body"))
        .and_then(|v| pattern(&v, found));
    Expect {
        status: status.unwrap_or_else(|| vec![GOOD]),
        header: header.unwrap_or_default(),
        body,
    }
}

/// The `expect` of a DNS probe: response code and answer.
pub(super) fn read_dns(
    table: &Table<'_>,
    found: &mut Diagnostics,
) -> (Option<u8>, Option<regex::Regex>) {
    let inner = table
        .get("expect")
        .and_then(|v| v.table(v.span(), &DNS, found));
    let rcode = inner
        .and_then(|t| t.get("rcode"))
        .and_then(|v| rcode(&v, found));
    let answer = inner
        .and_then(|t| t.get("answer"))
        .and_then(|v| pattern(&v, found));
    (rcode, answer)
}

fn rcode(value: &Value<'_>, found: &mut Diagnostics) -> Option<u8> {
    let text = value.text(found)?;
    let known = (0..)
        .zip(RCODES)
        .find(|(_, w)| w.eq_ignore_ascii_case(text));
    if known.is_none() {
        value
            .error(format!("\"{text}\" is no response code"), found)
            .suggest(text, RCODES);
    }
    known.map(|(number, _)| number)
}

/// One status or a list of them.
fn statuses(value: &Value<'_>, found: &mut Diagnostics) -> Option<Vec<(u16, u16)>> {
    let items = if value.is_list() {
        value.items(found)?
    } else {
        vec![*value]
    };
    if items.is_empty() {
        value.error("no status would be good", found);
    }
    let mut out = Vec::new();
    for item in &items {
        match status(item) {
            Some(range) if out.contains(&range) => {}
            Some(range) => out.push(range),
            None => {
                item.error(
                    "no status: write 200, \"2xx\" or \"200-299\", within 100 to 599",
                    found,
                );
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

fn status(value: &Value<'_>) -> Option<(u16, u16)> {
    if let Some(number) = value.as_integer() {
        let number = u16::try_from(number).ok()?;
        return (100..=599).contains(&number).then_some((number, number));
    }
    let text = value.as_text()?;
    if let [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = text.as_bytes() {
        let first = u16::from(class - b'0') * 100;
        return Some((first, first + 99));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |t: &str| {
        t.parse()
            .ok()
            .filter(|n: &u16| t.len() == 3 && (100..=599).contains(n))
    };
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some((first, last))
}

/// Names of headers, and what must match in a value of each.
fn headers(value: &Value<'_>, found: &mut Diagnostics) -> Option<Vec<(String, regex::Regex)>> {
    let mut out: Vec<(String, regex::Regex)> = Vec::new();
    for (value, span) in value.entries(found)? {
        let name = value.key.to_ascii_lowercase();
        // A token of RFC 9110 5.6.2.
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(fine) {
            found.error(span, format!("\"{}\" is no name of a header", value.key));
        } else if out.iter().any(|(other, _)| *other == name) {
            found.error(span, format!("the header \"{name}\" is there twice"));
        } else if let Some(pattern) = pattern(&value, found) {
            out.push((name, pattern));
        }
    }
    Some(out)
}

fn pattern(value: &Value<'_>, found: &mut Diagnostics) -> Option<regex::Regex> {
    match regex::Regex::new(value.text(found)?) {
        Ok(regex) => Some(regex),
        Err(e) => {
            // The last line says what; those before draw the expression, which is shown anyway.
            let text = e.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            value.error(format!("no regular expression: {reason}"), found);
            None
        }
    }
}
