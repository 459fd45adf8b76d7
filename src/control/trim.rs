//! Memory that crowds of connections, and generations that went, have left behind goes back to the system: the C library keeps most of it otherwise, for ever.

use std::time::Duration;

/// Time between two returns. One takes about a millisecond, and answers over UDP need no memory.
const EVERY: Duration = Duration::from_secs(15);

/// Gives it back from time to time, for ever.
pub(super) async fn keep_trimmed() {
    loop {
        tokio::time::sleep(EVERY).await;
        let _ = tokio::task::spawn_blocking(trim).await;
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate wraps this call")]
fn trim() {
    // SAFETY: malloc_trim(3) may be called by any thread at any time, and no pointer goes in or out.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}
