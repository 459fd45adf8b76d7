//! Sockets and their limits: what comes in goes to [`crate::answer::answer`], what it says goes out.

mod udp;

pub use udp::{bind as bind_udp, spawn as spawn_udp};
