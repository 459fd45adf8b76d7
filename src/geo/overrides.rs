//! Rows of the GeoIP database that the operator knows better.

use std::fmt;

use super::{Country, Point};
use crate::prefix::Prefix;

/// Where some addresses really are. At least one of `at` and `country` is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The addresses.
    pub subject: Subject,
    /// The point, if known.
    pub at: Option<Point>,
    /// The country; without `at`, clients are ranked by the country's larger cities.
    pub country: Option<Country>,
}

/// Addresses that the operator knows something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Those of a network: for IPv6 at most 64 bits, the grain that maps are compiled at.
    Net(Prefix),
    /// Those of an autonomous system; with a country only those that the databases put there.
    Asn(u32, Option<Country>),
}

impl Subject {
    /// The network, if it is one.
    #[must_use]
    pub fn net(&self) -> Option<Prefix> {
        match self {
            Self::Net(net) => Some(*net),
            Self::Asn(..) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Asn(asn, None) => write!(f, "AS{asn}"),
            Self::Asn(asn, Some(country)) => write!(f, "AS{asn}/{country}"),
        }
    }
}
