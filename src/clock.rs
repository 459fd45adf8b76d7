//! The only reader of the system's clock; everything else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Tells the time since 1970. It does not go back while the program runs, whatever is done to the system's clock; and it goes on while the
/// machine is suspended, as what it has from others grows old.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Since the machine has started.
    started: Duration,
    unix: Duration,
}

impl Clock {
    /// A clock that agrees with the system's now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: since_boot(),
            unix,
        }
    }

    /// Time since 1970.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.unix + since_boot().saturating_sub(self.started)
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    time.expect("Linux has had this clock since 2.6.39").into()
}

/// Seconds since 1970 by the system's clock as it is now, which may have been set meanwhile: for what other machines judge.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn wall() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    unix.unwrap_or_default().as_secs()
}

/// `2026-11-23 04:05:06` in UTC, for people.
#[must_use]
pub fn utc(time: Duration) -> String {
    let (days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Civil from days, in years that begin in March: the leap day comes last.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}")
}

/// What [`utc`] writes, perhaps with a `T` in the middle, a `Z` at the end, or without seconds.
#[must_use]
pub fn from_utc(text: &str) -> Option<Duration> {
    let (date, time) = text.trim_end_matches('Z').split_once([' ', 'T'])?;
    let date: Vec<u64> = numbers(date, '-')?;
    let time: Vec<u64> = numbers(time, ':')?;
    let (&[year, month @ 1..=12, day @ 1..=31], &[h @ 0..24, m @ 0..60, ref rest @ ..]) =
        (&date[..], &time[..])
    else {
        return None;
    };
    let s = match rest {
        [] => 0,
        [s @ 0..60] => *s,
        _ => return None,
    };
    // Days from civil, in years that begin in March.
    let year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    let found = Duration::from_secs(days * 86_400 + h * 3600 + m * 60 + s);
    // The 31st of a shorter month is no date.
    utc(found).starts_with(text.get(..10)?).then_some(found)
}

fn numbers(text: &str, between: char) -> Option<Vec<u64>> {
    let parts = text.split(between);
    parts
        .map(|part| part.parse().ok().filter(|n| *n < 10_000))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_back() {
        for seconds in [0, 951_782_400, 4_107_542_400, 1_795_406_706] {
            let time = Duration::from_secs(seconds);
            assert_eq!(from_utc(&utc(time)), Some(time));
        }
        let seconds = |text| from_utc(text).map(|t| t.as_secs());
        assert_eq!(seconds("2026-11-23T04:05Z"), Some(1_795_406_700));
        for wrong in [
            "2h",
            "2026-02-30 00:00",
            "2026-13-01 00:00",
            "2026-11-23 24:00",
            "2026-11-23",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates() {
        let shown = |s| utc(Duration::from_secs(s));
        assert_eq!(shown(0), "1970-01-01 00:00:00");
        assert_eq!(shown(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(shown(4_107_542_400), "2100-03-01 00:00:00");
        assert_eq!(shown(1_795_406_706), "2026-11-23 04:05:06");
    }
}
