//! Zones that other name servers hold too: what they know of ours, and what we know of theirs.
//!
//! ```text
//!   files, health -> `served`: a version with its serial, and the steps to it -> kept in the state folder (`kept`)
//!                                    |                       |
//!                              sent when asked         `tell`: NOTIFY, until there is a reply
//!
//!   SOA's timers, NOTIFY -> `fetch` -> the checks of a file -> a generation (`received`); kept too
//! ```

mod fetch;
mod kept;
mod others;
mod received;
mod refresh;
mod served;
mod tell;

pub(super) use others::{keys, others, query};
pub use received::ReceivedLine;
pub(super) use received::{AllTheirs, fill};
pub(super) use refresh::keep_fetching;
pub(super) use served::{Serving, keep_serving};
