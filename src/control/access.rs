//! Who may ask over TCP, and who we are there and where questions come encrypted. All change with a reload, so who needs them asks for them anew:
//! for each connection and for each request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::handle::Handle;
use super::load::Parts;
use crate::config::Token;
use crate::health::{Time, certificate_ends};
use crate::server::tls::Identity;

/// Our own certificate is told of so long before it ends.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Who may ask over TCP, and who we are there.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who may ask.
    pub tokens: Arc<[Token]>,
    /// Whom TLS shows; none: no TLS.
    pub identity: Option<Identity>,
}

impl Access {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            tokens: parts.config.admin.tokens.clone().into(),
            identity: parts.identity.clone(),
        }
    }

    /// Whether the same may ask.
    fn admits_as(&self, other: &Self) -> bool {
        let same = match (&self.identity, &other.identity) {
            (Some(own), Some(theirs)) => own.admits_as(theirs),
            (own, theirs) => own.is_none() && theirs.is_none(),
        };
        same && self.tokens == other.tokens
    }
}

impl Handle {
    /// As it is now.
    #[must_use]
    pub fn access(&self) -> Access {
        self.0.access.borrow().clone()
    }

    /// When the certificates end that we show ourselves, by the tables that name them.
    pub fn own_certificates(&self) -> impl Iterator<Item = (&'static str, Time)> + use<> {
        let encrypted = self.0.shown.as_ref().and_then(|shown| shown.end());
        let admin = self.access().identity.and_then(|own| own.end());
        let ends = [("tls", encrypted), ("admin", admin)].into_iter();
        ends.filter_map(|(table, end)| Some((table, end?)))
    }

    /// Those of them that end soon, in words.
    pub fn own_certificates_that_end(&self) -> impl Iterator<Item = String> + use<> {
        let now = self.now();
        let soon = self
            .own_certificates()
            .filter(move |(_, ends)| *ends < now + SOON);
        soon.map(move |(table, ends)| format!("[{table}]: {}", certificate_ends(ends, now)))
    }

    /// Tells when others may ask from now on: what was granted before may not be granted any more.
    #[must_use]
    pub fn access_changes(&self) -> watch::Receiver<Access> {
        self.0.access.subscribe()
    }

    /// From now on as these parts say.
    pub(super) fn set_access(&self, parts: &Parts) {
        let access = Access::of(parts);
        self.0.access.send_if_modified(|before| {
            let differs = !before.admits_as(&access);
            *before = access;
            differs
        });
        if let (Some(shown), Some(identity)) = (&self.0.shown, &parts.shown) {
            shown.show(identity);
        }
    }
}
