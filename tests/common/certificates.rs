//! Certificates that are made while a test runs.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority that nobody knows unless told.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for a probe's `ca`.
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for `names` and its key, PEM.
    pub fn pair(&self, names: &[&str]) -> (String, String) {
        self.pair_until(names, (2090, 12, 31))
    }

    /// The same, good until a day begins.
    pub fn pair_until(&self, names: &[&str], day: (i32, u8, u8)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = params(names, day);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// TLS of a server with a certificate for `names`, good until the end of `year`.
    pub fn server(&self, names: &[&str], year: i32) -> Arc<ServerConfig> {
        self.server_until(names, (year, 12, 31))
    }

    /// The same, good until a day begins.
    pub fn server_until(&self, names: &[&str], day: (i32, u8, u8)) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, day).signed_by(&key, &self.issuer).unwrap();
        server(certificate.der().clone(), &key)
    }
}

/// TLS of a server whose certificate is signed by itself.
pub fn self_signed(names: &[&str]) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = params(names, (2090, 12, 31)).self_signed(&key).unwrap();
    server(certificate.der().clone(), &key)
}

fn params(names: &[&str], (year, month, day): (i32, u8, u8)) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(year, month, day);
    params
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
