//! The search tree of a database in MaxMind's format, walked from end to end. The crate that reads such files has a walk of its own,
//! which takes ten times as long; here is what the format says of trees (MaxMind DB File Format Specification 2.0).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

    /// Shows all networks that have data, in order: first address, length, offset of the data. Those that lead into the tree of IPv4
    /// once more (6to4, Teredo, v4-mapped) are left out.
    pub(super) fn walk(
        &self,
        show: &mut impl FnMut(IpAddr, u8, u32) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        // A tree has one end more than nodes; some leeway for parts that several nodes share.
        let mut ends = u64::from(self.count) * 3;
        let mut network = |first: u128, len: u8, record: u32| {
            ends = ends.checked_sub(1).ok_or("the search tree has a cycle")?;
            if record == self.count {
                return Ok(());
            }
            let data = (record - self.count)
                .checked_sub(SEPARATOR)
                .ok_or("the search tree points into its separator")?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "of IPv4 only 32 bits are set"
            )]
            match self.v4 {
                Some(_) if len >= 96 && first >> 32 == 0 => {
                    show(Ipv4Addr::from_bits(first as u32).into(), len - 96, data)
                }
                _ => show(Ipv6Addr::from_bits(first).into(), len, data),
            }
        };
        let depth = if self.only_v4 { 96 } else { 0 };
        self.below(0, 0, depth, &mut network)
    }

    fn below(
        &self,
        record: u32,
        first: u128,
        len: u8,
        network: &mut impl FnMut(u128, u8, u32) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if record >= self.count {
            return network(first, len, record);
        }
        if self.v4 == Some(record) && first >> 32 != 0 {
            return Ok(());
        }
        if len == 128 {
            return Err("the search tree is deeper than addresses are long".into());
        }
        let [left, right] = self.records(record);
        self.below(left, first, len + 1, network)?;
        self.below(right, first | 1 << (127 - len), len + 1, network)
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
        let mut found = Vec::new();
        Tree::new(octets, count, bits, 4)?.walk(&mut |first, len, data| {
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
        assert!(why(&file(24, &[[0, 0]]), 1).contains("deeper"));
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
