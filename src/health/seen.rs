//! What a check saw beside its verdict: how long its parts took, and until when the node's certificate is good.

use std::time::Duration;

use super::board::Time;
use super::probe::{HttpCheck, Kind, Probe};
use crate::clock::utc;

/// What one run of a check saw; what it did not come to is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// From the start until the first connection stood.
    pub connect: Option<Duration>,
    /// From then until TLS stood.
    pub tls: Option<Duration>,
    /// When the node's own certificate ends.
    pub certificate_ends: Option<Time>,
}

const DAY: u64 = 86_400;

impl Seen {
    /// Whole days until the certificate ends; negative once it has.
    #[must_use]
    pub fn certificate_days(&self, now: Time) -> Option<i64> {
        let ends = i64::try_from(self.certificate_ends?.as_secs()).ok()?;
        let left = ends.saturating_sub_unsigned(now.as_secs());
        Some(left.div_euclid(DAY.cast_signed()))
    }

    /// What will become a failure if nothing is done: a certificate that ends sooner than the probe's `warn_cert`.
    #[must_use]
    pub fn warning(&self, probe: &Probe, now: Time) -> Option<String> {
        let Kind::Http(HttpCheck { warn_cert, .. }) = &probe.kind else {
            return None;
        };
        let ends = self.certificate_ends?;
        // One that has ended is an error of the check.
        if ends <= now || ends - now > (*warn_cert)? {
            return None;
        }
        Some(certificate_ends(ends, now))
    }
}

/// When a certificate ends, in words.
#[must_use]
pub fn certificate_ends(ends: Time, now: Time) -> String {
    let mut date = utc(ends);
    date.truncate("2026-11-21".len());
    let Some(left) = ends.checked_sub(now) else {
        return format!("certificate has ended, {date}");
    };
    let days = match left.as_secs() / DAY {
        0 => "today".into(),
        1 => "in 1 day".into(),
        days => format!("in {days} days"),
    };
    format!("certificate ends {days}, {date}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ends: u64) -> Seen {
        Seen {
            certificate_ends: Some(Time::from_secs(ends)),
            ..Seen::default()
        }
    }

    #[test]
    fn days_are_whole() {
        let now = Time::from_secs(10 * DAY);
        for (ends, days) in [
            (10 * DAY, 0),
            (11 * DAY - 1, 0),
            (11 * DAY, 1),
            (10 * DAY - 1, -1),
            (0, -10),
        ] {
            assert_eq!(seen(ends).certificate_days(now), Some(days), "{ends}");
        }
        assert_eq!(Seen::default().certificate_days(now), None);
    }

    #[test]
    fn a_warning_comes_in_time_and_ends_with_the_certificate() {
        let probe = |warn_cert| Probe {
            name: "web".into(),
            kind: Kind::Http(HttpCheck {
                warn_cert,
                ..HttpCheck::default()
            }),
            port: 443,
            host: None,
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(4),
            down: 3,
            ok: 6,
            up: 6,
            shadow: false,
        };
        let (warned, silent) = (probe(Some(Duration::from_secs(14 * DAY))), probe(None));
        let now = Time::from_secs(20_000 * DAY);
        let said = |after: u64| seen(20_000 * DAY + after).warning(&warned, now);
        assert_eq!(said(14 * DAY + 1), None);
        assert_eq!(
            said(14 * DAY).as_deref(),
            Some("certificate ends in 14 days, 2024-10-18")
        );
        assert_eq!(
            said(DAY + 1).as_deref(),
            Some("certificate ends in 1 day, 2024-10-05")
        );
        assert_eq!(
            said(1).as_deref(),
            Some("certificate ends today, 2024-10-04")
        );
        assert_eq!(said(0), None);
        assert_eq!(seen(20_000 * DAY + 1).warning(&silent, now), None);
    }
}
