//! Places as people write them: `LHR`, `London, GB`.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::gazetteer::{AIRPORTS, Airport, CITIES, City, cities_of, country_named};
use super::{Country, Point};

/// A place that was given by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Where it is.
    pub point: Point,
    /// The country it lies in.
    pub country: Country,
    /// What it is called, such as `London, GB`.
    pub label: String,
}

/// So many near matches are named.
const NEAR: usize = 3;

/// Finds an airport or metropolitan area by its IATA code, or a city as `NAME, CC`; letter case and diacritics do not
/// matter. Of several cities of one name in one country the biggest is meant.
///
/// # Errors
/// Places that may have been meant, at most three, each as it would have to be written and what it is.
pub fn resolve(text: &str) -> Result<Site, Vec<String>> {
    let text = text.trim();
    let Some((name, country)) = text.rsplit_once(',') else {
        let code = text.to_ascii_uppercase();
        return match AIRPORTS.binary_search_by(|a| a.code.cmp(&code)) {
            Ok(at) => Ok(AIRPORTS[at].into()),
            Err(_) => Err(near_code(&code, &fold(text))),
        };
    };
    let name = fold(name);
    let Some(country) = Country::new(country.trim()).filter(|c| !cities_of(*c).is_empty()) else {
        return Err(in_country(&name, country.trim()));
    };
    match find_city(&name, country) {
        Some(city) => Ok(city.into()),
        None => Err(near_city(&name, country)),
    }
}

impl From<Airport> for Site {
    fn from(a: Airport) -> Self {
        Self {
            point: a.point,
            country: a.country,
            label: format!("{}, {}", a.city, a.country),
        }
    }
}

impl From<&City> for Site {
    fn from(c: &City) -> Self {
        Self {
            point: c.point,
            country: c.country,
            label: c.label(),
        }
    }
}

/// The biggest city of that name; `New York` is listed as New York City, and many are like it.
fn find_city(folded: &str, country: Country) -> Option<&'static City> {
    let named = |name: &str| cities_of(country).iter().find(|c| fold(c.name) == name);
    named(folded).or_else(|| named(&format!("{folded} city")))
}

fn quoted(city: &City) -> String {
    format!("\"{}\"", city.label())
}

fn quoted_code(a: &Airport) -> String {
    format!("\"{}\" ({}, {})", a.code, a.city, a.country)
}

/// For what is no code: cities of that name, else codes with two letters swapped or one letter wrong, those of
/// bigger cities first.
fn near_code(code: &str, folded: &str) -> Vec<String> {
    let cities = same_name(folded);
    if !cities.is_empty() {
        return cities;
    }
    let mut near: Vec<(bool, u32, &Airport)> = AIRPORTS
        .iter()
        .filter(|a| strsim::osa_distance(code, a.code) == 1)
        .map(|a| (is_anagram(code, a.code), 0, a))
        .collect();
    if near.iter().any(|n| n.0) {
        near.retain(|n| n.0);
    }
    for n in &mut near {
        n.1 = find_city(&fold(n.2.city), n.2.country).map_or(0, |c| c.population);
    }
    near.sort_by_key(|n| Reverse(n.1));
    near.iter().take(NEAR).map(|n| quoted_code(n.2)).collect()
}

fn is_anagram(a: &str, b: &str) -> bool {
    let sorted = |t: &str| {
        let mut octets = t.as_bytes().to_vec();
        octets.sort_unstable();
        octets
    };
    sorted(a) == sorted(b)
}

/// For a name that this country has no city of: nearly the same name here, airports that serve a city called so,
/// then that name elsewhere.
fn near_city(folded: &str, country: Country) -> Vec<String> {
    let allowed = (folded.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &City)> = cities_of(country)
        .iter()
        .map(|c| (distance_or_start(folded, &fold(c.name)), c))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_by_key(|(distance, city)| (*distance, Reverse(city.population)));
    let mut out: Vec<String> = near.iter().take(NEAR).map(|(_, c)| quoted(c)).collect();
    let served = AIRPORTS
        .iter()
        .filter(|a| a.country == country && fold(a.city) == folded);
    out.extend(served.map(quoted_code));
    if near.first().is_none_or(|n| n.0 > 0) {
        out.extend(same_name(folded));
    }
    unique(out)
}

/// Letters that differ; a name that goes on after `written`, as Frankfurt am Main does, counts as one.
fn distance_or_start(written: &str, listed: &str) -> usize {
    let goes_on = listed
        .strip_prefix(written)
        .is_some_and(|rest| rest.starts_with(' '));
    if goes_on {
        1
    } else {
        strsim::osa_distance(written, listed)
    }
}

/// For a country that does not exist: the city in the country that was probably meant, else wherever it exists.
fn in_country(folded: &str, country: &str) -> Vec<String> {
    let meant = likely_country(country);
    match meant.and_then(|c| find_city(folded, c)) {
        Some(city) => vec![quoted(city)],
        None => same_name(folded),
    }
}

/// The country that was probably meant: by its name, or by a code that is often mistaken for one of ISO 3166.
#[must_use]
pub fn likely_country(written: &str) -> Option<Country> {
    match written.to_ascii_uppercase().as_str() {
        "UK" | "ENGLAND" | "SCOTLAND" | "WALES" => Country::new("GB"),
        "EL" => Country::new("GR"),
        "USA" => Country::new("US"),
        _ => country_named(written),
    }
}

/// The biggest cities of the world that have this name, one of a country.
fn same_name(folded: &str) -> Vec<String> {
    let mut cities: Vec<&City> = CITIES.iter().filter(|c| fold(c.name) == folded).collect();
    cities.sort_by_key(|c| Reverse(c.population));
    unique(cities.into_iter().map(quoted).collect())
}

fn unique(mut labels: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    labels.retain(|l| seen.insert(l.clone()));
    labels.truncate(NEAR);
    labels
}

/// Lower case, without diacritics, apostrophes and doubled spaces; hyphens are spaces.
fn fold(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            '-' | '–' | ' ' if out.ends_with(' ') => {}
            '-' | '–' => out.push(' '),
            _ => match plain(c) {
                Some(letters) => out.push_str(letters),
                None => out.push(c),
            },
        }
    }
    out.trim().to_owned()
}

/// A small Latin letter without its marks; nothing for marks that stand alone.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ'..='ặ' => "a",
        'æ' => "ae",
        'ç' | 'ć'..='č' => "c",
        'ď' | 'đ' | 'ð' | 'ḍ' | 'ḏ' | 'ḑ' => "d",
        'è'..='ë' | 'ē'..='ě' | 'ə' | 'ẹ'..='ệ' => "e",
        'ĝ'..='ģ' => "g",
        'ĥ' | 'ħ' | 'ḥ' | 'ḩ' | 'ẖ' => "h",
        'ì'..='ï' | 'ĩ'..='ı' | 'ḯ' | 'ỉ' | 'ị' => "i",
        'ĵ' => "j",
        'ķ' | 'ḳ' => "k",
        'ĺ'..='ł' | 'ḷ' => "l",
        'ñ' | 'ń'..='ň' | 'ṅ' | 'ṇ' => "n",
        'ò'..='ö' | 'ø' | 'ō'..='ő' | 'ơ' | 'ọ'..='ợ' => "o",
        'œ' => "oe",
        'ŕ'..='ř' | 'ṛ' | 'ṟ' => "r",
        'ś'..='š' | 'ș' | 'ṣ' => "s",
        'ß' => "ss",
        'ţ'..='ŧ' | 'ț' | 'ṭ' | 'ṯ' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ'..='ų' | 'ư' | 'ụ'..='ự' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' | 'ỳ'..='ỹ' => "y",
        'ź'..='ž' | 'ẓ' | 'ẕ' => "z",
        '\'' | '’' | '‘' | 'ʻ' | 'ʼ' | '`' | '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(text: &str) -> Vec<String> {
        resolve(text).expect_err("no such place")
    }

    #[test]
    fn codes_and_cities_in_any_spelling() {
        for text in [
            "LHR",
            "lhr",
            "LON",
            "London, GB",
            "london,gb",
            " LONDON , gb ",
        ] {
            let place = resolve(text).unwrap_or_else(|near| panic!("{text}: {near:?}"));
            assert_eq!(place.country.code(), "GB");
            assert!(
                place.point.km(Point {
                    lat: 51.51,
                    lon: -0.13
                }) < 30.0,
                "{text}"
            );
        }
        for (a, b) in [
            ("Zürich, CH", "zurich, ch"),
            ("São Paulo, BR", "sao-paulo, BR"),
            ("Køge, DK", "koge,dk"),
        ] {
            assert_eq!(resolve(a), resolve(b), "{a}");
            assert!(resolve(a).is_ok(), "{a}");
        }
        assert_eq!(
            resolve("New York, US").map(|p| p.label).as_deref(),
            Ok("New York City, US")
        );
    }

    #[test]
    fn slips_are_told_what_is_near() {
        assert!(near("JKF")[0].starts_with("\"JFK\""), "{:?}", near("JKF"));
        assert_eq!(
            near("Londn, GB").first().map(String::as_str),
            Some("\"London, GB\"")
        );
        assert_eq!(near("London, UK"), ["\"London, GB\""]);
        assert_eq!(near("London, United Kingdom"), ["\"London, GB\""]);
        assert!(
            near("London, GR").contains(&"\"London, GB\"".to_owned()),
            "{:?}",
            near("London, GR")
        );
        assert!(near("London").contains(&"\"London, GB\"".to_owned()));
        assert_eq!(near("Frankfurt, DE")[0], "\"Frankfurt am Main, DE\"");
        assert_eq!(near("Cologne, DE"), ["\"CGN\" (Cologne, DE)"]);
        assert_eq!(near("Qqqqqqqqqqqq, DE"), [""; 0]);
        assert_eq!(near(""), [""; 0]);
    }

    #[test]
    fn all_letters_of_the_table_fold_to_ascii() {
        let strange: String = CITIES
            .iter()
            .flat_map(|c| fold(c.name).chars().collect::<Vec<_>>())
            .filter(|c| !c.is_ascii())
            .collect();
        assert_eq!(strange, "");
    }
}
