//! Keeps C++ code from writing to stderr.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// The descriptor of stderr while it is discarded, else -1.
static KEPT: AtomicI32 = AtomicI32::new(-1);

/// Discards what is written to stderr while this value lives.
pub(super) struct Quiet {
    kept: libc::c_int,
}

/// Discards what is written to stderr; `None` where that cannot be done.
pub(super) fn stderr() -> Option<Quiet> {
    let nowhere = OpenOptions::new().write(true).open("/dev/null").ok()?;
    let _ = std::io::stderr().flush();
    // SAFETY: the descriptor is open; a failure is a negative number.
    #[allow(unsafe_code)]
    let kept = unsafe { libc::dup(libc::STDERR_FILENO) };
    if kept < 0 {
        return None;
    }
    // SAFETY: both descriptors are open.
    #[allow(unsafe_code)]
    unsafe {
        libc::dup2(nowhere.as_raw_fd(), libc::STDERR_FILENO);
    }
    KEPT.store(kept, Ordering::SeqCst);
    Some(Quiet { kept })
}

/// Lets the last message of a process that ends reach stderr, although another thread discards what is
/// written there.
pub fn restore_stderr() {
    let kept = KEPT.load(Ordering::SeqCst);
    if kept >= 0 {
        // SAFETY: a descriptor that was closed meanwhile is an error without effect.
        #[allow(unsafe_code)]
        unsafe {
            libc::dup2(kept, libc::STDERR_FILENO);
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        KEPT.store(-1, Ordering::SeqCst);
        // SAFETY: `kept` is the descriptor that `dup` gave and nobody else closes.
        #[allow(unsafe_code)]
        unsafe {
            libc::dup2(self.kept, libc::STDERR_FILENO);
            libc::close(self.kept);
        }
    }
}
