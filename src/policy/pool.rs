//! Nodes and pools as the operator means them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::selector::{Limit, Selector};
use crate::geo::{Country, Point};
use crate::health::Require;
use crate::zone::Name;

/// One mirror machine or site.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name in files and messages.
    pub name: String,
    /// Where it stands; none: where the GeoIP database puts its first address.
    pub at: Option<Point>,
    /// The country it stands in: as stated, else that of the airport or city it was placed at.
    pub country: Option<Country>,
    /// The number of its autonomous system: as stated, else that of its first address in the databases.
    pub asn: Option<u32>,
    /// Whom to ask about it.
    pub admin: Option<String>,
    /// Words that pools choose it by.
    pub tags: Vec<String>,
    /// Its share among nodes that are about equally near; 0 is a spare.
    pub weight: u32,
    /// What it can serve, in Mbit/s, if stated.
    pub capacity: Option<u32>,
    /// 1 for the first choice; those of a higher tier serve only where nobody of a lower is left.
    pub tier: u8,
    /// How much nearer (positive) or farther it counts than it is, -99 to 99, as [`Bias`] says.
    pub bias: Bias,
    /// Who may be sent to it.
    pub limit: Limit,
    /// Its addresses, each probed and judged apart; those of `host` as they are known now.
    pub addresses: Vec<IpAddr>,
    /// The name whose addresses they are; none: they are stated.
    pub host: Option<Name>,
    /// Clients are given that name, and never these addresses.
    pub cname: bool,
    /// Addresses of the same machine for some clients.
    pub routes: Vec<Route>,
}

/// Addresses of a node for the clients of some networks.
#[derive(Clone, Debug)]
pub struct Route {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// These clients are given them instead of the node's other addresses.
    pub clients: Vec<Selector>,
    /// Nobody else is ever given them.
    pub private: bool,
}

impl Node {
    /// All its addresses, those for everybody first.
    pub fn all_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let routes = self.routes.iter().flat_map(|route| &route.addresses);
        self.addresses.iter().chain(routes).copied()
    }
}

/// A set of nodes behind one or more names, with the policy that chooses among them.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name in files and messages.
    pub name: String,
    /// Indices of its nodes, each once, in the order that the pool lists them; those of a tag in the order of the files.
    pub nodes: Vec<usize>,
    /// Indices of its probes. None that has a vote: always in service.
    pub probes: Vec<usize>,
    /// How many of those that have a vote must say that an address is up.
    pub require: Require,
    /// Whether answers are kept short by what could happen next, also while nothing does.
    pub strict: bool,
    /// Whether nodes that go down again and again stay out for a while.
    pub damping: bool,
    /// What operators may not go below when they take nodes out.
    pub keep: Keep,
    /// How many nodes an answer holds.
    pub answer: Answer,
    /// The band of about-equal nodes.
    pub near: Near,
    /// What nodes are preferred by, the first above all; distance comes after them.
    pub prefer: Vec<Prefer>,
    /// Of a hundred clients no node is first for more; none: however many are nearest to it.
    pub max_share: Option<u8>,
    /// In which time a node that comes back regains its clients, and one that is drained loses them; none: at once.
    pub slow_start: Option<Duration>,
    /// Nodes that join the others while too few of those serve, one step after the other.
    pub low: Vec<Low>,
    /// Other nodes or another order for some clients: the first that means a client holds.
    pub rules: Vec<Rule>,
    /// Nodes of one answer are in different autonomous systems where the band has them.
    pub spread: bool,
    /// The same client keeps the same node; else drawn by weight for each question.
    pub sticky: bool,
    /// What is answered with no node in service.
    pub none: NoneLeft,
    /// What clients get that nothing is known of.
    pub unknown: UnknownClient,
}

impl Pool {
    /// The pools that answer in its place when nobody of it is in service (`none`), the first and on from there. A circle ends after all.
    pub fn stand_ins<'p>(&'p self, pools: &'p [Self]) -> impl Iterator<Item = &'p Self> {
        let next = |pool: &&'p Self| match pool.none {
            NoneLeft::Pool { number, .. } => pools.get(number as usize),
            _ => None,
        };
        let all = std::iter::successors(Some(self), next);
        all.skip(1).take(pools.len())
    }
}

/// What must be left in service, in each family, when operators take nodes out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keep {
    /// So many nodes.
    pub nodes: u32,
    /// This part of the capacity, 0 to 1.
    pub capacity: f64,
}

/// Which nodes some clients are given.
#[derive(Clone, Debug)]
pub struct Rule {
    /// These clients; empty: everybody.
    pub from: Vec<Selector>,
    /// Nodes in order of preference.
    pub uses: Vec<Use>,
}

/// Nodes that a rule names as one.
#[derive(Clone, Debug)]
pub struct Use {
    /// As the operator wrote it.
    pub text: String,
    /// Indices of the nodes of the pool that are meant; none: all that the rule does not name.
    pub nodes: Option<Vec<usize>>,
}

/// What some nodes can have in common with a client, or before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefer {
    /// An address of the node is for the client's network.
    Network,
    /// They are in the same autonomous system.
    Asn,
    /// They are in the same country.
    Country,
    /// They are on the same continent.
    Continent,
    /// The node comes before others in the pool's list.
    Order,
}

impl Prefer {
    /// The words for them.
    pub const WORDS: [(&str, Self); 5] = [
        ("network", Self::Network),
        ("asn", Self::Asn),
        ("country", Self::Country),
        ("continent", Self::Continent),
        ("order", Self::Order),
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, prefer)| *prefer == self);
        word.map_or("", |(word, _)| word)
    }
}

/// When nodes join the others.
#[derive(Clone, Debug)]
pub struct Low {
    /// While less than this of the others is in service.
    pub below: Below,
    /// The nodes that join, by their indices.
    pub uses: Use,
}

/// A part of some nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Below {
    /// Of their capacity, in percent.
    Share(u8),
    /// A number of nodes.
    Nodes(u32),
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share}%"),
            Self::Nodes(nodes) => nodes.fmt(f),
        }
    }
}

/// How much nearer or farther a node counts than it is: `distance x (1 - bias / 100)` for 0 to 99, `distance / (1 + bias / 100)` for
/// -99 to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bias(pub i8);

impl Bias {
    /// What distances are multiplied by.
    #[must_use]
    pub fn factor(self) -> f64 {
        let part = f64::from(self.0.clamp(-99, 99)) / 100.0;
        if part > 0.0 {
            1.0 - part
        } else {
            1.0 / (1.0 + part)
        }
    }
}

/// How many nodes an answer holds, for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// At most so many, all from the near band.
    Nodes(u8),
    /// All that are in service.
    All,
}

/// The band of about-equal nodes: all within `factor` x the nearest's distance + `slack_km`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// At least 1.
    pub factor: f64,
    /// Kilometres.
    pub slack_km: f64,
}

impl Default for Near {
    /// 50 km is where two GeoIP databases differ more than distances mean anything.
    fn default() -> Self {
        Self {
            factor: 1.1,
            slack_km: 50.0,
        }
    }
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x + {}km", self.factor, self.slack_km)
    }
}

/// What is answered with no node in service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NoneLeft {
    /// The node that was in service last.
    LeastBad,
    /// All nodes of the pool.
    All,
    /// What would be answered were all in service.
    Nearest,
    /// No records.
    NoData,
    /// An error.
    ServFail,
    /// What another pool answers.
    Pool {
        /// Its number.
        number: u32,
        /// Its name.
        name: Arc<str>,
    },
    /// An alias of this name.
    Cname(Arc<Name>),
}

/// Where a client stands that nothing is known of.
#[derive(Clone, Debug, PartialEq)]
pub enum UnknownClient {
    /// Where this name server stands; if that is not stated, anywhere people live.
    Server,
    /// Given these nodes, by their indices, in this order.
    Nodes(Vec<usize>),
}

impl fmt::Display for NoneLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool { name, .. } => return write!(f, "pool:{name}"),
            Self::Cname(name) => {
                let text = name.to_string();
                return write!(f, "cname:{}", text.trim_end_matches('.'));
            }
            Self::LeastBad => "least-bad",
            Self::All => "all",
            Self::Nearest => "nearest",
            Self::NoData => "nodata",
            Self::ServFail => "servfail",
        })
    }
}
