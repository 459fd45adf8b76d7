//! Certificates, of the admin API and of encrypted questions: read with the other files, and told of with their places where they are wrong.

use crate::clock::{Clock, utc};
use crate::config::TlsFiles;
use crate::diagnostic::Diagnostics;
use crate::server::tls::{Files, Identity, TlsError};

/// Reads what the configuration names; none: it names nothing, or it is wrong.
pub(super) fn read(tls: Option<&TlsFiles>, found: &mut Diagnostics) -> Option<Identity> {
    let tls = tls?;
    let files = Files {
        cert: tls.cert.0.clone(),
        key: tls.key.0.clone(),
        client_ca: tls.client_ca.as_ref().map(|(path, _)| path.clone()),
    };
    let (span, why) = match Identity::read(&files) {
        Ok(identity) => {
            // Clients then refuse us, and a restart that is refused as well would not help.
            let expired = identity.end().filter(|end| *end <= Clock::start().now());
            if let Some(end) = expired {
                let message = format!("the certificate has expired at {} UTC", utc(end));
                found.warning(Some(tls.cert.1), message);
            }
            return Some(identity);
        }
        Err(TlsError::Cert(why)) => (Some(tls.cert.1), why),
        Err(TlsError::Key(why)) => (Some(tls.key.1), why),
        Err(TlsError::ClientCa(why)) => (tls.client_ca.as_ref().map(|ca| ca.1), why),
    };
    found.error(span, why);
    None
}
