//! The canonical order of names (RFC 4034 6.1).

use std::cmp::Ordering;

/// Compares names in wire form by their labels from the right, without letters' case.
#[must_use]
pub fn canonical(a: &[u8], b: &[u8]) -> Ordering {
    if a.eq_ignore_ascii_case(b) {
        return Ordering::Equal;
    }
    let ((of_a, in_a), (of_b, in_b)) = (starts(a), starts(b));
    let pairs = of_a[..in_a].iter().rev().zip(of_b[..in_b].iter().rev());
    let mut orders = pairs.map(|(x, y)| label(a, *x).cmp(label(b, *y)));
    let differ = orders.find(|order| order.is_ne());
    differ.unwrap_or_else(|| in_a.cmp(&in_b))
}

/// Where the octets of each label begin, and how many labels there are.
fn starts(name: &[u8]) -> ([u8; 128], usize) {
    let (mut starts, mut count) = ([0u8; 128], 0);
    for label in super::labels(name) {
        let at = label.as_ptr() as usize - name.as_ptr() as usize;
        starts[count] = u8::try_from(at).unwrap_or(u8::MAX);
        count += 1;
    }
    (starts, count)
}

/// The octets of a label in lower case.
fn label(name: &[u8], at: u8) -> impl Iterator<Item = u8> {
    let at = usize::from(at);
    let octets = &name[at..at + usize::from(name[at - 1])];
    octets.iter().map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_example_of_rfc_4034() {
        let names: [&[u8]; 9] = [
            b"\x07example\0",
            b"\x01a\x07example\0",
            b"\x08yljkjljk\x01a\x07example\0",
            b"\x01Z\x01a\x07example\0",
            b"\x04zABC\x01a\x07EXAMPLE\0",
            b"\x01z\x07example\0",
            b"\x01\x01\x01z\x07example\0",
            b"\x01*\x01z\x07example\0",
            b"\x01\xc8\x01z\x07example\0",
        ];
        for (x, a) in names.iter().enumerate() {
            for (y, b) in names.iter().enumerate() {
                assert_eq!(canonical(a, b), x.cmp(&y), "{a:?} {b:?}");
            }
        }
    }
}
