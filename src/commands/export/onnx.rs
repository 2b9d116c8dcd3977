//! The conversion to ONNX, by a Python that has tf2onnx.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicI32;

use tfbert::error::{Error, ErrorKind, Result};
use tfbert::export::Converted;
use tfbert::runtime::project_environment;

use crate::commands::child;
use crate::commands::setup::environment_python;

/// The program that converts.
const SCRIPT: &str = include_str!("../../../python_export/to_onnx.py");

/// Prints which of the packages that the program imports are missing, without importing them.
const MISSING: &str = "import importlib.util as u\n\
    names = ['tensorflow', 'tf2onnx', 'onnxruntime']\n\
    print(' '.join(name for name in names if u.find_spec(name) is None))";

/// The packages that an environment of exports lacks, as pip takes them.
const PACKAGES: &str = "tf2onnx==1.17.0 onnxruntime==1.32.0";

/// The Python that converts.
///
/// # Errors
///
/// None has the packages; the hint has the command that installs them.
pub(super) fn find_python(named: Option<&Path>) -> Result<PathBuf> {
    let candidates = match named {
        Some(python) => vec![python.to_owned()],
        None => {
            let setup = environment_python();
            let local = PathBuf::from(".venv/bin/python");
            let of_project = project_environment().map(|folder| folder.join("bin/python"));
            let found = [Some(local), of_project, setup, Some(PathBuf::from("python3"))];
            found.into_iter().flatten().collect()
        }
    };
    let mut seen = Vec::new();
    let mut has_tensorflow = None;
    for python in candidates {
        let shown = python.display();
        match missing(&python) {
            None if named.is_none() => {}
            None => seen.push(format!("`{shown}` does not run")),
            Some(packages) if packages.is_empty() => return Ok(python),
            Some(packages) => {
                seen.push(format!("`{shown}` lacks {}", packages.join(", ")));
                if !packages.iter().any(|package| package == "tensorflow") {
                    has_tensorflow.get_or_insert(python);
                }
            }
        }
    }
    let seen = if seen.is_empty() { "no Python was found".to_owned() } else { seen.join("; ") };
    let error = Error::new(format!(
        "the conversion to ONNX needs a Python with TensorFlow, tf2onnx and onnxruntime: {seen}"
    ));
    Err(match has_tensorflow {
        Some(python) => {
            error.hint(format!(
                "install the missing packages: `{} -m pip install {PACKAGES}`",
                python.display()
            ))
        }
        None => error.hint(
            "`tfbert setup` makes an environment with TensorFlow; then this command says what to install",
        ),
    })
}

/// The packages that a Python lacks; `None` where it does not run.
fn missing(python: &Path) -> Option<Vec<String>> {
    let output = Command::new(python).args(["-P", "-c", MISSING]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.split_whitespace().map(str::to_owned).collect())
}

/// Converts a SavedModel to an ONNX file, and compares the two on a request.
///
/// # Errors
///
/// The program fails, which prints why, or the outputs differ, or a signal came.
pub(super) fn convert(
    python: &Path,
    stop: &AtomicI32,
    model: &Path,
    request: &Path,
    file: &Path,
) -> Result<Converted> {
    log::info!("converting with {}", python.display());
    let mut command = Command::new(python);
    // `-P`: no module of the working folder is imported.
    command.args(["-P", "-"]).args([model, request, file]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Error::io("start", python, &error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why itself.
        let _ = stdin.write_all(SCRIPT.as_bytes());
    }
    let when = "before the conversion was complete";
    let output = child::wait(child, stop, "the conversion to ONNX failed", when).map_err(
        |error| match error.kind() {
            ErrorKind::Interrupted(_) => error,
            _ => error.at(model).hint("Python printed the reason above"),
        },
    )?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| {
        let what = format!("the conversion to ONNX printed no description of its result: {error}");
        Error::new(what).at(model)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_that_are_named_are_those_of_the_lock_file() {
        let lock = include_str!("../../../python_export/requirements-onnx.lock");
        for package in PACKAGES.split(' ') {
            assert!(lock.lines().any(|line| line.starts_with(&format!("{package} "))), "{package}");
        }
    }

    #[test]
    fn a_python_that_was_named_and_does_not_run_is_an_error() {
        let error = find_python(Some(Path::new("/no/such/python"))).unwrap_err();
        assert!(error.what().contains("`/no/such/python` does not run"), "{error}");
    }
}
