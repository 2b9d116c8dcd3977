//! Programs that a command starts and waits for.

use std::process::{Child, Output};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;

use signal_hook::consts::SIGINT;
use tfbert::error::{Error, Result};
use tfbert::runtime::send_signal;

/// How often it is checked whether the program has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Ctrl-C in a terminal reaches the program too. If it still runs after this time, the signal is passed on.
const GRACE: Duration = Duration::from_secs(1);

/// Waits until a program has ended. A signal in `stop` is passed on to it.
///
/// # Errors
///
/// The program failed: `failed` and its exit code. Or a signal ended it, or is in `stop`: `stopped by Ctrl-C
/// WHEN`.
pub fn wait(mut child: Child, stop: &AtomicI32, failed: &str, when: &str) -> Result<Output> {
    let wait_failed = |error: std::io::Error| Error::new(format!("{failed}: {error}"));
    let mut asked: Option<Instant> = None;
    while child.try_wait().map_err(wait_failed)?.is_none() {
        let signal = stop.load(Ordering::SeqCst);
        if signal != 0 && asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
            send_signal(&child, signal);
            asked = Some(Instant::now());
        }
        sleep(CHECK_INTERVAL);
    }
    let output = child.wait_with_output().map_err(wait_failed)?;
    let (code, signal) = (output.status.code(), output.status.signal());
    match (stop.load(Ordering::SeqCst), code, signal) {
        (0, Some(0), _) => Ok(output),
        // Programs that catch SIGINT end with this exit code.
        (0, Some(130), _) => Err(Error::interrupted(SIGINT, when)),
        (0, None, Some(signal)) | (signal @ 1.., ..) => Err(Error::interrupted(signal, when)),
        _ => Err(Error::new(format!("{failed} (exit code {})", code.unwrap_or(1)))),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn ended(script: &str, stop: i32) -> Result<Output> {
        let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        wait(child, &AtomicI32::new(stop), "it failed", "half-way")
    }

    #[test]
    fn a_program_ends_well_or_with_its_exit_code_or_by_a_signal() {
        assert_eq!(ended("echo done", 0).unwrap().stdout, b"done\n");
        assert_eq!(ended("exit 3", 0).unwrap_err().what(), "it failed (exit code 3)");
        // Not SIGINT: in the background of a shell this process and its children ignore it.
        for (script, by) in [("exit 130", "Ctrl-C"), ("kill -TERM $$", "SIGTERM")] {
            let error = ended(script, 0).unwrap_err();
            assert_eq!(error.what(), format!("stopped by {by} half-way"), "{script}");
        }
    }

    #[test]
    fn a_signal_is_passed_on_to_a_program_that_did_not_get_it() {
        let error = ended("exec sleep 600", 15).unwrap_err();
        assert_eq!(error.what(), "stopped by SIGTERM half-way");
    }
}
