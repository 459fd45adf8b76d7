//! The certificate of the admin API: read with the other files, and told of with its place where it is wrong.

use crate::config::Admin;
use crate::diagnostic::Diagnostics;
use crate::server::tls::{Files, Identity, TlsError};

/// Reads what the configuration names; none: it names nothing, or it is wrong.
pub(super) fn read(admin: &Admin, found: &mut Diagnostics) -> Option<Identity> {
    let tls = admin.tls.as_ref()?;
    let files = Files {
        cert: tls.cert.0.clone(),
        key: tls.key.0.clone(),
        client_ca: tls.client_ca.as_ref().map(|(path, _)| path.clone()),
    };
    let (span, why) = match Identity::read(&files) {
        Ok(identity) => return Some(identity),
        Err(TlsError::Cert(why)) => (Some(tls.cert.1), why),
        Err(TlsError::Key(why)) => (Some(tls.key.1), why),
        Err(TlsError::ClientCa(why)) => (tls.client_ca.as_ref().map(|ca| ca.1), why),
    };
    found.error(span, why);
    None
}
