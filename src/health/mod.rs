//! What is up: what is checked, how results are judged, and the table that queries read.

mod board;
mod counter;
mod probe;
mod table;

pub use board::{Board, Check, Event, Outcome, Status, Time};
pub use counter::{Counter, State, Thresholds};
pub use probe::{Expect, Kind, Probe};
pub use table::{STEADY, Table, Word};
