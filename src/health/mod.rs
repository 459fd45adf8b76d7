//! What is up: what is checked, how results are judged, and the table that queries read.

mod board;
mod carry;
mod counter;
mod damping;
mod doubt;
mod order;
mod probe;
mod seen;
mod slot;
mod table;
mod verdict;

pub use board::{Board, Check, Event, Outcome, Setup, Status, Time};
pub use counter::{Counter, State, Thresholds};
pub use damping::{Damped, Damping};
pub use doubt::{CANARY, Frozen, Thaw};
pub use order::{Forced, Order};
pub use probe::{DnsCheck, Expect, HttpCheck, Kind, Probe, RCODES};
pub use seen::{Seen, certificate_ends};
pub use slot::{Require, Slot};
pub use table::{STEADY, Table, Word};
pub use verdict::Notice;
