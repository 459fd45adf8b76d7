//! Points on the globe, the distance between them, and countries.

use std::fmt;

/// Mean radius of the earth in km (IUGG R1).
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A point on the globe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Degrees north, -90 to 90.
    pub lat: f64,
    /// Degrees east, -180 to 180.
    pub lon: f64,
}

impl Point {
    /// A point, if both numbers are finite and within their range.
    #[must_use]
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon))
            .then_some(Self { lat, lon })
    }

    /// Great-circle distance in km.
    #[must_use]
    pub fn km(self, other: Self) -> f64 {
        chord_to_km(squared_chord(self.unit(), other.unit()))
    }

    /// The point on the unit sphere: distances between many points are compared as chords, which need no trigonometry.
    #[must_use]
    pub fn unit(self) -> [f64; 3] {
        let (lat, lon) = (self.lat.to_radians(), self.lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    }
}

/// The squared chord between two points of the unit sphere, 0 to 4; it grows with the distance.
#[must_use]
pub fn squared_chord(a: [f64; 3], b: [f64; 3]) -> f64 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    x * x + y * y + z * z
}

/// The great-circle distance in km for a squared chord.
#[must_use]
pub fn chord_to_km(squared: f64) -> f64 {
    2.0 * EARTH_RADIUS_KM * (squared.sqrt() / 2.0).min(1.0).asin()
}

/// A country: two capital letters of ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Two letters, in either case; whether such a country exists is not asked here.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two capital letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances() {
        let london = Point {
            lat: 51.5074,
            lon: -0.1278,
        };
        let new_york = Point {
            lat: 40.7128,
            lon: -74.0060,
        };
        assert!((london.km(new_york) - 5570.0).abs() < 5.0);
        assert!(
            (Point {
                lat: 90.0,
                lon: 0.0
            }
            .km(Point {
                lat: -90.0,
                lon: 77.0
            }) - 20015.1)
                .abs()
                < 0.1
        );
        assert!(london.km(london) < 1e-9);
    }

    #[test]
    fn out_of_range_is_no_point() {
        assert!(Point::new(90.1, 0.0).is_none());
        assert!(Point::new(0.0, f64::NAN).is_none());
    }
}
