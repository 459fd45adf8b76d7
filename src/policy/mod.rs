//! Which nodes a client is given, and why: pools compiled to maps, and the walk.

mod compile;
mod map;
mod pool;
mod selector;
mod trie;
mod walk;

pub use compile::{Cities, Member as PlanMember, Plan, PlanRule, Unknown, compile, distances};
pub use map::{Entry, List, ListId, Map};
pub use pool::{Answer, Near, Node, NoneLeft, Pool, Rule, UnknownClient, Use};
pub use selector::{CONTINENTS, Limit, Selector, Whom};
pub use walk::{Address, Choice, MOST, Member, Outcome, Steering, Verdict, Witness};
