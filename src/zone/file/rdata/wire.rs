//! RDATA given as octets: whether they are what the type's fields allow.

use super::{Field, Slot, apl, bitmap, hip, ipseckey, svcb, wks};

/// Takes fields from the front of octets.
pub(super) struct Cursor<'w> {
    rest: &'w [u8],
}

/// Checks that `rdata` consists of exactly the fields `slots`; says why not.
pub(super) fn check(slots: &[Slot], rdata: &[u8]) -> Result<(), String> {
    let mut cursor = Cursor { rest: rdata };
    for slot in slots {
        let before = &rdata[..rdata.len() - cursor.rest.len()];
        field(slot.field, before, &mut cursor).map_err(|why| format!("{}: {why}", slot.what))?;
    }
    if cursor.rest.is_empty() {
        Ok(())
    } else {
        Err(format!("{} octets too many", cursor.rest.len()))
    }
}

fn field(field: Field, before: &[u8], cursor: &mut Cursor<'_>) -> Result<(), String> {
    match field {
        Field::Name => cursor.name()?,
        Field::U8 | Field::Algorithm => drop(cursor.take(1)?),
        Field::U16 | Field::Type | Field::CertType => drop(cursor.take(2)?),
        Field::U32 | Field::Time | Field::Timestamp | Field::Ipv4 => drop(cursor.take(4)?),
        Field::Ipv6 => drop(cursor.take(16)?),
        Field::Ilnp64 => drop(cursor.take(8)?),
        Field::Eui(octets) => drop(cursor.take(octets)?),
        Field::String | Field::Salt => drop(cursor.string()?),
        Field::OwnerHash => drop(
            Some(cursor.string()?)
                .filter(|s| !s.is_empty())
                .ok_or("it is empty")?,
        ),
        Field::OptionalString if cursor.rest.is_empty() => {}
        Field::OptionalString => drop(cursor.string()?),
        Field::Strings => cursor.strings()?,
        Field::Text => drop(cursor.rest()),
        Field::CaaTag => drop(
            Some(cursor.string()?)
                .filter(|tag| is_caa_tag(tag))
                .ok_or("letters and digits only")?,
        ),
        Field::Hex | Field::Base64 | Field::Nsap => drop(cursor.some_rest()?),
        Field::Digest => digest_length(before, cursor.some_rest()?.len())?,
        Field::Bitmap => bitmap::check(cursor)?,
        Field::OldBitmap => bitmap::check_old(cursor.rest())?,
        Field::Loc => drop(cursor.take(16)?),
        Field::Apl => apl::check(cursor)?,
        Field::SvcParams => svcb::check(cursor)?,
        Field::IpsecKey => ipseckey::check(cursor)?,
        Field::Hip => hip::check(cursor)?,
        Field::Wks => wks::check(cursor)?,
    }
    Ok(())
}

impl<'w> Cursor<'w> {
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, octets: usize) -> Result<&'w [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(octets)
            .ok_or("the data end early")?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?.iter().fold(0, |_, &b| b))
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        Ok(self
            .take(2)?
            .iter()
            .fold(0, |sum, &b| sum << 8 | u16::from(b)))
    }

    pub(super) fn rest(&mut self) -> &'w [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn some_rest(&mut self) -> Result<&'w [u8], String> {
        if self.rest.is_empty() {
            Err("the data end early".into())
        } else {
            Ok(self.rest())
        }
    }

    pub(super) fn name(&mut self) -> Result<(), String> {
        let name = crate::zone::Name::from_wire(self.rest).map_err(|e| e.to_string())?;
        self.take(name.wire().len()).map(drop)
    }

    fn string(&mut self) -> Result<&'w [u8], String> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn strings(&mut self) -> Result<(), String> {
        self.string()?;
        while !self.rest.is_empty() {
            self.string()?;
        }
        Ok(())
    }
}

/// RFC 8659 4.1: a tag is letters and digits, at least one.
pub(super) fn is_caa_tag(tag: &[u8]) -> bool {
    !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// The length a digest must have; its type is the last octet before it. IANA's registry "Digest Algorithms".
pub(super) fn digest_length(before: &[u8], length: usize) -> Result<(), String> {
    let expected = match before.last() {
        Some(1) => 20,
        Some(2 | 3) => 32,
        Some(4) => 48,
        _ => return Ok(()),
    };
    if length == expected {
        return Ok(());
    }
    Err(format!(
        "a digest of this type has {expected} octets, not {length}"
    ))
}
