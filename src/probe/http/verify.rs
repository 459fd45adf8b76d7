//! Verifies the certificates of nodes, and remembers those it has verified.
//!
//! Every handshake is a full one, in which the node shows its chain of certificates and signs with its key: this signature is
//! checked each time. That the chain leads from a root to the host is the same for the same octets, so it is found out once
//! an hour. Nothing goes unseen: other octets are another chain, and a chain is remembered only if it is good at both
//! ends of that hour.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme, SupportedCipherSuite,
};

use crate::health::Time;

/// The verifier of rustls, which also notes when the node's certificate ends, and remembers.
#[derive(Debug)]
pub(super) struct Verifier {
    rustls: Arc<WebPkiServerVerifier>,
    good: Mutex<HashMap<Digest, Good>>,
}

/// Of a name and a chain.
type Digest = [u8; 32];

/// A chain that is good.
#[derive(Debug)]
struct Good {
    /// From when to when, in seconds since 1970.
    during: Range<u64>,
    /// When the node's own certificate ends.
    end: Option<Time>,
}

/// For so many seconds a chain is remembered.
const REMEMBERED: u64 = 3600;
/// So many chains are remembered; then all are forgotten.
const MOST: usize = 4096;
/// The last second of the year 9999, which certificates that never end give (RFC 5280 4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

impl Verifier {
    pub(super) fn new(rustls: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            rustls,
            good: Mutex::default(),
        }
    }

    /// When a certificate ends. Validity is what is looked at first: at the end of time every certificate that ends has
    /// expired, and the error says when it did.
    fn end(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Option<Time> {
        let then = UnixTime::since_unix_epoch(END_OF_TIME);
        match self
            .rustls
            .verify_server_cert(certificate, chain, name, &[], then)
        {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Some(Duration::from_secs(not_after.as_secs())),
            _ => None,
        }
    }

    /// When a chain that was found to be good lately ends.
    fn remembered(&self, digest: &Digest, now: UnixTime) -> Option<Option<Time>> {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        let good = good.get(digest)?;
        good.during.contains(&now.as_secs()).then_some(good.end)
    }

    fn remember(&self, digest: Digest, good: Good) {
        let mut all = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(digest, good);
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = digest(certificate, chain, name);
        if let Some(end) = self.remembered(&digest, now) {
            super::run::certificate_ends(end);
            return Ok(ServerCertVerified::assertion());
        }
        let end = self.end(certificate, chain, name);
        super::run::certificate_ends(end);
        let verify = |at| {
            self.rustls
                .verify_server_cert(certificate, chain, name, ocsp, at)
        };
        let verified = verify(now)?;
        let until = now.as_secs() + REMEMBERED;
        if verify(UnixTime::since_unix_epoch(Duration::from_secs(until))).is_ok() {
            let during = now.as_secs()..until;
            self.remember(digest, Good { during, end });
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rustls
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rustls
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.rustls.supported_verify_schemes()
    }
}

/// Each part after its length, so that no two chains are one.
fn digest(
    certificate: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Digest {
    let name = name.to_str();
    let parts = [name.as_bytes(), certificate].into_iter();
    let mut hash = sha256().start();
    for part in parts.chain(chain.iter().map(AsRef::as_ref)) {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

fn sha256() -> &'static dyn rustls::crypto::hash::Hash {
    match TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::RootCertStore;

    use super::*;

    const HOST: &str = "get.example.org";

    /// A verifier, and a certificate for the host that it trusts until 2030 begins.
    fn known() -> (Verifier, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec![HOST.into()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        let own = params.signed_by(&KeyPair::generate().unwrap(), &issuer);
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let rustls = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = Verifier::new(rustls.build().unwrap());
        (verifier, own.unwrap().der().clone())
    }

    /// As 2030 begins.
    const END: u64 = 1_893_456_000;

    fn good_at(verifier: &Verifier, certificate: &CertificateDer<'_>, host: &str, at: u64) -> bool {
        let name = ServerName::try_from(host).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verified = verifier.verify_server_cert(certificate, &[], &name, &[], at);
        verified.is_ok()
    }

    fn remembers(
        verifier: &Verifier,
        certificate: &CertificateDer<'_>,
        at: u64,
    ) -> Option<Option<Time>> {
        let name = ServerName::try_from(HOST).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verifier.remembered(&digest(certificate, &[], &name), at)
    }

    #[test]
    fn a_chain_is_remembered_for_an_hour_with_its_end() {
        let (verifier, certificate) = known();
        let now = END - 86_400;
        assert_eq!(remembers(&verifier, &certificate, now), None);
        assert!(good_at(&verifier, &certificate, HOST, now));
        let end = Some(Some(Duration::from_secs(END)));
        assert_eq!(remembers(&verifier, &certificate, now), end);
        assert_eq!(remembers(&verifier, &certificate, now + 3599), end);
        assert_eq!(remembers(&verifier, &certificate, now + 3600), None);
        // Somebody has set the clock.
        assert_eq!(remembers(&verifier, &certificate, now - 1), None);
    }

    #[test]
    fn what_ends_within_the_hour_is_not_remembered() {
        let (verifier, certificate) = known();
        assert!(good_at(&verifier, &certificate, HOST, END - 3601));
        // Until the last second before that is known; after it, each is looked at.
        for before in [3600, 2, 1] {
            assert!(good_at(&verifier, &certificate, HOST, END - before));
        }
        assert!(!good_at(&verifier, &certificate, HOST, END + 1));
        let (verifier, certificate) = known();
        assert!(good_at(&verifier, &certificate, HOST, END - 1800));
        assert_eq!(remembers(&verifier, &certificate, END - 1800), None);
        assert!(!good_at(&verifier, &certificate, HOST, END + 1));
    }

    #[test]
    fn another_chain_or_name_is_another() {
        let (verifier, certificate) = known();
        let now = END - 86_400;
        assert!(good_at(&verifier, &certificate, HOST, now));
        assert!(!good_at(&verifier, &certificate, "elsewhere.example", now));
        let (_, strange) = known();
        assert!(!good_at(&verifier, &strange, HOST, now));
        assert_eq!(remembers(&verifier, &strange, now), None);
        let mut changed = certificate.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert!(!good_at(&verifier, &changed.into(), HOST, now));
    }
}
