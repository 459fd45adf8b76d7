//! The tables of airports, cities and countries that ship with the program, and look-ups in them.

use std::ops::Range;
use std::sync::LazyLock;

use super::{Country, EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};

/// An airport or a metropolitan area, as IATA codes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Airport {
    /// Three capital letters.
    pub(super) code: &'static str,
    pub(super) point: Point,
    pub(super) country: Country,
    /// The city it serves, or its own name.
    pub(super) city: &'static str,
}

/// A city.
#[derive(Clone, Copy, Debug)]
pub(super) struct City {
    pub(super) country: Country,
    pub(super) name: &'static str,
    pub(super) point: Point,
    pub(super) population: u32,
    unit: [f64; 3],
}

impl City {
    /// `London, GB`.
    pub(super) fn label(&self) -> String {
        format!("{}, {}", self.name, self.country)
    }
}

/// By code.
pub(super) static AIRPORTS: LazyLock<Vec<Airport>> =
    LazyLock::new(|| rows(include_str!("../../geoip/airports.tsv"), airport));

/// By country, the biggest first.
pub(super) static CITIES: LazyLock<Vec<City>> =
    LazyLock::new(|| rows(include_str!("../../geoip/cities.tsv"), city));

/// From the south pole to the north pole.
static BY_HEIGHT: LazyLock<Vec<&'static City>> = LazyLock::new(|| {
    let mut cities: Vec<&City> = CITIES.iter().collect();
    cities.sort_by(|a, b| a.unit[2].total_cmp(&b.unit[2]));
    cities
});

/// Code, continent and name; by code.
static COUNTRIES: LazyLock<Vec<(Country, &'static str, &'static str)>> =
    LazyLock::new(|| rows(include_str!("../../geoip/countries.tsv"), country));

/// So many cities stand for a country in [`country_cities`].
const LARGEST: usize = 40;

/// The larger cities of a country, at most 40, with their population; the biggest first.
pub fn country_cities(country: Country) -> impl Iterator<Item = (Point, u32)> {
    cities_of(country)
        .iter()
        .take(LARGEST)
        .map(|c| (c.point, c.population))
}

/// The thousand largest cities of the world, with their population: where clients are that nothing is known of.
pub fn world_cities() -> impl Iterator<Item = (Point, u32)> {
    let mut cities: Vec<&City> = CITIES.iter().collect();
    cities.sort_by_key(|c| std::cmp::Reverse(c.population));
    cities.truncate(1000);
    cities.into_iter().map(|c| (c.point, c.population))
}

/// Whether ISO 3166-1 knows this country. XK, which GeoIP databases give Kosovo, counts as known.
#[must_use]
pub fn is_country(country: Country) -> bool {
    of_country(country).is_some()
}

/// The country's continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
#[must_use]
pub fn continent(country: Country) -> Option<&'static str> {
    of_country(country).map(|row| row.1)
}

/// The country of this English name, in any case.
#[must_use]
pub fn country_named(name: &str) -> Option<Country> {
    COUNTRIES
        .iter()
        .find(|row| row.2.eq_ignore_ascii_case(name.trim()))
        .map(|row| row.0)
}

/// The city that people would name for a point, as `London, GB`, and its distance in km: the largest listed one within
/// 30 km (its quarters are listed too), else the nearest.
#[must_use]
pub fn nearest_city(point: Point) -> Option<(String, f64)> {
    let here = point.unit();
    // Over so short a way the chord is as long as the arc.
    let reach = 30.0 / EARTH_RADIUS_KM;
    let start = BY_HEIGHT.partition_point(|c| c.unit[2] < here[2] - reach);
    let around = BY_HEIGHT[start..]
        .iter()
        .take_while(|c| c.unit[2] <= here[2] + reach)
        .map(|c| (*c, squared_chord(here, c.unit)))
        .filter(|(_, chord)| *chord < reach * reach);
    let largest = around.max_by_key(|(c, _)| c.population);
    largest
        .or_else(|| nearest_of_all(here))
        .map(|(city, chord)| (city.label(), chord_to_km(chord)))
}

/// The country of the listed city that is nearest to a point.
#[must_use]
pub fn country_at(point: Point) -> Option<Country> {
    nearest_of_all(point.unit()).map(|(city, _)| city.country)
}

/// The nearest city and its squared chord: up and down from a point's height until the height alone is too far.
fn nearest_of_all(here: [f64; 3]) -> Option<(&'static City, f64)> {
    let (below, above) = BY_HEIGHT.split_at(BY_HEIGHT.partition_point(|c| c.unit[2] < here[2]));
    let mut nearest: Option<(&'static City, f64)> = None;
    let mut look = |cities: &mut dyn Iterator<Item = &&'static City>| {
        for city in cities {
            let least = nearest.map_or(f64::INFINITY, |(_, chord)| chord);
            if (city.unit[2] - here[2]).powi(2) > least {
                break;
            }
            let chord = squared_chord(here, city.unit);
            if chord < least {
                nearest = Some((city, chord));
            }
        }
    };
    look(&mut above.iter());
    look(&mut below.iter().rev());
    nearest
}

/// The distance in km to the nearest listed city of a country; none where no city of it is listed.
#[must_use]
pub fn km_to_country(point: Point, country: Country) -> Option<f64> {
    nearest_among(cities_of(country), point).map(|(_, km)| km)
}

/// All listed cities of a country, the biggest first.
pub(super) fn cities_of(country: Country) -> &'static [City] {
    let start = CITIES.partition_point(|c| c.country < country);
    let end = CITIES.partition_point(|c| c.country <= country);
    CITIES.get(Range { start, end }).unwrap_or_default()
}

fn nearest_among(cities: &[City], point: Point) -> Option<(&City, f64)> {
    let here = point.unit();
    let near = cities
        .iter()
        .map(|c| (c, squared_chord(here, c.unit)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    near.map(|(city, chord)| (city, chord_to_km(chord)))
}

fn of_country(country: Country) -> Option<&'static (Country, &'static str, &'static str)> {
    COUNTRIES.iter().find(|row| row.0 == country)
}

/// The rows of a table; `#` starts a comment line. Our own files: a test sees to it that no line is left out.
fn rows<T>(text: &'static str, read: fn(&[&'static str]) -> Option<T>) -> Vec<T> {
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines
        .filter_map(|l| read(&l.split('\t').collect::<Vec<_>>()))
        .collect()
}

fn airport(row: &[&'static str]) -> Option<Airport> {
    let [code, lat, lon, country, city] = row else {
        return None;
    };
    Some(Airport {
        code,
        point: point(lat, lon)?,
        country: Country::new(country)?,
        city,
    })
}

fn city(row: &[&'static str]) -> Option<City> {
    let [country, name, lat, lon, population] = row else {
        return None;
    };
    let point = point(lat, lon)?;
    let population = population.parse().ok()?;
    Some(City {
        country: Country::new(country)?,
        name,
        point,
        population,
        unit: point.unit(),
    })
}

fn country(row: &[&'static str]) -> Option<(Country, &'static str, &'static str)> {
    let [code, continent, name] = row else {
        return None;
    };
    Some((Country::new(code)?, continent, name))
}

fn point(lat: &str, lon: &str) -> Option<Point> {
    Point::new(lat.parse().ok()?, lon.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> usize {
        text.lines().filter(|l| !l.starts_with('#')).count()
    }

    #[test]
    fn every_line_of_the_tables_is_read() {
        assert_eq!(
            AIRPORTS.len(),
            lines(include_str!("../../geoip/airports.tsv"))
        );
        assert_eq!(CITIES.len(), lines(include_str!("../../geoip/cities.tsv")));
        assert_eq!(
            COUNTRIES.len(),
            lines(include_str!("../../geoip/countries.tsv"))
        );
        assert!(AIRPORTS.len() > 5000 && CITIES.len() > 10_000 && COUNTRIES.len() > 240);
    }

    #[test]
    fn the_tables_are_sorted_as_the_look_ups_need() {
        assert!(AIRPORTS.is_sorted_by(|a, b| a.code < b.code));
        let key = |c: &City| (c.country, std::cmp::Reverse(c.population));
        assert!(CITIES.is_sorted_by_key(key));
    }

    #[test]
    fn countries_and_their_cities() {
        let gb = Country::new("gb").unwrap();
        assert!(is_country(gb) && !is_country(Country::new("XX").unwrap()));
        assert_eq!(continent(gb), Some("EU"));
        assert_eq!(country_named("united kingdom"), Some(gb));
        let cities: Vec<_> = country_cities(gb).collect();
        assert_eq!(cities.len(), 40);
        assert!(cities[0].1 > 5_000_000 && cities.is_sorted_by(|a, b| a.1 >= b.1));
        assert_eq!(country_cities(Country::new("XX").unwrap()).count(), 0);
    }

    #[test]
    fn the_nearest_city_is_that_of_a_linear_scan() {
        for n in 0..500 {
            let step = f64::from(n);
            let point = Point {
                lat: (step * 7.3) % 180.0 - 90.0,
                lon: (step * 31.7) % 360.0 - 180.0,
            };
            let (city, km) = nearest_among(&CITIES, point).unwrap();
            let (found, chord) = nearest_of_all(point.unit()).unwrap();
            assert_eq!((chord_to_km(chord), found.country), (km, city.country));
        }
    }

    #[test]
    fn the_nearest_city() {
        let (label, km) = nearest_city(Point {
            lat: 51.51,
            lon: -0.13,
        })
        .unwrap();
        assert!(label.ends_with(", GB") && km < 5.0, "{label} {km}");
        let km = km_to_country(
            Point {
                lat: 51.51,
                lon: -0.13,
            },
            Country::new("JP").unwrap(),
        )
        .unwrap();
        assert!((8500.0..9800.0).contains(&km), "{km}");
    }
}
