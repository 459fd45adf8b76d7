//! Networks, and clients that are named by where they are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::random::Random;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    pub(crate) addr: IpAddr,
    pub(crate) len: u8,
}

impl Net {
    /// The network of a length around an address.
    pub(crate) fn around(addr: IpAddr, len: u8) -> Self {
        let addr = match addr {
            IpAddr::V4(a) => {
                let kept = u32::MAX.checked_shl(u32::from(32 - len)).unwrap_or(0);
                Ipv4Addr::from_bits(a.to_bits() & kept).into()
            }
            IpAddr::V6(a) => {
                let kept = u128::MAX.checked_shl(u32::from(128 - len)).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & kept).into()
            }
        };
        Self { addr, len }
    }

    pub(crate) fn contains(self, addr: IpAddr) -> bool {
        addr.is_ipv4() == self.addr.is_ipv4() && Self::around(addr, self.len) == self
    }

    /// Any address of it.
    pub(crate) fn any(self, random: &mut Random) -> IpAddr {
        let noise = u128::from(random.next()) << 64 | u128::from(random.next());
        match self.addr {
            IpAddr::V4(a) => {
                let free = u32::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                let noise = u32::try_from(noise >> 96).unwrap();
                Ipv4Addr::from_bits(a.to_bits() | (noise & free)).into()
            }
            IpAddr::V6(a) => {
                let free = u128::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() | (noise & free)).into()
            }
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// Some clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Country(&'static str),
    Continent(&'static str),
    /// Of a country.
    Part(&'static str),
    System(u32),
    Net(Net),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(code) => write!(f, "country:{code}"),
            Self::Continent(code) => write!(f, "continent:{code}"),
            Self::Part(code) => write!(f, "subdivision:{code}"),
            Self::System(number) => write!(f, "AS{number}"),
            Self::Net(net) => net.fmt(f),
        }
    }
}

/// An address that could be anybody's.
pub(crate) fn anywhere(random: &mut Random, v4: bool) -> IpAddr {
    let net = if v4 {
        let first = u8::try_from(random.between(11, 90)).unwrap();
        Net::around(IpAddr::from([first, 0, 0, 0]), 8)
    } else {
        Net::around(IpAddr::from([0x2a00, 0, 0, 0, 0, 0, 0, 0]), 14)
    };
    net.any(random)
}
