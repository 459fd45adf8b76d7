//! Reads a peer's files: regular ones only, and none without a bound.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The octets of a file of at most `largest`; says why there are none.
pub(super) fn octets(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    if !path.metadata().map_err(told)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(told)?;
    file.take(largest + 1)
        .read_to_end(&mut text)
        .map_err(told)?;
    if text.len() as u64 > largest {
        return Err(format!("it is larger than {} MiB", largest >> 20));
    }
    Ok(text)
}
