//! What is up: what is checked, how results are judged, and the table that queries read.

mod probe;

pub use probe::{Expect, Kind, Probe};
