//! Which nodes a client is given, and why: pools compiled to maps, and the walk.

mod pool;

pub use pool::{Answer, Near, Node, NoneLeft, Pool, UnknownClient};
