//! Where clients and nodes are.

mod asn;
mod cutter;
mod database;
mod gazetteer;
mod overrides;
mod packed;
mod people;
mod places;
mod point;
mod record;
mod site;
mod tree;
mod world;

pub use asn::{Asn, asn_named};
pub use database::{About, Database, Error};
pub use gazetteer::{
    continent, country_at, country_cities, country_named, is_country, km_to_country, nearest_city,
    world_cities,
};
pub use overrides::{Override, Subject};
pub use packed::{Packed, Range};
pub use people::Crowd;
pub use places::{CARRIER, Place, PlaceId, PlaceSource, Subdivision, UNKNOWN};
pub use point::{Country, EARTH_RADIUS_KM, Point, chord_to_km, squared_chord};
pub use site::{Site, likely_country, resolve};
pub use world::{Spot, World};
