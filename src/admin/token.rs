//! Tokens of those who ask over TCP: made at random, kept as a hash, compared in constant time.

use aws_lc_rs::{constant_time, digest, rand};

use crate::config::Token;

/// Octets of randomness: nobody finds a token by trying, and a plain hash of it tells nothing.
const RANDOM: usize = 32;
/// What all tokens begin with, so that they are known for what they are where they should not be.
const PREFIX: &str = "nearmost_";

/// A new token, and the hash of it for `nearmost.toml`.
#[derive(Debug)]
pub struct NewToken {
    /// What its owner shows. It is nowhere kept.
    pub token: String,
    /// SHA-256, in hexadecimal digits.
    pub hash: String,
}

/// Makes a token.
///
/// # Errors
/// If the system gives no randomness.
pub fn new_token() -> Result<NewToken, String> {
    let mut octets = [0; RANDOM];
    rand::fill(&mut octets).map_err(|_| "the system gives no randomness".to_owned())?;
    let token = format!("{PREFIX}{}", hex(&octets));
    let hash = hex(&hash(&token));
    Ok(NewToken { token, hash })
}

/// Whose token this is. All are compared, and each to its end: how long it takes tells nothing of any.
pub(super) fn owner<'a>(tokens: &'a [Token], shown: &str) -> Option<&'a Token> {
    let shown = hash(shown);
    let mut owner = None;
    for token in tokens {
        if constant_time::verify_slices_are_equal(&token.hash, &shown).is_ok() {
            owner = Some(token);
        }
    }
    owner
}

fn hash(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[test]
    fn a_token_is_known_by_its_hash() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            hex(&hash("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let token = |name: &str, token: &str| Token {
            name: name.into(),
            role: Role::Reader,
            hash: hash(token),
        };
        let tokens = [token("ola", "one"), token("mira", "two")];
        let name = |shown| owner(&tokens, shown).map(|t| t.name.as_str());
        assert_eq!(name("one"), Some("ola"));
        assert_eq!(name("two"), Some("mira"));
        assert_eq!((name(""), name("One"), name("onetwo")), (None, None, None));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one.token, two.token);
        assert_eq!(one.token.len(), PREFIX.len() + 2 * RANDOM);
        assert_eq!(one.hash, hex(&hash(&one.token)));
    }
}
