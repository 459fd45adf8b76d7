//! Times of signatures: `YYYYMMDDHHmmSS` in UTC, or seconds since 1970 (RFC 4034 3.2).

use super::number::digits;
use crate::zone::file::problem::Problem;
use crate::zone::file::token::Token;

/// Seconds since 1970 modulo 2^32 (RFC 4034 3.1.5: serial number arithmetic).
pub(super) fn read(token: Token<'_>) -> Result<u32, Problem> {
    let seconds = match token.text.len() {
        14 => date(token.text),
        0..=10 => digits(token.text).filter(|&s| s <= u64::from(u32::MAX)),
        _ => None,
    };
    let wrong = || {
        Problem::new(
            token.span,
            format!("\"{}\" is no time of a signature", token.show()),
        )
    };
    let seconds =
        seconds.ok_or_else(|| wrong().note("write YYYYMMDDHHmmSS, or seconds since 1970"))?;
    Ok(u32::try_from(seconds % (1 << 32)).unwrap_or(u32::MAX))
}

fn date(text: &[u8]) -> Option<u64> {
    let part = |from: usize, to: usize| text.get(from..to).and_then(digits);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let length = *lengths.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if year < 1970 || day == 0 || day > length || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let months: u64 = lengths.iter().take(usize::try_from(month - 1).ok()?).sum();
    Some((((years + months + day - 1) * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        assert_eq!(date(b"19700101000000"), Some(0));
        assert_eq!(date(b"20040229235959"), Some(1_078_099_199));
        assert_eq!(date(b"20301301000000"), None);
        assert_eq!(date(b"20230229000000"), None);
    }
}
