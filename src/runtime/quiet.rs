//! Keeps C++ code from writing to stderr.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;

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
    Some(Quiet { kept })
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: `kept` is the descriptor that `dup` gave and nobody else closes.
        #[allow(unsafe_code)]
        unsafe {
            libc::dup2(self.kept, libc::STDERR_FILENO);
            libc::close(self.kept);
        }
    }
}
