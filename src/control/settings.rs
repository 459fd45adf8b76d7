//! What all replies of a generation share, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Handle;
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

/// A secret of cookies that is made here is used for so long, and known for as long again (RFC 7873 7.1: 36 days at most).
const RENEWED: Duration = Duration::from_secs(86_400);

/// Renews the secrets of cookies that nobody has configured, for ever.
pub(super) async fn keep_cookies_fresh(handle: Handle) {
    loop {
        tokio::time::sleep(RENEWED).await;
        if let Some(cookies) = &handle.current().get().settings.cookies {
            cookies.renew(random());
        }
    }
}

/// With the secrets that are configured, else with those that were made for the generation before.
fn cookies(config: &Config, last: Option<&Snapshot>, now: Time) -> Option<Arc<Cookies>> {
    let secrets = &config.cookies.secrets;
    let before = last.and_then(|last| last.settings.cookies.as_ref());
    let before = before.filter(|before| before.are_made());
    let now = seconds(now);
    config.cookies.give.then(|| match (before, &secrets[..]) {
        (Some(before), []) => Arc::clone(before),
        (None, []) => Arc::new(Cookies::made([random(), random()], now)),
        (_, secrets) => Arc::new(Cookies::new(secrets.to_vec(), now)),
    })
}
