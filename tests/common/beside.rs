//! The program beside the examples.

use std::path::PathBuf;

/// Where cargo puts it.
pub fn nearmost() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let program = ours.ancestors().nth(2).unwrap().join("nearmost");
    assert!(
        program.is_file(),
        "{} is missing: cargo build --release",
        program.display()
    );
    program
}
