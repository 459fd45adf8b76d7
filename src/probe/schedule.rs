//! When a check runs: at once, and then in its own place of the interval, for ever.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};

use crate::health::Outcome;

/// The first runs are a millisecond apart, and all have begun after this.
pub const FIRST_ROUND: Duration = Duration::from_secs(1);

/// The turns of one check, counted from the start of all.
///
/// ```text
/// first        second      third       ...
///   |------------[---]-------[---]-------[---]     [ are `every` apart, [ ] is a tenth of it wide
/// ```
/// So two runs are between 0.9 and 1.1 intervals apart, and checks that are spread over the interval stay spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    number: u64,
    every: Duration,
    first: Duration,
    second: Duration,
}

impl Turns {
    /// The turns of check `number`, which starts as the one in `place`, from 0, of `count`.
    pub(super) fn new(number: usize, (place, count): (usize, usize), every: Duration) -> Self {
        let number = number as u64;
        let after = place as f64 / count.max(1) as f64;
        let every = every.max(Duration::from_millis(1));
        let spread = FIRST_ROUND.min(Duration::from_millis(count as u64));
        // Multiples of the golden ratio fall evenly into the interval, however many there are.
        let place = fraction(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            number,
            every,
            first: spread.mul_f64(after),
            // Never soon after the first: what fails then would count twice.
            second: FIRST_ROUND + every.mul_f64(0.5 + place),
        }
    }

    /// The same for a check that has just run: its first turn is the one that would be the second.
    pub(super) fn without_first(self) -> Self {
        Self {
            first: self.second,
            second: self.second + self.every,
            ..self
        }
    }

    /// Waits for the first turn.
    pub(super) async fn first(&self, started: Instant) {
        sleep_until(started + self.first).await;
    }

    /// The first turn after `now`; turns that have passed are left out.
    fn after(&self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.second).as_nanos() / self.every.as_nanos();
        let before = u64::try_from(passed).unwrap_or(u64::MAX).saturating_sub(1);
        (before..)
            .map(|turn| self.at(turn))
            .find(|&turn| turn > now)
            .unwrap_or(now + self.every)
    }

    /// When a turn is, the second run being turn 0.
    fn at(&self, turn: u64) -> Duration {
        let jitter = fraction(mix(self.number.rotate_left(32) ^ turn));
        self.second + self.every.mul_f64(turn as f64 + 0.1 * jitter)
    }
}

/// Runs a check at its turns until nobody takes results any more. A run begins only when the one before has ended
/// and its result is taken.
pub(super) async fn keep_running<F, R>(
    turns: Turns,
    started: Instant,
    results: Sender<(usize, Outcome)>,
    run: F,
) where
    F: Fn() -> R,
    R: Future<Output = Outcome>,
{
    let number = usize::try_from(turns.number).expect("it came from a usize");
    turns.first(started).await;
    loop {
        // Boxed: between two runs, which is nearly always, a check is only its timer.
        let outcome = Box::pin(run()).await;
        if results.send((number, outcome)).await.is_err() {
            return;
        }
        sleep_until(started + turns.after(started.elapsed())).await;
    }
}

/// A number as a part of the whole range, 0 to 1.
fn fraction(number: u64) -> f64 {
    number as f64 / u64::MAX as f64
}

/// Numbers that are near become numbers that are not (the finaliser of `SplitMix64`, Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use tokio::sync::mpsc::{self, Receiver};
    use tokio::task::JoinSet;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::health::Seen;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn first_runs_come_at_once() {
        let first = |number, count| Turns::new(number, (number, count), EVERY).first;
        assert_eq!(first(0, 1), Duration::ZERO);
        assert_eq!(first(2, 3), Duration::from_millis(2));
        assert!((0..5000).all(|n| first(n, 5000) < FIRST_ROUND));
        assert!((1..5000).all(|n| first(n - 1, 5000) < first(n, 5000)));
    }

    #[test]
    fn turns_are_an_interval_apart_but_for_a_tenth() {
        for number in 0..100 {
            let turns = Turns::new(number, (number, 100), EVERY);
            let mut at = turns.first;
            let second = turns.after(at);
            assert!(second >= at + EVERY / 2 && second < at + FIRST_ROUND + EVERY.mul_f64(1.6));
            at = second;
            for _ in 0..1000 {
                let next = turns.after(at);
                assert!(
                    next - at >= EVERY.mul_f64(0.9) && next - at <= EVERY.mul_f64(1.1),
                    "check {number}: {at:?} {next:?}"
                );
                at = next;
            }
            // A thousand turns later it still is in its place.
            assert!(at - second >= EVERY * 999 && at - second <= EVERY * 1001);
        }
    }

    #[test]
    fn jitter_differs_between_turns_and_checks() {
        let gaps = |number| -> Vec<Duration> {
            let turns = Turns::new(number, (number, 2), EVERY);
            (0..20).map(|k| turns.at(k + 1) - turns.at(k)).collect()
        };
        let (mut one, other) = (gaps(0), gaps(1));
        assert_ne!(one, other);
        one.sort();
        one.dedup();
        assert_eq!(one.len(), 20);
    }

    #[test]
    fn checks_are_spread_over_the_interval() {
        // 1000 checks, in each second of ten a tenth of them, give or take what jitter moves.
        let mut in_second = [0; 10];
        for number in 0..1000 {
            let at = Turns::new(number, (number, 1000), EVERY).after(EVERY * 50);
            in_second[usize::try_from(at.as_secs() % 10).unwrap()] += 1;
        }
        assert!(
            in_second.iter().all(|n| (80..=120).contains(n)),
            "{in_second:?}"
        );
    }

    #[test]
    fn turns_that_have_passed_are_left_out() {
        let turns = Turns::new(0, (0, 1), EVERY);
        for late in [0, 1, 7, 10, 11, 99, 86_400 * 3650].map(Duration::from_secs) {
            let next = turns.after(late);
            assert!(next > late && next <= late + EVERY * 2, "{late:?} {next:?}");
        }
    }

    /// A check whose runs take as long as told; begins and ends are noted in seconds.
    #[derive(Clone, Default)]
    struct Slow {
        lengths: Arc<Mutex<Vec<u64>>>,
        seen: Arc<Mutex<Vec<(Duration, Duration)>>>,
    }

    impl Slow {
        fn start(&self, tasks: &mut JoinSet<()>, room: usize) -> Receiver<(usize, Outcome)> {
            let (results, receiver) = mpsc::channel(room);
            let started = Instant::now();
            let slow = self.clone();
            tasks.spawn(keep_running(
                Turns::new(0, (0, 1), EVERY),
                started,
                results,
                move || {
                    let slow = slow.clone();
                    async move {
                        let begin = started.elapsed();
                        let length = slow.lengths.lock().unwrap().pop().unwrap_or(0);
                        sleep(Duration::from_secs(length)).await;
                        slow.seen.lock().unwrap().push((begin, started.elapsed()));
                        Outcome {
                            result: Ok(()),
                            latency: Duration::from_secs(length),
                            seen: Seen::default(),
                        }
                    }
                },
            ));
            receiver
        }
    }

    #[tokio::test(start_paused = true)]
    async fn runs_never_overlap_even_when_longer_than_the_interval() {
        let slow = Slow::default();
        *slow.lengths.lock().unwrap() = vec![3, 25, 9, 40, 1];
        let mut tasks = JoinSet::new();
        let mut results = slow.start(&mut tasks, 1);
        for _ in 0..8 {
            results.recv().await.unwrap();
        }
        let seen = slow.seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 8);
        assert!(seen.windows(2).all(|two| two[0].1 < two[1].0), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_waits_until_it_is_taken() {
        let slow = Slow::default();
        *slow.lengths.lock().unwrap() = vec![4, 3, 2, 1];
        let mut tasks = JoinSet::new();
        let mut results = slow.start(&mut tasks, 1);
        let mut latencies = Vec::new();
        while latencies.len() < 4 {
            // Long after the channel is full.
            sleep(EVERY * 7).await;
            latencies.push(results.recv().await.unwrap().1.latency.as_secs());
        }
        assert_eq!(latencies, [1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_listens() {
        let mut tasks = JoinSet::new();
        drop(Slow::default().start(&mut tasks, 1));
        timeout(EVERY, tasks.join_next()).await.unwrap();
    }
}
