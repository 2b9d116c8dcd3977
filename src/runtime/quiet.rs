//! Keeps C++ code from writing to stderr.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;

/// Leads stderr to nowhere while this lives.
pub(super) struct Quiet {
    kept: libc::c_int,
}

/// Leads stderr to nowhere; `None` where that cannot be done, which costs only quiet.
pub(super) fn stderr() -> Option<Quiet> {
    let nowhere = OpenOptions::new().write(true).open("/dev/null").ok()?;
    let _ = std::io::stderr().flush();
    // SAFETY: both descriptors are open; a failure is told by a negative number.
    #[allow(unsafe_code)]
    let kept = unsafe { libc::dup(libc::STDERR_FILENO) };
    if kept < 0 {
        return None;
    }
    // SAFETY: as above.
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
