//! Great-circle distances, to points and to the people of countries.

use std::cell::RefCell;
use std::collections::HashMap;

use nearmost::geo::Country;

use crate::model::Point;

/// Great-circle distance by the haversine formula.
pub(super) fn km(a: Point, b: Point) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let (dlat, dlon) = (lat_b - lat_a, (b.1 - a.1).to_radians());
    let h = (dlat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
}

/// Mean distance over the people of a country's larger cities, or the world's: the table is data, the sum is ours.
pub(super) fn mean_km(country: Option<&'static str>, node: Point) -> f64 {
    type Means = HashMap<(Option<&'static str>, u64, u64), f64>;
    thread_local!(static KNOWN: RefCell<Means> = RefCell::default());
    let key = (country, node.0.to_bits(), node.1.to_bits());
    let known = KNOWN.with_borrow(|known| known.get(&key).copied());
    known.unwrap_or_else(|| {
        let mean = sum_km(country, node);
        KNOWN.with_borrow_mut(|known| known.insert(key, mean));
        mean
    })
}

fn sum_km(country: Option<&str>, node: Point) -> f64 {
    let cities = nearmost::control::cities(country.and_then(Country::new));
    let people: f64 = cities.iter().map(|c| c.1.max(1.0)).sum();
    let part = |c: &(nearmost::geo::Point, f64)| km((c.0.lat, c.0.lon), node) * c.1.max(1.0);
    cities.iter().map(part).sum::<f64>() / people
}
