//! Who asks: where the clients of each pool are, by a sample of the answers. Shares of a pool's clients are reckoned by it.
//!
//! It is kept on disk, as what is built of it is built at the start. A client counts half after a day.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handle::Handle;
use super::keep;
use crate::geo::{Country, Crowd, Point};
use crate::health::Time;
use crate::snapshot::{SAMPLED, Snapshot};

/// It is written once in so many writings of states.
pub(super) const WRITTEN: u32 = 30;
/// In which time what was counted comes to half.
const HALF: Duration = Duration::from_secs(24 * 3600);
/// So many places of pools are kept; of more, those of most clients.
const KEPT: usize = 20_000;
/// Fewer clients than that are forgotten.
const LEAST: f64 = 0.5;
const FILE: &str = "clients.json";

/// Clients of pools by where they are.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    /// When it was counted last.
    at: Time,
    pools: HashMap<String, HashMap<Key, f64>>,
}

/// A place that the databases know: its coordinates as bits, and its country.
type Key = (Option<[u64; 2]>, Option<Country>);

#[derive(Debug, Serialize, Deserialize)]
struct File {
    /// Seconds since 1970.
    at: u64,
    places: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    pool: String,
    country: Option<String>,
    at: Option<[f64; 2]>,
    answers: f64,
}

impl Audience {
    /// What a folder holds; without it, or if it is broken, nobody.
    pub(super) fn restore(folder: Option<&Path>) -> Self {
        let file: Option<File> = folder.and_then(|folder| keep::read(&folder.join(FILE)));
        let mut audience = Self::default();
        let Some(file) = file else { return audience };
        audience.at = Duration::from_secs(file.at);
        for line in file.places.into_iter().take(KEPT) {
            let country = line.country.as_deref().and_then(Country::new);
            let point = line.at.map(|at| at.map(f64::to_bits));
            let sound = line.answers.is_finite() && line.answers > 0.0;
            if sound
                && line
                    .at
                    .is_none_or(|[lat, lon]| Point::new(lat, lon).is_some())
            {
                let pool = audience.pools.entry(line.pool).or_default();
                *pool.entry((point, country)).or_default() += line.answers;
            }
        }
        audience
    }

    /// Adds what was sampled since it was last looked at.
    fn look(&mut self, snapshot: &Snapshot, now: Time) {
        let past = now.saturating_sub(self.at).as_secs_f64();
        let fade = 0.5f64.powf(past / HALF.as_secs_f64());
        self.at = now;
        for places in self.pools.values_mut() {
            places.values_mut().for_each(|count| *count *= fade);
        }
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        let each = SAMPLED as f64;
        for (pool, client) in snapshot.sampled() {
            let Some(pool) = snapshot.pools.get(pool as usize) else {
                continue;
            };
            let (place, _) = snapshot.world.locate(client);
            let point = place.point.map(|p| [p.lat.to_bits(), p.lon.to_bits()]);
            let places = self.pools.entry(pool.name.clone()).or_default();
            *places.entry((point, place.country)).or_default() += each;
        }
        self.forget();
    }

    /// Bounds what is kept.
    fn forget(&mut self) {
        let mut counts: Vec<f64> = self
            .pools
            .values()
            .flat_map(HashMap::values)
            .copied()
            .collect();
        let least = match counts.len().checked_sub(KEPT) {
            None | Some(0) => LEAST,
            Some(more) => *counts.select_nth_unstable_by(more, f64::total_cmp).1,
        };
        for places in self.pools.values_mut() {
            places.retain(|_, count| *count >= least.max(LEAST));
        }
        self.pools.retain(|_, places| !places.is_empty());
    }

    /// The clients of a pool; in an order that is always the same.
    pub(super) fn of(&self, pool: &str) -> Arc<[Crowd]> {
        let crowd = |((at, country), count): (&Key, &f64)| Crowd {
            point: at
                .map(|at| at.map(f64::from_bits))
                .map(|[lat, lon]| Point { lat, lon }),
            country: *country,
            count: *count,
        };
        let places = self.pools.get(pool).into_iter().flatten();
        let mut sorted: Vec<(&Key, &f64)> = places.collect();
        sorted.sort_by_key(|(key, _)| **key);
        sorted.into_iter().map(crowd).collect()
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let mut places: Vec<Line> = Vec::new();
        for (pool, of) in &self.pools {
            places.extend(of.iter().map(|((at, country), count)| Line {
                pool: pool.clone(),
                country: country.map(|c| c.code().to_owned()),
                at: at.map(|at| at.map(f64::from_bits)),
                answers: *count,
            }));
        }
        places.sort_by(|a, b| {
            (&a.pool, b.answers)
                .partial_cmp(&(&b.pool, a.answers))
                .expect("counts are numbers")
        });
        let at = self.at.as_secs();
        keep::write(&folder.join(FILE), &File { at, places })
    }
}

impl Handle {
    /// Adds what was sampled since the last look; also what is left of a generation that goes.
    pub(super) fn look_at_clients(&self, snapshot: &Snapshot) {
        let now = self.now();
        self.with_audience(|audience| audience.look(snapshot, now));
    }

    /// Keeps what is known of clients.
    pub(super) fn write_clients(&self) {
        let Some(folder) = self.state() else { return };
        let _alone = self.0.writing.lock();
        // A disk may be slow, and others look meanwhile.
        let audience = self.with_audience(|audience| audience.clone());
        if let Err(error) = audience.write(folder) {
            tracing::warn!("clients are not kept in {}: {error}", folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: f64, lon: f64) -> Option<[u64; 2]> {
        Some([lat.to_bits(), lon.to_bits()])
    }

    fn audience(places: impl IntoIterator<Item = (Key, f64)>) -> Audience {
        let pool = places.into_iter().collect();
        Audience {
            at: Duration::from_secs(1_800_000_000),
            pools: HashMap::from([("site".into(), pool)]),
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_broken_does_not() {
        let folder = std::env::temp_dir().join(format!("nearmost-audience-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let gb = Country::new("GB");
        let kept = audience([
            ((at(51.5, -0.1), gb), 12.5),
            ((None, gb), 3.0),
            ((None, None), 1.0),
        ]);
        kept.write(&folder).unwrap();
        let back = Audience::restore(Some(&folder));
        assert_eq!((back.at, &back.pools), (kept.at, &kept.pools));
        assert_eq!(back.of("site").len(), 3);
        assert!(back.of("other").is_empty());
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("51.5", "951.5")).unwrap();
        assert_eq!(Audience::restore(Some(&folder)).of("site").len(), 2);
        std::fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert!(Audience::restore(Some(&folder)).pools.is_empty());
        assert!(file.with_extension("json.bad").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_places_of_fewest_clients_are_forgotten() {
        let places = (0u32..30_000).map(|n| ((at(f64::from(n) / 1000.0, 0.0), None), f64::from(n)));
        let mut audience = audience(places);
        audience.forget();
        let kept = audience.of("site");
        assert_eq!(kept.len(), KEPT);
        assert!(kept.iter().all(|crowd| crowd.count >= 10_000.0));
    }
}
