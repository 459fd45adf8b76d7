//! `at` and `country`: places as people write them.

use super::table::{Table, Value};
use crate::diagnostic::{Diagnostics, Span};
use crate::geo::{Country, Point, is_country, likely_country, resolve};

/// The `at` and `country` of a table. A place given by name brings its country, unless another is stated.
pub(super) fn read(table: &Table<'_>, found: &mut Diagnostics) -> (Option<Point>, Option<Country>) {
    let place = table.get("at").and_then(|v| at(&v, found));
    let stated = table
        .get("country")
        .and_then(|v| country(v.text(found)?, v.span(), found));
    (place.map(|p| p.0), stated.or(place.and_then(|p| p.1)))
}

/// A place by name or by coordinates; a name tells the country too.
pub(super) fn at(value: &Value<'_>, found: &mut Diagnostics) -> Option<(Point, Option<Country>)> {
    let Some(text) = value.as_text() else {
        return coordinates(value, found).map(|p| (p, None));
    };
    match resolve(text) {
        Ok(place) => Some((place.point, Some(place.country))),
        Err(near) => {
            let error = value.error(format!("no place is known as \"{text}\""), found);
            if near.is_empty() {
                error.note("write an IATA code such as \"LHR\", a city such as \"London, GB\", or [lat, lon]");
            } else {
                error.note(format!("did you mean {}?", near.join(", ")));
            }
            None
        }
    }
}

fn coordinates(value: &Value<'_>, found: &mut Diagnostics) -> Option<Point> {
    let numbers = if value.is_list() {
        value.items(found).unwrap_or_default()
    } else {
        Vec::new()
    };
    let numbers: Vec<Option<f64>> = numbers.iter().map(Value::as_number).collect();
    let [Some(lat), Some(lon)] = numbers[..] else {
        let message = format!(
            "\"{}\" must be a place: \"LHR\", \"London, GB\" or [51.5, -0.1]",
            value.key
        );
        value.error(message, found);
        return None;
    };
    let point = Point::new(lat, lon);
    if point.is_none() {
        let error = value.error(
            "latitude must be from -90 to 90 and longitude from -180 to 180",
            found,
        );
        if Point::new(lon, lat).is_some() {
            error.note(format!(
                "latitude comes first: did you mean [{lon}, {lat}]?"
            ));
        }
    }
    point
}

/// Two letters. One that is not in ISO 3166 is taken, with a warning.
pub(super) fn country(text: &str, span: Span, found: &mut Diagnostics) -> Option<Country> {
    let country = Country::new(text);
    let finding = match country {
        Some(c) if is_country(c) => return country,
        Some(c) => found.warning(span, format!("{c} is not in ISO 3166")),
        None => found.error(
            span,
            format!("\"{text}\" is no country: two letters of ISO 3166"),
        ),
    };
    if let Some(meant) = likely_country(text) {
        finding.note(format!("did you mean \"{meant}\"?"));
    }
    country
}
