//! Reads files, and keeps `$INCLUDE` inside the zone's folder.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Positions are 32 bits wide; a zone file of 4 GiB is a mistake.
const LARGEST: u64 = u32::MAX as u64;

/// The folder of the zone's top file.
pub(super) struct Folder {
    path: PathBuf,
    /// Without links; none where there is no such folder.
    real: Option<PathBuf>,
}

/// A file that may be included.
pub(super) struct Included {
    /// As it is shown.
    pub(super) path: PathBuf,
    /// Without links: two ways to one file are one file.
    pub(super) real: PathBuf,
}

impl Folder {
    /// The folder that `file` stands in.
    pub(super) fn of(file: &Path) -> Self {
        let path = file
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        let real = path.canonicalize().ok();
        Self { path, real }
    }

    /// The file that `name` means from here, or why it may not be read.
    pub(super) fn find(&self, name: &[u8]) -> Result<Included, String> {
        let name = Path::new(OsStr::from_bytes(name));
        if name.components().any(|c| c == Component::ParentDir) {
            return Err("a file outside the zone's folder may not be included".into());
        }
        let path = self.path.join(name);
        let real = path.canonicalize().map_err(|e| told(&e))?;
        match &self.real {
            Some(folder) if real.starts_with(folder) => Ok(Included { path, real }),
            _ => Err("a file outside the zone's folder may not be included".into()),
        }
    }
}

/// The octets of a file; says why there are none.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = path.metadata().map_err(|e| told(&e))?;
    if !metadata.is_file() {
        return Err("it is no regular file".into());
    }
    let file = std::fs::File::open(path).map_err(|e| told(&e))?;
    let mut text = Vec::with_capacity(usize::try_from(metadata.len().min(LARGEST)).unwrap_or(0));
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(|e| told(&e))?;
    if text.len() as u64 > LARGEST {
        return Err("it is larger than 4 GiB".into());
    }
    Ok(text)
}

/// An error of the system without its number.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
