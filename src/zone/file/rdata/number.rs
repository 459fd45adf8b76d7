//! Numbers and times.

use crate::zone::file::problem::Problem;
use crate::zone::file::token::Token;

/// A decimal number up to `max`; `what` is the noun for the message.
pub(super) fn number(token: Token<'_>, what: &str, max: u64) -> Result<u64, Problem> {
    match digits(token.text) {
        Some(value) if value <= max => Ok(value),
        _ => {
            let message = format!(
                "expected {what}, a number from 0 to {max}, found \"{}\"",
                token.show()
            );
            Err(Problem::new(token.span, message))
        }
    }
}

/// A decimal number of any length, cut at the largest `u64`. None where something is no digit.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0u64, |sum, d| {
        sum.saturating_mul(10).saturating_add(u64::from(d - b'0'))
    }))
}

/// A decimal number with up to `places` digits after the point, in units of the last place: `1.5` with 2 is 150.
pub(super) fn decimal(text: &[u8], places: usize) -> Option<u64> {
    let point = text.iter().position(|&b| b == b'.');
    let (whole, part) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    if part.len() > places || (point.is_some() && part.is_empty() && whole.is_empty()) {
        return None;
    }
    let shift = |n: usize| 10u64.saturating_pow(u32::try_from(n).unwrap_or(u32::MAX));
    let part_value = if part.is_empty() {
        0
    } else {
        digits(part)?.saturating_mul(shift(places - part.len()))
    };
    Some(
        digits(whole)?
            .saturating_mul(shift(places))
            .saturating_add(part_value),
    )
}

/// What a text says as a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone::file) enum Duration {
    /// Seconds, cut at the largest `u64`.
    Seconds(u64),
    /// No time: `1x`, `h`, `1h30`.
    Malformed,
}

/// Seconds, or numbers each with a unit: `3600`, `1h30m`, `1W2D`.
pub(in crate::zone::file) fn duration(text: &[u8]) -> Duration {
    if let Some(seconds) = digits(text) {
        return Duration::Seconds(seconds);
    }
    let mut sum = 0u64;
    let mut start = 0;
    for (at, c) in text.iter().enumerate().filter(|(_, c)| !c.is_ascii_digit()) {
        let unit = match c.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Duration::Malformed,
        };
        let Some(count) = digits(&text[start..at]) else {
            return Duration::Malformed;
        };
        sum = sum.saturating_add(count.saturating_mul(unit));
        start = at + 1;
    }
    if start == text.len() && start > 0 {
        Duration::Seconds(sum)
    } else {
        Duration::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("0", 0),
            ("3600", 3600),
            ("1h30m", 5400),
            ("1W2d", 777_600),
            ("5S", 5),
        ] {
            assert_eq!(
                duration(text.as_bytes()),
                Duration::Seconds(seconds),
                "{text}"
            );
        }
        for text in ["", "h", "1x", "1h30", "-1", "1 h", "1hh"] {
            assert_eq!(duration(text.as_bytes()), Duration::Malformed, "{text}");
        }
    }

    #[test]
    fn decimals() {
        for (text, places, value) in [
            ("1", 2, 100),
            ("1.5", 2, 150),
            ("23.000", 3, 23_000),
            ("7.", 2, 700),
        ] {
            assert_eq!(decimal(text.as_bytes(), places), Some(value), "{text}");
        }
        for text in ["", ".", ".5", "1.234", "1.x", "x"] {
            assert_eq!(decimal(text.as_bytes(), 2), None, "{text}");
        }
    }
}
