//! Sockets and their limits: questions come in, [`crate::answer`] answers them, replies go out.

mod connections;
mod framing;
mod stream;
pub mod tcp;
pub mod udp;
