//! The search tree of a database in MaxMind's format, walked from end to end at the grain of the maps. The crate that reads such files has a walk of its own,
//! which takes ten times as long; here is what the format says of trees (MaxMind DB File Format Specification 2.0).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::prefix::Key;

/// The search tree of a file.
pub(super) struct Tree<'a> {
    nodes: &'a [u8],
    /// Nodes; records below it are numbers of nodes, itself means nothing, those above are offsets of data.
    count: u32,
    /// Octets of a node: two records of 24, 28 or 32 bits.
    node: usize,
    /// Where the tree of IPv4 begins, if there is one.
    v4: Option<u32>,
    /// The file knows only IPv4.
    only_v4: bool,
}

/// Zeros between the tree and the data.
const SEPARATOR: u32 = 16;

/// What is wrong with a tree, in words.
pub(super) type Broken = Box<str>;

impl<'a> Tree<'a> {
    /// The tree of a file with such metadata.
    pub(super) fn new(
        file: &'a [u8],
        count: u32,
        record_bits: u16,
        ip_version: u16,
    ) -> Result<Self, Broken> {
        let node = usize::from(record_bits) / 4;
        let end = count as usize * node;
        let (Some(nodes), Some(separator)) =
            (file.get(..end), file.get(end..end + SEPARATOR as usize))
        else {
            return Err("the search tree is longer than the file".into());
        };
        if separator.iter().any(|octet| *octet != 0) {
            return Err("the search tree does not end where it should".into());
        }
        let mut tree = Self {
            nodes,
            count,
            node,
            v4: None,
            only_v4: ip_version == 4,
        };
        // IPv4 stands at ::/96.
        let mut below = 0;
        for _ in 0..if tree.only_v4 { 0 } else { 96 } {
            if below >= count {
                return Ok(tree);
            }
            below = tree.records(below)[0];
        }
        tree.v4 = (below < count).then_some(below);
        Ok(tree)
    }

    /// Shows the networks that have data and in which a grain of the maps begins, in order: first address, length, offset of the data.
    /// Finer ones are not walked: nobody asks for them, and they are more than half. Nor are parts that lead into the tree of IPv4 once
    /// more: 6to4, Teredo, v4-mapped.
    pub(super) fn walk(
        &self,
        show: &mut impl FnMut(IpAddr, u8, u32) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let depth = if self.only_v4 { 96 } else { 0 };
        // Each node is reached from one other, or from a few where parts are shared.
        let mut steps = u64::from(self.count) * 6 + 1;
        self.below(0, 0, depth, &mut steps, show)
    }

    fn below(
        &self,
        record: u32,
        first: u128,
        len: u8,
        steps: &mut u64,
        show: &mut impl FnMut(IpAddr, u8, u32) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        *steps = steps.checked_sub(1).ok_or("the search tree has a cycle")?;
        let inside_v4 = first >> 32 == 0;
        if record >= self.count {
            let data = match record - self.count {
                0 => return Ok(()),
                above => above.checked_sub(SEPARATOR),
            };
            let data = data.ok_or("the search tree points into its separator")?;
            return match low(first) {
                v4 if self.v4.is_some() && inside_v4 && len >= 96 => {
                    show(Ipv4Addr::from_bits(v4).into(), len - 96, data)
                }
                _ => {
                    // ::/96 lies in it: so all of IPv4 has these data.
                    if first == 0 && len <= 96 {
                        show(Ipv4Addr::UNSPECIFIED.into(), 0, data)?;
                    }
                    show(Ipv6Addr::from_bits(first).into(), len, data)
                }
            };
        }
        if self.v4 == Some(record) && !inside_v4 {
            return Ok(());
        }
        if len == 128 {
            return Err("the search tree is deeper than addresses are long".into());
        }
        let [left, right] = self.records(record);
        self.below(left, first, len + 1, steps, show)?;
        let first = first | 1 << (127 - len);
        let grain = match len {
            ..64 => high(first).starts_grain(),
            64..96 => true,
            96.. => !inside_v4 || low(first).starts_grain(),
        };
        if grain {
            self.below(right, first, len + 1, steps, show)?;
        }
        Ok(())
    }

    /// The two records of a node.
    #[inline]
    fn records(&self, node: u32) -> [u32; 2] {
        let at = node as usize * self.node;
        match self.nodes[at..at + self.node] {
            [a, b, c, d, e, f] => [[0, a, b, c], [0, d, e, f]],
            // The octet in the middle has the highest bits of both.
            [a, b, c, high, d, e, f] => [[high >> 4, a, b, c], [high & 0xf, d, e, f]],
            [a, b, c, d, e, f, g, h] => [[a, b, c, d], [e, f, g, h]],
            _ => [[u8::MAX; 4]; 2],
        }
        .map(u32::from_be_bytes)
    }
}

/// The upper half of an address.
fn high(addr: u128) -> u64 {
    (addr >> 64) as u64
}

/// The IPv4 address at the end of an address.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the last 32 bits on purpose"
)]
fn low(addr: u128) -> u32 {
    addr as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one node after the other, with its separator and a little data.
    fn file(bits: u16, nodes: &[[u32; 2]]) -> Vec<u8> {
        let mut out = Vec::new();
        for [left, right] in nodes {
            let ([a, b, c, d], [e, f, g, h]) = (left.to_be_bytes(), right.to_be_bytes());
            match bits {
                24 => out.extend([b, c, d, f, g, h]),
                28 => out.extend([b, c, d, a << 4 | e, f, g, h]),
                _ => out.extend([a, b, c, d, e, f, g, h]),
            }
        }
        out.extend([0; 16 + 8]);
        out
    }

    /// The networks of a file that knows only IPv4.
    fn networks(octets: &[u8], count: u32, bits: u16) -> Result<Vec<(String, u32)>, Broken> {
        all(&Tree::new(octets, count, bits, 4)?)
    }

    fn all(tree: &Tree<'_>) -> Result<Vec<(String, u32)>, Broken> {
        let mut found = Vec::new();
        tree.walk(&mut |first, len, data| {
            found.push((format!("{first}/{len}"), data));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn networks_in_order() {
        // 0.0.0.0/2 has the data at 7, 64.0.0.0/2 none, 128.0.0.0/1 that at 0.
        let nodes = [[1, 2 + 16], [2 + 16 + 7, 2]];
        for bits in [24, 28, 32] {
            let found = networks(&file(bits, &nodes), 2, bits).unwrap();
            let expected = [("0.0.0.0/2".into(), 7), ("128.0.0.0/1".into(), 0)];
            assert_eq!(found, expected, "{bits}");
        }
    }

    #[test]
    fn a_network_around_all_of_ipv4() {
        let octets = file(24, &[[1 + 16 + 7, 1]]);
        let found = all(&Tree::new(&octets, 1, 24, 6).unwrap()).unwrap();
        assert_eq!(found, [("0.0.0.0/0".into(), 7), ("::/1".into(), 7)]);
    }

    #[test]
    fn records_have_all_of_their_bits() {
        for (bits, most) in [(24, 0xff_fffe), (28, 0xfff_fffd), (32, 0xffff_fffc)] {
            let octets = file(bits, &[[most, 1], [0x12_3456, most]]);
            let tree = Tree::new(&octets, 2, bits, 4).unwrap();
            assert_eq!(tree.records(0), [most, 1], "{bits}");
            assert_eq!(tree.records(1), [0x12_3456, most], "{bits}");
        }
    }

    #[test]
    fn broken_trees_are_refused() {
        let why = |octets: &[u8], count| networks(octets, count, 24).unwrap_err();
        assert!(why(&file(24, &[[0, 0]]), 1).contains("cycle"));
        let deep: Vec<[u32; 2]> = (1..=33).map(|next| [next, 33]).collect();
        assert!(why(&file(24, &deep), 33).contains("deeper"));
        // Every path is short, but there are a billion of them.
        let wide: Vec<[u32; 2]> = (1..=30).map(|next| [next, next]).collect();
        assert!(why(&file(24, &wide), 30).contains("cycle"));
        assert!(why(&file(24, &[[1 + 15, 1]]), 1).contains("separator"));
        assert!(why(&file(24, &[[1, 1]])[..20], 1).contains("longer than the file"));
        let mut octets = file(24, &[[1, 1]]);
        octets[6 + 15] = 1;
        assert!(why(&octets, 1).contains("does not end"));
    }
}
