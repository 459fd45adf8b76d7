//! What the tests that speak DNS share: questions and replies as octets, our answers, other people's servers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod message;
pub(crate) mod ours;
pub(crate) mod peers;
