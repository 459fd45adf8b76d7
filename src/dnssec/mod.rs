//! DNSSEC, signed online: keys, signatures that are ready or made when first needed, and the denial of what is not there.
//!
//! ```text
//!   records of the zone --(when it is built)--> one signature for each set ----------> copied into answers
//!   what depends on who asks (a pool's addresses), on the name asked for (a wildcard's records, a denial)
//!                       --(when first needed)--> `Signing`: a cache of fixed size, a budget for each second
//! ```
//! Denial is compact (RFC 9824): each name that is asked for and is not there has one NSEC record of its own. A zone that is signed
//! elsewhere brings signatures and denial of its own, and is only laid out here ([`Presigned`]).

mod bind;
mod cache;
mod canonical;
mod denial;
mod key;
mod presigned;
mod signature;
mod signing;
mod zone;

pub use bind::{BindKey, bind_role};
pub use denial::Types;
pub use key::{Algorithm, BadKey, Digest, DnsKey, Key, Role};
pub use presigned::Presigned;
pub use signature::{Covered, Signature};
pub use signing::{Purpose, Settings, Signing, random};
pub use zone::SignedZone;
