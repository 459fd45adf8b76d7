//! Where clients and nodes are.

mod point;
mod ranges;

pub use point::{Country, EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};
pub use ranges::{Builder, Range, Ranges, paint};
