//! What is up: what is checked, how results are judged, and the table that queries read.

mod board;
mod counter;
mod order;
mod probe;
mod table;

pub use board::{Board, Check, Event, Outcome, Slot, Status, Time};
pub use counter::{Counter, State, Thresholds};
pub use order::{Forced, Order};
pub use probe::{DnsCheck, Expect, Kind, Probe, RCODES};
pub use table::{STEADY, Table, Word};
