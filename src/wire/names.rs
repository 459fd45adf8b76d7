//! Names of messages that others have written, where they may be compressed (RFC 1035 4.1.4).

use crate::zone::{MAX_NAME, Name};

/// The name that begins at `at`, and where what follows it begins; none where the octets are no name. A pointer leads
/// to what stands before it, so none of them goes in a circle.
#[must_use]
pub fn name_at(packet: &[u8], at: usize) -> Option<(Name, usize)> {
    let (mut wire, mut len) = ([0; MAX_NAME], 0);
    let (mut at, mut before, mut after) = (at, at, None);
    loop {
        match *packet.get(at)? {
            0 => {
                let name = Name::from_wire(wire.get(..=len)?).ok()?;
                return Some((name, after.unwrap_or(at + 1)));
            }
            label @ 1..=63 => {
                let end = 1 + usize::from(label);
                let label = packet.get(at..at + end)?;
                wire.get_mut(len..len + end)?.copy_from_slice(label);
                len += end;
                at += end;
            }
            high @ 192.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*packet.get(at + 1)?);
                after = after.or(Some(at + 2));
                if to >= before {
                    return None;
                }
                (at, before) = (to, to);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packet: &[u8], at: usize) -> Option<(String, usize)> {
        name_at(packet, at).map(|(name, after)| (name.to_string(), after))
    }

    #[test]
    fn pointers_lead_back() {
        let packet = b"\x03org\0\x07example\xc0\0\x03www\xc0\x05!";
        assert_eq!(read(packet, 0), Some(("org.".into(), 5)));
        assert_eq!(read(packet, 5), Some(("example.org.".into(), 15)));
        assert_eq!(read(packet, 15), Some(("www.example.org.".into(), 21)));
        for bad in [
            &b"\xc0\0"[..],
            b"\x01a\xc0\0",
            b"\x01a\xc0\x01",
            b"\x40",
            b"\x02a",
            b"\xc0",
        ] {
            assert_eq!(read(bad, 0), None, "{bad:?}");
        }
        let long = [&b"\x3f"[..], &[b'x'; 63]].concat().repeat(4);
        assert_eq!(read(&[&long[..], &[0]].concat(), 0), None);
    }
}
