//! Where clients and nodes are.

mod database;
mod point;
mod ranges;
mod world;

pub use database::{Database, Error};
pub use point::{Country, EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};
pub use ranges::{Builder, Range, Ranges, paint};
pub use world::{CARRIER, Override, Place, PlaceId, PlaceSource, UNKNOWN, World};
