//! Keys as BIND's tools keep them: `K….private` and `K….key`.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use data_encoding::BASE64_NOPAD;

use super::{Algorithm, BadKey, Role};

/// The algorithm, role and PKCS#8 of a key, from its two files.
///
/// # Errors
/// [`BadKey`]: not of this form, of another algorithm, or halves that do not belong together.
pub fn read_bind(private: &str, public: &str) -> Result<(Algorithm, Role, Vec<u8>), BadKey> {
    let field = |name: &str| {
        let lines = private.lines().filter_map(|line| line.split_once(':'));
        let mut lines = lines.filter(|(key, _)| key.trim() == name);
        lines.next().map(|(_, value)| value.trim())
    };
    let number = field("Algorithm").and_then(|value| value.split(' ').next());
    let algorithm = number.and_then(Algorithm::named);
    let algorithm =
        algorithm.ok_or_else(|| BadKey::new("its algorithm is none that is known here"))?;
    let secret = field("PrivateKey").and_then(base64);
    let secret = secret.ok_or_else(|| BadKey::new("it has no PrivateKey in Base64"))?;
    let (flags, point) =
        dnskey(public).ok_or_else(|| BadKey::new("the .key file has no DNSKEY"))?;
    let role = if flags == 257 { Role::Ksk } else { Role::Zsk };
    let apart = |_| BadKey::new("the two files are not of one key");
    let pkcs8 = match algorithm {
        Algorithm::EcdsaP256 => {
            let point = [&[4], &point[..]].concat();
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(kind, &secret, &point);
            pair.map_err(apart)?
                .to_pkcs8v1()
                .map_err(|_| BadKey::new("it cannot be kept"))?
                .as_ref()
                .to_vec()
        }
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(&secret, &point).map_err(apart)?;
            let der: Pkcs8V1Der<'_> = pair
                .as_der()
                .map_err(|_| BadKey::new("it cannot be kept"))?;
            der.as_ref().to_vec()
        }
    };
    Ok((algorithm, role, pkcs8))
}

/// Flags and key of the first DNSKEY of a file.
fn dnskey(text: &str) -> Option<(u16, Vec<u8>)> {
    let line = text
        .lines()
        .find(|line| !line.trim_start().starts_with(';') && line.contains("DNSKEY"))?;
    let (_, rdata) = line.split_once("DNSKEY")?;
    let mut words = rdata.split_whitespace();
    let flags = words.next()?.parse().ok()?;
    let key: String = words.skip(2).collect();
    Some((flags, base64(&key)?))
}

/// Base64 (RFC 4648 4), padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD
        .decode(text.trim_end_matches('=').as_bytes())
        .ok()
}
