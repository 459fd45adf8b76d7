//! Which clients a limit or a rule means.

use std::fmt;

use crate::geo::{Country, continent};
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
    /// Those with an address of a network.
    Net(Prefix),
}

/// What of a client selectors look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whom {
    /// The country, if known.
    pub country: Option<Country>,
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
            Self::Net(net) => net.fmt(f),
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

    /// The networks that it tells apart.
    pub(super) fn nets(&self) -> impl Iterator<Item = Prefix> {
        nets(self.only.iter().chain(&self.except))
    }
}

/// The networks among selectors.
pub(super) fn nets<'a>(
    selectors: impl Iterator<Item = &'a Selector>,
) -> impl Iterator<Item = Prefix> {
    selectors.filter_map(|selector| match selector {
        Selector::Net(net) => Some(*net),
        Selector::Country(_) | Selector::Continent(_) => None,
    })
}
