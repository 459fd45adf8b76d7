//! Addresses as numbers, blocks of them, and the scope arithmetic of RFC 7871: the only place that masks bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses: the octets beyond `len` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Its first address.
    pub addr: IpAddr,
    /// Bits that are fixed, 0 to 32 or 128.
    pub len: u8,
}

impl Prefix {
    /// Who counts as one of those who connect: an IPv4 address, an IPv6 /64. Within a /64 anybody takes any address; a shorter prefix
    /// would let neighbours in one data centre close each other's connections.
    #[must_use]
    pub fn of_one(source: IpAddr) -> Self {
        Self::holding(source.to_canonical(), 64)
    }

    /// Who counts as neighbours: an IPv4 /24, an IPv6 /56, as the limit of rates counts. What one has may be another's in a moment.
    #[must_use]
    pub fn of_network(source: IpAddr) -> Self {
        let source = source.to_canonical();
        Self::holding(source, if source.is_ipv4() { 24 } else { 56 })
    }

    /// The block of `len` bits that holds `addr`; `len` is cut to the family's length.
    #[must_use]
    pub fn holding(addr: IpAddr, len: u8) -> Self {
        match addr {
            IpAddr::V4(a) => {
                let len = len.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                Self {
                    addr: Ipv4Addr::from_bits(a.to_bits() & mask).into(),
                    len,
                }
            }
            IpAddr::V6(a) => {
                let len = len.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                Self {
                    addr: Ipv6Addr::from_bits(a.to_bits() & mask).into(),
                    len,
                }
            }
        }
    }

    /// Whether `addr` is in the block. An IPv4 address is in no IPv6 block.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        addr.is_ipv4() == self.addr.is_ipv4() && Self::holding(addr, self.len).addr == self.addr
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// An address as the maps know it. IPv6 is mapped by its upper 64 bits; addresses that carry an IPv4 address
/// (v4-mapped, NAT64's 64:ff9b::/96, 6to4, Teredo) are mapped as that, and `offset` bits stand before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// IPv4, or IPv4 inside of IPv6.
    V4 {
        /// The address.
        addr: u32,
        /// Bits of the IPv6 address before it: 0, 16 or 96.
        offset: u8,
    },
    /// The upper half of an IPv6 address.
    V6(u64),
}

/// First addresses of the IPv6 blocks that carry IPv4 and their lengths: v4-mapped, NAT64 (RFC 6052 2.1), 6to4 (RFC 3056 2), Teredo (RFC 4380 4).
/// The maps keep these blocks apart, so that no scope reaches into them.
pub const CARRIERS: [Prefix; 4] = [
    Prefix {
        addr: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)),
        len: 96,
    },
    Prefix {
        addr: IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)),
        len: 96,
    },
    Prefix {
        addr: IpAddr::V6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0)),
        len: 16,
    },
    Prefix {
        addr: IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0)),
        len: 32,
    },
];

impl Client {
    /// How the maps know `addr`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each cast takes 32 or 64 of the 128 bits on purpose"
    )]
    pub fn of(addr: IpAddr) -> Self {
        let bits = match addr {
            IpAddr::V4(a) => {
                return Self::V4 {
                    addr: a.to_bits(),
                    offset: 0,
                };
            }
            IpAddr::V6(a) => a.to_bits(),
        };
        if bits >> 32 == 0xffff || bits >> 32 == 0x0064_ff9b_u128 << 64 {
            Self::V4 {
                addr: bits as u32,
                offset: 96,
            }
        } else if bits >> 112 == 0x2002 {
            Self::V4 {
                addr: (bits >> 80) as u32,
                offset: 16,
            }
        } else if bits >> 96 == 0x2001_0000 {
            // RFC 4380 4: the client's address with every bit turned.
            Self::V4 {
                addr: !(bits as u32),
                offset: 96,
            }
        } else {
            Self::V6((bits >> 64) as u64)
        }
    }

    /// The address that is looked up: the IPv4 address inside, or the IPv6 address with its lower half zero.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        match *self {
            Self::V4 { addr, .. } => Ipv4Addr::from_bits(addr).into(),
            Self::V6(upper) => Ipv6Addr::from_bits(u128::from(upper) << 64).into(),
        }
    }
}

/// Whether `addr` can be a client's on the internet: unicast and routable. RFC 7871 11.2 wants others ignored in an ECS option.
/// Documentation blocks count as routable: nobody has them, and examples need some.
#[must_use]
pub fn is_routable(addr: IpAddr) -> bool {
    match Client::of(addr) {
        Client::V4 { addr, .. } => {
            let [a, b, ..] = addr.to_be_bytes();
            !matches!(
                (a, b),
                (0 | 10 | 127 | 224.., _)
                    | (100, 64..=127)
                    | (169, 254)
                    | (172, 16..=31)
                    | (192, 168)
            )
        }
        Client::V6(upper) => upper >> 61 == 1,
    }
}

/// An unsigned number that addresses are looked up as: `u32` for IPv4, `u64` for the upper half of IPv6.
pub trait Key: Copy + Ord {
    /// The lowest address.
    const MIN: Self;
    /// The highest address.
    const MAX: Self;
    /// The next address; none after the highest.
    fn next(self) -> Option<Self>;
    /// The previous address; none before the lowest.
    fn previous(self) -> Option<Self>;
    /// How far `later` is from here; it is not before.
    fn distance(self, later: Self) -> u64;
    /// The address so far from here; the highest, where that is none.
    fn plus(self, distance: u64) -> Self;
    /// How many leading bits two addresses share.
    fn shared_bits(self, other: Self) -> u8;
    /// The last address of the block of `len` bits that starts here.
    fn block_last(self, len: u8) -> Self;
    /// Whether a block of the maps' grain starts here: a /24 of IPv4, a /56 of IPv6. Resolvers send no more (RFC 7871 11.1).
    fn starts_grain(self) -> bool;
    /// The last address of the grain that holds this one.
    fn grain_last(self) -> Self;
}

macro_rules! key {
    ($type:ty) => {
        impl Key for $type {
            const MIN: Self = 0;
            const MAX: Self = Self::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn distance(self, later: Self) -> u64 {
                (later - self).into()
            }
            fn plus(self, distance: u64) -> Self {
                <$type>::try_from(distance).map_or(Self::MAX, |d| self.saturating_add(d))
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
            fn shared_bits(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            fn block_last(self, len: u8) -> Self {
                self | Self::MAX.checked_shr(len.into()).unwrap_or(0)
            }
            fn starts_grain(self) -> bool {
                self & 0xff == 0
            }
            fn grain_last(self) -> Self {
                self | 0xff
            }
        }
    };
}
key!(u32);
key!(u64);

/// The length of the widest block around `addr` that lies in `first..=last` (RFC 7871's SCOPE PREFIX-LENGTH).
/// Two such blocks of the same ranges are equal or apart, as 7.2.1 there demands.
#[must_use]
pub fn scope<K: Key>(addr: K, first: K, last: K) -> u8 {
    let beyond = |end: Option<K>| end.map_or(0, |e| addr.shared_bits(e) + 1);
    beyond(first.previous()).max(beyond(last.next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ipv4_inside_ipv6_is_looked_up_as_such() {
        let inside = |text| match Client::of(ip(text)) {
            Client::V4 { addr, offset } => (Ipv4Addr::from_bits(addr).to_string(), offset),
            Client::V6(_) => ("-".into(), 0),
        };
        assert_eq!(inside("::ffff:192.0.2.1"), ("192.0.2.1".into(), 96));
        assert_eq!(inside("64:ff9b::192.0.2.1"), ("192.0.2.1".into(), 96));
        assert_eq!(inside("2002:c000:201::1"), ("192.0.2.1".into(), 16));
        assert_eq!(inside("2001:0:1:2:3:4:3fff:fdfe"), ("192.0.2.1".into(), 96));
        assert_eq!(inside("2001:db8::1"), ("-".into(), 0));
        for carrier in CARRIERS {
            assert!(
                matches!(Client::of(carrier.addr), Client::V4 { .. }),
                "{carrier}"
            );
        }
    }

    #[test]
    fn private_addresses_are_not_routable() {
        for text in [
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "192.168.1.1",
            "172.31.0.1",
            "224.0.0.1",
            "fe80::1",
            "fd00::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_routable(ip(text)), "{text}");
        }
        for text in [
            "8.8.8.8",
            "192.0.2.1",
            "100.128.0.1",
            "2001:db8::1",
            "2a00::1",
            "172.32.0.1",
        ] {
            assert!(is_routable(ip(text)), "{text}");
        }
    }

    #[test]
    fn blocks_hold_their_addresses() {
        let block = Prefix::holding(ip("192.0.2.200"), 25);
        assert_eq!(block.to_string(), "192.0.2.128/25");
        assert!(
            block.contains(ip("192.0.2.255"))
                && !block.contains(ip("192.0.2.1"))
                && !block.contains(ip("::"))
        );
        assert!(Prefix::holding(ip("::1"), 0).contains(ip("ffff::")));
    }

    proptest! {
        #[test]
        fn a_scope_is_the_widest_block_inside(first: u32, last: u32, pick: u32) {
            let (first, last) = (first.min(last), first.max(last));
            let addr = first + pick % (last - first).max(1);
            let len = scope(addr, first, last);
            let inside = |len: u8| {
                let size = 32 - u32::from(len);
                let start = addr.checked_shr(size).unwrap_or(0).checked_shl(size).unwrap_or(0);
                let end = u64::from(start) + (1u64 << size) - 1;
                start >= first && end <= u64::from(last)
            };
            prop_assert!(inside(len));
            prop_assert!(len == 0 || !inside(len - 1));
        }
    }
}
