//! Which nodes a client is given, and why: pools compiled to maps, and the walk.

mod compile;
mod latency;
mod map;
mod pool;
mod selector;
mod slowed;
mod spill;
mod trie;
mod walk;

pub use compile::{
    Cities, Measurements, Member as PlanMember, Plan, PlanRule, Resolvers, Unknown, compile,
    distances,
};
pub use latency::{LatencyRow, Measured, Sample, least_ms, weighed};
pub use map::{Entry, List, ListId, Map};
pub use pool::{
    Answer, Below, Bias, Keep, Low, Near, Node, NoneLeft, Pool, Prefer, Route, Rule, UnknownClient,
    Use,
};
pub use selector::{CONTINENTS, Limit, Resolver, Selector, Whom};
pub use slowed::{Instead, Slowed};
pub use spill::{Reserve, Spill};
pub use walk::{Address, Choice, MOST, Member, Outcome, Steering, Verdict, Witness};
