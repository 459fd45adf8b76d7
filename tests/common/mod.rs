//! What the tests share.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "a module of each test binary")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world fails"
)]
#![allow(clippy::print_stdout, reason = "what is skipped is told")]

pub mod certificates;
pub mod namespace;
pub mod nodes;
pub mod wire;
