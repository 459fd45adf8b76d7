//! Measured round-trip times beside distances: what both together come to.

use std::collections::BTreeMap;

use crate::geo::Subject;
use crate::health::Time;

/// A row of a latency table.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRow {
    /// The clients that were measured.
    pub subject: Subject,
    /// The index of the node.
    pub node: usize,
    /// Their round-trip time to it, milliseconds.
    pub rtt_ms: f64,
    /// How often it was measured.
    pub samples: u32,
    /// When, in seconds since 1970.
    pub measured_at: u64,
}

/// What was measured of a member, or of a node, for some clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<M = u16> {
    /// The member.
    pub member: M,
    /// Milliseconds.
    pub rtt_ms: f64,
    /// How much it counts: samples, halved by each week of age.
    pub weight: f64,
}

/// What was measured for some clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<M = u16> {
    /// These.
    pub subject: Subject,
    /// Of each member once.
    pub samples: Vec<Sample<M>>,
}

/// What a distance is worth where nothing is measured, milliseconds: the access line, and the way there and back on detours.
const LINE_MS: f64 = 8.0;
const MS_PER_KM: f64 = 0.018;
/// Distance counts as much as so many samples.
const PRIOR: f64 = 10.0;
/// Days after which samples count half.
const HALF_LIFE: f64 = 7.0;
/// A node that is not the nearest has to be better by so much, by weights of so much: else noise would move clients.
const GAIN_MS: f64 = 10.0;
const GAIN: f64 = 0.15;
const LEAST_WEIGHT: f64 = 20.0;
/// Light in fibre needs as long, there and back.
const KM_PER_MS: f64 = 100.0;

/// The round-trip time below which clients cannot be so far from a node, milliseconds.
#[must_use]
pub fn least_ms(km: f64) -> f64 {
    km / KM_PER_MS
}

/// What rows come to at a time, by subject. Age counts in whole days, so that maps of the same rows are the same for a day.
#[must_use]
pub fn weighed(rows: &[LatencyRow], now: Time) -> Vec<Measured<usize>> {
    // Weight, and the sum of times that are multiplied by theirs.
    let mut all: BTreeMap<Subject, BTreeMap<usize, (f64, f64)>> = BTreeMap::new();
    for row in rows {
        let days = now.as_secs().saturating_sub(row.measured_at) / 86_400;
        let days = f64::from(u32::try_from(days).unwrap_or(u32::MAX));
        let weight = f64::from(row.samples) * (-days / HALF_LIFE).exp2();
        let (sum, times) = all
            .entry(row.subject)
            .or_default()
            .entry(row.node)
            .or_default();
        *sum += weight;
        *times += weight * row.rtt_ms;
    }
    let sample = |(member, (weight, times)): (usize, (f64, f64))| Sample {
        member,
        rtt_ms: times / weight,
        weight,
    };
    let measured = |(subject, nodes): (Subject, BTreeMap<_, _>)| Measured {
        subject,
        // What is so old that nothing is left of it has no mean either.
        samples: nodes
            .into_iter()
            .map(sample)
            .filter(|s| s.weight > 0.0)
            .collect(),
    };
    let all = all.into_iter().map(measured);
    all.filter(|m| !m.samples.is_empty()).collect()
}

/// Kilometres to rank members by that are worth what was measured; none where distances decide: nobody is measured to be better
/// than the nearest by enough.
///
/// `km` are the distances of all members, `among` those that the clients may be given.
#[must_use]
pub(super) fn equivalents(km: &[f64], samples: &[Sample], among: &[u16]) -> Option<Vec<f64>> {
    let by_distance = |member: u16| LINE_MS + MS_PER_KM * km[usize::from(member)];
    let known: Vec<&Sample> = samples
        .iter()
        .filter(|s| among.contains(&s.member))
        .collect();
    // What all of the clients' ways have in common, such as a slow line: it speaks for nobody.
    let common = median(
        known
            .iter()
            .map(|s| s.rtt_ms - by_distance(s.member))
            .collect(),
    )?;
    let mut cost: Vec<f64> = (0..)
        .zip(km)
        .map(|(m, _)| by_distance(m) + common)
        .collect();
    for sample in &known {
        let cost = &mut cost[usize::from(sample.member)];
        *cost = (PRIOR * *cost + sample.weight * sample.rtt_ms) / (PRIOR + sample.weight);
    }
    let least = |of: &[f64]| {
        let of = |member: &&u16| of[usize::from(**member)];
        among.iter().min_by(|a, b| of(a).total_cmp(&of(b))).copied()
    };
    let (nearest, best) = (least(km)?, least(&cost)?);
    let of = |member: u16| cost[usize::from(member)];
    let weights = known
        .iter()
        .filter(|s| s.member == nearest || s.member == best);
    let weight = weights.map(|s| s.weight).fold(f64::INFINITY, f64::min);
    let enough = GAIN_MS.max(GAIN * of(nearest));
    if of(nearest) - of(best) < enough || !(LEAST_WEIGHT..f64::INFINITY).contains(&weight) {
        return None;
    }
    // From the best on, and none below 0: the nearest members' band begins there.
    let worth = |cost: &f64| (cost - common - LINE_MS) / MS_PER_KM;
    let lift = worth(&of(best)).min(0.0);
    Some(cost.iter().map(|cost| worth(cost) - lift).collect())
}

/// Of an even number the mean of the two in the middle.
fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_unstable_by(f64::total_cmp);
    let (low, high) = (of.get(of.len().checked_sub(1)? / 2)?, of.get(of.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(member: u16, rtt_ms: f64, weight: f64) -> Sample {
        Sample {
            member,
            rtt_ms,
            weight,
        }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    /// By hand. Distances are worth 8 + 18 = 26, 8 + 36 = 44 and 8 + 90 = 98 ms; measured are 66 and 34, which is 40 more and 10 less,
    /// so 15 is common: 41, 59, 113. With 30 samples each to 10 of distance: (410 + 1980) / 40 = 59.75, (590 + 1020) / 40 = 40.25.
    /// The gain is 19.5 ms. Worth 23 ms less in km: (59.75 - 23) / 0.018 = 2041.67, 958.33, 5000.
    #[test]
    fn what_is_measured_and_what_is_not_are_compared() {
        let km = [1000.0, 2000.0, 5000.0];
        let samples = [sample(0, 66.0, 30.0), sample(1, 34.0, 30.0)];
        let worth = equivalents(&km, &samples, &[0, 1, 2]).unwrap();
        assert!(close(worth[0], 36.75 / 0.018), "{worth:?}");
        assert!(close(worth[1], 17.25 / 0.018), "{worth:?}");
        assert!(close(worth[2], 5000.0), "{worth:?}");
    }

    #[test]
    fn nobody_moves_for_little() {
        let km = [1000.0, 2000.0];
        let all = [0, 1];
        let two = |near: f64, far: f64, weight: f64| {
            let samples = [sample(0, near, weight), sample(1, far, weight)];
            equivalents(&km, &samples, &all).is_some()
        };
        assert!(two(66.0, 34.0, 20.0));
        // Too few samples.
        assert!(!two(66.0, 34.0, 19.9));
        // Within 10 ms, and within 15 %.
        assert!(!two(40.0, 34.0, 1000.0));
        assert!(!two(400.0, 360.0, 1e6));
        assert!(two(400.0, 320.0, 1e6));
        // One alone cannot be told from the line that all ways have in common.
        assert_eq!(equivalents(&km, &[sample(1, 1.0, 100.0)], &all), None);
        assert_eq!(equivalents(&km, &[sample(0, 99.0, 100.0)], &all), None);
        // Of those only that the clients may be given.
        let samples = [sample(0, 66.0, 30.0), sample(1, 34.0, 30.0)];
        assert_eq!(equivalents(&km, &samples, &[0]), None);
        assert_eq!(equivalents(&km, &[], &all), None);
    }

    /// 40 samples of 10 ms two weeks old count 10, 30 fresh ones of 20 ms as they are: 40 in all, with a mean of 17.5 ms.
    #[test]
    fn old_samples_fade() {
        let now = Time::from_secs(1_800_000_000);
        let row = |rtt_ms, samples, days: u64| LatencyRow {
            subject: Subject::Asn(64500, None),
            node: 3,
            rtt_ms,
            samples,
            measured_at: now.as_secs() - days * 86_400,
        };
        let found = weighed(
            &[row(10.0, 40, 14), row(20.0, 30, 0), row(5.0, 9, 20_000)],
            now,
        );
        let [Measured { samples, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((samples.len(), samples[0].member), (1, 3));
        assert!(close(samples[0].weight, 40.0) && close(samples[0].rtt_ms, 17.5));
    }
}
