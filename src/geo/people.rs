//! How many people live around each place: what its clients are taken to count where nobody has counted them.

use std::collections::HashMap;

use super::gazetteer::CITIES;
use super::{Country, Place, PlaceId, Point, squared_chord};

/// A place that no listed city is near to counts as so many people.
const FLOOR: f64 = 1000.0;
/// The part of a country's people that are counted at its place without a point, if others have one: of City databases' IPv4 addresses
/// about so many have a record that says no more than the country.
const VAGUE: f64 = 0.4;

/// Places by how far north they are, so that the nearest is found without looking at all.
#[derive(Default)]
struct Band(Vec<([f64; 3], PlaceId)>);

impl Band {
    fn sort(&mut self) {
        self.0
            .sort_by(|a, b| a.0[2].total_cmp(&b.0[2]).then(a.1.cmp(&b.1)));
    }

    /// The nearest; of several the one of the lowest number.
    fn nearest(&self, here: [f64; 3]) -> Option<PlaceId> {
        let start = self.0.partition_point(|(at, _)| at[2] < here[2]);
        let mut best: Option<(f64, PlaceId)> = None;
        let mut look = |(at, id): &([f64; 3], PlaceId)| {
            if best.is_some_and(|(chord, _)| (at[2] - here[2]).powi(2) > chord) {
                return false;
            }
            let found = (squared_chord(here, *at), *id);
            if best.is_none_or(|best| found < best) {
                best = Some(found);
            }
            true
        };
        let _ = self.0[start..].iter().all(&mut look);
        let _ = self.0[..start].iter().rev().all(&mut look);
        best.map(|(_, id)| id)
    }
}

/// Clients that were seen at a place of the databases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// The point; none: no more than the country was known.
    pub point: Option<Point>,
    /// The country, if known.
    pub country: Option<Country>,
    /// How many answers they were given, more or less.
    pub count: f64,
}

/// So many clients seen count as much as all people: an estimate gives way to what is known.
const PEOPLE_COUNT_AS: f64 = 1000.0;

/// How much each place counts, by its number; only `used` places do: the people who live around it, and the clients seen there as if
/// they were so many more.
pub(super) fn demand(places: &[Place], used: &[bool], seen: &[Crowd]) -> Vec<f64> {
    let around = Around::new(places, used);
    let mut demand = around.people(places, used);
    let people: f64 = demand.iter().sum();
    for crowd in seen {
        let count = crowd.count * people / PEOPLE_COUNT_AS;
        around.count(crowd.point, crowd.country, count, &mut demand);
    }
    demand
}

/// The places of the world, found by who lives there.
struct Around {
    all: Band,
    /// Of each country those that have a point, and the others.
    of_country: HashMap<Country, (Band, Vec<PlaceId>)>,
}

impl Around {
    fn new(places: &[Place], used: &[bool]) -> Self {
        let mut all = Band::default();
        let mut of_country: HashMap<Country, (Band, Vec<PlaceId>)> = HashMap::new();
        for (id, place) in (0..).zip(places).filter(|(id, _)| used[*id as usize]) {
            let country = place.country.map(|c| of_country.entry(c).or_default());
            match (place.point.map(Point::unit), country) {
                (Some(at), country) => {
                    all.0.push((at, id));
                    country.into_iter().for_each(|c| c.0.0.push((at, id)));
                }
                (None, Some(country)) => country.1.push(id),
                (None, None) => {}
            }
        }
        all.sort();
        of_country.values_mut().for_each(|c| c.0.sort());
        Self { all, of_country }
    }

    /// The people at each place. Each listed city counts for the nearest place of its country that has a point, else for the nearest
    /// of all.
    fn people(&self, places: &[Place], used: &[bool]) -> Vec<f64> {
        let floor = |used: &bool| if *used { FLOOR } else { 0.0 };
        let mut people: Vec<f64> = used.iter().take(places.len()).map(floor).collect();
        for city in CITIES.iter() {
            let population = f64::from(city.population);
            let own = self.of_country.get(&city.country);
            let exact = own.is_some_and(|(band, _)| !band.0.is_empty());
            let vague = own.is_some_and(|(_, vague)| !vague.is_empty());
            let vague = match (exact, vague) {
                (true, true) => VAGUE,
                (false, true) => 1.0,
                (_, false) => 0.0,
            };
            let (country, point) = (Some(city.country), Some(city.point));
            self.count(None, country, population * vague, &mut people);
            self.count(point, country, population * (1.0 - vague), &mut people);
        }
        people
    }

    /// Counts clients where they are: at a point, or anywhere in a country.
    fn count(&self, at: Option<Point>, country: Option<Country>, count: f64, of: &mut [f64]) {
        if count <= 0.0 {
            return;
        }
        let own = country.and_then(|c| self.of_country.get(&c));
        let Some(point) = at else {
            let vague = own.map_or(&[][..], |(_, vague)| vague);
            let each = count / f64::from(u32::try_from(vague.len()).unwrap_or(u32::MAX).max(1));
            vague.iter().for_each(|id| of[*id as usize] += each);
            return;
        };
        let here = point.unit();
        let nearest = own.and_then(|(band, _)| band.nearest(here));
        if let Some(id) = nearest.or_else(|| self.all.nearest(here)) {
            of[id as usize] += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PlaceSource;
    use super::*;

    fn place(point: Option<(f64, f64)>, country: Option<&str>) -> Place {
        Place {
            point: point.map(|(lat, lon)| Point { lat, lon }),
            country: country.and_then(Country::new),
            subdivision: None,
            source: PlaceSource::City,
        }
    }

    #[test]
    fn cities_count_for_the_nearest_place_of_their_country() {
        let places = [
            place(None, None),
            place(Some((51.5, -0.1)), Some("GB")),
            place(Some((48.9, 2.3)), Some("FR")),
            place(None, Some("FR")),
            place(None, Some("JP")),
            place(Some((51.5, -0.1)), Some("GB")),
        ];
        let of = |country: &str| -> f64 {
            let own = CITIES.iter().filter(|c| c.country.code() == country);
            own.map(|c| f64::from(c.population)).sum()
        };
        let all: f64 = CITIES.iter().map(|c| f64::from(c.population)).sum();
        let used = [true, true, true, true, true, false];
        let people = demand(&places, &used, &[]);
        assert!((people[0] - FLOOR).abs() < 1.0, "nothing is known");
        assert!(people[1] > of("GB") && people[2] > 0.6 * of("FR"));
        assert!((people[3] - FLOOR - 0.4 * of("FR")).abs() < 1.0);
        assert!((people[4] - FLOOR - of("JP")).abs() < 1.0);
        assert!(people[5] == 0.0, "nobody has an address there");
        let sum: f64 = people.iter().sum();
        assert!((sum - 5.0 * FLOOR - all).abs() < 10.0, "each city once");
    }

    #[test]
    fn a_thousand_clients_seen_count_as_much_as_all_people() {
        let places = [
            place(Some((51.5, -0.1)), Some("GB")),
            place(None, Some("GB")),
            place(Some((48.9, 2.3)), Some("FR")),
        ];
        let seen = |point: Option<(f64, f64)>, country, count| Crowd {
            point: point.map(|(lat, lon)| Point { lat, lon }),
            country: Country::new(country),
            count,
        };
        let crowds = [
            seen(Some((51.6, -0.1)), "GB", 300.0),
            seen(None, "GB", 200.0),
            seen(Some((48.0, 2.0)), "FR", 500.0),
            seen(None, "FR", 900.0),
        ];
        let (before, after) = (
            demand(&places, &[true; 3], &[]),
            demand(&places, &[true; 3], &crowds),
        );
        let people: f64 = before.iter().sum();
        let more: Vec<f64> = before
            .iter()
            .zip(&after)
            .map(|(b, a)| (a - b) / people)
            .collect();
        for (more, expected) in more.iter().zip([0.3, 0.2, 0.5]) {
            assert!((more - expected).abs() < 1e-6, "{more} and {expected}");
        }
    }
}
