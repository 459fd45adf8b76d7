//! Texts of numbers with units: `1h30m`, `4KiB`, `1.3x + 150km`.

use std::time::Duration;

use crate::policy::Near;

/// Units of time in milliseconds, the biggest first.
const TIME: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Units of octets.
const SIZE: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A whole number of per cent, such as `50%`.
pub(super) fn percent(text: &str) -> Option<u8> {
    let number = text.strip_suffix('%').map(str::trim_end);
    let digits = number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse().ok()
}

/// Whole numbers, each with `d`, `h`, `m`, `s` or `ms`, added up.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let unit_len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit_len);
        total = total.checked_add(number.checked_mul(scale(&TIME, unit)?)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// What [`duration`] reads; fractions of a millisecond are cut.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, scale) in TIME {
        if rest >= scale {
            out.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A whole number of `B`, `kB`, `KiB`, `MB`, `MiB` or `GiB`.
pub(super) fn octets(text: &str) -> Option<u64> {
    let (number, unit) = number(text.trim())?;
    number.checked_mul(scale(&SIZE, unit)?)
}

/// What [`octets`] reads: in the largest binary unit that leaves no rest.
pub(super) fn octets_text(octets: u64) -> String {
    let fits = |(unit, scale): &&(&str, u64)| {
        (unit.ends_with("iB") || *scale == 1) && octets.is_multiple_of(*scale)
    };
    let (unit, scale) = SIZE.iter().rfind(fits).unwrap_or(&SIZE[0]);
    format!("{}{unit}", octets / scale)
}

/// Units of capacity in Mbit/s, the biggest first.
const RATE: [(&str, u64); 3] = [("Tbit", 1_000_000), ("Gbit", 1000), ("Mbit", 1)];

/// A whole number above 0 of `Mbit`, `Gbit` or `Tbit` a second; what comes out are Mbit.
pub(super) fn megabits(text: &str) -> Option<u32> {
    let (number, unit) = number(text.trim().strip_suffix("/s").unwrap_or(text.trim()))?;
    let all = number.checked_mul(scale(&RATE, unit)?)?;
    u32::try_from(all).ok().filter(|n| *n > 0)
}

/// What [`megabits`] reads.
pub(super) fn megabits_text(megabits: u32) -> String {
    let fits = |unit: &&(&str, u64)| u64::from(megabits) % unit.1 == 0;
    let (unit, scale) = RATE.iter().find(fits).unwrap_or(&RATE[2]);
    format!("{}{unit}", u64::from(megabits) / scale)
}

/// A factor, a distance, or both with a plus between them. Alone, a factor means no slack and a distance factor 1.
///
/// # Errors
/// What is wrong with it.
pub(super) fn near(text: &str) -> Result<Near, String> {
    let mut factor = None;
    let mut slack = None;
    for term in text.split('+') {
        let term = term.trim();
        let (place, number, what) = if let Some(n) = term.strip_suffix("km") {
            (&mut slack, n, "distance")
        } else if let Some(n) = term.strip_suffix('x') {
            (&mut factor, n, "factor")
        } else {
            return Err("\"near\" must be like \"1.3x + 150km\", \"1.3x\" or \"150km\"".to_owned());
        };
        if place
            .replace(decimal(number).ok_or_else(|| format!("\"{term}\" is no {what}"))?)
            .is_some()
        {
            return Err(format!("\"near\" has two terms that are a {what}"));
        }
    }
    let near = Near {
        factor: factor.unwrap_or(1.0),
        slack_km: slack.unwrap_or(0.0),
    };
    match near {
        Near { factor, .. } if !(1.0..=100.0).contains(&factor) => {
            Err("the factor must be from 1x to 100x".to_owned())
        }
        Near { slack_km, .. } if slack_km > 20_040.0 => {
            Err("no two places are more than 20040km apart".to_owned())
        }
        _ => Ok(near),
    }
}

/// Digits, and perhaps a point and more digits: not all that Rust takes for a number.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim_end();
    let fine = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if fine {
        text.parse().ok().filter(|n: &f64| n.is_finite())
    } else {
        None
    }
}

fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest.trim_start()))
}

fn scale(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|u| u.0 == unit).map(|u| u.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)));
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
        for text in [
            "",
            "s",
            "10",
            "10 fortnights",
            "1.5s",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615d",
            "1s1",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration_text(Duration::ZERO), "0s");
    }

    #[test]
    fn sizes() {
        assert_eq!(octets("4KiB"), Some(4096));
        assert_eq!(octets("1232 B"), Some(1232));
        assert_eq!(octets("1232"), None);
        assert_eq!(octets("99999999999999999GiB"), None);
        for text in ["1GiB", "1025MiB", "4KiB", "1232B"] {
            assert_eq!(octets_text(octets(text).unwrap()), text);
        }
    }

    #[test]
    fn bands() {
        let band = |factor, slack_km| Ok(Near { factor, slack_km });
        assert_eq!(near("1.3x + 150km"), band(1.3, 150.0));
        assert_eq!(near("150 km+2x"), band(2.0, 150.0));
        assert_eq!(near("1.3x"), band(1.3, 0.0));
        assert_eq!(near("0km"), band(1.0, 0.0));
        for text in [
            "", "1.3", "150", "150mi", "0.9x", "1x + 2x", "-5km", "infx", "NaNkm", "1e3km",
            "99999km", "1.2.3x",
        ] {
            assert!(near(text).is_err(), "{text}");
        }
        assert_eq!(near(&Near::default().to_string()), Ok(Near::default()));
    }
}
