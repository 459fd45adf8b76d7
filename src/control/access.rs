//! Who may ask over TCP, and who we are there and where questions come encrypted. All change with a reload, so who needs them asks for them anew:
//! for each connection and for each request.

use std::sync::{Arc, PoisonError};

use super::handle::Handle;
use super::load::Parts;
use crate::config::Token;
use crate::server::tls::Identity;

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
}

impl Handle {
    /// As it is now.
    #[must_use]
    pub fn access(&self) -> Access {
        let access = self.0.access.lock();
        access.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on as these parts say.
    pub(super) fn set_access(&self, parts: &Parts) {
        let access = Access::of(parts);
        *self.0.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
        if let (Some(shown), Some(identity)) = (&self.0.shown, &parts.shown) {
            shown.show(identity);
        }
    }
}
