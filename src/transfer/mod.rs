//! Zones between name servers as functions of bytes: AXFR (RFC 5936) and IXFR (RFC 1995), NOTIFY (RFC 1996). No IO.

mod flat;
mod notify;
mod outgoing;

pub use flat::{flat, has_pools};
pub use notify::{Question, notify};
pub use outgoing::{Kind, Outgoing, is_asked};
