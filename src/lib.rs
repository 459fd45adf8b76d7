//! nearmost: an authoritative DNS server that sends every client to the nearest healthy mirror, and can say why.

pub mod answer;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod geo;
pub mod health;
pub mod metrics;
pub mod policy;
pub mod prefix;
pub mod probe;
pub mod server;
pub mod snapshot;
pub mod wire;
pub mod zone;
