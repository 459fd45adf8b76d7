//! What a configuration means, wherever and however it is written.

use nearmost::config::{Config, ZoneSource};
use nearmost::diagnostic::Span;

/// A configuration as text without the places in files, which differ between spellings of one meaning.
pub(crate) fn meaning(mut config: Config) -> String {
    let nowhere = Span::new(0, 0, 0);
    config.geo.databases.iter_mut().for_each(|d| d.1 = nowhere);
    config.geo.latency.iter_mut().for_each(|d| d.1 = nowhere);
    for tls in [&mut config.admin.tls, &mut config.tls.files]
        .into_iter()
        .flatten()
    {
        let files = [
            Some(&mut tls.cert),
            Some(&mut tls.key),
            tls.client_ca.as_mut(),
        ];
        files.into_iter().flatten().for_each(|f| f.1 = nowhere);
    }
    for zone in &mut config.zones {
        zone.span = None;
        zone.signed = zone.signed.map(|_| nowhere);
        if let ZoneSource::Made { pools, .. } = &mut zone.source {
            pools.iter_mut().for_each(|p| p.2 = nowhere);
        }
    }
    format!("{config:#?}")
}
