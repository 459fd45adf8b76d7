//! Which clients a limit or a rule means.

use std::fmt;

use crate::geo::{Country, Subdivision, continent};
use crate::prefix::Prefix;

/// The codes of continents.
pub const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Clients of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those in a country.
    Country(Country),
    /// Those in a country of a continent, by one of [`CONTINENTS`].
    Continent(&'static str),
    /// Those in a part of a country.
    Subdivision(Country, Subdivision),
    /// Those with an address of an autonomous system.
    Asn(u32),
    /// Those with an address of a network.
    Net(Prefix),
    /// All that such a resolver asks for; whether it is the one that asks. Of a plan for all resolvers that is never so.
    Resolver(Resolver, bool),
}

/// Resolvers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolver {
    /// Those with an address of an autonomous system.
    Asn(u32),
    /// Those with an address of a network.
    Net(Prefix),
}

impl Resolver {
    /// The clients of the same addresses.
    #[must_use]
    pub fn selector(self) -> Selector {
        match self {
            Self::Asn(asn) => Selector::Asn(asn),
            Self::Net(net) => Selector::Net(net),
        }
    }
}

/// What of a client selectors look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whom {
    /// The country, if known.
    pub country: Option<Country>,
    /// The part of it, if known.
    pub subdivision: Option<Subdivision>,
    /// The number of the autonomous system, if known.
    pub asn: Option<u32>,
    /// A block around the client's address that no selector cuts, unless it is in no selector's network.
    pub net: Option<Prefix>,
}

impl Selector {
    /// Whether it means such a client. A client of whom no country is known is in none.
    #[must_use]
    pub fn means(&self, whom: Whom) -> bool {
        match self {
            Self::Country(country) => whom.country == Some(*country),
            Self::Continent(code) => whom.country.and_then(continent) == Some(code),
            Self::Subdivision(country, part) => {
                whom.country == Some(*country) && whom.subdivision == Some(*part)
            }
            Self::Asn(asn) => whom.asn == Some(*asn),
            Self::Resolver(_, held) => *held,
            Self::Net(net) => {
                let inside = |block: Prefix| net.len <= block.len && net.contains(block.addr);
                whom.net.is_some_and(inside)
            }
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => write!(f, "country:{country}"),
            Self::Continent(code) => write!(f, "continent:{code}"),
            Self::Subdivision(country, part) => write!(f, "subdivision:{country}-{part}"),
            Self::Asn(asn) => write!(f, "AS{asn}"),
            Self::Net(net) => net.fmt(f),
            Self::Resolver(resolver, _) => write!(f, "resolver:{}", resolver.selector()),
        }
    }
}

/// Who may be sent to a node at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Only these; empty: everybody.
    pub only: Vec<Selector>,
    /// But none of these.
    pub except: Vec<Selector>,
}

impl Limit {
    /// Whether it shuts nobody out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// Why such a client is shut out, in words; none: it is not.
    #[must_use]
    pub fn shuts_out(&self, whom: Whom) -> Option<String> {
        if let Some(except) = self.except.iter().find(|s| s.means(whom)) {
            return Some(format!("not for {except}"));
        }
        if self.only.is_empty() || self.only.iter().any(|s| s.means(whom)) {
            return None;
        }
        let only: Vec<String> = self.only.iter().map(Selector::to_string).collect();
        Some(format!("limited to {}", only.join(", ")))
    }

    /// All that it looks at.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.only.iter().chain(&self.except)
    }
}
