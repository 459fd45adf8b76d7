//! TLS of our own sockets: who we are, whom we let in, and what is spoken inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{CertificateError, RootCertStore, ServerConfig};

use crate::answer::Transport;

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
    /// When that ends.
    end: Option<Duration>,
    /// Who vouches for clients; none: they show nothing.
    client_ca: Vec<CertificateDer<'static>>,
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
                .map_err(|e| format!("{}: {}", files.key.display(), words(&e, "private key")))
        });
        let key = key.map_err(TlsError::Key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| TlsError::Cert(e.to_string()))?;
        let mut client_ca = Vec::new();
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let bad = |e: String| TlsError::ClientCa(format!("{}: {e}", path.display()));
                let mut roots = RootCertStore::empty();
                client_ca = certificates(path).map_err(TlsError::ClientCa)?;
                for root in &client_ca {
                    roots.add(root.clone()).map_err(|e| bad(e.to_string()))?;
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
        // Who comes again brings along what was agreed on; nothing is kept for it here. A client's certificate is asked for each time: in a
        // ticket it would outlive its end.
        if client_ca.is_empty() {
            config.ticketer =
                aws_lc_rs::Ticketer::new().map_err(|e| TlsError::Key(e.to_string()))?;
        }
        let config = Arc::new(config);
        Ok(Self {
            config,
            end: end(&shown),
            shown,
            client_ca,
        })
    }

    /// Whether it lets in the same clients as another.
    #[must_use]
    pub fn admits_as(&self, other: &Self) -> bool {
        self.client_ca == other.client_ca
    }

    /// For whoever accepts connections of the admin API.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The same where something else is spoken inside.
    fn speaking(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Arc::new(config)
    }

    /// When the certificate ends, since 1970; none: it cannot be told.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        self.end
    }
}

/// When a certificate ends.
fn end(certificate: &CertificateDer<'static>) -> Option<Duration> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let name = ServerName::try_from("name.invalid").ok()?;
    // Validity is what is looked at first: at the end of time all have expired, and the error says when.
    let then = UnixTime::since_unix_epoch(END_OF_TIME);
    let verifier = verifier.build().ok()?;
    match verifier.verify_server_cert(certificate, &[], &name, &[], then) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => Some(Duration::from_secs(not_after.as_secs())),
        _ => None,
    }
}

/// The last second of the year 9999, which certificates that never end give (RFC 5280 4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// What those show who accept questions: of a new connection what is the newest, those that are open go on.
#[derive(Debug)]
pub struct Shown(ArcSwap<Spoken>);

#[derive(Debug)]
struct Spoken {
    dot: Arc<ServerConfig>,
    doh: Arc<ServerConfig>,
    doq: Arc<ServerConfig>,
    end: Option<Duration>,
}

impl Spoken {
    fn by(identity: &Identity) -> Self {
        Self {
            // RFC 7858 has no need of the name, but who gives one means this one (RFC 7301 6).
            dot: identity.speaking(&[b"dot"]),
            doh: identity.speaking(&[b"h2", b"http/1.1"]),
            doq: identity.speaking(&[b"doq"]),
            end: identity.end,
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().doq.cert_resolver.resolve(hello)
    }
}

impl Shown {
    /// This one until there is another.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self(ArcSwap::from_pointee(Spoken::by(identity)))
    }

    /// From now on this one.
    pub fn show(&self, identity: &Identity) {
        self.0.store(Arc::new(Spoken::by(identity)));
    }

    /// When its certificate ends; none: it cannot be told.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        self.0.load().end
    }

    /// For HTTP/3, whose listener has one for all its life: it asks for the certificate anew each time. None: the provider lacks TLS 1.3.
    pub(super) fn resolving(self: &Arc<Self>) -> Option<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&TLS13]).ok()?;
        let builder = builder.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"h3".to_vec()];
        Some(Arc::new(config))
    }

    /// For a connection that begins; none: it is not encrypted, or [`Self::resolving`] has it.
    pub(super) fn config(&self, transport: Transport) -> Option<Arc<ServerConfig>> {
        let spoken = self.0.load();
        match transport {
            Transport::Udp | Transport::Tcp | Transport::Doh3 => None,
            Transport::Dot => Some(Arc::clone(&spoken.dot)),
            Transport::Doh => Some(Arc::clone(&spoken.doh)),
            Transport::Doq => Some(Arc::clone(&spoken.doq)),
        }
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
        Err(e) => Err(format!("{}: {}", path.display(), words(&e, "certificate"))),
    }
}

/// What is wrong with a PEM file that should hold a `thing`.
fn words(error: &pem::Error, thing: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is no {thing} in it"),
        pem::Error::MissingSectionEnd { .. } => format!("its {thing} is cut short"),
        pem::Error::Base64Decode(_) => {
            format!("its {thing} cannot be read: it is damaged, or a passphrase guards it")
        }
        other => format!("its {thing} cannot be read: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_for_people() {
        let key = |text: &str| {
            let error = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap_err();
            words(&error, "private key")
        };
        assert_eq!(key(""), "there is no private key in it");
        let begun = "-----BEGIN PRIVATE KEY-----\n";
        assert_eq!(
            key(&format!("{begun}MC4C\n")),
            "its private key is cut short"
        );
        let guarded = format!("{begun}Proc-Type: 4,ENCRYPTED\n-----END PRIVATE KEY-----\n");
        assert!(key(&guarded).contains("passphrase"), "{}", key(&guarded));
    }
}
