//! What is up: what is checked, how results are judged, and the table that queries read.

mod board;
mod counter;
mod order;
mod probe;
mod slot;
mod table;

pub use board::{Board, Check, Event, Outcome, Status, Time};
pub use counter::{Counter, State, Thresholds};
pub use order::{Forced, Order};
pub use probe::{DnsCheck, Expect, Kind, Probe, RCODES};
pub use slot::{Require, Slot};
pub use table::{STEADY, Table, Word};
