//! Files that change are read again by themselves.
//!
//! They are looked at from time to time, all of them, and not by the system's notices: these tell of folders and inodes, and a checkout, an
//! editor, a mount over another and a symbolic link that is turned each make others. What a look costs is a stat(2) for each file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::atlas::Stamp;
use super::handle::Handle;
use super::keyring::Keyring;
use crate::config::{Config, FOLDERS};
use crate::diagnostic::Sources;
use crate::health::Kind;

/// Time between looks.
const EVERY: Duration = Duration::from_secs(1);

/// Files and folders, and what each was when it was read; none: not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<Stamp>>);

impl Files {
    /// Those that a configuration names and that are no text.
    pub(super) fn named_in(config: &Config) -> Self {
        let mut files = Self::default();
        let databases = config.geo.databases.iter().map(|(path, _)| path);
        let roots = config.probes.iter().filter_map(|probe| match &probe.kind {
            Kind::Http(http) => http.ca.as_ref(),
            _ => None,
        });
        let secrets = config.keys.iter().filter_map(|key| key.file.as_ref());
        let keyring = Keyring::at(&config.dnssec.keys);
        let signed = config.zones.iter().filter(|zone| zone.signed.is_some());
        let keys: Vec<PathBuf> = signed.flat_map(|zone| keyring.files(&zone.name)).collect();
        let named = databases.chain(roots).chain(secrets).chain(&keys);
        named
            .map(PathBuf::as_path)
            .chain(config.certificates())
            .for_each(|path| files.look_at(path));
        files
    }

    /// The texts that were read, and the folders beside the first.
    pub(super) fn add(&mut self, path: &Path, sources: &Sources) {
        self.look_at(path);
        let beside = path.parent().unwrap_or(Path::new(""));
        FOLDERS
            .iter()
            .for_each(|folder| self.look_at(&beside.join(folder)));
        let texts = (0..).take(sources.len()).map(|n| sources.path(n));
        texts.for_each(|path| self.look_at(Path::new(path)));
    }

    /// Each of them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    fn look_at(&mut self, path: &Path) {
        self.0.entry(path.into()).or_insert_with(|| Stamp::of(path));
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self(
            self.0
                .keys()
                .map(|path| (path.clone(), Stamp::of(path)))
                .collect(),
        )
    }
}

/// Reads all files again whenever some have changed and then stayed as they are for a while, for ever.
pub(super) async fn keep_watching(handle: Handle) {
    let mut last: Option<Files> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let (looking, before) = (handle.clone(), last.take());
        let look = move || {
            let (known, watch) = looking.known_files()?;
            let now = known.again();
            if now == known || !watch {
                return None;
            }
            // A checkout or a copy may be in the middle: two looks have to see the same.
            if before.as_ref() == Some(&now) {
                let _ = looking.reload(false, "files changed");
                return None;
            }
            Some(now)
        };
        last = tokio::task::spawn_blocking(look).await.unwrap_or_default();
    }
}
