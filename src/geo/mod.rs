//! Where clients and nodes are.

mod point;

pub use point::{Country, EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};
