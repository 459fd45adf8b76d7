//! Zones that other name servers hold too: what they know of ours, and what we know of theirs.
//!
//! ```text
//!   files, health -> `served`: a version with its serial, and the steps to it -> kept in the state folder (`kept`)
//!                                    |                       |
//!                              sent when asked         `tell`: NOTIFY, until there is a reply
//!
//!   SOA's timers, NOTIFY -> `fetch` -> the checks of a file -> a generation (`put`); kept too
//!                                               of a catalog: other zones (`members`)
//! ```

mod ask;
mod fetch;
mod kept;
mod members;
mod others;
mod put;
mod received;
mod refresh;
mod served;
mod tell;
mod theirs;
mod turns;
mod unkept;

pub(super) use members::{Settled, owners, write as keep_members};
pub(super) use others::{keys, others, query};
pub(super) use put::Arrival;
pub(super) use received::{fill, first};
pub(super) use refresh::keep_fetching;
pub(super) use served::{Serving, keep_serving};
pub(super) use theirs::AllTheirs;
pub use theirs::{ReceivedLine, RefreshCounts};
pub(super) use unkept::Unkept;
