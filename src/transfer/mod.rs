//! Zones between name servers as functions of bytes: AXFR (RFC 5936) and IXFR (RFC 1995), NOTIFY (RFC 1996), catalogs (RFC 9432). No IO.

mod catalog;
mod flat;
mod incoming;
mod notify;
mod outgoing;
mod signed;

pub use catalog::{Member, members};
pub use flat::flat;
pub use incoming::{Incoming, Progress, Received};
pub use notify::{Question, notify};
pub use outgoing::{Kind, Outgoing, is_asked};
pub use signed::{sign, sign_soa};
