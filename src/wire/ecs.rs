//! The client subnet option (RFC 7871 6): read strictly, echoed exactly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A client's block as a resolver gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecs<'p> {
    family: u16,
    source: u8,
    /// The octets of the address that SOURCE covers.
    addr: &'p [u8],
}

/// Octets of the option in a reply before those of the address.
const HEAD: usize = 8;

impl<'p> Ecs<'p> {
    /// The option's code.
    pub const CODE: u16 = 8;

    /// Reads the option's data. None is an answer of FORMERR: an unknown family, too few or too many octets, bits
    /// beyond SOURCE, or a SCOPE that is not 0 (RFC 7871 6 and 7.1.2). Family 0 may stand with SOURCE 0, as `dig +subnet=0` sends it.
    #[must_use]
    pub fn parse(data: &'p [u8]) -> Option<Self> {
        let [f0, f1, source, scope, addr @ ..] = data else {
            return None;
        };
        let family = u16::from_be_bytes([*f0, *f1]);
        let longest = match family {
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if *source > longest || *scope != 0 || addr.len() != usize::from(source.div_ceil(8)) {
            return None;
        }
        if let Some(last) = addr.last()
            && source % 8 != 0
            && last << (source % 8) != 0
        {
            return None;
        }
        Some(Self {
            family,
            source: *source,
            addr,
        })
    }

    /// The first address of the block; none where the resolver keeps its client to itself (SOURCE 0).
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        if self.source == 0 {
            return None;
        }
        Some(if self.family == 1 {
            Ipv4Addr::from(padded(self.addr)).into()
        } else {
            Ipv6Addr::from(padded(self.addr)).into()
        })
    }

    /// Bits of the address that the resolver gives.
    #[must_use]
    pub fn source(&self) -> u8 {
        self.source
    }

    /// Octets of the whole option in a reply.
    #[must_use]
    pub fn room(&self) -> usize {
        HEAD + self.addr.len()
    }

    /// The option for a reply: all as it was asked, and the scope; what the address begins with, then its octets.
    #[must_use]
    pub(super) fn reply(&self, scope: u8) -> ([u8; HEAD], &'p [u8]) {
        let [c0, c1] = Self::CODE.to_be_bytes();
        let [f0, f1] = self.family.to_be_bytes();
        let len = 4 + self.source.div_ceil(8);
        ([c0, c1, 0, len, f0, f1, self.source, scope], self.addr)
    }
}

/// The octets, and zeros for those left out.
fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(octets) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_as_the_rfc() {
        let good: [&[u8]; 5] = [
            &[0, 1, 24, 0, 192, 0, 2],
            &[0, 1, 0, 0],
            &[0, 2, 0, 0],
            &[0, 0, 0, 0],
            &[0, 2, 25, 0, 0x20, 1, 0x0d, 0x80],
        ];
        for data in good {
            let ecs = Ecs::parse(data).expect("well-formed");
            let (head, addr) = ecs.reply(0);
            let reply = [&head[..], addr].concat();
            assert_eq!(&reply[4..], data, "echoed exactly");
            assert_eq!(reply.len(), ecs.room());
        }
        let bad: [&[u8]; 9] = [
            &[],
            &[0, 1, 24],
            &[0, 1, 24, 0, 192, 0],
            &[0, 1, 24, 0, 192, 0, 2, 0],
            &[0, 1, 23, 0, 192, 0, 1],
            &[0, 1, 33, 0, 192, 0, 2, 0, 0],
            &[0, 3, 0, 0],
            &[0, 1, 24, 1, 192, 0, 2],
            &[0, 0, 1, 0, 0x80],
        ];
        for data in bad {
            assert_eq!(Ecs::parse(data), None, "{data:?}");
        }
    }

    #[test]
    fn a_client_is_the_first_address() {
        let client = |data: &[u8]| {
            Ecs::parse(data)
                .and_then(|e| e.client())
                .map(|a| a.to_string())
        };
        assert_eq!(client(&[0, 1, 24, 0, 192, 0, 2]), Some("192.0.2.0".into()));
        assert_eq!(
            client(&[0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8]),
            Some("2001:db8::".into())
        );
        assert_eq!(client(&[0, 1, 0, 0]), None);
    }
}
