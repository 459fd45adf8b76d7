//! Names and records: what an operator's zone files say.

pub mod file;
mod name;
mod record;
pub mod rtype;
mod tree;

pub use name::{MAX_LABEL, MAX_NAME, Name, NameError, escape, labels};
pub use record::{Data, Record};
pub use rtype::RecordType;
pub use tree::{Lookup, NameKey, NodeId, PoolUse, Rrset, Zone};
