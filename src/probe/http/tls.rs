//! TLS of HTTPS probes: the roots, the one configuration per set of roots, and what is wrong with a certificate.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    WebPkiServerVerifier,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, NamedGroup, RootCertStore,
    SupportedCipherSuite,
};

use super::super::Problem;
use super::super::words::Phase;
use super::verify::Verifier;
use crate::clock::utc;

/// TLS that trusts `roots`, knows aws-lc-rs as its only provider of cryptography, and never resumes a session: a
/// resumed one shows no certificate, so that its expiry would go unseen. One version of HTTP is offered (RFC 7301).
pub(super) fn configuration(
    roots: RootCertStore,
    http2: bool,
) -> Result<ClientConfig, Box<dyn StdError>> {
    let provider = Arc::new(provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(verifier)))
        .with_no_client_auth();
    let version: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
    configuration.alpn_protocols = vec![version.to_vec()];
    configuration.resumption = Resumption::store(Arc::new(NoSessions));
    Ok(configuration)
}

/// All suites of aws-lc-rs, those that hash with SHA-256 first: processors have instructions for it, and a handshake of TLS 1.3 is a
/// hundred hashes.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider.output_len(),
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider.output_len(),
    });
    provider
}

/// For clients that use no TLS, but must be given one.
pub(super) fn unused() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// The roots in a file of PEM certificates; all must be good.
pub(super) fn roots_of_file(file: &Path) -> Result<RootCertStore, Problem> {
    let bad = |why: String| Problem::Ca(file.to_owned(), why);
    let text = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for (number, certificate) in CertificateDer::pem_slice_iter(&text).enumerate() {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| words(&error)))
            .map_err(|why| bad(format!("certificate {}: {why}", number + 1)))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no PEM certificate".into()));
    }
    Ok(roots)
}

/// The roots of this machine. Single ones that cannot be read are left out, as every TLS library does.
pub(super) fn roots_of_system() -> Result<RootCertStore, Problem> {
    let found = rustls_native_certs::load_native_certs();
    let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    usable(found.certs, &errors)
}

fn usable(
    certificates: Vec<CertificateDer<'static>>,
    errors: &[String],
) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        let why = errors
            .first()
            .map_or_else(String::new, |e| format!(" ({e})"));
        return Err(Problem::NoRoots(why));
    }
    Ok(roots)
}

/// What went wrong in TLS.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(_) => "no TLS on this port: the answer is something else".into(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "TLS handshake refused by the node: it does not speak the version of HTTP that is asked for"
                .into()
        }
        Error::AlertReceived(alert) => format!("TLS handshake refused by the node: {alert:?}"),
        Error::PeerIncompatible(why) => format!("no TLS version or cipher in common: {why:?}"),
        other => format!("TLS: {other}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired {}", day(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate is not valid before {}", day(*not_before))
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => other_names(&expected.to_str(), presented),
        CertificateError::UnknownIssuer => "certificate is not from a known authority".into(),
        CertificateError::Other(why) if why.to_string() == "CaUsedAsEndEntity" => {
            "certificate is that of an authority, not of a server".into()
        }
        CertificateError::BadEncoding => "certificate cannot be read".into(),
        CertificateError::BadSignature => {
            "certificate is not from a known authority: its signature is bad".into()
        }
        other => format!("certificate: {other}"),
    }
}

fn other_names(expected: &str, presented: &[String]) -> String {
    const SHOWN: usize = 3;
    if presented.is_empty() {
        return format!("certificate is for no name at all, not {expected}");
    }
    // They come as `DnsName("a.example")` and `IpAddress(192.0.2.1)`.
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().take(SHOWN).map(bare).collect();
    let more = match presented.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "certificate is for other names: {}{more}, not {expected}",
        names.join(", ")
    )
}

fn day(time: UnixTime) -> String {
    let mut text = utc(Duration::from_secs(time.as_secs()));
    text.truncate("2026-11-21".len());
    text
}

/// Keeps no session. It is asked for one when a handshake begins, and so learns that the connection stands.
#[derive(Debug)]
struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        super::run::entered(Phase::Handshake);
        None
    }

    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_roots_is_told_so() {
        let error = usable(Vec::new(), &["/etc/ssl: gone".into()]).unwrap_err();
        assert_eq!(error, Problem::NoRoots(" (/etc/ssl: gone)".into()));
    }

    #[test]
    fn names_of_a_certificate_are_few() {
        let presented: Vec<_> = (0..5)
            .map(|n| format!("DnsName(\"{n}.example\")"))
            .collect();
        assert_eq!(
            other_names("get.example.org", &presented),
            "certificate is for other names: 0.example, 1.example, 2.example and 2 more, not get.example.org"
        );
    }
}
