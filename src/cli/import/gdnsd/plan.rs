//! What a resource comes to: choices of nodes, and which clients get which of them.

use crate::cli::import::system::{Arm, Choice};
use crate::diagnostic::Span;

/// A resource, before it is a pool.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The first that means a client holds; the last is for everybody.
    pub(super) arms: Vec<Arm>,
    /// The service types of its addresses.
    pub(super) services: Vec<(String, Span)>,
    /// It has addresses that gdnsd would check; not a name that is given as it stands.
    pub(super) checked: bool,
    /// Nodes of an answer; none: all of them.
    pub(super) answer: Option<u32>,
    /// Some of it is chosen by distance.
    pub(super) nearest: bool,
    /// What clients get of whom nothing is known.
    pub(super) unknown: Vec<Choice>,
    /// What is answered when nobody is left.
    pub(super) none: String,
    /// Why it looks as it does.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// Everybody gets these, the first first.
    pub(super) fn of(uses: Vec<Choice>) -> Self {
        Self {
            arms: vec![Arm {
                from: Vec::new(),
                uses,
            }],
            services: Vec::new(),
            checked: true,
            answer: Some(1),
            nearest: false,
            unknown: Vec::new(),
            // What would be answered were all up, as gdnsd answers then.
            none: "nearest".to_owned(),
            notes: Vec::new(),
        }
    }

    /// The choices of everybody, in order.
    pub(super) fn everybody(&self) -> &[Choice] {
        self.arms.last().map_or(&[], |arm| &arm.uses)
    }
}

/// What a name of a plugin and a resource stands for.
#[derive(Clone, Debug)]
pub(super) enum Means {
    Plan(Plan),
    /// A name that is given as it stands, unchecked.
    Alias(String),
    /// Addresses that are given as they stand, unchecked.
    Fixed(Vec<std::net::IpAddr>),
}
