//! What all replies of a generation share, from the configuration.

use std::sync::Arc;

use super::sign::seconds;
use crate::config::Config;
use crate::dnssec::random;
use crate::health::Time;
use crate::snapshot::{Settings, Snapshot};
use crate::wire::Cookies;

/// The settings of a generation; `last` is that before.
pub(super) fn settings(config: &Config, last: Option<&Snapshot>, now: Time) -> Settings {
    let idle = config.limits.tcp_idle.as_millis() / 100;
    let idle = u16::try_from(idle).unwrap_or(u16::MAX);
    Settings {
        udp_size: config.limits.udp_size,
        nsid: config.server.nsid.clone(),
        keepalive: config.limits.tcp_keepalive.then_some(idle),
        padding: config.tls.padding,
        rrl: config.rrl.clone(),
        cookies: cookies(config, last, now),
    }
}

/// With the secrets that are configured, else with those of the generation before.
fn cookies(config: &Config, last: Option<&Snapshot>, now: Time) -> Option<Arc<Cookies>> {
    let secrets = &config.cookies.secrets;
    let before = last.and_then(|last| last.settings.cookies.as_ref());
    let made = |secrets: &[[u8; 16]]| Cookies::new(secrets.to_vec(), seconds(now));
    config.cookies.give.then(|| match (before, &secrets[..]) {
        (Some(before), []) => Arc::clone(before),
        (None, []) => Arc::new(made(&[random()])),
        (_, secrets) => Arc::new(made(secrets)),
    })
}
