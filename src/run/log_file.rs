//! `log.txt`: the lines that a person saw, kept in the run's folder.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::files::names;

/// The most lines that are kept until the folder is known.
const EARLY_LINES: usize = 1000;

enum Target {
    Waiting(Vec<String>),
    Open(File),
}

static TARGET: Mutex<Target> = Mutex::new(Target::Waiting(Vec::new()));

/// Writes a line to the log; before [`open_log`] it is kept in memory.
///
/// A line that cannot be written is lost: whoever logs cannot act on it, and files that must not be
/// lost on a full disk have errors of their own.
pub fn log_line(line: &str) {
    let Ok(mut target) = TARGET.lock() else { return };
    match &mut *target {
        Target::Waiting(lines) if lines.len() < EARLY_LINES => lines.push(format!("{line}\n")),
        Target::Waiting(_) => {}
        Target::Open(file) => {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// Appends the lines so far, and from now on each line, to `log.txt` in a run's folder.
///
/// # Errors
///
/// The file cannot be written.
pub fn open_log(dir: &Path) -> Result<()> {
    let path = dir.join(names::LOG);
    let failed = |error: std::io::Error| Error::io("write", &path, &error);
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    let Ok(mut target) = TARGET.lock() else { return Ok(()) };
    if let Target::Waiting(lines) = &*target {
        file.write_all(lines.concat().as_bytes()).map_err(failed)?;
    }
    *target = Target::Open(file);
    Ok(())
}
