//! Names and records: what an operator's zone files say.

pub mod file;
mod fold;
mod index;
mod key;
mod name;
mod order;
mod record;
pub mod rtype;
mod tree;
pub mod version;

pub use fold::{folded, rdata_names};
pub use index::Index;
pub use key::{NameKey, hash_by};
pub use name::{MAX_LABEL, MAX_NAME, Name, NameError, escape, is_below, labels};
pub use order::canonical;
pub use record::{Data, Record};
pub use rtype::RecordType;
pub use tree::{Lookup, NodeId, PoolUse, Rrset, Zone};
