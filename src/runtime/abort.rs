//! The message to the user when TensorFlow ends the process.
//!
//! TensorFlow cannot report memory that runs out inside a compiled function or inside Eigen, or a failed
//! check of its own: the process writes a line or two to stderr and calls `abort`. Where a C++ exception
//! (`std::bad_alloc`) reaches Rust's main function, that line speaks of `foreign exceptions`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::SIGABRT;

use crate::model::Batch;

/// `[sequences, length]` of the batch that was begun last; 0 before the first.
static SHAPE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// What the user can do where memory ran out.
static MEMORY_HINT: OnceLock<&str> = OnceLock::new();

/// Notes the batch that is computed next.
pub(super) fn note(batch: &Batch) {
    SHAPE[0].store(batch.sequences(), Ordering::Relaxed);
    SHAPE[1].store(batch.length(), Ordering::Relaxed);
}

/// Has the process say, when it is aborted, which batch it computed and what the user can do;
/// `memory_hint` is for memory that ran out.
pub(super) fn explain(memory_hint: &'static str) {
    let _ = MEMORY_HINT.set(memory_hint);
    // SAFETY: the handler does nothing but what signal-safety(7) allows: it reads atomics, lays out
    // text on its stack, and writes. Where it cannot be registered, the process ends without its
    // message.
    #[allow(unsafe_code)]
    let _ = unsafe { signal_hook::low_level::register(SIGABRT, || write(&message())) };
}

/// A line of text on the stack: a signal handler must not allocate.
struct Line([u8; 512], usize);

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.1 + text.len();
        self.0.get_mut(self.1..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.1 = end;
        Ok(())
    }
}

fn message() -> Line {
    use std::fmt::Write;
    let mut line = Line([0; 512], 0);
    let [rows, length] = [0, 1].map(|i| SHAPE[i].load(Ordering::Relaxed));
    let _ = line.write_str("error: TensorFlow ended the process");
    if rows > 0 {
        let _ = write!(line, " while it computed a batch of {rows} × {length}");
    }
    let _ = line.write_str("; its reason is printed above");
    if let Some(hint) = MEMORY_HINT.get().filter(|hint| !hint.is_empty()) {
        let _ = write!(
            line,
            "\nhint: `std::bad_alloc` or `foreign exceptions` means that memory ran out: {hint}"
        );
    }
    let _ = line.write_str("\n");
    line
}

fn write(line: &Line) {
    // SAFETY: the bytes are the line's own, and as many as are written.
    #[allow(unsafe_code)]
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.0.as_ptr().cast(), line.1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_fits_its_line_for_every_batch() {
        SHAPE[0].store(usize::MAX, Ordering::Relaxed);
        SHAPE[1].store(usize::MAX, Ordering::Relaxed);
        const HINT: &str = "try a smaller `--batch-size`, `--accumulate N` or `--max-length`; `--resume` continues \
             from the last checkpoint";
        MEMORY_HINT.set(HINT).unwrap();
        let line = message();
        let text = std::str::from_utf8(&line.0[..line.1]).unwrap();
        assert!(text.ends_with("checkpoint\n"), "{text}");
        assert!(text.contains("18446744073709551615 × 18446744073709551615"), "{text}");
    }
}
