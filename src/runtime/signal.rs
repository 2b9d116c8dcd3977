//! Signals to other processes.

use std::process::Child;

/// Sends a signal to a child process that has not been waited for.
pub fn send_signal(child: &Child, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(child.id()) else { return };
    // SAFETY: the child has not been waited for, so the number is its own; a child that has ended
    // already takes no harm.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(pid, signal);
    }
}
