//! Keys as BIND's tools keep them: `K….private` and `K….key`, with `K….state` beside them where a policy has made them.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use data_encoding::BASE64_NOPAD;

use super::{Algorithm, BadKey, Role};
use crate::clock::from_utc;

/// A key of BIND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// The zone, as its `.key` file has it.
    pub zone: String,
    /// Those of its DNSKEY.
    pub flags: u16,
    /// PKCS#8.
    pub pkcs8: Vec<u8>,
    /// When it begins to sign, seconds of Unix time, as all times here; none: nothing is said of it.
    pub activate: Option<u64>,
    /// When it has ceased to sign.
    pub inactive: Option<u64>,
    /// When it was revoked (RFC 5011).
    pub revoke: Option<u64>,
    /// When it has left the zone.
    pub delete: Option<u64>,
}

impl BindKey {
    /// Of its two files.
    ///
    /// # Errors
    /// [`BadKey`]: not of this form, of another algorithm, or halves that do not belong together.
    pub fn read(private: &str, public: &str) -> Result<Self, BadKey> {
        let number = field(private, "Algorithm").and_then(|value| value.split(' ').next());
        let algorithm = number.and_then(Algorithm::named);
        let algorithm =
            algorithm.ok_or_else(|| BadKey::new("its algorithm is none that is known here"))?;
        let secret = field(private, "PrivateKey").and_then(base64);
        let secret = secret.ok_or_else(|| BadKey::new("it has no PrivateKey in Base64"))?;
        let (zone, flags, point) =
            dnskey(public).ok_or_else(|| BadKey::new("the .key file has no DNSKEY"))?;
        let time = |name: &str| field(private, name).and_then(seconds);
        Ok(Self {
            algorithm,
            zone,
            flags,
            pkcs8: pkcs8(algorithm, &secret, &point)?,
            activate: time("Activate"),
            inactive: time("Inactive"),
            revoke: time("Revoke"),
            delete: time("Delete"),
        })
    }
}

/// What a key signs by its `.state` file; none where that does not say it.
#[must_use]
pub fn bind_role(state: &str) -> Option<Role> {
    match (field(state, "KSK")?, field(state, "ZSK")?) {
        ("yes", "yes") => Some(Role::Csk),
        ("yes", _) => Some(Role::Ksk),
        (_, "yes") => Some(Role::Zsk),
        _ => None,
    }
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

fn pkcs8(algorithm: Algorithm, secret: &[u8], point: &[u8]) -> Result<Vec<u8>, BadKey> {
    let apart = |_| BadKey::new("the two files are not of one key");
    let kept = |_| BadKey::new("it cannot be kept");
    Ok(match algorithm {
        Algorithm::EcdsaP256 => {
            let point = [&[4], point].concat();
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(kind, secret, &point);
            let der = pair.map_err(apart)?.to_pkcs8v1().map_err(kept)?;
            der.as_ref().to_vec()
        }
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(secret, point).map_err(apart)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(kept)?;
            der.as_ref().to_vec()
        }
    })
}

/// Owner, flags and key of the first DNSKEY of a file.
fn dnskey(text: &str) -> Option<(String, u16, Vec<u8>)> {
    let line = text
        .lines()
        .find(|line| !line.trim_start().starts_with(';') && line.contains("DNSKEY"))?;
    let (head, rdata) = line.split_once("DNSKEY")?;
    let zone = head.split_whitespace().next()?;
    let mut words = rdata.split_whitespace();
    let flags = words.next()?.parse().ok()?;
    let key: String = words.skip(2).collect();
    Some((zone.into(), flags, base64(&key)?))
}

/// `20260131120000`, in UTC.
fn seconds(text: &str) -> Option<u64> {
    let part = |range| text.get(range);
    let (date, time) = (part(0..8)?, part(8..14)?);
    let date = format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let time = format!("{}:{}:{}", time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    from_utc(&format!("{date} {time}")).map(|time| time.as_secs())
}

/// Base64 (RFC 4648 4), padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD
        .decode(text.trim_end_matches('=').as_bytes())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_roles() {
        assert_eq!(seconds("20261123040506"), Some(1_795_406_706));
        for wrong in ["", "2026112304050", "2026113204050x", "é0261123040506"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        let role = |ksk: &str, zsk: &str| bind_role(&format!("; x\nKSK: {ksk}\nZSK: {zsk}\n"));
        assert_eq!(role("yes", "yes"), Some(Role::Csk));
        assert_eq!(role("yes", "no"), Some(Role::Ksk));
        assert_eq!(role("no", "yes"), Some(Role::Zsk));
        assert_eq!(bind_role("KSK: yes\n"), None);
    }
}
