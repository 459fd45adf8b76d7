//! Keys: read, made, and as the records that publish them.

use std::fmt;

use aws_lc_rs::digest;
use data_encoding::BASE64;
use hickory_proto::dnssec::crypto::{EcdsaSigningKey, Ed25519SigningKey};
use hickory_proto::dnssec::{self, PublicKey, SigningKey, TBS};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::signature::SIGNATURE;

/// How signatures are made. Both have signatures of 64 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA P-256 with SHA-256 (RFC 6605).
    EcdsaP256,
    /// Ed25519 (RFC 8080).
    Ed25519,
}

impl Algorithm {
    /// Its number in records.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::EcdsaP256 => 13,
            Self::Ed25519 => 15,
        }
    }

    /// Of this number, or of this mnemonic in any letter case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let named =
            |a: &Self| a.word().eq_ignore_ascii_case(word) || a.number().to_string() == word;
        [Self::EcdsaP256, Self::Ed25519].into_iter().find(named)
    }

    /// Its mnemonic, in lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsap256sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, and the parent's DS points at it.
    Csk,
    /// The keys, and the parent's DS points at it.
    Ksk,
    /// Everything but the keys.
    Zsk,
}

impl Role {
    /// As people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Csk => "csk",
            Self::Ksk => "ksk",
            Self::Zsk => "zsk",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::Csk, Self::Ksk, Self::Zsk];
        all.into_iter().find(|role| role.word() == word)
    }

    /// Whether it signs the keys.
    #[must_use]
    pub fn signs_keys(self) -> bool {
        self != Self::Zsk
    }

    /// Whether it signs what is no key.
    #[must_use]
    pub fn signs_data(self) -> bool {
        self != Self::Ksk
    }

    /// The flags of its DNSKEY (RFC 4034 2.1.1): a zone's key, and a secure entry point where a DS points at it.
    #[must_use]
    pub fn flags(self) -> u16 {
        if self.signs_keys() { 257 } else { 256 }
    }
}

/// How a DS hashes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// As all parents take it (RFC 4509).
    Sha256,
    /// RFC 6605 2.
    Sha384,
}

/// The public half, as a DNSKEY record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsKey {
    /// RDATA.
    pub rdata: Vec<u8>,
    /// The number that signatures and DS records call it by (RFC 4034 B).
    pub tag: u16,
}

impl DnsKey {
    fn new(role: Role, algorithm: Algorithm, public: &[u8]) -> Self {
        // 3 is the only protocol (RFC 4034 2.1.2).
        let head = [3, algorithm.number()];
        let rdata = [&role.flags().to_be_bytes()[..], &head, public].concat();
        let words = rdata
            .chunks(2)
            .map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |low| u32::from(*low)));
        let sum: u32 = words.sum();
        let [_, _, high, low] = (sum + (sum >> 16)).to_be_bytes();
        let tag = u16::from_be_bytes([high, low]);
        Self { rdata, tag }
    }

    /// RDATA of the DS that points at it from the parent. `apex` is the zone's name in wire form and lower case.
    #[must_use]
    pub fn ds(&self, apex: &[u8], digest: Digest) -> Vec<u8> {
        let (number, how) = match digest {
            Digest::Sha256 => (2, &digest::SHA256),
            Digest::Sha384 => (4, &digest::SHA384),
        };
        let hashed = digest::digest(how, &[apex, &self.rdata].concat());
        let [t0, t1] = self.tag.to_be_bytes();
        [&[t0, t1, self.rdata[3], number], hashed.as_ref()].concat()
    }

    /// As [`Self::ds`], as people and registrars write it.
    #[must_use]
    pub fn ds_text(&self, apex: &[u8], digest: Digest) -> String {
        let ds = self.ds(apex, digest);
        let digest: String = ds[4..].iter().map(|o| format!("{o:02X}")).collect();
        format!("{} {} {} {digest}", self.tag, ds[2], ds[3])
    }

    /// The record itself, as people and registrars write it.
    #[must_use]
    pub fn text(&self) -> String {
        let [f0, f1, protocol, algorithm] = [0, 1, 2, 3].map(|at| self.rdata[at]);
        let flags = u16::from_be_bytes([f0, f1]);
        let key = BASE64.encode(&self.rdata[4..]);
        format!("{flags} {protocol} {algorithm} {key}")
    }
}

/// A key that can sign.
pub struct Key {
    /// How.
    pub algorithm: Algorithm,
    /// What.
    pub role: Role,
    /// Its public half.
    pub public: DnsKey,
    secret: Box<dyn SigningKey>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, role, tag) = (self.algorithm.word(), self.role.word(), self.public.tag);
        write!(f, "Key({algorithm} {role} {tag})")
    }
}

/// Octets that are no key, or none of the algorithm that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(String);

impl BadKey {
    pub(super) fn new(why: &str) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadKey {}

impl Key {
    /// Makes a key: its PKCS#8, to be kept.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn make(algorithm: Algorithm) -> Result<Vec<u8>, BadKey> {
        let made = match algorithm {
            Algorithm::EcdsaP256 => {
                EcdsaSigningKey::generate_pkcs8(dnssec::Algorithm::ECDSAP256SHA256)
            }
            Algorithm::Ed25519 => Ed25519SigningKey::generate_pkcs8(),
        };
        let made = made.map_err(|e| BadKey(e.to_string()))?;
        Ok(made.secret_pkcs8_der().to_vec())
    }

    /// A key from its PKCS#8.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn read(algorithm: Algorithm, role: Role, pkcs8: &[u8]) -> Result<Self, BadKey> {
        let der = PrivatePkcs8KeyDer::from(pkcs8);
        let bad = |_| BadKey(format!("this is no {} key", algorithm.word()));
        let secret: Box<dyn SigningKey> = match algorithm {
            Algorithm::EcdsaP256 => {
                let algorithm = dnssec::Algorithm::ECDSAP256SHA256;
                Box::new(EcdsaSigningKey::from_pkcs8(&der, algorithm).map_err(bad)?)
            }
            Algorithm::Ed25519 => Box::new(Ed25519SigningKey::from_pkcs8(&der).map_err(bad)?),
        };
        let public = secret.to_public_key().map_err(bad)?;
        Ok(Self {
            algorithm,
            role,
            public: DnsKey::new(role, algorithm, public.public_bytes()),
            secret,
        })
    }

    /// Signs octets.
    ///
    /// # Panics
    /// Never: the library fails only without randomness, which the system had when the key was read.
    pub(super) fn sign(&self, octets: &[u8]) -> [u8; SIGNATURE] {
        let signed = self.secret.sign(&TBS::from(octets)).ok();
        let signed = signed.and_then(|s| s.try_into().ok());
        signed.expect("both algorithms give 64 octets")
    }
}
