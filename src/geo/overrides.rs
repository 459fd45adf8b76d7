//! Rows of the GeoIP database that the operator knows better.

use super::{Country, Point};
use crate::prefix::Prefix;

/// Where the addresses of a network really are. At least one of `at` and `country` is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The network: for IPv6 at most 64 bits, the grain that maps are compiled at.
    pub net: Prefix,
    /// The point, if known.
    pub at: Option<Point>,
    /// The country; without `at`, clients are ranked by the country's larger cities.
    pub country: Option<Country>,
}
