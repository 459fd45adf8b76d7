//! TLS of our own sockets: who we are, and whom we let in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// PEM files.
#[derive(Clone, Debug)]
pub struct Files {
    /// Our certificate first, then those that lead to its authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of clients' certificates; none: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// Which file is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// The certificate.
    Cert(String),
    /// The key, or it is not that of the certificate.
    Key(String),
    /// The authorities of clients.
    ClientCa(String),
}

/// A certificate and its key as they were read, ready to be shown.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// Its certificate.
    shown: CertificateDer<'static>,
}

/// By what is shown.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl Identity {
    /// Reads the files. HTTP/1.1 is what is spoken inside.
    ///
    /// # Errors
    /// [`TlsError`]: a file that is not there, or not what it should be.
    pub fn read(files: &Files) -> Result<Self, TlsError> {
        let chain = certificates(&files.cert).map_err(TlsError::Cert)?;
        let shown = chain[0].clone();
        let key = text(&files.key).and_then(|text| {
            PrivateKeyDer::from_pem_slice(&text)
                .map_err(|e| format!("{}: no private key: {e}", files.key.display()))
        });
        let key = key.map_err(TlsError::Key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| TlsError::Cert(e.to_string()))?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let bad = |e: String| TlsError::ClientCa(format!("{}: {e}", path.display()));
                let mut roots = RootCertStore::empty();
                for root in certificates(path).map_err(TlsError::ClientCa)? {
                    roots.add(root).map_err(|e| bad(e.to_string()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|e| bad(e.to_string()))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| match e {
            rustls::Error::InvalidCertificate(_) => {
                TlsError::Cert(format!("{}: {e}", files.cert.display()))
            }
            rustls::Error::InconsistentKeys(_) => TlsError::Key(format!(
                "{}: it is not the key of the certificate",
                files.key.display()
            )),
            e => TlsError::Key(format!("{}: {e}", files.key.display())),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        Ok(Self { config, shown })
    }

    /// For whoever accepts connections.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn text(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = text(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{}: there is no certificate in it", path.display())),
        Err(e) => Err(format!("{}: no certificate: {e}", path.display())),
    }
}
