//! Zones that other name servers hold too: what they know of ours, and what we know of theirs.
//!
//! ```text
//!   files, health -> `served`: a version with its serial, and the steps to it -> kept in the state folder (`kept`)
//!                                    |                       |
//!                              sent when asked         `tell`: NOTIFY, until there is a reply
//! ```

mod kept;
mod others;
mod served;
mod tell;

pub(super) use others::{keys, others};
pub(super) use served::{Serving, keep_serving};
