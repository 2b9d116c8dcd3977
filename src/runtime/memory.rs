//! The memory of this process.

/// The highest resident memory of this process so far, in bytes; 0 where the system does not say.
pub fn peak_memory() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the structure is this process's own to write, and all zeros is a valid value of it.
    #[allow(unsafe_code)]
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    // Linux counts kibibytes, macOS bytes: getrusage(2) of each.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit
}

/// Gives freed memory back to the system: without this, what was freed while a model was loaded would
/// add to the memory of every step.
pub(super) fn release_memory() {
    // SAFETY: malloc_trim(3) may be called at any time, from any thread.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_grows_by_what_is_touched_and_never_falls() {
        const BYTES: usize = 256 << 20;
        let before = peak_memory();
        let block = vec![1u8; BYTES];
        assert!(block.iter().step_by(4096).all(|&byte| byte == 1));
        let with_block = peak_memory();
        // Another test's memory may have come and gone before: the peak holds at least the block.
        assert!(with_block >= before.max(BYTES as u64), "{before} then {with_block}");
        drop(block);
        assert!(peak_memory() >= with_block);
    }
}
