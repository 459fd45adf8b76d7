//! The full databases, which the repository may not hold.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The full database that the script fetches with these words; none, and a line that says so, where it cannot be had.
pub(crate) fn full(words: &[&str]) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/make/fetch-city");
    let fetched = Command::new(script).args(words).output().unwrap();
    let path = PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim());
    if fetched.status.success() && path.is_file() {
        return Some(path);
    }
    let why = String::from_utf8_lossy(&fetched.stderr);
    let required = std::env::var_os("NEARMOST_REQUIRE_ALL").is_some();
    assert!(!required, "{why}");
    println!("skipped: {why}");
    None
}
