//! What a database says of a network, and the place that follows from it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Country, Place, PlaceSource, Point, Subdivision};

/// How a database lays out its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// MaxMind's: `country.iso_code`, `location.latitude`.
    Nested,
    /// That of ip-location-db: `country_code`, `latitude`.
    Flat,
    /// That of databases of autonomous systems: `autonomous_system_number`.
    Asn,
}

/// A record of the nested schema.
#[derive(Debug, Default)]
pub(super) struct Nested<'a> {
    country: Option<NestedCountry<'a>>,
    registered_country: Option<NestedCountry<'a>>,
    location: Option<NestedLocation>,
    city: Option<IgnoredAny>,
    subdivision: Option<First<'a>>,
}

#[derive(Debug, Deserialize)]
struct NestedCountry<'a> {
    iso_code: Option<&'a str>,
}

/// The code of the first entry of a list.
#[derive(Debug)]
struct First<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = First<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let first: Option<NestedCountry<'de>> = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first.and_then(|f| f.iso_code)))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// A record of a database of autonomous systems.
#[derive(Debug, Deserialize)]
pub(super) struct AsnRecord<'a> {
    #[serde(rename = "autonomous_system_number")]
    pub(super) number: Option<u32>,
    #[serde(rename = "autonomous_system_organization")]
    pub(super) organisation: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct NestedLocation {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
}

/// A record of the flat schema.
#[derive(Debug, Deserialize)]
pub(super) struct Flat<'a> {
    country_code: Option<&'a str>,
    city: Option<&'a str>,
    latitude: Option<f32>,
    longitude: Option<f32>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Country,
    RegisteredCountry,
    Location,
    City,
    Subdivisions,
    #[serde(other)]
    Other,
}

/// By hand, as a country with its names in ten languages is worth not reading twice: the registered one counts only where there
/// is no other. A full City database has a third of a million records.
impl<'de: 'a, 'a> Deserialize<'de> for Nested<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Nested<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut record = Nested::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Country => record.country = map.next_value()?,
                        Field::RegisteredCountry if record.country().is_none() => {
                            record.registered_country = map.next_value()?;
                        }
                        Field::Location => record.location = map.next_value()?,
                        Field::City => record.city = map.next_value()?,
                        Field::Subdivisions => record.subdivision = map.next_value()?,
                        Field::RegisteredCountry | Field::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A record without a city whose radius is this long means a country, and its point a spot in the middle of nowhere (SPEC 3.2).
const COUNTRY_RADIUS_KM: u16 = 500;

impl Nested<'_> {
    fn country(&self) -> Option<&str> {
        let fields = [&self.country, &self.registered_country];
        fields.into_iter().flatten().find_map(|c| c.iso_code)
    }

    pub(super) fn place(&self) -> Place {
        let vague = |l: &&NestedLocation| {
            self.city.is_none() && l.accuracy_radius.is_some_and(|r| r >= COUNTRY_RADIUS_KM)
        };
        let point = self
            .location
            .as_ref()
            .filter(|l| !vague(l))
            .and_then(|l| Point::new(l.latitude?, l.longitude?));
        let subdivision = self.subdivision.as_ref().and_then(|first| first.0);
        place(self.country(), subdivision, point)
    }
}

impl Flat<'_> {
    /// The flat form has no radius: a record without a city means a country.
    pub(super) fn place(&self) -> Place {
        let point = || Point::new(self.latitude?.into(), self.longitude?.into());
        let named = self.city.is_some_and(|city| !city.is_empty());
        place(self.country_code, None, if named { point() } else { None })
    }
}

fn place(country: Option<&str>, subdivision: Option<&str>, point: Option<Point>) -> Place {
    let country = country.and_then(Country::new);
    let source = match (point, country) {
        (Some(_), _) => PlaceSource::City,
        (None, Some(_)) => PlaceSource::Country,
        (None, None) => PlaceSource::Unknown,
    };
    Place {
        point,
        country,
        subdivision: country.and(subdivision).and_then(Subdivision::new),
        source,
    }
}
