//! Files that change are read again by themselves.
//!
//! They are looked at from time to time, all of them, and not by the system's notices: these tell of folders and inodes, and a checkout, an
//! editor, a mount over another and a symbolic link that is turned each make others. What a look costs is a stat(2) for each file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::handle::Handle;
use super::keyring::Keyring;
use crate::config::Config;
use crate::diagnostic::{Sources, Stamp};
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

    /// The texts that were read, and their folders; of one that was read twice as it was the first time.
    pub(super) fn add(&mut self, sources: &Sources) {
        for (path, stamp) in sources.looks() {
            self.0.entry(path.into()).or_insert(stamp);
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::process::Command;
    use std::thread;

    use crate::control::load;

    #[test]
    fn what_changes_while_files_are_read_is_another() {
        let name = format!("nearmost-watch-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("nodes")).unwrap();
        let [main, next, pipe] =
            ["nearmost.toml", "next", "nodes/slow.toml"].map(|name| folder.join(name));
        fs::write(&main, "").unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let loaded = thread::scope(|scope| {
            // Whoever opens it to write waits for who reads; the main file has been read then.
            scope.spawn(|| {
                let mut slow = fs::File::options().write(true).open(&pipe).unwrap();
                fs::write(&next, "# another").unwrap();
                fs::rename(&next, &main).unwrap();
                slow.write_all(b"at = 'FRA'\nip = ['192.0.2.1']\n").unwrap();
            });
            load(&main)
        });
        assert!(loaded.parts.is_some());
        let files = loaded.files;
        assert!(files.0.contains_key(&main));
        assert_ne!(files.0.get(&main), files.again().0.get(&main));
        fs::remove_dir_all(folder).unwrap();
    }
}
