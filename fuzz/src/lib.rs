//! What each fuzz target does with an input and holds of what follows: one file a target, one function each. `fuzz_targets` hands them
//! inputs of libFuzzer, `tests/corpora.rs` of nearmost those that are committed.

mod denial;
mod generation;
#[path = "../../tests/common/meaning.rs"]
mod meaning;
#[path = "../../tests/dns/message.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a reader of the tests, of which these targets use a part"
)]
mod message;
mod places;

pub mod config;
pub mod ecs;
pub mod mmdb;
pub mod query;
pub mod transfer;
pub mod tsig;
pub mod zone;
